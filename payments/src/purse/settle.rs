//! Settling: what was seen of a signed payment, and the events that follow from it.

use super::SessionPurse;
use super::book::Booked;
use super::decide::TRIES;
use super::goods::Noted;
use super::join::Loaded;
use super::pay::unavailable_event;
use crate::payment::{Ask, Evidence, Payment, PaymentEvent, Received, Signed};
use crate::rail::{Outcome, PayeeStatements};
use bursar_ledger::Transaction;
use bursar_types::{Digest, FetchError, HttpResponse, TransportError};

/// What was seen of a signed payment.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// The payee's answer, or its absence.
    Answer {
        /// What the rail made of it.
        outcome: Outcome,
        /// The answer.
        answer: &'a Result<HttpResponse, TransportError>,
        /// What the payee signed beside it.
        said: Box<PayeeStatements>,
    },
    /// What the rail itself said.
    Rail(Outcome),
    /// The wallet made no authorization, and why. Nothing was presented, unless another worker took the payment up.
    Unsigned(String),
}

impl SessionPurse {
    /// Records what was seen of a signed payment, with the money move that follows from it, in one transaction. Where
    /// another worker booked something meanwhile, it is read again.
    pub(super) async fn settle(&self, signed: &Signed, seen: Seen<'_>) -> Result<Payment, FetchError> {
        let held = &signed.held;
        let seen = Noted::new(seen, self);
        for _ in 0..TRIES {
            let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
            // What is seen of one attempt says nothing about another: its authorization may be live.
            let current = loaded.payment.as_ref().and_then(Payment::held);
            let events = match current.is_some_and(|current| current.attempt == held.attempt) {
                true => self.follow(loaded.payment.as_ref(), &seen)?,
                false => Vec::new(),
            };
            if events.is_empty() {
                let known = loaded.payment.clone();
                return known.ok_or_else(|| FetchError::NotPaid("there is no such payment".to_owned()));
            }
            let extra =
                Transaction { payloads: seen.body.clone().into_iter().collect(), ..Transaction::default() };
            match self.book(&loaded, held, &events, extra).await? {
                Booked::Done(state) => return Ok(*state),
                Booked::Overtaken => {}
            }
        }
        Err(FetchError::Ledger("another worker kept booking the same payment".into()))
    }

    /// The events that follow from what was seen; none if it says nothing new.
    fn follow(&self, before: Option<&Payment>, seen: &Noted) -> Result<Vec<PaymentEvent>, FetchError> {
        let mut events = Vec::new();
        let says_nothing = !seen.answered && matches!(seen.outcome, Outcome::Unknown { .. });
        let first = match before {
            // Whoever presents old terms again has recorded first that nobody can tell: see `resume`.
            Some(Payment::Unknown { .. } | Payment::Paid { .. }) if seen.unsigned => return Ok(events),
            Some(Payment::Unknown { .. } | Payment::Paid { .. }) if says_nothing => return Ok(events),
            Some(Payment::Signing(_) | Payment::Unknown { .. }) if seen.answered => PaymentEvent::Answered {
                outcome: seen.outcome.clone(),
                received: seen.received(),
                said: seen.said.clone(),
            },
            Some(Payment::Signing(_) | Payment::Unknown { .. }) => {
                PaymentEvent::Observed { outcome: seen.outcome.clone() }
            }
            Some(payment @ Payment::Paid { evidence, obligation, .. }) => {
                return Ok(match seen.received() {
                    // Another worker saw it move first: only the goods are news.
                    Some(received) if !obligation.has_goods() => vec![self.delivered(payment, &received)],
                    _ if !evidence.is_observed() && !seen.answered => {
                        let observed = PaymentEvent::Observed { outcome: seen.outcome.clone() };
                        // What came while nobody could say whether it was paid for is what was paid for.
                        let kept = match (evidence, &seen.outcome) {
                            (Evidence::Presumed { received, .. }, Outcome::Moved { .. })
                                if !obligation.has_goods() =>
                            {
                                received.as_ref().map(|received| self.delivered(payment, received))
                            }
                            _ => None,
                        };
                        std::iter::once(observed).chain(kept).collect()
                    }
                    _ => events,
                });
            }
            _ => return Ok(events),
        };
        let state =
            Payment::apply(before.cloned(), first.clone()).map_err(|error| unavailable_event(&error))?;
        let (kept, missing) = match before {
            // What was wrong with the payee's answer is why there are no goods.
            Some(Payment::Unknown { received, problem, .. }) => (received.clone(), problem),
            _ => (None, &seen.missing),
        };
        events.push(first);
        if matches!(state, Payment::Paid { .. }) {
            events.push(match seen.received().or(kept) {
                Some(received) => self.delivered(&state, &received),
                None => self.delivery_failed(missing.clone()),
            });
        }
        Ok(events)
    }

    pub(super) fn delivered(&self, state: &Payment, received: &Received) -> PaymentEvent {
        match state.view() {
            Some(payment) => PaymentEvent::Delivered { record: Box::new(self.artifact(payment, received)) },
            None => self.delivery_failed("nothing was held for it".to_owned()),
        }
    }

    /// From now on the payee owes it, and somebody looks after that.
    fn delivery_failed(&self, problem: String) -> PaymentEvent {
        let due = self.shared.clock.now().plus_ms(self.shared.recovery.settle_within_ms);
        PaymentEvent::DeliveryFailed { problem, owner: self.owner(), due }
    }

    /// Who looks after what stays open.
    pub(super) fn owner(&self) -> String {
        self.shared.recovery.owner.clone().unwrap_or_else(|| self.principal.user.clone())
    }

    /// The last word on a purchase made under this user, key and request.
    pub(super) fn bought_link(&self, ask: &Ask) -> String {
        bought_link(&self.actor.user, ask)
    }
}

/// Where the last word is on a purchase made under a user, key and request.
pub(crate) fn bought_link(user: &str, ask: &Ask) -> String {
    let parts = [user.as_bytes(), ask.key.as_str().as_bytes(), ask.request.as_bytes()];
    format!("bought/{}", Digest::of_parts("bursar/bought/v1", &parts))
}
