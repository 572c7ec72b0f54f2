//! `approvals {}`: what persons were asked about this caller's purchases. It answers none of it.

use async_trait::async_trait;
use bursar::agent::{Tool, ToolContext, ToolError};
use bursar::memory::clean_line;
use bursar::tools::NoArgs;
use bursar::types::{Effect, SessionId};
use bursar::{Bursar, payments::OpenApproval};
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest text of a question, in characters.
const ABOUT_CHARS_MAX: usize = 500;

/// Tells the open questions of one session.
#[derive(Debug)]
pub(super) struct Approvals {
    bursar: Bursar,
    session: SessionId,
}

/// What `approvals` gives.
#[derive(Debug, Serialize)]
pub(super) struct ApprovalsResult {
    /// The questions that wait, and what was approved and not used yet.
    approvals: Vec<QuestionView>,
}

/// A question.
#[derive(Debug, Serialize)]
struct QuestionView {
    /// Its id.
    id: String,
    /// `waiting`, or `approved`: make the same call again to use the yes.
    state: &'static str,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    /// After this moment no answer counts, and a yes is worth nothing.
    until: String,
    /// Who said yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// Why a person is asked: codes.
    codes: Vec<String>,
}

impl Approvals {
    pub(super) const fn new(bursar: Bursar, session: SessionId) -> Self {
        Self { bursar, session }
    }

    fn shown(open: &OpenApproval, about: Option<&String>) -> QuestionView {
        QuestionView {
            id: open.question.id.to_string(),
            state: if open.given_by.is_some() { "approved" } else { "waiting" },
            about: about.map(|text| clean_line(text, ABOUT_CHARS_MAX)),
            until: open.question.expires_at.to_string(),
            approved_by: open.given_by.as_ref().map(|name| clean_line(name, 80)),
            codes: open.decision.reasons.iter().map(|reason| clean_line(&reason.code, 80)).collect(),
        }
    }
}

#[async_trait]
impl Tool for Approvals {
    type Args = NoArgs;
    type Output = ApprovalsResult;

    fn name(&self) -> &str {
        "approvals"
    }

    fn description(&self) -> &str {
        "Tells which of your plans, purchases and calls wait for a person, and which were approved and not used yet. It answers \
         nothing: only the operator's approvers can. Go on with other work meanwhile, and make the same call again once it is approved."
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, context: &ToolContext, _: NoArgs) -> Result<ApprovalsResult, ToolError> {
        let failed =
            |error: String| ToolError::not_executed(format!("the questions cannot be read: {error}"));
        let standing = context.purse()?.standing().await.map_err(|error| failed(error.to_string()))?;
        let about: BTreeMap<_, _> =
            standing.waiting.into_iter().map(|waiting| (waiting.approval, waiting.about)).collect();
        let open = self.bursar.desk().approvals().await.map_err(|error| failed(error.to_string()))?;
        let own = open.iter().filter(|open| open.question.session == self.session);
        let approvals = own.map(|open| Self::shown(open, about.get(&open.question.id))).collect();
        Ok(ApprovalsResult { approvals })
    }
}
