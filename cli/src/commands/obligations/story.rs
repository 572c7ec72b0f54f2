//! The story of one payment: a sentence for each entry of its stream in the journal.

use super::find;
use crate::args::ShowArgs;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line, short, vendor};
use bursar::BursarError;
use bursar::ledger::StreamId;
use bursar::payments::{ObligationEvent, Outcome, PaymentEvent, Payments, Refund, Remedy, StepResult};
use bursar::types::PaymentId;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Tells the story, and writes the dispute file if that is asked for.
pub(super) async fn show(desk: &Payments, args: &ShowArgs) -> Result<(String, Exit), CliError> {
    let payment = find::payment(desk, &args.payment).await?;
    let amounts = Amounts::pinned();
    let stream = StreamId::of("payment", payment.id);
    let mut text = format!("{}  {}\n", payment.id, find::what(&payment, &amounts));
    for entry in desk.ledger().stream(&stream, 0).await.map_err(BursarError::from)? {
        let told = match desk.ledger().event::<PaymentEvent>(&entry).await {
            Ok(event) => sentence(&event, &amounts),
            Err(error) => format!("{}: its record cannot be read: {error}", entry.kind),
        };
        let _ = writeln!(text, "{}  {told}", entry.at);
    }
    if let Some(file) = &args.dispute {
        let written = write_dispute(desk, payment.id, file).await?;
        let _ = writeln!(text, "{written} bytes of evidence are in `{}`", file.display());
    }
    let exit = if payment.state.is_open() { Exit::Open } else { Exit::Done };
    Ok((text, exit))
}

/// Writes the dispute file where no file is yet, for its owner's eyes: it tells what was bought.
async fn write_dispute(desk: &Payments, id: PaymentId, path: &Path) -> Result<usize, CliError> {
    let bytes = desk.dispute_file(id).await.map_err(BursarError::from)?;
    let bytes = bytes.ok_or_else(|| CliError::NoPayment {
        problem: format!(
            "no dispute file was written for {id}: that is done when asking for the money back came to nothing"
        ),
        others: Vec::new(),
    })?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(&bytes));
    match written {
        Ok(()) => Ok(bytes.len()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(CliError::Exists { path: path.to_owned() })
        }
        Err(source) => Err(CliError::File { doing: "write", path: path.to_owned(), source }),
    }
}

/// An event in words.
fn sentence(event: &PaymentEvent, amounts: &Amounts) -> String {
    match event {
        PaymentEvent::Held(held) => {
            let quote = &held.offer.quote;
            format!(
                "{} was set aside for {}, allowed by {}",
                amounts.show(held.amount()),
                vendor(&quote.host, &quote.payee),
                line(&held.decision.rules.join(", "), 200)
            )
        }
        PaymentEvent::LetGo { reason } => format!("what was set aside was given back: {}", line(reason, 300)),
        PaymentEvent::Signing { prepared, .. } => {
            format!("its terms were fixed, to be signed; they can be used until {}", prepared.expires_at)
        }
        PaymentEvent::Answered { outcome, received, .. } => {
            let came = received
                .as_ref()
                .map_or_else(String::new, |received| format!(", and {} bytes came", received.size_bytes));
            format!("the vendor answered: {}{came}", outcome_of(outcome))
        }
        PaymentEvent::Observed { outcome } => format!("the chain was asked: {}", outcome_of(outcome)),
        PaymentEvent::Delivered { record } => {
            format!("it came, and is kept as {} ({} bytes)", record.artifact.id, record.artifact.size_bytes)
        }
        PaymentEvent::DeliveryFailed { problem, owner, due } => {
            format!("it did not come: {}; {} has until {due} for that", line(problem, 300), line(owner, 40))
        }
        PaymentEvent::VoidStarted { reason, attempt, .. } => {
            format!("it is being taken back{}: {}", try_of(*attempt), line(reason, 300))
        }
        PaymentEvent::VoidEnded { attempt, result } => {
            format!("taking it back{}: {}", try_of(*attempt), result_of(result))
        }
        PaymentEvent::Presumed { owner, due } => format!(
            "nobody could say for so long that it counts as spent; {} has until {due} for that",
            line(owner, 40)
        ),
        PaymentEvent::Owed(event) => owed(event, amounts),
    }
}

fn owed(event: &ObligationEvent, amounts: &Amounts) -> String {
    match event {
        ObligationEvent::ClaimOpened { amount, detail, due, .. } => {
            format!("{} is asked back, until {due}: {}", amounts.show(amount), line(detail, 300))
        }
        ObligationEvent::StepStarted { remedy: Remedy::Refund, attempt } => {
            format!("the vendor is asked for the refund{}", try_of(*attempt))
        }
        ObligationEvent::StepStarted { remedy: Remedy::Dispute, attempt } => {
            format!("the dispute file is being written{}", try_of(*attempt))
        }
        ObligationEvent::StepEnded { remedy: Remedy::Refund, attempt, result, .. } => {
            format!("asking for the refund{}: {}", try_of(*attempt), result_of(result))
        }
        ObligationEvent::StepEnded { remedy: Remedy::Dispute, attempt, result, .. } => {
            format!("the dispute file{}: {}", try_of(*attempt), result_of(result))
        }
        ObligationEvent::ClaimDropped { problem } => {
            format!("nothing is asked back any more, and what came is kept: {}", line(problem, 300))
        }
        ObligationEvent::RefundSeen { refund: Refund { transfer, by } } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(", as {} says", line(by, 40)));
            format!(
                "{} came back in {}{by}",
                amounts.show(&transfer.amount),
                short(&transfer.event.transaction)
            )
        }
        ObligationEvent::Parked { problem, owner, due } => {
            format!("{} looks after it from here, until {due}: {}", line(owner, 40), line(problem, 300))
        }
        ObligationEvent::Extended { by, reason, due } => {
            format!("{} gave it time until {due}: {}", line(by, 40), line(reason, 300))
        }
        ObligationEvent::Settled { by, reason } => {
            format!("{} settled it: {}", line(by, 40), line(reason, 300))
        }
        ObligationEvent::WrittenOff { by, reason } => {
            format!("{} wrote it off: {}", line(by, 40), line(reason, 300))
        }
    }
}

fn outcome_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Moved { reference, observed } => {
            let how = if *observed { "the money moved in" } else { "it says that the money moved in" };
            format!("{how} {}", short(&line(reference, 100)))
        }
        Outcome::DidNotMove { proof } => format!("no money moved: {}", line(proof, 300)),
        Outcome::Unknown { problem } => format!("not known whether money moved: {}", line(problem, 300)),
    }
}

fn result_of(result: &StepResult) -> String {
    match result {
        StepResult::Done { answer } => line(answer, 300),
        StepResult::Failed { problem, again_at: Some(again_at) } => {
            format!("failed, and is tried again at {again_at}: {}", line(problem, 300))
        }
        StepResult::Refused { problem } => line(problem, 300),
        StepResult::Failed { problem, again_at: None } => format!("failed for good: {}", line(problem, 300)),
    }
}

/// The first try is not counted aloud.
fn try_of(attempt: u32) -> String {
    match attempt {
        0 => String::new(),
        later => format!(" (try {})", later.saturating_add(1)),
    }
}
