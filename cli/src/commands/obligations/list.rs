//! The list: a paragraph for everything that is owed, for money that nobody placed, and for sagas that are not over.

use super::find::title;
use super::sagas::{self, SagaLine};
use crate::args::ObligationsArgs;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, Notes, line, short, vendor};
use bursar::payments::{Claim, Evidence, Obligation, ObligationState, OpenObligation, Payments, Step, Stray};
use bursar::report::{self, PaymentReport, PaymentState};
use bursar::types::{Amount, Clock as _, PaymentId, Timestamp, causes};
use bursar::{BursarError, SystemClock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "desk")]
enum Line<'a> {
    Obligation {
        #[serde(flatten)]
        owed: &'a OpenObligation,
        since: Timestamp,
        description: Option<&'a str>,
        overdue: bool,
        came_back: Option<Amount>,
    },
    Stray {
        event: String,
        #[serde(flatten)]
        stray: &'a Stray,
    },
    /// Whether its money moved is not known, so nothing is owed yet.
    Unknown {
        #[serde(flatten)]
        payment: &'a PaymentReport,
    },
    /// It is not over, or a person looks after one of its steps.
    Saga {
        #[serde(flatten)]
        saga: &'a SagaLine,
    },
}

/// Lists what is owed.
pub(super) async fn list(desk: &Payments, args: &ObligationsArgs) -> Result<(String, Exit), CliError> {
    let payments = report::payments(desk.ledger()).await?;
    let known: BTreeMap<PaymentId, &PaymentReport> =
        payments.iter().map(|payment| (payment.id, payment)).collect();
    let mut owed = desk.obligations().await.map_err(BursarError::from)?;
    let strays = desk.strays().await.map_err(BursarError::from)?;
    let unknown: Vec<&PaymentReport> = payments.iter().filter(|payment| !is_known(payment)).collect();
    let sagas = desk.sagas().await;
    if let Err(error) = &sagas {
        // What is owed is listed all the same.
        Notes.say(format!("note: the sagas cannot be listed: {}", line(&causes(error), 300)));
    }
    let all_over = sagas.as_ref().is_ok_and(Vec::is_empty);
    let open = !(owed.is_empty() && strays.is_empty() && unknown.is_empty() && all_over);
    if args.all {
        for payment in payments.iter().filter(|payment| payment.state.is_paid()) {
            if owed.iter().all(|listed| listed.payment.id != payment.id) {
                owed.extend(desk.obligation(payment.id).await.map_err(BursarError::from)?);
            }
        }
    }
    let now = SystemClock.now();
    let amounts = Amounts::pinned();
    let mut text = String::new();
    for one in &owed {
        let Some(payment) = known.get(&one.payment.id) else { continue };
        if args.json {
            json(
                &mut text,
                &Line::Obligation {
                    owed: one,
                    since: payment.at,
                    description: payment.description.as_deref(),
                    overdue: is_overdue(&one.obligation, now),
                    came_back: came_back(one),
                },
            );
        } else {
            paragraph(&mut text, one, payment, now, &amounts);
        }
    }
    for stray in &strays {
        if args.json {
            json(&mut text, &Line::Stray { event: stray.transfer.event.to_string(), stray });
        } else {
            stray_paragraph(&mut text, stray, &amounts);
        }
    }
    for payment in unknown {
        if args.json {
            json(&mut text, &Line::Unknown { payment });
        } else {
            unknown_paragraph(&mut text, payment, &amounts);
        }
    }
    for saga in sagas.iter().flatten() {
        if args.json {
            json(&mut text, &Line::Saga { saga: &SagaLine::of(saga, now, &amounts) });
        } else {
            sagas::paragraph(&mut text, saga, now, &amounts);
        }
    }
    if text.is_empty() && !args.json && !open {
        text.push_str("nothing is owed\n");
    }
    Ok((text, if open { Exit::Open } else { Exit::Done }))
}

const fn is_known(payment: &PaymentReport) -> bool {
    !matches!(
        payment.state,
        PaymentState::Signing | PaymentState::Unknown { .. } | PaymentState::Unreadable { .. }
    )
}

fn is_overdue(obligation: &Obligation, now: Timestamp) -> bool {
    obligation.due.is_some_and(|due| due <= now)
}

/// What came back; `None` if nothing did.
fn came_back(owed: &OpenObligation) -> Option<Amount> {
    let sum = owed.obligation.refunded().filter(|sum| *sum > 0)?;
    Some(Amount::from_atomic(owed.payment.amount.asset().clone(), sum))
}

fn paragraph(
    text: &mut String,
    owed: &OpenObligation,
    payment: &PaymentReport,
    now: Timestamp,
    amounts: &Amounts,
) {
    let OpenObligation { payment: view, evidence, obligation, .. } = owed;
    let _ = writeln!(text, "{}  {}  {}", view.id, amounts.show(&view.amount), state(owed));
    let _ = writeln!(text, "    for      “{}”  {}", title(payment), line(&view.resource, 120));
    let _ = writeln!(text, "    to       {}", vendor(&view.host, &view.payee));
    let _ = writeln!(text, "    since    {}", payment.at);
    if let Some(due) = obligation.due {
        let late = if is_overdue(obligation, now) { "  OVERDUE" } else { "" };
        let who = if obligation.owner.is_empty() {
            String::new()
        } else {
            format!(", {} looks after it", line(&obligation.owner, 40))
        };
        let _ = writeln!(text, "    until    {due}{who}{late}");
    }
    let problem = match (&obligation.state, &obligation.claim) {
        (ObligationState::Owed { problem } | ObligationState::Parked { problem }, _) => Some(problem),
        (_, Some(claim)) => Some(&claim.detail),
        (_, None) => None,
    };
    if let Some(problem) = problem {
        let _ = writeln!(text, "    because  {}", line(problem, 300));
    }
    if let Some(claim) = &obligation.claim {
        let _ = writeln!(text, "    refund   {} asked for: {}", amounts.show(&claim.amount), answer(claim));
    }
    if let Some(back) = came_back(owed) {
        let _ = writeln!(text, "    back     {} in {}", amounts.show(&back), transfers(obligation));
    }
    let _ = writeln!(text, "    evidence {}", evidence_of(evidence, obligation));
}

/// How it stands, in words.
fn state(owed: &OpenObligation) -> String {
    let presumed = matches!(owed.evidence, Evidence::Presumed { .. });
    match &owed.obligation.state {
        ObligationState::Parked { .. } if presumed => {
            "presumed spent: nobody could say whether it moved".to_owned()
        }
        ObligationState::Owed { .. } => "owed: it was paid, and did not come".to_owned(),
        ObligationState::Claimed => "asked back".to_owned(),
        ObligationState::Parked { .. } => format!("parked with {}", line(&owed.obligation.owner, 40)),
        ObligationState::Delivered => "over: it came".to_owned(),
        ObligationState::Refunded => "over: the money came back".to_owned(),
        ObligationState::Settled { by, reason } => {
            format!("over: settled by {}: {}", line(by, 40), line(reason, 120))
        }
        ObligationState::WrittenOff { by, reason } => {
            format!("over: written off by {}: {}", line(by, 40), line(reason, 120))
        }
    }
}

/// What became of asking.
fn answer(claim: &Claim) -> String {
    match &claim.refund {
        Step::NotTried => "not sent yet".to_owned(),
        Step::Running { .. } => "being sent".to_owned(),
        Step::Done { answer } => line(answer, 120),
        Step::Failed { problem, again_at, .. } => {
            format!("failed, again at {again_at}: {}", line(problem, 200))
        }
        Step::GivenUp { problem } => format!("given up: {}", line(problem, 200)),
        Step::Refused { problem } => line(problem, 200),
    }
}

fn transfers(obligation: &Obligation) -> String {
    match obligation.refunds.len() {
        1 => "1 transfer".to_owned(),
        several => format!("{several} transfers"),
    }
}

fn evidence_of(evidence: &Evidence, obligation: &Obligation) -> String {
    let mut all = vec![match evidence {
        Evidence::Observed { reference } => {
            format!("receipt {} (observed on chain)", short(&line(reference, 100)))
        }
        Evidence::Claimed { reference } => {
            format!("receipt {} (claimed by the vendor)", short(&line(reference, 100)))
        }
        Evidence::Presumed { .. } => "no receipt".to_owned(),
    }];
    if obligation.claim.as_ref().is_some_and(|claim| claim.file.is_some()) {
        all.push("dispute file (`bursar obligations show PAYMENT --dispute FILE` writes it)".to_owned());
    }
    all.join("; ")
}

fn stray_paragraph(text: &mut String, stray: &Stray, amounts: &Amounts) {
    let transfer = &stray.transfer;
    let _ = writeln!(
        text,
        "{}  {}  came in, and nobody knows what for",
        transfer.event,
        amounts.show(&transfer.amount)
    );
    let _ = writeln!(text, "    from     {}", line(&transfer.from, 80));
    let _ = writeln!(text, "    at       {}", transfer.at);
    let _ = writeln!(text, "    because  {}", line(&stray.why, 200));
    let _ = writeln!(
        text,
        "    next     `bursar obligations credit EVENT PAYMENT` says where it belongs, `dismiss EVENT` that it is no refund"
    );
}

fn unknown_paragraph(text: &mut String, payment: &PaymentReport, amounts: &Amounts) {
    let amount = payment.amount.as_ref().map_or_else(|| "?".to_owned(), |amount| amounts.show(amount));
    let problem = match &payment.state {
        PaymentState::Unknown { problem } | PaymentState::Unreadable { problem } => line(problem, 300),
        _ => "it was signed, and there is no answer".to_owned(),
    };
    let _ = writeln!(text, "{}  {amount}  not known whether it moved", payment.id);
    let _ = writeln!(text, "    for      “{}”  {}", title(payment), line(&payment.resource, 120));
    let _ = writeln!(text, "    to       {}", vendor(&payment.host, &payment.payee));
    let _ = writeln!(text, "    since    {}", payment.at);
    let _ = writeln!(text, "    because  {problem}");
    let _ = writeln!(text, "    next     `bursar watch --once` asks the chain");
}

fn json(text: &mut String, line: &Line<'_>) {
    match serde_json::to_string(line) {
        Ok(line) => text.push_str(&(line + "\n")),
        Err(error) => tracing::error!(%error, "an obligation cannot be written as JSON"),
    }
}
