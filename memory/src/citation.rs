//! Names for passages that can be written into an answer and read back.

use bursar_types::{ArtifactId, Digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;

/// A free page as it was read once: `web_` and 32 hex digits.
///
/// Derived from address and bytes, so that a page that changes is another page and an old citation stays true.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId([u8; 16]);

impl PageId {
    /// Names what `url` gave.
    #[must_use]
    pub fn derived(url: &str, bytes: &[u8]) -> Self {
        let digest = Digest::of_parts("bursar/id/web", &[url.as_bytes(), bytes]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        Self(id)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("web_")?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut id = [0; 16];
        hex::decode_to_slice(digits, &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "web_{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where a passage stands: in something bought, or on a free page.
///
/// The two are kept apart, because only the first has a receipt. The text form tells them apart too: `art_…` and
/// `web_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceId {
    /// Something bought.
    Artifact(ArtifactId),
    /// A free page.
    Page(PageId),
}

impl SourceId {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseCitationError`].
    pub fn parse(text: &str) -> Result<Self, ParseCitationError> {
        let page = || PageId::parse(text).map(Self::Page);
        ArtifactId::parse(text).ok().map(Self::Artifact).or_else(page).ok_or_else(|| error(text))
    }

    /// The artifact, if it was bought.
    #[must_use]
    pub const fn artifact(&self) -> Option<ArtifactId> {
        match self {
            Self::Artifact(id) => Some(*id),
            Self::Page(_) => None,
        }
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(id) => id.fmt(f),
            Self::Page(id) => id.fmt(f),
        }
    }
}

/// One passage of one source: `art_<id>#<n>`, numbered from 1.
///
/// # Example
/// ```
/// use bursar_memory::Citation;
/// let citation = Citation::parse("art_00112233445566778899aabbccddeeff#3")?;
/// assert_eq!(citation.number, 3);
/// assert_eq!(citation.to_string(), "art_00112233445566778899aabbccddeeff#3");
/// # Ok::<(), bursar_memory::ParseCitationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Citation {
    /// Where it stands.
    pub source: SourceId,
    /// Which passage, from 1.
    pub number: u32,
}

/// The text is not a citation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a citation such as `art_…#3`; copy it from a passage")]
pub struct ParseCitationError {
    text: String,
}

fn error(text: &str) -> ParseCitationError {
    ParseCitationError { text: text.chars().take(60).flat_map(char::escape_debug).collect() }
}

impl Citation {
    /// Reads the text form, which has one spelling only.
    ///
    /// # Errors
    /// [`ParseCitationError`].
    pub fn parse(text: &str) -> Result<Self, ParseCitationError> {
        let (source, digits) = text.split_once('#').ok_or_else(|| error(text))?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| plain).ok_or_else(|| error(text))?;
        let source = SourceId::parse(source).map_err(|_| error(text))?;
        Ok(Self { source, number })
    }
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.source, self.number)
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(SourceId);
as_text!(Citation);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_reads_back_as_it_was_written() {
        let bought = SourceId::Artifact(ArtifactId::derived(&[b"a"]));
        let page = SourceId::Page(PageId::derived("https://a.example/", b"x"));
        for source in [bought, page] {
            let citation = Citation { source, number: 12 };
            assert_eq!(Citation::parse(&citation.to_string()), Ok(citation));
        }
    }

    #[test]
    fn text_that_is_no_citation_is_refused() {
        let id = ArtifactId::derived(&[b"a"]);
        for text in [
            String::new(),
            "art_#1".into(),
            id.to_string(),
            format!("{id}#"),
            format!("{id}#0"),
            format!("{id}#01"),
            format!("{id}#+1"),
            format!("{id}#1#2"),
            format!("{id}#99999999999"),
            format!("{id}# 1"),
            format!("{}#1", id.to_string().replace("art", "quo")),
            format!("{}#1", id.to_string().replace("art", "web").to_uppercase()),
        ] {
            assert!(Citation::parse(&text).is_err(), "`{text}`");
        }
    }

    #[test]
    fn a_page_that_changed_is_another_page() {
        let url = "https://a.example/";
        assert_ne!(PageId::derived(url, b"x"), PageId::derived(url, b"y"));
        assert_ne!(PageId::derived(url, b"x"), PageId::derived("https://b.example/", b"x"));
    }
}
