//! Instructions that live in files, with a version.

use bursar_types::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Instructions of an agent, read from a file that people read too.
///
/// The file begins with three dashes, a line `name:`, a line `version:`, and three dashes; the rest is the text.
///
/// # Example
/// ```
/// use bursar_agent_core::Prompt;
/// let prompt = Prompt::parse("---\nname: brief\nversion: 3\n---\nAnswer briefly.\n")?;
/// assert_eq!((prompt.mark().name.as_str(), prompt.mark().version, prompt.text()), ("brief", 3, "Answer briefly."));
/// # Ok::<(), bursar_agent_core::PromptError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    mark: PromptMark,
    text: String,
}

/// Which instructions a run was begun under: in its first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptMark {
    /// Their name.
    pub name: String,
    /// Their version.
    pub version: u32,
    /// Digest of their text.
    pub digest: Digest,
}

/// The text is no prompt file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a prompt begins with `---`, `name: …`, `version: …`, `---`, and then has its text; {0}")]
pub struct PromptError(&'static str);

impl Prompt {
    /// Reads a prompt file.
    ///
    /// # Errors
    /// [`PromptError`] says what is missing.
    pub fn parse(file: &str) -> Result<Self, PromptError> {
        let file = file.replace("\r\n", "\n");
        let head = file.strip_prefix("---\n").ok_or(PromptError("it does not begin so"))?;
        let (head, text) = head.split_once("\n---\n").ok_or(PromptError("its head has no end"))?;
        let field = |name: &str| {
            head.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)
        };
        let name = field("name").map(|(_, value)| value.trim()).filter(|name| !name.is_empty());
        let name = name.ok_or(PromptError("it has no name"))?.to_owned();
        let version = field("version").and_then(|(_, value)| value.trim().parse().ok());
        let version = version.ok_or(PromptError("its version is no whole number"))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(PromptError("it has no text"));
        }
        let digest = Digest::of_parts("bursar/agent/prompt", &[text.as_bytes()]);
        Ok(Self { mark: PromptMark { name, version, digest }, text: text.to_owned() })
    }

    /// Its name, version and digest.
    #[must_use]
    pub const fn mark(&self) -> &PromptMark {
        &self.mark
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_prompt_file_is_refused() {
        for file in [
            "",
            "name: a\nversion: 1\n",
            "---\nname: a\nversion: 1\n",
            "---\nversion: 1\n---\ntext",
            "---\nname: a\nversion: one\n---\ntext",
            "---\nname: a\nversion: 1\n---\n \n",
        ] {
            assert!(Prompt::parse(file).is_err(), "{file:?}");
        }
    }

    #[test]
    fn line_ends_do_not_change_the_digest() {
        let unix = Prompt::parse("---\nname: a\nversion: 1\n---\none\ntwo\n").unwrap();
        let windows = Prompt::parse("---\r\nname: a\r\nversion: 1\r\n---\r\none\r\ntwo\r\n").unwrap();
        assert_eq!(unix, windows);
    }
}
