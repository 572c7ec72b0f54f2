//! `finish {answer, citations, uses}`: hands the answer in, if every citation holds, and records what it uses.

mod check;

use crate::show::library_failed;
use async_trait::async_trait;
use bursar_agent_core::{Tool, ToolContext, ToolError, ToolOutput};
use bursar_memory::{Citation, Library, SourceId, UseError, UseEvidence, UseRecord};
use bursar_types::{ArtifactId, Effect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Checks an answer, records its uses, and ends the run with it.
///
/// The effect is `Read`: called again with the same evidence, it records nothing more. Uses that were recorded stay, also
/// where the run breaks off before its answer is in the journal.
#[derive(Debug, Clone)]
pub struct Finish {
    library: Library,
}

impl Finish {
    /// Checks citations against this library.
    #[must_use]
    pub const fn new(library: Library) -> Self {
        Self { library }
    }
}

/// Arguments of `finish`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishArgs {
    /// The answer, with `[1]`, `[2]`, … after each statement that a source supports.
    pub answer: String,
    /// One for every number in the answer.
    #[serde(default)]
    pub citations: Vec<CitationArgs>,
    /// What each bought artifact was used for.
    #[serde(default)]
    pub uses: Vec<UseArgs>,
}

/// A citation as a model writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CitationArgs {
    /// The number in the answer.
    pub number: u32,
    /// The passage, as recall gave it: `art_…#3`.
    pub citation: String,
    /// The words of the passage that support the statement, copied exactly.
    pub quote: String,
}

/// A use as a model writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UseArgs {
    /// The artifact, as fetch and recall gave it.
    pub artifact: String,
    /// What it was used for.
    pub used_for: String,
}

/// An answer whose citations were checked: the details of the run's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The answer.
    pub answer: String,
    /// Its citations, by number.
    pub citations: Vec<BriefCitation>,
    /// What was used of what was bought.
    pub uses: Vec<BriefUse>,
}

/// A citation that holds: the quote stands in the passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefCitation {
    /// The number in the answer.
    pub number: u32,
    /// The passage.
    pub citation: Citation,
    /// What it stands in: `art_…` for what was bought, `web_…` for a free page.
    pub artifact: SourceId,
    /// The title of that.
    pub title: String,
    /// Where it came from.
    pub url: String,
    /// The headings above the passage.
    pub heading: String,
    /// The words that stand there.
    pub quote: String,
}

/// What something bought was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefUse {
    /// The artifact.
    pub artifact: ArtifactId,
    /// What it was used for, in the model's words.
    pub used_for: String,
    /// What shows it: quotes that were checked.
    pub evidence: Vec<Evidence>,
}

/// A quote that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it stands.
    pub citation: Citation,
    /// The words.
    pub quote: String,
}

#[async_trait]
impl Tool for Finish {
    type Args = FinishArgs;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "finish"
    }

    fn description(&self) -> &str {
        "Hands the answer in and ends the run. Cite passages that recall gave: every `[n]` in the answer needs a citation with \
         that number, and its quote must stand in the passage word for word. Say for each bought artifact that you cite what it \
         was used for. If something does not hold, the message says which; correct it and call again."
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, context: &ToolContext, args: FinishArgs) -> Result<ToolOutput, ToolError> {
        let checked = check::check(&self.library, args).await.map_err(|error| library_failed(&error))?;
        let brief = checked.map_err(|problems| {
            ToolError::not_executed(format!("the answer is not accepted: {}", problems.join("; also ")))
        })?;
        let details = serde_json::to_value(&brief)
            .map_err(|error| ToolError::not_executed(format!("the answer cannot be written: {error}")))?;
        for used in &brief.uses {
            let recorded = self.library.record_use(record(context, used)).await;
            recorded.map_err(|error| not_recorded(used.artifact, &error))?;
        }
        Ok(ToolOutput::finish(brief.answer).with_details(details))
    }
}

fn record(context: &ToolContext, used: &BriefUse) -> UseRecord {
    let quoted =
        |shown: &Evidence| UseEvidence::Quoted { citation: shown.citation, quote: shown.quote.clone() };
    UseRecord {
        artifact: used.artifact,
        session: context.session(),
        run: Some(context.run()),
        used_for: used.used_for.clone(),
        evidence: used.evidence.iter().map(quoted).collect(),
        at: context.clock().now(),
    }
}

/// What a model is told; it still has its answer, and whatever was recorded is not recorded twice.
fn not_recorded(artifact: ArtifactId, error: &UseError) -> ToolError {
    tracing::warn!(error = error as &dyn std::error::Error, %artifact, "a use was not recorded");
    let next_step = match error {
        UseError::Library(_) | UseError::Json(_) | UseError::Ledger(_) => "call again with the same answer",
        UseError::NotOwned(_)
        | UseError::Erased(_)
        | UseError::Evidence { .. }
        | UseError::TooMuch { .. } => "correct this use or leave it out, and call again",
    };
    ToolError::not_executed(format!("the answer is not accepted: {error}; {next_step}"))
}
