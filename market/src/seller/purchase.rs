//! Selling one document: quote, check, verify, prepare, settle, answer.

use super::{
    config::{PaymentIdentifier, WireVersion},
    handle::{Item, Seller},
    offer::PAYMENT_IDENTIFIER,
    record::{LogEntry, RequestKey, Violation, ViolationKind},
};
use crate::{
    facilitator::Exchange,
    faults::{self, Fault, Place},
    primitives::{Uint, keccak},
    server::{Answer, Request},
    wire::{self, Payment, Terms},
};
use serde_json::{Value, json};
use std::time::Duration;

/// What was answered under a payment identifier.
#[derive(Debug, Clone)]
pub(super) struct Cached {
    /// The request it was for.
    request: RequestKey,
    /// The payment's scheme-specific part.
    payload: Value,
    /// The answer, once there was a good one.
    answer: Option<Answer>,
}

/// A payment that came with a request.
struct Presented {
    version: u64,
    /// `None` if it cannot be read at all.
    json: Option<Value>,
}

impl Seller {
    /// Answers a request for a document.
    pub(super) fn document(&self, item: &Item, request: &Request, entry: &mut LogEntry) -> Answer {
        let presented = self.presented(request);
        let paid = presented.is_some();
        let redirects = |fault: &Fault| paid || !matches!(fault, Fault::Redirect { only_paid: true, .. });
        if let Some(Fault::Redirect { to, .. }) = self.strike(Place::Request, entry, redirects) {
            return Answer::bytes(307, "text/plain", Vec::new()).with("location", to);
        }
        match presented {
            None => self.unpaid(item, request, entry),
            Some(presented) => {
                self.record().log.paid_requests += 1;
                self.paid(item, request, &presented, entry).unwrap_or_else(|refusal| refusal)
            }
        }
    }

    fn unpaid(&self, item: &Item, request: &Request, entry: &mut LogEntry) -> Answer {
        if item.path.is_some() && self.current_price(item) == 0 {
            return self.goods(item);
        }
        let fault = self.strike(Place::Quote, entry, |_| true);
        if fault == Some(Fault::FreshPayee) {
            self.change_terms(item, &Fault::SwapPayee { to: None });
        }
        self.record().quoted(key(request));
        let target = request.target();
        let mut answer = self.quote(item, (&request.method, &target), "Payment required", fault.as_ref());
        if let Some(Fault::SlowQuote { ms }) = fault {
            answer.wait = Duration::from_millis(ms);
        }
        answer
    }

    /// What is sold, without a receipt.
    fn goods(&self, item: &Item) -> Answer {
        Answer::bytes(200, item.document.media_type(), item.document.text().as_bytes().to_vec())
    }

    /// Everything about a paid request; the refusal is an answer too.
    fn paid(
        &self,
        item: &Item,
        request: &Request,
        presented: &Presented,
        entry: &mut LogEntry,
    ) -> Result<Answer, Answer> {
        let payment = self.read(request, presented)?;
        let authorization = &payment.payload.authorization;
        entry.nonce = Some(authorization.nonce);
        entry.payer = Some(authorization.from);
        self.record().log.nonces.insert(authorization.nonce);
        self.check_binding(request, &payment)?;
        // Of two payments under one identifier at once, the second waits for the first one's answer.
        let _till = identifier(&payment).map(|_| self.till());
        if let Some(cached) = self.check_identifier(request, &payment)? {
            entry.cached = true;
            return Ok(self.delivered(item, request, cached, entry));
        }
        self.note_second_payment(item, request, &payment);
        if let Some(fault) = self.strike(Place::Terms, entry, |_| true) {
            self.change_terms(item, &fault);
        }
        let again = |reason: &str| {
            self.record().quoted(key(request));
            self.quote(item, (&request.method, &request.target()), reason, None)
        };
        let Some(terms) = self.matching(item, &payment) else {
            return Err(again("No matching payment requirements"));
        };
        if !echoes(&self.extensions(&request.method, item), &payment) {
            return Err(again("extension_echo_mismatch"));
        }
        match self.strike(Place::Arrival, entry, |_| true) {
            Some(Fault::NeverSettle402) => return Err(again("Payment required")),
            Some(Fault::DropBeforeSettle) => return Err(Answer::dropped()),
            Some(Fault::Error500BeforeSettle) => {
                return Err(Answer::json(500, &json!({ "error": "internal error" })));
            }
            _ => {}
        }
        let receipt = if self.strike(Place::Settlement, entry, |_| true).is_some() {
            self.made_up_receipt(&payment)
        } else {
            let body = json!({
                "x402Version": payment.version,
                "paymentPayload": payment.raw,
                "paymentRequirements": self.written(item, &terms, payment.version == 1),
            });
            self.verify(&body, again)?;
            // The handler runs between verify and settle: here, the text is at hand.
            let receipt = self.settle(item, &payment, &body)?;
            self.record().log.settlements += 1;
            entry.transaction = receipt.get("transaction").and_then(Value::as_str).map(str::to_owned);
            receipt
        };
        let mut receipt = receipt;
        self.sign_receipt(&format!("{}{}", self.url(), request.target()), &mut receipt);
        let answer = self
            .goods(item)
            .with(receipt_header(payment.version), wire::encode(&receipt))
            .with("cache-control", "private".to_owned());
        self.remember(&payment, &answer);
        Ok(self.delivered(item, request, answer, entry))
    }

    /// The payment header of a version this seller speaks.
    fn presented(&self, request: &Request) -> Option<Presented> {
        let wire = self.config().wire;
        let header = |version, name: &str| {
            let value = request.headers.get(name)?;
            Some(Presented { version, json: value.to_str().ok().and_then(wire::decode) })
        };
        let v2 = || (wire != WireVersion::V1).then(|| header(2, "payment-signature")).flatten();
        let v1 = || (wire != WireVersion::V2).then(|| header(1, "x-payment")).flatten();
        v2().or_else(v1)
    }

    fn read(&self, request: &Request, presented: &Presented) -> Result<Payment, Answer> {
        let refuse = |detail: String| {
            self.violated(ViolationKind::UnreadablePayment, detail.clone(), request, None);
            Answer::json(400, &json!({ "error": "invalid_payload", "detail": detail }))
        };
        let Some(json) = &presented.json else {
            return Err(refuse("the payment header is not base64 of JSON".to_owned()));
        };
        Payment::read(presented.version, json).map_err(|error| refuse(format!("{error:?}")))
    }

    /// Refuses a payment for anything but what was quoted.
    fn check_binding(&self, request: &Request, payment: &Payment) -> Result<(), Answer> {
        let key = key(request);
        let url = format!("{}{}", self.url(), request.target());
        let authorization = &payment.payload.authorization;
        let mut record = self.record();
        let broken = if !record.was_quoted(&key) {
            Some((ViolationKind::NotWhatWasQuoted, "no 402 was sent for this method, URL and body"))
        } else if payment.resource_url.as_ref().is_some_and(|paid_for| *paid_for != url) {
            Some((ViolationKind::OtherResource, "the payment names another resource"))
        } else if !record.bind(authorization.from, authorization.nonce, &key) {
            Some((ViolationKind::NonceForTwoRequests, "this authorization came with another request before"))
        } else {
            None
        };
        drop(record);
        let Some((kind, detail)) = broken else { return Ok(()) };
        self.violated(kind, detail.to_owned(), request, Some(payment));
        Err(Answer::json(400, &json!({ "error": kind, "detail": detail })))
    }

    /// The answer given before under this payment's identifier, if there is one.
    fn check_identifier(&self, request: &Request, payment: &Payment) -> Result<Option<Answer>, Answer> {
        let rule = self.config().payment_identifier;
        let refuse = |status, error: &str| Err(Answer::json(status, &json!({ "error": error })));
        if rule == PaymentIdentifier::Off {
            return Ok(None);
        }
        let id = match identifier(payment) {
            Some(Value::String(id)) if is_identifier(id) => id.clone(),
            None if rule == PaymentIdentifier::Required => return refuse(400, "payment-identifier required"),
            None => return Ok(None),
            Some(_) => return refuse(400, "payment-identifier invalid"),
        };
        let first = Cached {
            request: key(request),
            payload: payment.raw.get("payload").cloned().unwrap_or_default(),
            answer: None,
        };
        let known = self.cache().entry(id).or_insert_with(|| first.clone()).clone();
        if (&known.request, &known.payload) != (&first.request, &first.payload) {
            let detail = "the identifier came with another payment before".to_owned();
            self.violated(ViolationKind::IdentifierReused, detail, request, Some(payment));
            return refuse(409, "payment-identifier reused for another payment");
        }
        Ok(known.answer)
    }

    fn remember(&self, payment: &Payment, answer: &Answer) {
        if let Some(Value::String(id)) = identifier(payment)
            && let Some(cached) = self.cache().get_mut(id)
        {
            cached.answer = Some(answer.clone());
        }
    }

    /// Records a second authorization while the first was settled or can still be.
    fn note_second_payment(&self, item: &Item, request: &Request, payment: &Payment) {
        let authorization = &payment.payload.authorization;
        let now = Uint::from(self.chain().clock().now_s());
        let is_open = |nonce, valid_before| {
            valid_before > now || self.chain().authorization_state(authorization.from, nonce)
        };
        let (from, nonce, valid_before) =
            (authorization.from, authorization.nonce, authorization.valid_before);
        let earlier = self.record().show(from, item.document.id(), nonce, valid_before, is_open);
        if let Some(earlier) = earlier {
            let detail =
                format!("paid twice for the same resource: the authorization {earlier} was still open");
            self.violated(ViolationKind::PaidTwice, detail, request, Some(payment));
        }
    }

    /// The alternative the payment is for.
    fn matching(&self, item: &Item, payment: &Payment) -> Option<Terms> {
        let alternatives = self.alternatives(item);
        if let Some(accepted) = &payment.accepted {
            return alternatives.into_iter().find(|terms| terms.to_v2() == *accepted);
        }
        let (scheme, network) = payment.named.as_ref()?;
        let value = payment.payload.authorization.value.to_string();
        let named =
            |terms: &&Terms| terms.scheme == *scheme && wire::network_v1(&terms.network) == network.as_str();
        let exact = alternatives.iter().filter(named).find(|terms| terms.amount == value);
        exact.or_else(|| alternatives.iter().find(named)).cloned()
    }

    fn verify(&self, body: &Value, again: impl Fn(&str) -> Answer) -> Result<(), Answer> {
        match self.facilitator().verify(body) {
            Exchange::Answered(200, answer) if answer.get("isValid") == Some(&Value::Bool(true)) => Ok(()),
            Exchange::Answered(200, answer) => {
                let reason = answer.get("invalidReason").and_then(Value::as_str);
                Err(again(reason.unwrap_or("invalid_payment")))
            }
            Exchange::Answered(..) | Exchange::Lost => {
                Err(Answer::json(502, &json!({ "error": "the facilitator's answer is unusable" })))
            }
        }
    }

    /// The receipt of a settlement; else the 402 of a settlement that failed, or seems to have.
    fn settle(&self, item: &Item, payment: &Payment, body: &Value) -> Result<Value, Answer> {
        let lost = |reason: String| {
            let network = self.chain().token().network();
            let network = if payment.version == 1 { wire::network_v1(&network).to_owned() } else { network };
            json!({ "success": false, "errorReason": reason, "transaction": "", "network": network })
        };
        let receipt = match self.facilitator().settle(body) {
            Exchange::Answered(200, receipt) => receipt,
            Exchange::Answered(status, body) => lost(format!("Facilitator settle failed ({status}): {body}")),
            Exchange::Lost => lost("fetch failed".to_owned()),
        };
        if receipt.get("success") == Some(&Value::Bool(true)) {
            return Ok(receipt);
        }
        let refused = if payment.version == 1 {
            let reason = receipt.get("errorReason").cloned().unwrap_or_default();
            let accepts: Vec<_> =
                self.alternatives(item).iter().map(|terms| self.written(item, terms, true)).collect();
            json!({ "x402Version": 1, "error": reason, "accepts": accepts })
        } else {
            json!({})
        };
        Err(Answer::json(402, &refused).with(receipt_header(payment.version), wire::encode(&receipt)))
    }

    fn made_up_receipt(&self, payment: &Payment) -> Value {
        let network = self.chain().token().network();
        json!({
            "success": true,
            "payer": payment.payload.authorization.from,
            "transaction": keccak(payment.raw.to_string().as_bytes()),
            "network": if payment.version == 1 { wire::network_v1(&network) } else { &network },
        })
    }

    /// The answer as it leaves: right, unless a fault strikes.
    fn delivered(&self, item: &Item, request: &Request, mut answer: Answer, entry: &mut LogEntry) -> Answer {
        if let Some(fault) = self.strike(Place::Answer, entry, |_| true) {
            faults::distort_answer(&fault, &mut answer, || {
                self.record().quoted(key(request));
                self.quote(item, (&request.method, &request.target()), "Payment required", None)
            });
        }
        answer
    }

    /// Takes a fault that strikes here, and notes it.
    pub(super) fn strike(
        &self,
        place: Place,
        entry: &mut LogEntry,
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let fault = self.faults().strike(place, &entry.target, wanted)?;
        entry.faults.push(fault.name());
        Some(fault)
    }

    fn violated(&self, kind: ViolationKind, detail: String, request: &Request, payment: Option<&Payment>) {
        let authorization = payment.map(|payment| &payment.payload.authorization);
        let violation = Violation {
            kind,
            detail,
            target: request.target(),
            nonce: authorization.map(|authorization| authorization.nonce),
            payer: authorization.map(|authorization| authorization.from),
        };
        tracing::debug!(seller = self.name(), ?violation, "violation");
        self.record().violations.push(violation);
    }
}

pub(super) fn key(request: &Request) -> RequestKey {
    RequestKey { method: request.method.clone(), target: request.target(), body: keccak(&request.body) }
}

fn receipt_header(version: u64) -> &'static str {
    if version == 1 { "x-payment-response" } else { "payment-response" }
}

fn identifier(payment: &Payment) -> Option<&Value> {
    payment.extensions.get(PAYMENT_IDENTIFIER)?.get("info")?.get("id")
}

/// Whether a text may name a payment or a claim.
pub(super) fn is_identifier(id: &str) -> bool {
    (16..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether every offered extension that the buyer sent back still says what was offered: it may add, not change
/// or delete. Leaving one out, or sending one of its own, is fine.
fn echoes(offered: &serde_json::Map<String, Value>, payment: &Payment) -> bool {
    payment.extensions.iter().all(|(name, echoed)| {
        let Some(advertised) = offered.get(name) else { return true };
        match (advertised.get("info"), echoed.get("info")) {
            (Some(advertised), Some(echoed)) => contains(echoed, advertised),
            _ => false,
        }
    })
}

fn contains(echoed: &Value, advertised: &Value) -> bool {
    match (echoed, advertised) {
        (Value::Object(echoed), Value::Object(advertised)) => advertised
            .iter()
            .all(|(name, value)| echoed.get(name).is_some_and(|echoed| contains(echoed, value))),
        _ => echoed == advertised,
    }
}
