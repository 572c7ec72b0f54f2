//! Preparing, signing, presenting, and settling.

use super::clock::still;
use super::decide::denied;
use super::join::{Loaded, open_link};
use super::lineage::Lineage;
use super::open::{add_session_event, check_session, fold_session};
use super::remedy::{given_up_link, not_given_up};
use super::settle::Seen;
use super::spans::{note_entry, stage};
use super::{Clearance, SessionPurse, unavailable};
use crate::approval::PaymentTerms;
use crate::events::MoneyEvent;
use crate::mandate::MandateError;
use crate::payment::{Held, Payment, PaymentEvent, Signed};
use crate::rail::{Authorization, Order, Outcome, Rail};
use crate::reasons;
use crate::session::{SessionEvent, SessionState};
use bursar_ledger::{
    AccountOp, CommitError, LinkWrite, Refusal, Require, SealedEvent, StreamId, Transaction,
};
use bursar_types::{
    ApprovalId, FetchError, Fetched, HttpRequest, HttpResponse, Reason, Timestamp, TransportError,
    UnknownOutcome, causes,
};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use tracing::{Instrument as _, Span};

/// Time that must be left of an authorization to present it again, so that the payee can still settle it.
const PRESENT_AGAIN_MS: u64 = 10_000;
/// Waits between questions to the rail about an unknown outcome, while the caller still waits.
const ASK_AGAIN_MS: [u64; 3] = [0, 200, 800];

impl SessionPurse {
    /// Fixes the exact terms and makes them durable. From here on a signature may exist. `None` if another worker took the
    /// payment up meanwhile.
    pub(super) async fn prepare(&self, held: Held) -> Result<Option<Signed>, FetchError> {
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
            Err(error) => {
                let text = error.to_string();
                return self.let_go_for(&held, FetchError::NotPaid(text.clone()), &text).await;
            }
        };
        if self.was_paid_unrecorded(&held).await? {
            let reason = reasons::paid_unrecorded();
            let text = reason.message.clone();
            return self.let_go_for(&held, FetchError::Denied(denied(reason)), &text).await;
        }
        let signed = Signed { held, order, prepared };
        match self.record_signing(&signed).await {
            Ok(()) => {
                let notes = signed.prepared.notes.clone();
                self.tell(&MoneyEvent::Signing { payment: signed.held.view(None), notes });
                Ok(Some(signed))
            }
            Err(SigningRefused::Stopped(reason)) => {
                let text = reason.message.clone();
                self.let_go_for(&signed.held, FetchError::Denied(denied(reason)), &text).await
            }
            Err(SigningRefused::Fenced) => Ok(None),
            Err(SigningRefused::Ledger(error)) => Err(error),
        }
    }

    /// Whether one of its authorizations left the wallet's money before, in a part of the journal that was lost.
    async fn was_paid_unrecorded(&self, held: &Held) -> Result<bool, FetchError> {
        let rail = self.rail(held)?;
        let (ledger, payment) = (self.shared.ledger.id(), held.ask.payment);
        let handles = (0..=held.attempt).filter_map(|attempt| rail.handle(ledger, payment, attempt));
        let network = &held.offer.quote.network;
        let links: Vec<_> = handles.map(|handle| format!("adopted/{network}/{handle}")).collect();
        let found = self.shared.ledger.link_values(&links).await.map_err(unavailable)?;
        Ok(found.iter().any(Option::is_some))
    }

    /// Gives a hold back and says why, unless another worker took the payment up.
    async fn let_go_for(
        &self,
        held: &Held,
        answer: FetchError,
        reason: &str,
    ) -> Result<Option<Signed>, FetchError> {
        match self.let_go(held, reason).await? {
            LetGo::Done => Err(answer),
            LetGo::Overtaken => Ok(None),
        }
    }

    /// One compare-and-set: the hold is pending, nobody else took the payment up, and the session still lets it be paid.
    async fn record_signing(&self, signed: &Signed) -> Result<(), SigningRefused> {
        for _ in 0..super::decide::TRIES {
            let lineage = self.lineage().await?;
            let state = lineage.own();
            let now = self.time().await?.map_err(SigningRefused::Stopped)?;
            if let Some(reason) = lineage.stopped(now) {
                return Err(SigningRefused::Stopped(reason));
            }
            if let Err(MandateError::PolicyChanged(file)) = check_session(state, &self.shared.policy) {
                return Err(SigningRefused::Stopped(reasons::policy_changed(&file)));
            }
            if self.live_off(state, &signed.held) {
                return Err(SigningRefused::Stopped(reasons::live_off()));
            }
            // The item's own plan must still be open: it has not been bought, so the session acquires then.
            let open = state.open_items(now).any(|(_, item)| item.id == signed.held.item);
            if !open {
                return Err(SigningRefused::Stopped(reasons::phase_changed()));
            }
            let mut transaction = Transaction::default();
            transaction.require.extend(lineage.unmoved());
            transaction.require.push(still(now));
            if let Some(approval) = signed.held.approval {
                let stream = StreamId::of("session", self.session);
                let event = spent(state, &signed.held, approval, now).map_err(SigningRefused::Stopped)?;
                add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(unavailable)?;
            }
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
            transaction.links.push(not_given_up(signed.held.ask.payment));
            self.add_payment_event(&mut transaction, &signed.held, &event)
                .map_err(|error| SigningRefused::Ledger(unavailable(error)))?;
            match self.shared.ledger.commit(transaction).await {
                Ok(committed) => {
                    note_entry(&committed);
                    return Ok(());
                }
                Err(CommitError::Refused(refusal)) if lineage.moved(&refusal) => {}
                // The next look says why.
                Err(CommitError::Refused(Refusal::ClockBehind { .. })) => {}
                Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::HoldNot { .. })) => {
                    return Err(SigningRefused::Fenced);
                }
                Err(CommitError::Refused(Refusal::LinkMoved { .. })) => {
                    return Err(SigningRefused::Stopped(reasons::given_up()));
                }
                Err(error) => return Err(SigningRefused::Ledger(unavailable(error))),
            }
        }
        Err(SigningRefused::Stopped(reasons::contended()))
    }

    /// Gives a hold back before anything was signed.
    pub(super) async fn let_go(&self, held: &Held, reason: &str) -> Result<LetGo, FetchError> {
        let event = PaymentEvent::LetGo { reason: reason.to_owned() };
        let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
        if !matches!(&loaded.payment, Some(Payment::Held(current)) if **current == *held) {
            return Ok(LetGo::Overtaken);
        }
        let mut transaction = Transaction::default();
        transaction.require.push(loaded.unmoved());
        transaction.accounts.push(AccountOp::Release { id: held.hold });
        transaction.links.push(close_link(held));
        self.add_payment_event(&mut transaction, held, &event).map_err(unavailable)?;
        let mut committed = self.shared.ledger.commit(transaction.clone()).await;
        if let Err(CommitError::Refused(Refusal::AlreadyResolved { .. })) = committed {
            // It has run out, and the ledger gave it back by itself.
            transaction.accounts.clear();
            committed = self.shared.ledger.commit(transaction).await;
        }
        match committed {
            Ok(_) => Ok(LetGo::Done),
            Err(CommitError::Refused(Refusal::StreamMoved { .. })) => Ok(LetGo::Overtaken),
            Err(error) => Err(unavailable(error)),
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
            Ok((state, _)) if state.is_owed() && presenting == Presenting::First => {
                self.ask_for_goods(&signed, request, &state).await
            }
            Ok((state, body)) => self.fetched(&state, body).await,
            Err(error) => Ok(Fetched::Unknown(unknown(&signed, &causes(&error)))),
        }
    }

    /// Presents the bytes of a payment that moved once more, while they live: a payee that knows its own receipts then
    /// delivers, and no other can take anything. What is known of the money stays known whatever comes back.
    pub(super) async fn ask_for_goods(
        &self,
        signed: &Signed,
        request: &HttpRequest,
        owed: &Payment,
    ) -> Result<Fetched, FetchError> {
        if matches!(self.may_present_again(signed).await, Ok(true)) {
            match self.present(signed, request, Presenting::Again).await {
                Ok((state, body)) => return self.fetched(&state, body).await,
                Err(error) => {
                    tracing::warn!(payment = %signed.held.ask.payment, %error, "goods could not be asked for again")
                }
            }
        }
        self.fetched(owed, None).await
    }

    /// Whether it would spend what is worth something, and nobody switched that on.
    fn live_off(&self, state: &SessionState, held: &Held) -> bool {
        let asset = self.shared.registry.get(held.amount().asset());
        asset.map_or(true, bursar_types::Asset::live) && !self.live_enabled(state)
    }

    /// Whether an authorization lives long enough to be presented once more, and nobody stopped spending or switched it off.
    pub(super) async fn may_present_again(&self, signed: &Signed) -> Result<bool, FetchError> {
        if self.shared.clock.now().plus_ms(PRESENT_AGAIN_MS) >= signed.prepared.expires_at {
            return Ok(false);
        }
        let given_up = self.shared.ledger.link(&given_up_link(signed.held.ask.payment)).await;
        if given_up.map_err(unavailable)?.is_some() {
            return Ok(false);
        }
        let payer = fold_session(&self.shared.ledger, signed.held.ask.session, None).await;
        let payer = Lineage::read(&self.shared, payer.map_err(unavailable)?, &self.ancestors).await;
        let payer = payer.map_err(unavailable)?;
        let now = self.shared.clock.now();
        Ok(payer.stopped(now).is_none()
            && !self.live_off(payer.own(), &signed.held)
            && self.lineage().await?.stopped(now).is_none())
    }

    /// Signs, presents once, settles the answer, and asks the rail where the answer says nothing.
    async fn present(
        &self,
        signed: &Signed,
        request: &HttpRequest,
        presenting: Presenting,
    ) -> Result<(Payment, Option<Bytes>), FetchError> {
        // A worker that stood still may find that others went on: then what they left is the answer.
        if let Some(state) = self.overtaken(signed, presenting).await? {
            return Ok((state, None));
        }
        let rail = self.rail(&signed.held)?;
        let signing = stage!(SIGN, signed.held.ask.payment);
        let authorization = match self.authorize(&*rail, signed, presenting).instrument(signing).await {
            Ok(authorization) => authorization,
            Err(problem) => {
                return match presenting {
                    Presenting::First => Ok((self.settle(signed, Seen::Unsigned(problem)).await?, None)),
                    Presenting::Again => Err(FetchError::Wallet(problem)),
                };
            }
        };
        let mut paid_request = request.clone();
        // Only where it was quoted: the request may have been redirected then, and the same URL may lead elsewhere now.
        *paid_request.uri_mut() = quoted_at(signed)?;
        authorization.attach(&mut paid_request);
        let presented = stage!(PRESENT, signed.held.ask.payment);
        presented.record("otel.kind", "client");
        let sent = self.shared.transport.send(paid_request, self.shared.limits);
        let answer = sent.instrument(presented).await;
        drop(authorization);
        if status_of(&answer) == Some(http::StatusCode::PAYMENT_REQUIRED) {
            self.refuse_again(signed).await;
        }
        let outcome = rail.outcome(&signed.prepared, answer.as_ref());
        let settling = stage!(SETTLE, signed.held.ask.payment);
        let said = Box::new(rail.statements(&signed.order, &signed.prepared, answer.as_ref()));
        let seen = Seen::Answer { outcome, answer: &answer, said };
        let state = self.settle(signed, seen).instrument(settling).await?;
        // Whoever takes an old payment up has waited already.
        let waits: &[u64] = match presenting {
            Presenting::First => &ASK_AGAIN_MS,
            Presenting::Again => &[0],
        };
        let asking = match state {
            Payment::Unknown { .. } => stage!(OBSERVE, signed.held.ask.payment),
            _ => Span::none(),
        };
        let state = self.poll(&*rail, signed, state, waits).instrument(asking).await?;
        Ok((state, answer.ok().map(HttpResponse::into_body)))
    }

    /// A vendor that was shown a payment and asks for another gets none: that it asked, and was refused, is journaled. What
    /// became of the payment is settled as ever.
    async fn refuse_again(&self, signed: &Signed) {
        let what = format!("paying again for {}", signed.held.offer.quote.resource);
        let refused = self.refuse_plainly(&what, denied(reasons::repeat_402())).await;
        if let FetchError::Ledger(error) = refused {
            tracing::warn!(payment = %signed.held.ask.payment, %error, "a repeated demand could not be journaled");
        }
    }

    /// What became of the payment if it is not this worker's to present any more; `None` if it is.
    async fn overtaken(
        &self,
        signed: &Signed,
        presenting: Presenting,
    ) -> Result<Option<Payment>, FetchError> {
        let current = Loaded::read(&self.shared.ledger, signed.held.ask.payment).await?.payment;
        let own = match (&current, presenting) {
            (Some(Payment::Signing(current)), Presenting::First) => **current == *signed,
            (Some(Payment::Unknown { signed: current, void: None, .. }), Presenting::Again) => {
                **current == *signed
            }
            (Some(paid @ Payment::Paid { signed: current, .. }), Presenting::Again) => {
                **current == *signed && paid.is_owed()
            }
            _ => false,
        };
        match current {
            Some(_) if own => Ok(None),
            Some(payment) => Ok(Some(payment)),
            None => Err(FetchError::Ledger("the record of the signature is gone".into())),
        }
    }

    /// Makes the authorization of durable terms. The error is why none was made.
    async fn authorize(
        &self,
        rail: &dyn Rail,
        signed: &Signed,
        presenting: Presenting,
    ) -> Result<Authorization, String> {
        if presenting == Presenting::First {
            // Between the record and the signature a worker may have slept, and somebody may have frozen spending.
            if self.shared.clock.now() >= signed.prepared.expires_at {
                return Err("its time ran out before it was signed".to_owned());
            }
            let lineage = self.lineage().await.map_err(|error| causes(&error))?;
            let now = self.time().await.map_err(|error| causes(&error))?;
            let stopped = now.map_or_else(Some, |now| lineage.stopped(now));
            if let Some(reason) = stopped {
                return Err(format!("spending was stopped before it was signed: {}", reason.message));
            }
        }
        // INVARIANT: `signed` is what the signing transaction made durable, here or before a crash.
        let clearance = Clearance::after_signing_record(signed.order.clone(), signed.prepared.clone());
        let authorized = rail.authorize(clearance, &*self.shared.wallet).await;
        authorized.map_err(|error| format!("no authorization was made: {}", causes(&error)))
    }

    /// Asks the rail while nobody can say what became of it, after each of the waits.
    async fn poll(
        &self,
        rail: &dyn Rail,
        signed: &Signed,
        mut state: Payment,
        waits: &[u64],
    ) -> Result<Payment, FetchError> {
        for &wait_ms in waits {
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
        Ok(state)
    }

    pub(super) fn rail(&self, held: &Held) -> Result<Arc<dyn Rail>, FetchError> {
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
        let micro_usd = quote.cost_micro_usd.as_ref().map(|cost| cost.atomic().to_string());
        // What books need when the payload is gone: amounts, and whether money moved.
        let fields = [
            ("attempt", json!(held.attempt)),
            ("micro_usd", json!(micro_usd)),
            ("moved", json!(event.moved())),
            ("atomic", json!(quote.price.atomic().to_string())),
            ("asset", json!(quote.price.asset())),
            ("payee", json!(quote.payee)),
            ("session", json!(held.ask.session)),
            ("rules", json!(held.decision.rules)),
        ];
        let refunded = event.refunded().map(|atomic| ("refunded", json!(atomic.to_string())));
        let fields = fields.into_iter().chain(refunded).chain(self.trace_fields());
        SealedEvent::new(stream, event.kind(), fields, event, &*self.shared.entropy)
            .map_err(|error| Refusal::NotCanonical(error.to_string()))?
            .add_to(transaction);
        Ok(())
    }
}

/// Whether the bytes may have been out before: then a wallet that fails now proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presenting {
    First,
    Again,
}

/// What became of giving a hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It was given back, and nothing can be signed under it.
    Done,
    /// Another worker took the payment up meanwhile.
    Overtaken,
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

/// The status of an answer, also of one that broke off.
fn status_of(answer: &Result<HttpResponse, TransportError>) -> Option<http::StatusCode> {
    match answer {
        Ok(response) => Some(response.status()),
        Err(TransportError::Body { head, .. }) => Some(head.status),
        Err(_) => None,
    }
}

/// A yes is used up by the payment that it was given for, under the terms that it was given for.
fn spent(
    state: &SessionState,
    held: &Held,
    approval: ApprovalId,
    now: Timestamp,
) -> Result<SessionEvent, Reason> {
    let payment = held.ask.payment;
    let given = state.given_for(payment, now).filter(|(given, _)| given.waiting.question.id == approval);
    let (_, approved) = given.ok_or_else(reasons::approval_expired)?;
    let micro_usd = held.offer.quote.cost_micro_usd.as_ref().ok_or_else(reasons::approval_expired)?;
    let found = PaymentTerms::of(payment, held.item, &held.offer, micro_usd);
    match approved.difference(&found) {
        None => Ok(SessionEvent::ApprovalSpent { approval, payment }),
        Some((what, approved, found)) => Err(reasons::approval_mismatch(what, &approved, &found)),
    }
}

/// The URL whose terms were signed.
fn quoted_at(signed: &Signed) -> Result<http::Uri, FetchError> {
    let resource = &signed.held.offer.quote.resource;
    resource.parse().map_err(|_| FetchError::Request("the quoted URL cannot be sent".to_owned()))
}

pub(super) fn close_link(held: &Held) -> LinkWrite {
    LinkWrite { key: open_link(held.ask.request), expected: Some(held.ask.payment.to_string()), value: None }
}

pub(super) fn unknown(signed: &Signed, problem: &str) -> UnknownOutcome {
    UnknownOutcome {
        id: signed.held.ask.payment,
        payment: Some(signed.held.view(None)),
        problem: problem.to_owned(),
        decidable_from: Some(signed.prepared.expires_at),
    }
}

pub(super) fn unavailable_event(error: &crate::payment::IllegalEvent) -> FetchError {
    FetchError::Ledger(Box::new(error.clone()))
}
