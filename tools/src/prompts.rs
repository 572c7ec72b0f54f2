//! Instructions for agents, from the readable files in `prompts/`.

use bursar_agent_core::{Prompt, PromptError};

/// Every file, by name.
const FILES: [(&str, &str); 2] =
    [("coding", include_str!("../prompts/coding.md")), ("research", include_str!("../prompts/research.md"))];

/// The instructions of that name: `research` for an agent with the tools of [`research`](crate::research), `coding` for one that
/// changes programs. `None` if there are none of that name.
///
/// # Errors
/// [`PromptError`] if the file is damaged: a test holds that none is.
///
/// # Example
/// ```
/// use bursar_agent_core::{Agent, models::Scripted};
/// use std::sync::Arc;
/// let prompt = bursar_tools::prompt("research").expect("it is there")?;
/// let agent = Agent::builder(Arc::new(Scripted::new())).prompt(&prompt).build();
/// # assert!(agent.is_ok());
/// # Ok::<(), bursar_agent_core::PromptError>(())
/// ```
#[must_use]
pub fn prompt(name: &str) -> Option<Result<Prompt, PromptError>> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, file)| Prompt::parse(file))
}

/// The names of all instructions.
pub fn prompt_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes a text changes its version, and the list in the documents.
    #[test]
    fn every_prompt_is_listed_with_its_version_and_digest() {
        let list =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROMPTS.md")).unwrap();
        for name in prompt_names() {
            let prompt = prompt(name).unwrap().unwrap();
            let mark = prompt.mark();
            assert_eq!(mark.name, name);
            let row = format!("| `{name}` | {} | `{}` |", mark.version, mark.digest);
            assert!(list.contains(&row), "docs/PROMPTS.md should have the row\n{row}");
        }
    }
}
