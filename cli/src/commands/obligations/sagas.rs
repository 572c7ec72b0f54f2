//! Sagas in the list: those that are not over, and those with a step that a person looks after.

use crate::screen::{Amounts, line};
use bursar::payments::{SagaEnd, SagaId, SagaReport, UndoState};
use bursar::types::{Amount, Timestamp};
use serde::Serialize;
use std::fmt::Write as _;

/// A saga in a line of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct SagaLine {
    saga: SagaId,
    name: String,
    state: &'static str,
    reason: String,
    owner: String,
    deadline: Timestamp,
    steps: Vec<StepLine>,
}

/// One of its steps.
#[derive(Debug, Serialize)]
struct StepLine {
    name: String,
    told: String,
    at_risk: Option<Amount>,
    /// Who looks after it; `None` while nobody has to.
    owner: Option<String>,
    due: Option<Timestamp>,
    overdue: bool,
}

impl SagaLine {
    pub(super) fn of(saga: &SagaReport, now: Timestamp, amounts: &Amounts) -> Self {
        let step = |step: &bursar::payments::StepReport| {
            let (owner, due) = match &step.step.undo {
                UndoState::Parked { owner, due, .. } => (Some(owner.clone()), Some(*due)),
                _ => (None, None),
            };
            StepLine {
                name: step.name.clone(),
                told: step.describe_with(|amount| amounts.show(amount)),
                at_risk: at_risk(&step.step.undo).cloned(),
                owner,
                due,
                overdue: due.is_some_and(|due| due <= now),
            }
        };
        Self {
            saga: saga.saga,
            name: saga.name.clone(),
            state: match saga.end {
                SagaEnd::Running => "running",
                SagaEnd::Completed => "completed",
                SagaEnd::Unwinding => "unwinding",
                SagaEnd::Compensated => "compensated",
                SagaEnd::Parked => "parked",
            },
            reason: saga.reason.clone(),
            owner: saga.owner.clone(),
            deadline: saga.deadline,
            steps: saga.steps.iter().map(step).collect(),
        }
    }
}

/// Money that may not come back; `None` if there is none, or none is awaited.
const fn at_risk(undo: &UndoState) -> Option<&Amount> {
    match undo {
        UndoState::Parked { at_risk, .. } | UndoState::Awaiting { at_risk, .. } => at_risk.as_ref(),
        _ => None,
    }
}

/// A saga in words.
pub(super) fn paragraph(text: &mut String, saga: &SagaReport, now: Timestamp, amounts: &Amounts) {
    let state = match saga.end {
        SagaEnd::Running => "a saga that runs",
        SagaEnd::Completed if saga.at_risk().next().is_none() => {
            "a saga that is complete and asks money back"
        }
        SagaEnd::Completed => "a saga that is complete, and a person has to look after a step",
        SagaEnd::Unwinding => "a saga that failed and is being taken back",
        SagaEnd::Compensated => "a saga that failed and was taken back",
        SagaEnd::Parked => "a saga that failed, and a person has to look after a step",
    };
    let _ = writeln!(text, "{}  “{}”  {state}", saga.saga, line(&saga.name, 100));
    if !saga.reason.is_empty() {
        let _ = writeln!(text, "    because  {}", line(&saga.reason, 300));
    }
    match saga.end {
        SagaEnd::Running => {
            let _ =
                writeln!(text, "    until    {}, {} looks after it", saga.deadline, line(&saga.owner, 40));
        }
        _ => {
            let _ = writeln!(text, "    owner    {}", line(&saga.owner, 40));
        }
    }
    for step in &saga.steps {
        let told = step.describe_with(|amount| amounts.show(amount));
        let _ = writeln!(text, "    step     {}", line(&told, 400));
        let risk = at_risk(&step.step.undo).map(|amount| format!("{} at risk", amounts.show(amount)));
        match (&step.step.undo, risk) {
            (UndoState::Parked { owner, due, .. }, risk) => {
                let late = if *due <= now { "  OVERDUE" } else { "" };
                let risk = risk.unwrap_or_else(|| "no money at risk".to_owned());
                let _ = writeln!(text, "             {risk}: {} decides until {due}{late}", line(owner, 40));
            }
            (_, Some(risk)) => {
                let _ = writeln!(text, "             {risk}");
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar::payments::{SagaEvent, SagaState, StepTerms, Undo};
    use bursar::types::{Asset, AssetId, SessionId};

    /// A saga whose mail cannot be called back, and whose upload is being deleted.
    fn parked() -> SagaReport {
        let at = Timestamp::from_unix_ms(1_800_000_000_000);
        let risk = Amount::parse_decimal(&Asset::micro_usd(), "0.25").unwrap();
        assert_eq!(risk.asset(), &AssetId::micro_usd());
        let mail = "mail \u{1b}[31m".to_owned();
        let terms = StepTerms::Free { undo: Undo::by("recall", serde_json::Value::Null) };
        let events = [
            SagaEvent::Opened {
                session: SessionId::from_bytes([1; 16]),
                name: "uploads".to_owned(),
                owner: "ada".to_owned(),
                deadline: at,
            },
            SagaEvent::StepStarted { step: mail.clone(), terms, attempt: 0 },
            SagaEvent::StepDone { step: mail.clone(), result: serde_json::Value::Null, claim: None },
            SagaEvent::UnwindStarted { reason: "nobody wants it".to_owned() },
            SagaEvent::StepParked {
                step: mail,
                problem: "it was read".to_owned(),
                owner: "ada".to_owned(),
                due: at,
                at_risk: Some(risk),
            },
            SagaEvent::Ended,
        ];
        let id = SagaId::derived(&[b"uploads"]);
        let state =
            events.into_iter().fold(None, |state, event| Some(SagaState::apply(id, state, event).unwrap()));
        SagaReport::of(&state.unwrap())
    }

    #[test]
    fn a_saga_with_a_parked_step_is_told_with_amount_owner_and_date() {
        let (saga, amounts) = (parked(), Amounts::pinned());
        let mut text = String::new();
        paragraph(&mut text, &saga, saga.deadline, &amounts);
        let lines: Vec<_> = text.lines().collect();
        let due = saga.deadline;
        let head =
            format!("{}  “uploads”  a saga that failed, and a person has to look after a step", saga.saga);
        assert_eq!(lines.first(), Some(&head.as_str()));
        assert_eq!(lines.get(1..3), Some(&["    because  nobody wants it", "    owner    ada"][..]));
        let amount = amounts.show(at_risk(&saga.steps.first().unwrap().step.undo).unwrap());
        let last = format!("             {amount} at risk: ada decides until {due}  OVERDUE");
        assert_eq!(lines.last(), Some(&last.as_str()), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("it was read"), "{text}");
        text.clear();
        paragraph(&mut text, &saga, Timestamp::from_unix_ms(0), &amounts);
        assert!(!text.contains("OVERDUE"), "{text}");
    }

    #[test]
    fn a_line_of_json_has_the_amount_the_owner_and_the_date_of_each_step() {
        let saga = parked();
        let line = SagaLine::of(&saga, saga.deadline, &Amounts::pinned());
        let json = serde_json::to_value(&line).unwrap();
        assert_eq!(json.pointer("/state"), Some(&"parked".into()));
        assert_eq!(json.pointer("/steps/0/owner"), Some(&"ada".into()));
        assert_eq!(json.pointer("/steps/0/overdue"), Some(&true.into()));
        assert_eq!(json.pointer("/steps/0/at_risk/atomic"), Some(&"250000".into()), "{json}");
    }
}
