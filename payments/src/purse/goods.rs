//! What came with an answer: whether it is what was paid for, and how it is kept.

use super::SessionPurse;
use super::settle::Seen;
use crate::payment::Received;
use crate::rail::{Outcome, PayeeStatements};
use bursar_ledger::Payload;
use bursar_types::{
    ArtifactId, ArtifactRecord, ArtifactRef, Digest, HttpResponse, PaymentView, TransportError,
};
use bytes::Bytes;
use http::header;

impl SessionPurse {
    pub(super) fn artifact(&self, payment: PaymentView, received: &Received) -> ArtifactRecord {
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
}

/// What was seen, with the body sealed once, whatever is read again.
pub(super) struct Noted {
    pub(super) outcome: Outcome,
    pub(super) answered: bool,
    pub(super) unsigned: bool,
    /// What the payee signed beside its answer.
    pub(super) said: Option<Box<PayeeStatements>>,
    pub(super) body: Option<Payload>,
    goods: Option<Goods>,
    /// Why there are no goods.
    pub(super) missing: String,
}

impl Noted {
    pub(super) fn new(seen: Seen<'_>, purse: &SessionPurse) -> Self {
        let missing = "the answer was lost, and the goods with it".to_owned();
        let rail = |outcome| Self {
            outcome,
            answered: false,
            unsigned: false,
            said: None,
            body: None,
            goods: None,
            missing: missing.clone(),
        };
        match seen {
            Seen::Rail(outcome) => rail(outcome),
            Seen::Unsigned(proof) => Self { unsigned: true, ..rail(Outcome::DidNotMove { proof }) },
            Seen::Answer { outcome, answer, said } => {
                let answered = Self { answered: true, said: Some(said), ..rail(outcome) };
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

    pub(super) fn received(&self) -> Option<Received> {
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
