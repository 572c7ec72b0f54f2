//! Joining payments that are not final: a caller who asks again goes on with what is open.

use super::decide::denied;
use super::pay::{LetGo, Presenting, unavailable_event, unknown};
use super::settle::Seen;
use super::spans::trace_of;
use super::{SessionPurse, unavailable};
use crate::payment::{Ask, Payment, PaymentEvent, Signed};
use crate::rail::Outcome;
use crate::reasons;
use bursar_ledger::{Ledger, Require, StreamId};
use bursar_types::{Digest, FetchError, Fetched, HttpRequest, PaymentId, UnknownOutcome, causes};
use std::collections::BTreeSet;

/// Where the payment that is open for a request is found.
pub(crate) fn open_link(request: Digest) -> String {
    format!("open/{request}")
}

/// A payment as folded from its journal.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) payment: Option<Payment>,
    /// How many authorizations were signed for it, whatever became of them.
    pub(super) signatures: usize,
    /// The trace in which it was first held, if anything traced it.
    pub(super) origin: Option<String>,
    stream: StreamId,
    length: u64,
}

impl Loaded {
    pub(super) async fn read(ledger: &Ledger, id: PaymentId) -> Result<Self, FetchError> {
        let stream = StreamId::of("payment", id);
        let events = ledger.events_with_entries::<PaymentEvent>(&stream, 0).await.map_err(unavailable)?;
        let length = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let signing = |event: &PaymentEvent| matches!(event, PaymentEvent::Signing { .. });
        let signatures = events.iter().filter(|(_, event)| signing(event)).count();
        let origin = events.first().and_then(|(entry, _)| trace_of(entry));
        let mut payment = None;
        for (_, event) in events {
            payment = Some(Payment::apply(payment, event).map_err(|error| unavailable_event(&error))?);
        }
        Ok(Self { payment, signatures, origin, stream, length })
    }

    /// Its journal.
    pub(super) const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The condition that nobody took the payment up since it was read.
    pub(super) fn unmoved(&self) -> Require {
        Require::StreamAt { stream: self.stream.clone(), length: self.length }
    }
}

/// What was found for a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is returned once and matched at once")]
pub(super) enum Joined {
    /// Its payment, and what became of it.
    Found(Fetched),
    /// Nothing that is open or owned, and what stood under this user, key and request then.
    Nothing {
        /// The value of [`SessionPurse::bought_link`].
        bought: Option<String>,
    },
    /// Another worker moved it meanwhile: it must be looked for again.
    Overtaken,
}

impl SessionPurse {
    /// Joins a payment that is open for this request, or gives what was bought under this key.
    pub(super) async fn join(&self, ask: &Ask, request: &HttpRequest) -> Result<Joined, FetchError> {
        let ledger = &self.shared.ledger;
        let bought = ledger.link(&self.bought_link(ask)).await.map_err(unavailable)?;
        let open = ledger.link(&open_link(ask.request)).await.map_err(unavailable)?;
        for text in [&bought, &open].into_iter().flatten() {
            // A link that cannot be read is not "nothing": something may be open behind it.
            let id = PaymentId::parse(text).map_err(|error| FetchError::Ledger(Box::new(error)))?;
            match self.take_up(id, request).await {
                Ok(Joined::Nothing { .. }) => {}
                Ok(joined) => return Ok(joined),
                // Something is open for the request and cannot be read: a signature may be out.
                Err(error) if open.as_ref() == Some(text) => {
                    return Ok(Joined::Found(Fetched::Unknown(unreadable(id, &error))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Joined::Nothing { bought })
    }

    /// Takes a payment up from its last durable event. `Nothing` if it is over and a new attempt may be decided on.
    async fn take_up(&self, id: PaymentId, request: &HttpRequest) -> Result<Joined, FetchError> {
        let nothing = Joined::Nothing { bought: None };
        let Some(payment) = Loaded::read(&self.shared.ledger, id).await?.payment else { return Ok(nothing) };
        match payment {
            Payment::NotPaid { .. } => Ok(nothing),
            // Nothing was signed: let go, and decide under today's rules. A live worker is fenced by this.
            Payment::Held(_) if self.shared.outflow_stop().await.map_err(unavailable)?.1 => {
                Err(FetchError::Denied(denied(reasons::outflow_unknown())))
            }
            Payment::Held(held) => match self.let_go(&held, "taken up before anything was signed").await? {
                LetGo::Done => Ok(nothing),
                LetGo::Overtaken => Ok(Joined::Overtaken),
            },
            Payment::Signing(signed) | Payment::Unknown { signed, .. } => {
                Ok(self.resume(*signed, request).await)
            }
            Payment::Paid { ref signed, .. } if payment.is_owed() => {
                self.ask_for_goods(signed, request, &payment).await.map(Joined::Found)
            }
            Payment::Paid { .. } => match self.fetched(&payment, None).await? {
                Fetched::Delivered(delivery) => Ok(Joined::Found(Fetched::Owned(delivery))),
                other => Ok(Joined::Found(other)),
            },
        }
    }

    /// Asks the rail what became of a signed payment; if it can still be used and was not, the same bytes are presented
    /// again, never new ones.
    ///
    /// A signature may be out, so no trouble here is an error: errors say that no money moved.
    async fn resume(&self, signed: Signed, request: &HttpRequest) -> Joined {
        match self.try_resume(&signed, request).await {
            Ok(joined) => joined,
            Err(error) => Joined::Found(Fetched::Unknown(unknown(&signed, &causes(&error)))),
        }
    }

    async fn try_resume(&self, signed: &Signed, request: &HttpRequest) -> Result<Joined, FetchError> {
        let found = |fetched| Ok(Joined::Found(fetched));
        let Some(rail) = self.shared.rails.iter().find(|rail| rail.name() == signed.prepared.rail) else {
            return found(Fetched::Unknown(unknown(signed, "the rail it was signed for is not there")));
        };
        // Booked before it is presented, so that a wallet failing in another worker proves nothing any more.
        let state = self.settle(signed, Seen::Rail(rail.recover(&signed.prepared).await)).await?;
        match &state {
            Payment::NotPaid { .. } => Ok(Joined::Nothing { bought: None }),
            Payment::Held(_) => Ok(Joined::Overtaken),
            Payment::Unknown { signed: current, problem, void, .. }
                if current.held.attempt == signed.held.attempt =>
            {
                if void.is_some() || !self.may_present_again(signed).await? {
                    return found(Fetched::Unknown(unknown(signed, problem)));
                }
                self.present_and_settle(signed.clone(), request, Presenting::Again).await.map(Joined::Found)
            }
            state => self.fetched(state, None).await.map(Joined::Found),
        }
    }

    /// A payment's task panicked: what it left in the ledger is the answer, whichever payment it was at.
    pub(super) async fn after_panic(&self, ask: &Ask) -> Result<Fetched, FetchError> {
        let mut ids = vec![ask.payment];
        for key in [open_link(ask.request), self.bought_link(ask)] {
            let joined = self.shared.ledger.link(&key).await.map_err(unavailable)?;
            ids.extend(joined.and_then(|text| PaymentId::parse(&text).ok()));
        }
        for id in ids {
            match Loaded::read(&self.shared.ledger, id).await?.payment {
                Some(Payment::Signing(signed) | Payment::Unknown { signed, .. }) => {
                    let problem = "its worker stopped half way; fetch again to take it up";
                    let outcome = Outcome::Unknown { problem: problem.to_owned() };
                    if let Err(error) = self.settle(&signed, Seen::Rail(outcome)).await {
                        tracing::warn!(payment = %id, %error, "that it is not known could not be booked");
                    }
                    return Ok(Fetched::Unknown(unknown(&signed, problem)));
                }
                Some(payment @ Payment::Paid { .. }) => return self.fetched(&payment, None).await,
                None | Some(Payment::Held(_) | Payment::NotPaid { .. }) => {}
            }
        }
        Err(FetchError::NotPaid("the worker stopped before anything was signed".to_owned()))
    }
}

/// A payment may have been made, and its record cannot be read.
pub(super) fn unreadable(id: PaymentId, error: &FetchError) -> UnknownOutcome {
    UnknownOutcome { id, payment: None, problem: causes(error), decidable_from: None }
}

/// Every payment that links of these kinds name. A link that cannot be read is told and left out: something may be open behind
/// it, and only a person can say what.
pub(super) async fn linked_payments(
    ledger: &Ledger,
    prefixes: &[&str],
) -> Result<BTreeSet<PaymentId>, FetchError> {
    let mut ids = BTreeSet::new();
    for prefix in prefixes {
        for (key, value) in ledger.links(prefix).await.map_err(unavailable)? {
            match PaymentId::parse(&value) {
                Ok(id) => {
                    ids.insert(id);
                }
                Err(error) => tracing::error!(key, %error, "a link names no payment; look at it by hand"),
            }
        }
    }
    Ok(ids)
}
