//! Signatures, and authorizations on the wire.

use super::{Phase, Seen, Watch};
use crate::stage::Life;
use base64::Engine as _;
use bursar_payments::Payment;
use bursar_types::{Digest, HttpRequest};
use serde_json::Value;

impl Watch {
    /// The wallet is asked for a signature: everything that must be durable first is durable now.
    pub(crate) fn asked_to_sign(&self, life: Life, digest: &Digest) {
        let mut seen = self.seen();
        let seen = &mut *seen;
        if seen.voids.contains(digest) {
            return;
        }
        let Some((id, number)) = seen.by_digest.get(digest).copied() else {
            return seen.violated("signed-after-record", format!("{life} signs what no record names"));
        };
        let Some(known) = seen.payments.get(&id).cloned() else { return };
        let Some(attempt) = known.attempts.get(&number) else { return };
        // A worker that was overtaken may still sign what is worthless by now.
        let worthless = self.now_s() >= attempt.valid_before_s;
        let current = known.payment.held().filter(|held| held.attempt == number);
        let state = known.payment.name();
        let cleared =
            matches!(known.payment, Payment::Signing(_) | Payment::Unknown { .. } | Payment::Paid { .. });
        match current {
            Some(held) if cleared => {
                let phase = seen.accounts.phase(held.hold).cloned();
                if !matches!(phase, Some(Phase::Pending(None) | Phase::Captured { .. })) {
                    seen.violated("signed-after-record", format!("{id} is signed, its hold {phase:?}"));
                }
                self.check_frozen(seen, life, &held.ask.session.to_string());
            }
            _ if worthless => {}
            _ => seen.violated(
                "signed-after-record",
                format!("attempt {number} of {id} is signed while the payment is {state}"),
            ),
        }
    }

    /// A task that has read that its session is frozen signs nothing.
    fn check_frozen(&self, seen: &mut Seen, life: Life, session: &str) {
        let Some(frozen) = seen.frozen.get(session).copied() else { return };
        self.stage.count("signing while somebody freezes");
        let read = seen.read.get(&(life, tokio::task::try_id(), session.to_owned())).copied();
        if read.is_some_and(|read| read >= frozen) {
            seen.violated(
                "frozen-means-frozen",
                format!("{life} signs in {session}, which it read is frozen"),
            );
        }
    }

    /// A signature exists from now on.
    pub(crate) fn signed(&self, life: Life, digest: &Digest) {
        let mut seen = self.seen();
        let seen = &mut *seen;
        // The same bytes again are no other authorization.
        if !seen.signed.insert(*digest) {
            return;
        }
        let Some((id, number)) = seen.by_digest.get(digest).copied() else { return };
        let Some(known) = seen.payments.get(&id) else { return };
        let url = &known.payment.ask().url;
        let now_s = self.now_s();
        // No other authorization of this purchase can still settle: it is over, or it is dead.
        let mut others = Vec::new();
        for (other, known) in seen.payments.iter().filter(|(_, known)| known.payment.ask().url == *url) {
            for (attempt, terms) in &known.attempts {
                let this = (*other, *attempt) == (id, number);
                let current = known.payment.held().is_some_and(|held| held.attempt == *attempt);
                let over = current && known.is_over();
                let live = seen.signed.contains(&terms.signing) && now_s < terms.valid_before_s;
                if !this && !over && (live || self.has_settled(&terms.nonce)) {
                    others.push(format!("attempt {attempt} of {other}, {}", known.payment.name()));
                }
            }
        }
        let worthless = known.attempts.get(&number).is_some_and(|attempt| now_s >= attempt.valid_before_s);
        if !others.is_empty() && !worthless {
            seen.violated(
                "one-live-authorization",
                format!("{life} signs attempt {number} of {id} beside {}", others.join(" and ")),
            );
        }
    }

    /// A request with a payment leaves.
    pub(crate) fn on_the_wire(&self, life: Life, request: &HttpRequest) {
        let mut seen = self.seen();
        let seen = &mut *seen;
        let Some(authorization) = authorization(request) else {
            return seen.violated("the-wire-is-readable", format!("{life} sends a payment nobody can read"));
        };
        let nonce = authorization.pointer("/authorization/nonce").and_then(Value::as_str).unwrap_or_default();
        let nonce = nonce.to_ascii_lowercase();
        let Some((id, number)) = seen.by_nonce.get(&nonce).copied() else {
            return seen.violated("signed-after-record", format!("{life} presents {nonce}, of no record"));
        };
        let bytes = authorization.to_string();
        let before = seen.wire.entry(nonce).or_insert_with(|| bytes.clone());
        if *before != bytes {
            seen.violated(
                "same-bytes-each-time",
                format!("attempt {number} of {id} was presented otherwise"),
            );
        } else {
            self.stage.count("authorization presented");
        }
        let Some(known) = seen.payments.get_mut(&id) else { return };
        if let Some(attempt) = known.attempts.get_mut(&number) {
            if attempt.presented {
                self.stage.count("authorization presented again");
            }
            attempt.presented = true;
        }
        let quoted = known.payment.held().map(|held| held.offer.quote.resource.clone());
        let sent = request.uri().to_string();
        if quoted.as_ref().is_some_and(|quoted| *quoted != sent) {
            seen.violated("presented-where-quoted", format!("{id} was quoted at {quoted:?}, sent to {sent}"));
        }
    }
}

/// The scheme's part of a payment header: what was authorized, and the signature.
fn authorization(request: &HttpRequest) -> Option<Value> {
    let header = ["payment-signature", "x-payment"].iter().find_map(|name| request.headers().get(*name))?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(header.as_bytes()).ok()?;
    let payment: Value = serde_json::from_slice(&bytes).ok()?;
    payment.get("payload").cloned()
}
