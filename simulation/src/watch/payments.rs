//! Payments, folded as they are written, and what must hold of each after every write.

use super::{Phase, Seen, Watch};
use crate::stage::Life;
use bursar_ledger::{Commitment, Transaction};
use bursar_payments::{Payment, PaymentEvent, SessionEvent};
use bursar_types::{Digest, HoldId, PaymentId};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// One attempt for which a signature may exist.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) nonce: String,
    pub(crate) signing: Digest,
    pub(crate) valid_before_s: u64,
    /// The commit that made its terms durable.
    pub(crate) commit: u64,
    /// Whether it was ever presented.
    pub(crate) presented: bool,
}

/// A payment as its writes say.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) payment: Payment,
    pub(crate) attempts: BTreeMap<u32, Attempt>,
    /// The last hold.
    pub(crate) hold: Option<HoldId>,
    /// How often it was captured, and how often that was taken back as never having moved.
    pub(crate) captures: u32,
    pub(crate) disproved: u32,
}

impl Known {
    /// Whether it is over for whoever asks under another key: bought, ended, or proven not to have moved.
    pub(crate) fn is_over(&self) -> bool {
        match &self.payment {
            Payment::NotPaid { .. } => true,
            Payment::Paid { obligation, .. } => obligation.is_over() || obligation.has_goods(),
            Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. } => false,
        }
    }

    /// Whether a signature may be out under it that nobody has an answer to.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.payment, Payment::Signing(_) | Payment::Unknown { .. })
    }
}

impl Watch {
    /// Reads the entries of a transaction that were committed.
    pub(super) fn entries(&self, seen: &mut Seen, life: Life, transaction: &Transaction) {
        let mut touched = BTreeSet::new();
        let mut captured_with_word = BTreeSet::new();
        for entry in &transaction.entries {
            let name = entry.stream.as_str();
            if let Some(session) = name.strip_prefix("session/") {
                match event(transaction, &entry.body) {
                    Some(SessionEvent::Frozen { .. }) => {
                        seen.frozen.insert(session.to_owned(), seen.commits);
                    }
                    Some(SessionEvent::Thawed { .. }) => {
                        seen.frozen.remove(session);
                    }
                    Some(_) => {}
                    None => seen.violated("events-are-readable", format!("an event of {name} is not")),
                }
            }
            let Some(id) = name.strip_prefix("payment/").and_then(|id| PaymentId::parse(id).ok()) else {
                continue;
            };
            let Some(event) = event::<PaymentEvent>(transaction, &entry.body) else {
                seen.violated("events-are-readable", format!("an event of {name} is not"));
                continue;
            };
            self.stage.count(format!("event {}", event.name()));
            if self.keeps_its_word(seen, transaction, &event) {
                captured_with_word.insert(id);
            }
            self.fold(seen, life, id, event);
            touched.insert(id);
        }
        for id in touched {
            self.check_payment(seen, id, transaction, captured_with_word.contains(&id));
        }
    }

    /// Whether the event says what came of a purchase; a body that it names must be there and be what it says.
    fn keeps_its_word(&self, seen: &mut Seen, transaction: &Transaction, event: &PaymentEvent) -> bool {
        match event {
            PaymentEvent::Delivered { record } => {
                let kept = Commitment::from_digest(record.payload);
                let now = transaction.payloads.iter().find(|payload| payload.commitment() == kept);
                // A body that came earlier was kept earlier; the audit reads it.
                if let Some(payload) = now
                    && Digest::of(payload.bytes()) != record.artifact.digest
                {
                    seen.violated("goods-are-kept", "what is kept is not what the record says".to_owned());
                }
                true
            }
            PaymentEvent::DeliveryFailed { .. } | PaymentEvent::Presumed { .. } => true,
            _ => false,
        }
    }

    fn fold(&self, seen: &mut Seen, life: Life, id: PaymentId, event: PaymentEvent) {
        let before = seen.payments.get(&id).cloned();
        let name = event.name();
        let terms = match &event {
            PaymentEvent::Signing { prepared, .. } => Some((**prepared).clone()),
            PaymentEvent::VoidStarted { prepared: Some(prepared), .. } => {
                seen.voids.extend(prepared.signing.iter().copied());
                None
            }
            _ => None,
        };
        let after = match Payment::apply(before.as_ref().map(|known| known.payment.clone()), event) {
            Ok(after) => after,
            Err(error) => return seen.violated("events-fold", format!("{id}: {error}")),
        };
        self.stage.count(format!("state {}", state_name(&after)));
        let mut known = before.clone().unwrap_or_else(|| Known {
            payment: after.clone(),
            attempts: BTreeMap::new(),
            hold: None,
            captures: 0,
            disproved: 0,
        });
        let was_paid = before.as_ref().is_some_and(|known| matches!(known.payment, Payment::Paid { .. }));
        known.captures = known.captures.saturating_add(u32::from(!was_paid && is_paid(&after)));
        let disproved = was_paid && matches!(after, Payment::NotPaid { .. });
        known.disproved = known.disproved.saturating_add(u32::from(disproved));
        if let (Some(prepared), Some(held)) = (terms, after.held()) {
            let nonce = prepared.terms.get("nonce").and_then(serde_json::Value::as_str).unwrap_or_default();
            let attempt = Attempt {
                nonce: nonce.to_owned(),
                signing: prepared.signing,
                valid_before_s: prepared.expires_at.unix_s(),
                commit: seen.commits,
                presented: false,
            };
            if let Some(other) = seen.by_nonce.insert(nonce.to_owned(), (id, held.attempt)) {
                seen.violated(
                    "one-nonce-for-one-attempt",
                    format!("{id} attempt {} has the nonce of {other:?}", held.attempt),
                );
            }
            seen.by_digest.insert(prepared.signing, (id, held.attempt));
            known.attempts.insert(held.attempt, attempt);
            if seen.frozen.contains_key(&held.ask.session.to_string()) {
                seen.violated("frozen-means-frozen", format!("{id} was cleared in a frozen session"));
            }
        }
        known.hold = after.held().map(|held| held.hold).or(known.hold);
        known.payment = after;
        let newly_not_paid = name != "let_go" && matches!(known.payment, Payment::NotPaid { .. });
        seen.payments.insert(id, known);
        if newly_not_paid {
            self.check_not_paid(seen, id, life);
        }
    }

    /// What must hold of a payment after every write.
    fn check_payment(&self, seen: &mut Seen, id: PaymentId, transaction: &Transaction, said: bool) {
        let Some(known) = seen.payments.get(&id).cloned() else { return };
        // All requests are of one user and differ in their URL alone: that stands for the request here, and not the digest
        // that the purse makes of it.
        let (request, url) = (known.payment.ask().request, &known.payment.ask().url);
        // One payment at most is open for a request, and it is found.
        let open = seen.links.get(&format!("open/{request}"));
        let named = open == Some(&id.to_string());
        if named == known.is_over() {
            let state = known.payment.name();
            seen.violated("the-open-one-is-found", format!("{id} is {state}, and open/ names {open:?}"));
        }
        if known.is_live() {
            let others: Vec<_> = seen
                .payments
                .iter()
                .filter(|(other, known)| **other != id && known.payment.ask().url == *url && !known.is_over())
                .map(|(other, known)| format!("{other} is {}", known.payment.name()))
                .collect();
            if !others.is_empty() {
                seen.violated(
                    "one-open-per-request",
                    format!("{id} is {} while {}", known.payment.name(), others.join(", ")),
                );
            }
        }
        self.check_money(seen, id, &known);
        let captures =
            transaction.accounts.iter().any(|op| matches!(op, bursar_ledger::AccountOp::Capture { .. }));
        if captures && !said {
            seen.violated("captured-with-its-word", format!("{id} was captured and nothing says what came"));
        }
    }

    /// The hold is where the payment's state says.
    fn check_money(&self, seen: &mut Seen, id: PaymentId, known: &Known) {
        let Some(hold) = known.hold else { return };
        let phase = seen.accounts.phase(hold).cloned();
        let credited = seen.accounts.is_credited(hold);
        let fits = matches!(
            (&known.payment, &phase),
            (Payment::Held(_), Some(Phase::Pending(_)))
                | (Payment::Signing(_) | Payment::Unknown { .. }, Some(Phase::Pending(None)))
                | (Payment::Paid { .. }, Some(Phase::Captured { .. }))
                | (Payment::NotPaid { .. }, Some(Phase::Released | Phase::Expired))
        );
        let fits = fits || (matches!(known.payment, Payment::NotPaid { .. }) && credited);
        if !fits {
            let state = known.payment.name();
            seen.violated("money-follows-state", format!("{id} is {state} and its hold is {phase:?}"));
        }
    }

    /// That no money moved, and none can, is true.
    fn check_not_paid(&self, seen: &mut Seen, id: PaymentId, life: Life) {
        let Some(known) = seen.payments.get(&id) else { return };
        let Some((number, attempt)) = known.attempts.last_key_value() else { return };
        let settled = self.market.chain().transfers().iter().any(|moved| nonce_of(moved) == attempt.nonce);
        let live = seen.signed.contains(&attempt.signing) && self.now_s() < attempt.valid_before_s;
        let name = format!("{id} attempt {number} was given back by {life}");
        let left_s = attempt.valid_before_s.saturating_sub(self.now_s());
        if settled {
            seen.violated("not-paid-is-true", format!("{name}, and the chain has settled it"));
        } else if live {
            seen.violated("not-paid-is-true", format!("{name}, and it can settle for {left_s} s more"));
        }
    }
}

/// A transfer's nonce as terms write it.
pub(super) fn nonce_of(moved: &bursar_market::Transfer) -> String {
    moved.nonce.to_string()
}

const fn is_paid(payment: &Payment) -> bool {
    matches!(payment, Payment::Paid { .. })
}

/// The state's name, with what is known of a paid one.
pub(crate) fn state_name(payment: &Payment) -> String {
    match payment {
        Payment::Paid { evidence, obligation, .. } => {
            let known = match evidence {
                bursar_payments::Evidence::Claimed { .. } => "claimed",
                bursar_payments::Evidence::Observed { .. } => "observed",
                bursar_payments::Evidence::Presumed { .. } => "presumed",
            };
            let state = format!("{:?}", obligation.state);
            let state = state.split([' ', '{', '(']).next().unwrap_or_default().to_lowercase();
            format!("paid, {known}, {state}")
        }
        other => other.name().to_owned(),
    }
}

/// The event that an entry's body names, from the payloads that came with it.
fn event<E: DeserializeOwned>(transaction: &Transaction, body: &serde_json::Value) -> Option<E> {
    let detail = body.get("detail")?.as_str()?;
    let kept = Commitment::from_digest(Digest::parse(detail).ok()?);
    let payload = transaction.payloads.iter().find(|payload| payload.commitment() == kept)?;
    serde_json::from_slice(payload.bytes()).ok()
}
