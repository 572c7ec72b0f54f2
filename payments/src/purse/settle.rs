//! Settling: what was seen of a signed payment, booked with the money move that follows from it.

use super::decide::{TRIES, unknown_prefix, vendor_link};
use super::pay::{close_link, unavailable_event, unknown};
use super::recover::Loaded;
use super::{SessionPurse, unavailable};
use crate::events::MoneyEvent;
use crate::payment::{DeliveryState, Held, Payment, PaymentEvent, Received, Signed};
use crate::rail::Outcome;
use bursar_ledger::{
    AccountOp, CommitError, Commitment, LinkWrite, Payload, Refusal, SealedEvent, StoreError, StreamId,
    Transaction,
};
use bursar_types::{
    ArtifactId, ArtifactRecord, ArtifactRef, Delivery, Digest, FetchError, Fetched, HttpResponse,
    PaymentView, TransportError, Undelivered,
};
use bytes::Bytes;
use http::header;
use serde_json::json;

/// What was seen of a signed payment.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// The payee's answer, or its absence.
    Answer {
        /// What the rail made of it.
        outcome: Outcome,
        /// The answer.
        answer: &'a Result<HttpResponse, TransportError>,
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
            let mut state = loaded.payment.clone();
            for event in &events {
                state =
                    Some(Payment::apply(state, event.clone()).map_err(|error| unavailable_event(&error))?);
            }
            let state = state.ok_or_else(|| FetchError::NotPaid("there is no such payment".to_owned()))?;
            if events.is_empty() {
                return Ok(state);
            }
            let mut transaction = Transaction::default();
            transaction.require.push(loaded.unmoved());
            transaction.payloads.extend(seen.body.clone());
            for event in &events {
                self.add_payment_event(&mut transaction, held, event).map_err(unavailable)?;
            }
            self.move_money(&mut transaction, held, loaded.payment.as_ref(), &state);
            self.mark(&mut transaction, held, &events, &state).await?;
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => {
                    self.tell_events(&events, &state);
                    self.note_phase().await;
                    return Ok(state);
                }
                Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::LinkMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
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
            Some(Payment::Unknown { .. }) if seen.unsigned => return Ok(events),
            Some(Payment::Unknown { .. } | Payment::Paid { .. }) if says_nothing => return Ok(events),
            Some(Payment::Signing(_) | Payment::Unknown { .. }) if seen.answered => {
                PaymentEvent::Answered { outcome: seen.outcome.clone(), received: seen.received() }
            }
            Some(Payment::Signing(_) | Payment::Unknown { .. }) => {
                PaymentEvent::Observed { outcome: seen.outcome.clone() }
            }
            // Another worker saw it move first: only the goods are news.
            Some(Payment::Paid { delivery: DeliveryState::Owed { .. }, .. }) if seen.received().is_some() => {
                return Ok(self.delivery(before, seen).into_iter().collect());
            }
            Some(Payment::Paid { observed: false, .. }) if !seen.answered => {
                PaymentEvent::Observed { outcome: seen.outcome.clone() }
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
        let newly_paid =
            matches!(state, Payment::Paid { .. }) && !matches!(before, Some(Payment::Paid { .. }));
        events.push(first);
        if newly_paid {
            let received = seen.received().or(kept);
            events.push(match received {
                Some(received) => self.delivered(&state, &received),
                None => PaymentEvent::DeliveryFailed { problem: missing.clone() },
            });
        }
        Ok(events)
    }

    fn delivery(&self, state: Option<&Payment>, seen: &Noted) -> Option<PaymentEvent> {
        Some(self.delivered(state?, &seen.received()?))
    }

    fn delivered(&self, state: &Payment, received: &Received) -> PaymentEvent {
        match state.view() {
            Some(payment) => PaymentEvent::Delivered { record: Box::new(self.artifact(payment, received)) },
            None => PaymentEvent::DeliveryFailed { problem: "nothing was held for it".to_owned() },
        }
    }

    fn artifact(&self, payment: PaymentView, received: &Received) -> ArtifactRecord {
        let artifact = ArtifactRef {
            // The journal names it, so it is made of the blinded commitment and not of what was bought.
            id: ArtifactId::derived(&[payment.id.as_bytes(), received.payload.digest().as_bytes()]),
            digest: received.digest,
            media_type: received.media_type.clone(),
            size_bytes: received.size_bytes,
        };
        ArtifactRecord {
            artifact,
            payment,
            session: self.session,
            kept_at: self.shared.clock.now(),
            payload: received.payload.digest(),
        }
    }

    /// The budget move of a state change: capture when it moved, release when it did not, credit when a claim of it having
    /// moved was disproved.
    fn move_money(
        &self,
        transaction: &mut Transaction,
        held: &Held,
        before: Option<&Payment>,
        state: &Payment,
    ) {
        let op = match (before, state) {
            (Some(Payment::Paid { .. }), Payment::NotPaid { .. }) => {
                AccountOp::Refund { id: "disproved".to_owned(), hold: held.hold, lines: held.lines.clone() }
            }
            (Some(Payment::Paid { .. }), _) => return,
            (_, Payment::Paid { observed, .. }) => {
                AccountOp::Capture { id: held.hold, lines: None, observed: *observed }
            }
            (_, Payment::NotPaid { .. }) => AccountOp::Release { id: held.hold },
            (_, Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. }) => return,
        };
        transaction.accounts.push(op);
    }

    /// Keeps the links that other purchases look at, and the library's entry.
    async fn mark(
        &self,
        transaction: &mut Transaction,
        held: &Held,
        events: &[PaymentEvent],
        state: &Payment,
    ) -> Result<(), FetchError> {
        let payment = held.ask.payment.to_string();
        let quote = &held.offer.quote;
        let unknown = matches!(state, Payment::Unknown { .. });
        let claimed = matches!(state, Payment::Paid { observed: false, .. });
        let mut wanted = vec![
            (format!("{}{payment}", unknown_prefix(&quote.host)), unknown.then(|| payment.clone())),
            (format!("claimed/{payment}"), claimed.then(|| payment.clone())),
        ];
        if matches!(state, Payment::Paid { .. }) {
            wanted.push((vendor_link(&quote.host, &quote.payee), Some("paid".to_owned())));
        }
        for event in events {
            if let PaymentEvent::Delivered { record } = event {
                let stream = StreamId::new(ArtifactRecord::STREAM)
                    .map_err(|error| FetchError::Ledger(Box::new(error)))?;
                let fields = [("artifact", json!(record.artifact.id)), ("payment", json!(record.payment.id))];
                SealedEvent::new(stream, ArtifactRecord::KIND, fields, record, &*self.shared.entropy)
                    .map_err(unavailable)?
                    .add_to(transaction);
                wanted.push((self.bought_link(&held.ask), Some(payment.clone())));
            }
        }
        for (key, value) in wanted {
            let expected = self.shared.ledger.link(&key).await.map_err(unavailable)?;
            if expected != value {
                transaction.links.push(LinkWrite { key, expected, value });
            }
        }
        let over = matches!(state, Payment::NotPaid { .. })
            || matches!(state, Payment::Paid { delivery: DeliveryState::Delivered { .. }, .. });
        let close = close_link(held);
        let open = self.shared.ledger.link(&close.key).await.map_err(unavailable)?;
        if over && open == close.expected {
            transaction.links.push(close);
        }
        Ok(())
    }

    fn tell_events(&self, events: &[PaymentEvent], state: &Payment) {
        let Some(payment) = state.view() else {
            if let Payment::NotPaid { ask, proof, .. } = state {
                self.tell(&MoneyEvent::NotPaid { payment: ask.payment, proof: proof.clone() });
            }
            return;
        };
        for event in events {
            let (PaymentEvent::Answered { outcome, .. } | PaymentEvent::Observed { outcome }) = event else {
                match event {
                    PaymentEvent::Delivered { record } => self.tell(&MoneyEvent::Delivered {
                        payment: payment.clone(),
                        artifact: record.artifact.clone(),
                    }),
                    PaymentEvent::DeliveryFailed { problem } => self.tell(&MoneyEvent::Undelivered {
                        payment: payment.clone(),
                        problem: problem.clone(),
                    }),
                    _ => {}
                }
                continue;
            };
            let newly_paid = events.len() > 1;
            match outcome {
                Outcome::Moved { observed, .. } => {
                    if newly_paid {
                        self.tell(&MoneyEvent::Paid { payment: payment.clone() });
                    }
                    if *observed {
                        self.tell(&MoneyEvent::Observed { payment: payment.clone() });
                    }
                }
                Outcome::Unknown { problem } => {
                    self.tell(&MoneyEvent::Unknown { payment: payment.clone(), problem: problem.clone() });
                }
                Outcome::DidNotMove { .. } => {}
            }
        }
    }

    /// What the caller gets for a settled payment.
    pub(super) async fn fetched(&self, state: &Payment, body: Option<Bytes>) -> Result<Fetched, FetchError> {
        match (state, state.view()) {
            (Payment::Paid { delivery: DeliveryState::Delivered { record }, .. }, Some(payment)) => {
                let artifact = record.artifact.clone();
                // Money moved: that its goods cannot be read is never an error.
                let problem = match self.whole_body(record, body).await {
                    Ok(Some(body)) => return Ok(Fetched::Delivered(Delivery { payment, artifact, body })),
                    Ok(None) => "it was delivered, and its bytes have been erased since".to_owned(),
                    Err(error) => format!("it was delivered, and its bytes cannot be read now: {error}"),
                };
                Ok(Fetched::Undelivered(Undelivered { payment, problem }))
            }
            (Payment::Paid { delivery: DeliveryState::Owed { problem }, .. }, Some(payment)) => {
                Ok(Fetched::Undelivered(Undelivered { payment, problem: problem.clone() }))
            }
            (Payment::Unknown { signed, problem, .. }, _) => Ok(Fetched::Unknown(unknown(signed, problem))),
            (Payment::Signing(signed), _) => Ok(Fetched::Unknown(unknown(signed, "it was not answered yet"))),
            (Payment::NotPaid { proof, .. }, _) => Err(FetchError::NotPaid(proof.clone())),
            (other, _) => Err(FetchError::NotPaid(format!("the payment is only {}", other.name()))),
        }
    }

    /// The bytes of a delivery: those at hand if they are the kept ones, else the kept ones.
    async fn whole_body(
        &self,
        record: &ArtifactRecord,
        body: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        match body.filter(|body| Digest::of(body) == record.artifact.digest) {
            Some(body) => Ok(Some(body)),
            None => {
                let kept = Commitment::from_digest(record.payload);
                self.shared.ledger.payload(kept).await
            }
        }
    }

    /// The last word on a purchase made under this user, key and request.
    pub(super) fn bought_link(&self, ask: &crate::payment::Ask) -> String {
        let name = Digest::of_parts(
            "bursar/bought/v1",
            &[self.actor.user.as_bytes(), ask.key.as_str().as_bytes(), ask.request.as_bytes()],
        );
        format!("bought/{name}")
    }
}

/// What was seen, with the body sealed once, whatever is read again.
struct Noted {
    outcome: Outcome,
    answered: bool,
    unsigned: bool,
    body: Option<Payload>,
    goods: Option<Goods>,
    /// Why there are no goods.
    missing: String,
}

impl Noted {
    fn new(seen: Seen<'_>, purse: &SessionPurse) -> Self {
        let missing = "the answer was lost, and the goods with it".to_owned();
        let rail = |outcome| Self {
            outcome,
            answered: false,
            unsigned: false,
            body: None,
            goods: None,
            missing: missing.clone(),
        };
        match seen {
            Seen::Rail(outcome) => rail(outcome),
            Seen::Unsigned(proof) => Self { unsigned: true, ..rail(Outcome::DidNotMove { proof }) },
            Seen::Answer { outcome, answer } => {
                let answered = Self { answered: true, ..rail(outcome) };
                match goods(answer) {
                    Ok(goods) => {
                        let body = Payload::seal(goods.body.clone(), &*purse.shared.entropy);
                        Self { body: Some(body), goods: Some(goods), ..answered }
                    }
                    Err(missing) => Self { missing, ..answered },
                }
            }
        }
    }

    fn received(&self) -> Option<Received> {
        Some(self.goods.as_ref()?.received(self.body.as_ref()?))
    }
}

/// What came with an answer, if it is what was paid for.
struct Goods {
    body: Bytes,
    media_type: Option<String>,
}

impl Goods {
    fn received(&self, body: &Payload) -> Received {
        Received {
            payload: body.commitment(),
            digest: Digest::of(&self.body),
            size_bytes: u64::try_from(self.body.len()).unwrap_or(u64::MAX),
            media_type: self.media_type.clone(),
        }
    }
}

/// A success status with a whole, non-empty body is a delivery; anything else says what is wrong with it.
fn goods(answer: &Result<HttpResponse, TransportError>) -> Result<Goods, String> {
    let response = answer.as_ref().map_err(ToString::to_string)?;
    if !response.status().is_success() {
        return Err(format!("the vendor answered {}", response.status()));
    }
    if response.body().is_empty() {
        return Err("the vendor answered with an empty body".to_owned());
    }
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(Goods { body: response.body().clone(), media_type: media_type.map(str::to_owned) })
}
