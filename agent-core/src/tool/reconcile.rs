//! What a tool says of a call that has no result.

use super::{IntoToolOutput, ToolOutput};

/// What came of a `Write` that was started and has no result, as its tool found out by looking.
///
/// # What implementers guarantee
/// Looking changes nothing. `Done` and `NotDone` are proven, by the world and not by what was meant to happen; where there
/// is doubt, the answer is `Unknown`. `NotDone` also says that the earlier call cannot do it later: its worker may still be
/// alive, fenced off and not yet aware of it.
///
/// # Example
/// A tool that files letters under the id of their call can look whether one is there.
/// ```
/// use bursar_agent_core::{Reconciled, Tool, ToolContext, ToolError};
/// use bursar_types::Effect;
/// use std::path::PathBuf;
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct Letter {
///     text: String,
/// }
///
/// #[derive(Debug)]
/// struct FileLetter {
///     folder: PathBuf,
/// }
///
/// #[async_trait::async_trait]
/// impl Tool for FileLetter {
///     type Args = Letter;
///     type Output = String;
///
///     fn name(&self) -> &str {
///         "file_letter"
///     }
///     fn description(&self) -> &str {
///         "Files a letter."
///     }
///     fn effect(&self) -> Effect {
///         Effect::Write
///     }
///     async fn call(&self, context: &ToolContext, letter: Letter) -> Result<String, ToolError> {
///         let path = self.folder.join(context.call().to_string());
///         std::fs::write(&path, letter.text).map_err(|error| ToolError::unknown(error.to_string()))?;
///         Ok("filed".to_owned())
///     }
///     async fn reconcile(&self, context: &ToolContext, letter: Letter) -> Reconciled {
///         match std::fs::read_to_string(self.folder.join(context.call().to_string())) {
///             Ok(text) if text == letter.text => Reconciled::done("filed"),
///             // Half a letter, or none yet: the earlier call may still be writing.
///             _ => Reconciled::Unknown,
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// It happened, and this is its result.
    Done(ToolOutput),
    /// It did not happen, and will not unless it is called again; the run calls it again.
    NotDone,
    /// The tool cannot tell. The run stops until a person says.
    Unknown,
}

impl Reconciled {
    /// It happened, with this result. A result that cannot be written is not known.
    pub fn done(output: impl IntoToolOutput) -> Self {
        output.into_tool_output().map_or(Self::Unknown, Self::Done)
    }
}
