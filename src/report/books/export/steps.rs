//! What happened to a payment's money, one change after the other.

use super::super::Moved;
use super::super::life::{Life, moved};
use super::accounts::{Place, Standing};
use bursar_payments::{Evidence, ObligationState, Payment};
use bursar_types::Timestamp;

/// One change.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    /// Position of its entry in the journal.
    pub(super) entry: u64,
    pub(super) before: Option<Standing>,
    pub(super) after: Option<Standing>,
    pub(super) says: &'static str,
    /// The transaction or charge, as it was named last.
    pub(super) reference: Option<String>,
}

/// A standing with what names its money's movement.
type Known = (Option<Standing>, Option<String>);

/// Every change of a payment, in order; `None` if an amount is not known. What was only held, or not known for a while, is no change once
/// that is over.
pub(super) fn steps(life: &Life) -> Option<Vec<Step>> {
    let told = match life.erased || life.is_damaged() {
        true => by_leaves(life)?,
        false => by_events(life)?,
    };
    let last = told.len().checked_sub(1);
    let mut before: Option<Standing> = None;
    let mut steps = Vec::new();
    for (index, (at, entry, (after, reference))) in told.into_iter().enumerate() {
        let open = after.is_some_and(|after| matches!(after.place, Place::Held | Place::Unknown));
        if open && Some(index) != last && before.is_none() || before == after {
            continue;
        }
        steps.push(Step { at, entry, before, after, says: says(before, after), reference });
        before = after;
    }
    Some(steps)
}

fn says(before: Option<Standing>, after: Option<Standing>) -> &'static str {
    let less = before.zip(after).is_some_and(|(before, after)| after.kept < before.kept);
    match after.map(|after| after.place) {
        None => "it did not move after all",
        Some(_) if less => "refund",
        Some(Place::Held) => "set aside, not signed",
        Some(Place::Unknown) => "signed, and nobody can say yet whether it moved",
        Some(Place::Owed) => "paid, not delivered",
        Some(Place::Bought) if before.is_some_and(|before| before.place == Place::Owed) => "delivered",
        Some(Place::Bought) => "paid",
        Some(Place::Settled) => "settled by a person",
        Some(Place::WrittenOff) => "written off",
    }
}

/// How it stood after each of its transactions in the ledger: entries of one are at one moment.
fn by_events(life: &Life) -> Option<Vec<(Timestamp, u64, Known)>> {
    let mut state: Option<Payment> = None;
    let mut all: Vec<(Timestamp, u64, Known)> = Vec::new();
    for (entry, event) in &life.entries {
        state = Some(Payment::apply(state.take(), event.clone()?).ok()?);
        let known = state.as_ref().and_then(standing)?;
        match all.last_mut().filter(|(at, ..)| *at == entry.at) {
            Some(same) => same.2 = known,
            None => all.push((entry.at, entry.sequence, known)),
        }
    }
    Some(all)
}

fn standing(state: &Payment) -> Option<Known> {
    let price = state.held().map(|held| held.amount().atomic());
    let (place, kept, reference) = match (moved(state), state) {
        (Moved::No, _) => return Some((None, None)),
        (Moved::Held, _) => (Place::Held, price?, None),
        (
            _,
            Payment::Paid {
                evidence: evidence @ (Evidence::Claimed { .. } | Evidence::Observed { .. }),
                obligation,
                ..
            },
        ) => {
            let place = match &obligation.state {
                _ if obligation.has_goods() => Place::Bought,
                ObligationState::Settled { .. } => Place::Settled,
                _ if obligation.is_over() => Place::WrittenOff,
                _ => Place::Owed,
            };
            let kept = price?.checked_sub(obligation.refunded()?)?;
            (place, kept, evidence.reference().map(str::to_owned))
        }
        _ => (Place::Unknown, price?, None),
    };
    Some((Some(Standing { place, kept }), reference))
}

/// The same by leaves alone: what it came to, and each refund.
fn by_leaves(life: &Life) -> Option<Vec<(Timestamp, u64, Known)>> {
    let price = life.report().amount?.atomic();
    let first = life.entries.first().map(|(entry, _)| entry)?;
    let place = match life.moved() {
        Moved::No => return Some(Vec::new()),
        Moved::Held => Place::Held,
        Moved::Unknown | Moved::Presumed => Place::Unknown,
        Moved::Claimed | Moved::Observed if life.delivered_by_leaves() => Place::Bought,
        Moved::Claimed | Moved::Observed if life.written_off() => Place::WrittenOff,
        Moved::Claimed | Moved::Observed => Place::Settled,
    };
    let mut kept = price;
    let paid_at = life.paid_at().unwrap_or(first.at);
    let mut all = vec![(paid_at, first.sequence, (Some(Standing { place, kept }), None))];
    for (at, sequence, back) in life.refunds_by_leaves() {
        kept = kept.checked_sub(back?)?;
        all.push((at, sequence, (Some(Standing { place, kept }), None)));
    }
    Some(all)
}
