//! `list`.

use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line};
use bursar::payments::{OpenApproval, Payments};
use serde_json::json;

/// What waits, for a person or a program.
pub(super) async fn list(desk: &Payments, as_json: bool) -> Result<(String, Exit), CliError> {
    let open = desk.approvals().await?;
    let waits = open.iter().any(|open| open.given_by.is_none());
    let mut text = String::new();
    for open in &open {
        text.push_str(&if as_json { machine(open)? } else { shown(open)? });
    }
    if open.is_empty() && !as_json {
        text.push_str("nothing waits for an answer\n");
    }
    Ok((text, if waits { Exit::Open } else { Exit::Done }))
}

/// One question as a person reads it. Every text from outside is escaped.
pub(super) fn shown(open: &OpenApproval) -> Result<String, CliError> {
    let question = &open.question;
    let digest = question.digest().map_err(bursar::payments::ApprovalError::from)?;
    let summary = question.shown(Amounts::pinned().registry(), &open.said);
    let why: Vec<_> = open.decision.reasons.iter().map(|reason| line(&reason.message, 200)).collect();
    let state = match &open.given_by {
        Some(by) => format!("approved by {}, not used yet", line(by, 80)),
        None => "waits for an answer".to_owned(),
    };
    Ok(format!(
        "{}  {state} until {}\n{summary}\n  asked because: {}\n  session {}, action {digest}\n",
        question.id,
        question.expires_at,
        why.join("; "),
        question.session,
    ))
}

/// One question as JSON.
pub(super) fn machine(open: &OpenApproval) -> Result<String, CliError> {
    let digest = open.question.digest().map_err(bursar::payments::ApprovalError::from)?;
    let shown = open.question.shown(Amounts::pinned().registry(), &open.said);
    let value = json!({
        "desk": "approval",
        "question": open.question,
        "action": digest,
        "shown": shown,
        "reasons": open.decision.reasons,
        "given_by": open.given_by,
    });
    Ok(format!("{value}\n"))
}
