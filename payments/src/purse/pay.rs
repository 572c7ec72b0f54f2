//! Preparing, signing, presenting, and settling.

use super::decide::{acquires, denied, unknown_prefix, vendor_link};
use super::recover::{Loaded, open_link};
use super::{Clearance, SessionPurse, unavailable};
use crate::events::MoneyEvent;
use crate::payment::{DeliveryState, Held, Payment, PaymentEvent, Received, Signed};
use crate::rail::{Order, Outcome, Rail};
use crate::reasons;
use crate::records::{record, summary};
use bursar_ledger::{
    AccountOp, CommitError, Commitment, LinkWrite, NewEntry, Payload, Refusal, Require, StreamId, Transaction,
};
use bursar_types::{
    ArtifactId, ArtifactRecord, ArtifactRef, CanonicalError, Delivery, Digest, FetchError, Fetched,
    HttpRequest, HttpResponse, TransportError, Undelivered, UnknownOutcome,
};
use bytes::Bytes;
use http::header;
use serde_json::json;
use std::sync::Arc;

/// Waits between questions to the rail about an unknown outcome, while the caller still waits.
const ASK_AGAIN_MS: [u64; 2] = [200, 800];

impl SessionPurse {
    /// Fixes the exact terms and makes them durable. From here on a signature may exist.
    pub(super) async fn prepare(&self, held: Held) -> Result<Signed, FetchError> {
        let state = self.state().await?;
        let order = Order {
            ledger: self.shared.ledger.id(),
            payment: held.ask.payment,
            attempt: held.attempt,
            offer: held.offer.clone(),
            payer: self.shared.wallet.address().to_owned(),
            now: self.shared.clock.now(),
            window_s_max: state.mandate.window_s_max,
        };
        let prepared = match self.rail(&held)?.prepare(&order) {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.let_go(&held, &error.to_string()).await),
        };
        let signed = Signed { held, order, prepared };
        match self.record_signing(&signed).await {
            Ok(()) => {
                self.tell(&MoneyEvent::Signing { payment: signed.held.view(None) });
                Ok(signed)
            }
            Err(SigningRefused::Stopped(reason)) => {
                let text = reason.message.clone();
                match self.let_go(&signed.held, &text).await {
                    FetchError::NotPaid(_) => Err(FetchError::Denied(denied(reason))),
                    error => Err(error),
                }
            }
            Err(SigningRefused::Fenced) => Err(FetchError::Denied(denied(reasons::in_flight()))),
            Err(SigningRefused::Ledger(error)) => Err(error),
        }
    }

    /// One compare-and-set: the hold is pending, nobody else took the payment up, and the session still lets it be paid.
    async fn record_signing(&self, signed: &Signed) -> Result<(), SigningRefused> {
        for _ in 0..super::decide::TRIES {
            let state = self.state().await?;
            let now = self.shared.clock.now();
            if state.frozen.is_some() {
                return Err(SigningRefused::Stopped(reasons::frozen()));
            }
            let counts = self.counts(&state, now).await?;
            if !acquires(crate::session::phase(&state, &counts.bought, now)) || state.mandate.expired(now) {
                return Err(SigningRefused::Stopped(reasons::phase_changed()));
            }
            let mut transaction = Transaction::default();
            let stream = StreamId::of("session", self.session);
            transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
            transaction.require.push(Require::HoldPending(signed.held.hold));
            transaction.accounts.push(AccountOp::Pin { id: signed.held.hold });
            let event = PaymentEvent::Signing {
                order: Box::new(signed.order.clone()),
                prepared: Box::new(signed.prepared.clone()),
            };
            let loaded = Loaded::read(&self.shared.ledger, signed.held.ask.payment).await?;
            if !matches!(&loaded.payment, Some(Payment::Held(held)) if **held == signed.held) {
                return Err(SigningRefused::Fenced);
            }
            transaction.require.push(loaded.unmoved());
            self.add_payment_event(&mut transaction, &signed.held, &event)
                .map_err(|error| SigningRefused::Ledger(unavailable(error)))?;
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::StreamMoved { stream: moved, .. })) if moved == stream => {}
                Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::HoldNot { .. })) => {
                    return Err(SigningRefused::Fenced);
                }
                Err(error) => return Err(SigningRefused::Ledger(unavailable(error))),
            }
        }
        Err(SigningRefused::Stopped(reasons::contended()))
    }

    /// Gives a hold back before anything was signed.
    pub(super) async fn let_go(&self, held: &Held, reason: &str) -> FetchError {
        let event = PaymentEvent::LetGo { reason: reason.to_owned() };
        let mut transaction = Transaction::default();
        transaction.accounts.push(AccountOp::Release { id: held.hold });
        transaction.links.push(close_link(held));
        match self.commit_event(transaction, held, &event).await {
            Ok(_) => FetchError::NotPaid(reason.to_owned()),
            Err(error) => error,
        }
    }

    /// Signs what is durable, presents it, and settles the answer.
    ///
    /// From here on only the three answers exist: where the ledger cannot be written, the outcome is unknown, and an error
    /// means that the rail proved that nothing moved.
    pub(super) async fn present_and_settle(
        &self,
        signed: Signed,
        request: &HttpRequest,
        presenting: Presenting,
    ) -> Result<Fetched, FetchError> {
        match self.present(&signed, request, presenting).await {
            Ok((state, body)) => self.fetched(&state, body).await,
            Err(error) => Ok(Fetched::Unknown(unknown(&signed, &error.to_string()))),
        }
    }

    async fn present(
        &self,
        signed: &Signed,
        request: &HttpRequest,
        presenting: Presenting,
    ) -> Result<(Payment, Option<Bytes>), FetchError> {
        let rail = self.rail(&signed.held)?;
        // INVARIANT: `signed` is what the signing transaction made durable, here or before a crash.
        let clearance = Clearance::after_signing_record(signed.order.clone(), signed.prepared.clone());
        let authorization = match rail.authorize(clearance, &*self.shared.wallet).await {
            Ok(authorization) => authorization,
            Err(error) => {
                let text = format!("no authorization was made: {error}");
                let outcome = match presenting {
                    Presenting::First => Outcome::DidNotMove { proof: text },
                    Presenting::Again => Outcome::Unknown { problem: text },
                };
                return Ok((self.settle(signed, Seen::Rail(outcome)).await?, None));
            }
        };
        let mut paid_request = request.clone();
        authorization.attach(&mut paid_request);
        let answer = self.shared.transport.send(paid_request, self.shared.limits).await;
        drop(authorization);
        let outcome = rail.outcome(&signed.prepared, answer.as_ref());
        let mut state = self.settle(signed, Seen::Answer { outcome, answer: &answer }).await?;
        for wait_ms in std::iter::once(0).chain(ASK_AGAIN_MS) {
            if !matches!(state, Payment::Unknown { .. }) {
                break;
            }
            if wait_ms > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
            }
            match rail.recover(&signed.prepared).await {
                Outcome::Unknown { .. } => {}
                outcome => state = self.settle(signed, Seen::Rail(outcome)).await?,
            }
        }
        Ok((state, answer.ok().map(HttpResponse::into_body)))
    }

    /// Records what was seen of a signed payment, with the money move that follows from it, in one transaction.
    pub(super) async fn settle(&self, signed: &Signed, seen: Seen<'_>) -> Result<Payment, FetchError> {
        let held = &signed.held;
        let mut transaction = Transaction::default();
        let (event, delivered) = match seen {
            Seen::Rail(outcome) => (PaymentEvent::Observed { outcome }, None),
            Seen::Answer { outcome, answer } => {
                let delivered = goods(answer);
                let body = delivered
                    .as_ref()
                    .ok()
                    .map(|goods| Payload::seal(goods.body.clone(), &*self.shared.entropy));
                let received =
                    body.as_ref().zip(delivered.as_ref().ok()).map(|(body, goods)| goods.received(body));
                transaction.payloads.extend(body);
                (PaymentEvent::Answered { outcome, received }, Some(delivered.map(|_| ())))
            }
        };
        let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
        let before = loaded.payment.clone();
        let kept = match (&event, &before) {
            (PaymentEvent::Answered { received: Some(received), .. }, _) => Some(received.clone()),
            (_, Some(Payment::Unknown { received, .. })) => received.clone(),
            _ => None,
        };
        let mut state =
            Payment::apply(before.clone(), event.clone()).map_err(|error| unavailable_event(&error))?;
        let mut events = vec![event];
        let first_paid = !matches!(before, Some(Payment::Paid { .. }));
        match &state {
            Payment::Paid { observed, .. } if first_paid => {
                transaction.accounts.push(AccountOp::Capture {
                    id: held.hold,
                    lines: None,
                    observed: *observed,
                });
                self.link_always(
                    &mut transaction,
                    vendor_link(&held.offer.quote.host, &held.offer.quote.payee),
                    "paid",
                )
                .await?;
                let delivery = match kept {
                    Some(received) => {
                        PaymentEvent::Delivered { record: Box::new(self.artifact(&state, &received)) }
                    }
                    None => PaymentEvent::DeliveryFailed {
                        problem: match delivered {
                            Some(Err(problem)) => problem,
                            _ => "the answer was lost, and the goods with it".to_owned(),
                        },
                    },
                };
                state = Payment::apply(Some(state), delivery.clone())
                    .map_err(|error| unavailable_event(&error))?;
                if let PaymentEvent::Delivered { record } = &delivery {
                    transaction.entries.push(library_entry(record)?);
                    transaction.links.push(close_link(held));
                    self.link_always(
                        &mut transaction,
                        self.bought_link(&held.ask),
                        &held.ask.payment.to_string(),
                    )
                    .await?;
                }
                events.push(delivery);
            }
            Payment::Paid { .. } => {}
            Payment::NotPaid { .. } if !first_paid => {
                transaction.accounts.push(AccountOp::Refund {
                    id: "disproved".to_owned(),
                    hold: held.hold,
                    lines: held.lines.clone(),
                });
                if matches!(before, Some(Payment::Paid { delivery: DeliveryState::Owed { .. }, .. })) {
                    transaction.links.push(close_link(held));
                }
            }
            Payment::NotPaid { .. } => {
                transaction.accounts.push(AccountOp::Release { id: held.hold });
                transaction.links.push(close_link(held));
            }
            Payment::Unknown { .. } | Payment::Held(_) | Payment::Signing(_) => {}
        }
        self.link_state(&mut transaction, held, &state).await?;
        transaction.require.push(loaded.unmoved());
        for event in &events {
            self.add_payment_event(&mut transaction, held, event).map_err(unavailable)?;
        }
        self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        self.tell_state(&state, first_paid);
        self.note_phase().await;
        Ok(state)
    }

    /// Keeps the marks that other purchases look at: payments unknown, and claims not yet observed.
    async fn link_state(
        &self,
        transaction: &mut Transaction,
        held: &Held,
        state: &Payment,
    ) -> Result<(), FetchError> {
        let payment = held.ask.payment;
        let unknown = matches!(state, Payment::Unknown { .. });
        let claimed = matches!(state, Payment::Paid { observed: false, .. });
        let marks = [
            (format!("{}{payment}", unknown_prefix(&held.offer.quote.host)), unknown),
            (format!("claimed/{payment}"), claimed),
        ];
        for (key, set) in marks {
            let expected = self.shared.ledger.link(&key).await.map_err(unavailable)?;
            let value = set.then(|| payment.to_string());
            if expected != value {
                transaction.links.push(LinkWrite { key, expected, value });
            }
        }
        Ok(())
    }

    async fn link_always(
        &self,
        transaction: &mut Transaction,
        key: String,
        value: &str,
    ) -> Result<(), FetchError> {
        let expected = self.shared.ledger.link(&key).await.map_err(unavailable)?;
        if expected.as_deref() != Some(value) {
            transaction.links.push(LinkWrite { key, expected, value: Some(value.to_owned()) });
        }
        Ok(())
    }

    fn artifact(&self, state: &Payment, received: &Received) -> ArtifactRecord {
        let artifact = ArtifactRef {
            id: ArtifactId::derived(&[state.ask().payment.as_bytes(), received.digest.as_bytes()]),
            digest: received.digest,
            media_type: received.media_type.clone(),
            size_bytes: received.size_bytes,
        };
        #[expect(clippy::expect_used, reason = "by INVARIANT a paid payment has a held purchase")]
        let payment = state.view().expect("a paid payment has a view");
        ArtifactRecord {
            artifact,
            payment,
            session: self.session,
            kept_at: self.shared.clock.now(),
            payload: received.payload.digest(),
        }
    }

    /// What the caller gets for a settled payment.
    pub(super) async fn fetched(&self, state: &Payment, body: Option<Bytes>) -> Result<Fetched, FetchError> {
        match (state, state.view()) {
            (Payment::Paid { delivery: DeliveryState::Delivered { record }, .. }, Some(payment)) => {
                let artifact = record.artifact.clone();
                Ok(match self.whole_body(record, body).await? {
                    Some(body) => Fetched::Delivered(Delivery { payment, artifact, body }),
                    None => Fetched::Undelivered(Undelivered {
                        payment,
                        problem: "it was delivered, and its bytes have been erased since".to_owned(),
                    }),
                })
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
    ) -> Result<Option<Bytes>, FetchError> {
        match body.filter(|body| Digest::of(body) == record.artifact.digest) {
            Some(body) => Ok(Some(body)),
            None => {
                let kept = Commitment::from_digest(record.payload);
                self.shared.ledger.payload(kept).await.map_err(unavailable)
            }
        }
    }

    fn tell_state(&self, state: &Payment, first_paid: bool) {
        let Some(payment) = state.view() else {
            if let Payment::NotPaid { ask, proof, .. } = state {
                self.tell(&MoneyEvent::NotPaid { payment: ask.payment, proof: proof.clone() });
            }
            return;
        };
        match state {
            Payment::Paid { observed, delivery, .. } => {
                if first_paid {
                    self.tell(&MoneyEvent::Paid { payment: payment.clone() });
                    self.tell(&match delivery {
                        DeliveryState::Delivered { record } => MoneyEvent::Delivered {
                            payment: payment.clone(),
                            artifact: record.artifact.clone(),
                        },
                        DeliveryState::Owed { problem } => {
                            MoneyEvent::Undelivered { payment: payment.clone(), problem: problem.clone() }
                        }
                    });
                }
                if *observed {
                    self.tell(&MoneyEvent::Observed { payment });
                }
            }
            Payment::Unknown { problem, .. } => {
                self.tell(&MoneyEvent::Unknown { payment, problem: problem.clone() })
            }
            Payment::Held(_) | Payment::Signing(_) | Payment::NotPaid { .. } => {}
        }
    }

    fn rail(&self, held: &Held) -> Result<Arc<dyn Rail>, FetchError> {
        let name = &held.offer.quote.rail;
        let found = self.shared.rails.iter().find(|rail| rail.name() == name);
        found.cloned().ok_or_else(|| FetchError::Wallet(format!("there is no rail `{name}`")))
    }

    /// Adds a payment's event to a transaction. The caller requires that nobody else added one meanwhile.
    pub(super) fn add_payment_event(
        &self,
        transaction: &mut Transaction,
        held: &Held,
        event: &PaymentEvent,
    ) -> Result<(), CommitError> {
        let stream = StreamId::of("payment", held.ask.payment);
        let quote = &held.offer.quote;
        let fields = summary([
            ("attempt", json!(held.attempt)),
            ("atomic", json!(quote.price.atomic().to_string())),
            ("asset", json!(quote.price.asset())),
            ("payee", json!(quote.payee)),
            ("session", json!(held.ask.session)),
            ("rules", json!(held.decision.rules)),
        ]);
        let record = record(stream, event.kind(), fields, event, &*self.shared.entropy)
            .map_err(|error| Refusal::NotCanonical(error.to_string()))?;
        transaction.entries.push(record.entry);
        transaction.payloads.push(record.payload);
        Ok(())
    }

    /// Commits one event of a payment with what goes with it.
    async fn commit_event(
        &self,
        mut transaction: Transaction,
        held: &Held,
        event: &PaymentEvent,
    ) -> Result<Payment, FetchError> {
        let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
        transaction.require.push(loaded.unmoved());
        let state =
            Payment::apply(loaded.payment, event.clone()).map_err(|error| unavailable_event(&error))?;
        self.add_payment_event(&mut transaction, held, event).map_err(unavailable)?;
        self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        self.tell_state(&state, false);
        Ok(state)
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

/// Whether the bytes may have been out before: then a wallet that fails now proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presenting {
    First,
    Again,
}

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
}

enum SigningRefused {
    Stopped(bursar_types::Reason),
    Fenced,
    Ledger(FetchError),
}

impl From<FetchError> for SigningRefused {
    fn from(error: FetchError) -> Self {
        Self::Ledger(error)
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

fn library_entry(record: &ArtifactRecord) -> Result<NewEntry, FetchError> {
    Ok(NewEntry {
        stream: StreamId::new(ArtifactRecord::STREAM).map_err(|error| FetchError::Ledger(Box::new(error)))?,
        kind: ArtifactRecord::KIND.into(),
        body: serde_json::to_value(record).map_err(|error| unavailable(CanonicalError::Json(error)))?,
    })
}

pub(super) fn close_link(held: &Held) -> LinkWrite {
    LinkWrite { key: open_link(held.ask.request), expected: Some(held.ask.payment.to_string()), value: None }
}

pub(super) fn unknown(signed: &Signed, problem: &str) -> UnknownOutcome {
    UnknownOutcome {
        payment: signed.held.view(None),
        problem: problem.to_owned(),
        decidable_from: signed.prepared.expires_at,
    }
}

pub(super) fn unavailable_event(error: &crate::payment::IllegalEvent) -> FetchError {
    FetchError::Ledger(Box::new(error.clone()))
}
