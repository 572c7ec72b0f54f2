//! Rules as they were pinned by a session: made again from their digests, for whoever asks what they had said.

use super::decide::Policy;
use super::load::{OPTIONAL, PolicyFile, SHADOW, SHIPPED};
use bursar_types::Digest;

/// Why rules cannot be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unpinned {
    /// A file that always holds was not among them: no session can have begun so.
    WithoutFloor(&'static str),
    /// A file that always holds was another than this version ships.
    OtherVersion(&'static str),
    /// The text of a file was not kept, or was erased.
    NotKept(String),
    /// The files do not load.
    Broken(String),
}

impl Policy {
    /// The files of the user's with their digests, by the name that is pinned: what a journal has to keep so that its decisions can be
    /// taken again.
    pub(crate) fn own_files(&self) -> impl Iterator<Item = (Digest, &str)> {
        self.texts.values().map(|text| (Digest::of(text.as_bytes()), text.as_str()))
    }

    /// The rules of these digests. `text` gives what was kept of a file.
    pub(crate) fn pinned<'a>(
        files: &[(String, Digest)],
        text: impl Fn(Digest) -> Option<&'a str>,
    ) -> Result<Self, Unpinned> {
        for (name, shipped) in SHIPPED {
            let pinned = files.iter().find(|(file, _)| file == name).map(|(_, digest)| *digest);
            match pinned {
                None => return Err(Unpinned::WithoutFloor(name)),
                Some(digest) if digest != Digest::of(shipped.as_bytes()) => {
                    return Err(Unpinned::OtherVersion(name));
                }
                Some(_) => {}
            }
        }
        let mut own = Vec::new();
        for (pinned, digest) in files.iter().filter(|(name, _)| !Self::is_shipped(name)) {
            let (name, shadow) = match pinned.strip_prefix(SHADOW) {
                Some(name) => (name, true),
                None => (pinned.as_str(), false),
            };
            let bundled = || {
                let texts = OPTIONAL.iter().map(|(_, text)| *text);
                texts.into_iter().find(|text| Digest::of(text.as_bytes()) == *digest)
            };
            let found = text(*digest).or_else(bundled).filter(|text| Digest::of(text.as_bytes()) == *digest);
            let text = found.ok_or_else(|| Unpinned::NotKept(pinned.clone()))?;
            own.push(PolicyFile { name: name.to_owned(), text: text.to_owned(), shadow });
        }
        Self::load(&own).map_err(|error| Unpinned::Broken(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str =
        "@id(\"mine\")\n@reason(\"MINE: no\")\nforbid (principal, action == Action::\"pay\", resource);\n";

    #[test]
    fn rules_are_made_again_from_their_digests_and_only_whole() {
        let files =
            [PolicyFile::new("mine.cedar", MINE), PolicyFile::bundled("bursar:review").unwrap().shadow()];
        let policy = Policy::load(&files).unwrap();
        let kept: Vec<_> = policy.own_files().map(|(digest, text)| (digest, text.to_owned())).collect();
        let text = |digest| kept.iter().find(|(known, _)| *known == digest).map(|(_, text)| text.as_str());
        let again = Policy::pinned(&policy.digests(), text).unwrap();
        assert!(again.digests() == policy.digests() && again.rules().eq(policy.rules()));
        // What is bundled needs not be kept.
        let mut pinned = policy.digests();
        assert_eq!(
            Policy::pinned(&pinned, |_| None).unwrap_err(),
            Unpinned::NotKept("mine.cedar".to_owned())
        );
        pinned.retain(|(name, _)| name != "mine.cedar");
        assert!(Policy::pinned(&pinned, |_| None).is_ok());
        pinned.retain(|(name, _)| name != "pay.cedar");
        assert_eq!(Policy::pinned(&pinned, |_| None).unwrap_err(), Unpinned::WithoutFloor("pay.cedar"));
        pinned.push(("pay.cedar".to_owned(), Digest::of(b"another")));
        assert_eq!(Policy::pinned(&pinned, |_| None).unwrap_err(), Unpinned::OtherVersion("pay.cedar"));
    }
}
