//! Where in the work something happened, and under whose authority.

use super::{TracePart, Unread};
use crate::error::BursarError;
use bursar_agent_core::{ProposedCall, Record, RecordEntry, RecordError};
use bursar_ledger::{Entry, Ledger};
use bursar_payments::{ApprovalAction, SessionEvent};
use bursar_types::{
    ApprovalId, AssetRegistry, CallId, Cause, PaymentId, PlanItemId, RunId, SessionId, StoredRecord,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is looked for in the records of runs.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The purchase's key: tools put the call into it, or the document.
    pub(super) key: Option<&'a str>,
    /// The call that the caller said.
    pub(super) cause: Option<Cause>,
    /// The URL.
    pub(super) url: Option<&'a str>,
    /// The entry that some call must have been under way at.
    pub(super) sequence: u64,
}

/// A call as a run's records tell it.
#[derive(Debug)]
struct Call {
    id: CallId,
    turn: u32,
    asked_at: u64,
    proposed: ProposedCall,
    started: Option<u64>,
    finished: Option<u64>,
}

impl Call {
    /// How it is known that it is the one; `None` if it is not.
    fn is_it(&self, wanted: &Wanted<'_>) -> Option<&'static str> {
        if let Some(cause) = wanted.cause {
            return (cause.call == self.id).then_some("the purse was asked by this call");
        }
        let id = self.id.to_string();
        if wanted.key.and_then(|key| key.split_once('/')).is_some_and(|(call, _)| call == id) {
            return Some("the purchase has the call in its key");
        }
        let before = self.started.is_some_and(|started| started < wanted.sequence);
        let after = self.finished.is_none_or(|finished| finished > wanted.sequence);
        let arguments = serde_json::to_value(&self.proposed.arguments).unwrap_or_default();
        let names = wanted.url.is_some_and(|url| mentions(&arguments, url));
        (before && after && names).then_some("it was under way then, and its arguments name the address")
    }
}

fn mentions(value: &serde_json::Value, url: &str) -> bool {
    use serde_json::Value;
    match value {
        // Arguments may have been kept as the text that the model wrote.
        Value::String(text) => text.contains(url),
        Value::Array(items) => items.iter().any(|item| mentions(item, url)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, url)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Says which run, turn and call of the session it was.
pub(super) async fn work(
    ledger: &Ledger,
    session: SessionId,
    wanted: &Wanted<'_>,
    part: &mut TracePart,
) -> Result<(), BursarError> {
    for (stream, _) in ledger.streams("run/").await? {
        let Some(Ok(run)) = stream.as_str().strip_prefix("run/").map(RunId::parse) else { continue };
        let records = ledger.stream_with_payloads(&stream, 0).await?;
        let records = records.into_iter().map(|(entry, payload)| {
            let (sequence, kind) = (entry.stream_sequence, entry.kind.clone());
            let read = RecordEntry::decode(&StoredRecord { sequence, kind, payload });
            (entry, read)
        });
        of_run(run, session, &records.collect::<Vec<_>>(), wanted, part);
    }
    if !part.lines.iter().any(|line| line.name == "tool call") {
        let value = wanted.cause.map_or_else(
            || "none is journaled that asked for it: code, or an agent that is no Bursar run".to_owned(),
            |Cause { run, call }| {
                format!("{call} of run {run}, as the caller said; the run's records are not here")
            },
        );
        part.say("tool call", value, None);
    }
    Ok(())
}

fn of_run(
    run: RunId,
    session: SessionId,
    records: &[(Entry, Result<RecordEntry, RecordError>)],
    wanted: &Wanted<'_>,
    part: &mut TracePart,
) {
    let own = |record: &Record| matches!(record, Record::Started { session: its, .. } if *its == session);
    let Some((first, Ok(started))) = records.first() else { return };
    if !own(&started.record) {
        return;
    }
    let calls = calls(run, records);
    let found = calls.values().filter_map(|call| call.is_it(wanted).map(|how| (call, how)));
    // The last that was under way: an earlier one may stand still at a question about the same.
    let Some((call, how)) = found.max_by_key(|(call, _)| call.started) else { return };
    part.say("run", run.to_string(), Some(first.sequence));
    if let Record::Started { question, .. } = &started.record {
        part.say("task", question, Some(first.sequence));
    }
    part.say("model turn", format!("number {}, counted from 0", call.turn), Some(call.asked_at));
    part.say("tool call", format!("{} ({})", call.proposed.tool, call.id), call.started);
    part.say("known, because", how, None);
    let arguments = serde_json::to_string(&call.proposed.arguments).unwrap_or_default();
    part.say("its arguments", arguments, Some(call.asked_at));
    for (entry, record) in records {
        if let Err(RecordError::Erased { .. }) = record {
            part.unread(entry, &Unread::Erased);
        }
    }
}

fn calls(run: RunId, records: &[(Entry, Result<RecordEntry, RecordError>)]) -> BTreeMap<CallId, Call> {
    let mut calls: BTreeMap<CallId, Call> = BTreeMap::new();
    for (entry, record) in records {
        let Ok(RecordEntry { record, .. }) = record else { continue };
        match record {
            Record::ModelReplied { turn, reply, .. } => {
                for (index, proposed) in (0_u32..).zip(&reply.calls) {
                    let id = CallId::derived(&[run.as_bytes(), &turn.to_be_bytes(), &index.to_be_bytes()]);
                    let (turn, asked_at, proposed) = (*turn, entry.sequence, proposed.clone());
                    calls.insert(id, Call { id, turn, asked_at, proposed, started: None, finished: None });
                }
            }
            Record::CallStarted { call, .. } => {
                if let Some(call) = calls.get_mut(call) {
                    call.started.get_or_insert(entry.sequence);
                    call.finished = None;
                }
            }
            Record::CallFinished { call, .. } => {
                if let Some(call) = calls.get_mut(call) {
                    call.finished = Some(entry.sequence);
                }
            }
            _ => {}
        }
    }
    calls
}

/// What of a session concerns one payment.
#[derive(Debug)]
pub(super) struct Concerns {
    pub(super) payment: PaymentId,
    pub(super) item: PlanItemId,
    pub(super) approvals: BTreeSet<ApprovalId>,
}

impl Concerns {
    /// The questions about the plan of this item, and about this payment.
    pub(super) fn of<'a>(
        payment: PaymentId,
        item: PlanItemId,
        events: impl Iterator<Item = &'a SessionEvent>,
    ) -> Self {
        let approvals = events.filter_map(|event| match event {
            SessionEvent::PlanApproved { plan, approval, .. } => {
                approval.filter(|_| plan.items.iter().any(|one| one.id == item))
            }
            SessionEvent::ApprovalAsked { question, .. } => match &question.action {
                ApprovalAction::Payment(terms) if terms.payment == payment => Some(question.id),
                ApprovalAction::Payment(_) | ApprovalAction::Plan(_) | ApprovalAction::Call(_) => None,
            },
            _ => None,
        });
        Self { payment, item, approvals: approvals.collect() }
    }
}

/// Says what an event of the session means for a payment; for anything else, what it means for all.
pub(super) fn authority(
    part: &mut TracePart,
    entry: &Entry,
    event: &SessionEvent,
    concerns: Option<&Concerns>,
) {
    let at = Some(entry.sequence);
    let concerned = |approval: &ApprovalId| concerns.is_some_and(|all| all.approvals.contains(approval));
    match event {
        SessionEvent::Opened { mandate, policies, parent, .. } => {
            part.say("purpose", &mandate.purpose, at);
            part.say("agent", &mandate.agent, at);
            part.say("user", &mandate.user, at);
            part.say("project", &mandate.project, at);
            part.maybe("client", mandate.client.as_ref(), at);
            part.say("role", &mandate.role, at);
            part.maybe("task", mandate.task.as_ref(), at);
            if let Ok(digest) = bursar_types::canonical_digest(mandate) {
                part.say("mandate", digest.to_string(), at);
            }
            part.maybe("delegated by session", parent.map(|parent| parent.to_string()), at);
            for (file, digest) in policies {
                part.say(format!("rules of {file}"), digest.to_string(), at);
            }
        }
        SessionEvent::PlanApproved { plan, approved_by, .. } => {
            let item = plan.items.iter().find(|one| concerns.is_some_and(|all| all.item == one.id));
            let Some(item) = item else { return };
            part.say(
                "plan",
                format!("{}, at most {}", plan.id, AssetRegistry::pinned().display(&plan.total)),
                at,
            );
            part.say("approved by", approved_by, at);
            let terms = format!(
                "{}: {} {} at {}, {} times, each at most {} atomic units of {}",
                item.id,
                item.method,
                item.resource,
                item.host,
                item.count,
                item.ceiling.atomic(),
                item.asset
            );
            part.say("plan item", terms, at);
        }
        SessionEvent::ApprovalAsked { question, .. } if concerned(&question.id) => {
            let rules = question.rules.join(", ");
            part.say("a person was asked", format!("{} because of {rules}", question.id), at);
        }
        SessionEvent::ApprovalGiven { approval, by, .. } if concerned(approval) => {
            part.say("said yes", format!("{} ({})", by.name(), by.kind()), at);
        }
        SessionEvent::ApprovalRefused { approval, by, reason } if concerned(approval) => {
            let reason = reason.as_deref().unwrap_or("no reason given");
            part.say("said no", format!("{} ({}): {reason}", by.name(), by.kind()), at);
        }
        SessionEvent::ApprovalSpent { approval, payment }
            if concerns.is_some_and(|all| all.payment == *payment) =>
        {
            part.say("the yes was used up", approval.to_string(), at);
        }
        SessionEvent::PoliciesAccepted { by, .. } => part.say("other rules accepted by", by, at),
        SessionEvent::Frozen { by, reason } => part.say("frozen by", format!("{by}: {reason}"), at),
        SessionEvent::Thawed { by } => part.say("thawed by", by, at),
        SessionEvent::Revoked { by } => part.say("mandate taken back by", by, at),
        SessionEvent::ApprovalAsked { .. }
        | SessionEvent::ApprovalGiven { .. }
        | SessionEvent::ApprovalRefused { .. }
        | SessionEvent::ApprovalWithdrawn { .. }
        | SessionEvent::ApprovalSpent { .. }
        | SessionEvent::ApprovalUsed { .. }
        | SessionEvent::PlansWithdrawn { .. } => {}
    }
}
