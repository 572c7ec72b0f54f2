//! Which instructions.

use clap::Args;

/// Lists the instructions that come with Bursar, with version and digest; or prints one.
///
/// The first record of a run names its instructions in the same way (`started`, `prompt`), so that it can be seen under which it was
/// begun. `bursar research` uses `research` with models that read instructions.
#[derive(Debug, Args)]
pub(crate) struct PromptsArgs {
    /// Prints the text of this one.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}
