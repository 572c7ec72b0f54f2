//! Verifying and settling, with the faults of both.

use super::{
    Listing,
    check::{self, Refusal},
    discovery::Directory,
};
use crate::{
    chain::Chain,
    faults::{Fault, Faults, Place},
    primitives::{Address, Word, keccak},
    wire::network_v1,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What the caller of the facilitator gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Exchange {
    /// A status and a body.
    Answered(u16, Value),
    /// The connection breaks; the caller does not know how far the call came.
    Lost,
}

/// One call to `/verify` or `/settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacilitatorCall {
    /// `verify` or `settle`.
    pub operation: String,
    /// The authorization's nonce, if one could be read.
    pub nonce: Option<String>,
    /// The transaction, if this call settled: whatever the caller was told.
    pub transaction: Option<Word>,
    /// The reason, if this call was refused.
    pub refused: Option<String>,
    /// The fault that struck.
    pub fault: Option<String>,
}

/// A facilitator over the market's chain. Clones share it.
#[derive(Debug, Clone)]
pub struct Facilitator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chain: Chain,
    faults: Faults,
    calls: Mutex<Vec<FacilitatorCall>>,
    directory: RwLock<Arc<Directory>>,
}

/// Who sends the facilitator's transactions.
pub(crate) fn signer_address() -> Address {
    crate::seller::address_of("facilitator")
}

impl Facilitator {
    pub(crate) fn new(chain: Chain) -> Self {
        let shared = Shared {
            chain,
            faults: Faults::for_facilitator(),
            calls: Mutex::default(),
            directory: RwLock::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Its calls so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<FacilitatorCall> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists what is for sale.
    pub(crate) fn publish(&self, listings: Vec<Listing>) {
        let directory = Arc::new(Directory::new(listings));
        *self.shared.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        self.shared.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `GET /supported`.
    pub(super) fn supported(&self) -> Value {
        let network = self.shared.chain.token().network();
        json!({
            "kinds": [
                { "x402Version": 2, "scheme": "exact", "network": network },
                { "x402Version": 1, "scheme": "exact", "network": network_v1(&network) },
            ],
            "extensions": ["bazaar", "payment-identifier"],
            "signers": { "eip155:*": [signer_address()] },
        })
    }

    /// `POST /verify`.
    pub(crate) fn verify(&self, body: &Value) -> Exchange {
        let fault = self.shared.faults.strike(Place::Verify, "/verify", |_| true);
        let mut call = FacilitatorCall::new("verify", body, fault.as_ref());
        let exchange = match &fault {
            Some(Fault::VerifyRefuses { reason }) => {
                Exchange::Answered(200, json!({ "isValid": false, "invalidReason": reason }))
            }
            Some(Fault::Verify500) => Exchange::Answered(500, json!({ "error": "internal error" })),
            _ => match check::check(&self.shared.chain, body) {
                Ok(checked) => {
                    let payer = checked.authorization.from;
                    Exchange::Answered(200, json!({ "isValid": true, "payer": payer }))
                }
                Err(Refusal { reason, message, payer }) => {
                    call.refused = Some(reason.to_owned());
                    let mut answer =
                        json!({ "isValid": false, "invalidReason": reason, "invalidMessage": message });
                    set_payer(&mut answer, payer);
                    Exchange::Answered(200, answer)
                }
            },
        };
        self.record(call);
        exchange
    }

    /// `POST /settle`. Of two calls with the same authorization, at most one moves money.
    pub(crate) fn settle(&self, body: &Value) -> Exchange {
        let fault = self.shared.faults.strike(Place::Settle, "/settle", |_| true);
        let mut call = FacilitatorCall::new("settle", body, fault.as_ref());
        let exchange = match &fault {
            Some(Fault::SettleLostBefore) => Exchange::Lost,
            Some(Fault::Settle500Before) => Exchange::Answered(500, json!({ "error": "internal error" })),
            Some(Fault::SettleLies) => self.unsettled(body, true, None),
            Some(Fault::SettlementPendingForever) => self.unsettled(body, false, Some("settlement_pending")),
            after => {
                let truth = self.really_settle(body, &mut call);
                match after {
                    Some(Fault::SettleAnswerLost) => Exchange::Lost,
                    Some(Fault::Settle500After) => {
                        Exchange::Answered(500, json!({ "error": "internal error" }))
                    }
                    Some(Fault::SettlementPending) if call.transaction.is_some() => {
                        let mut answer = truth;
                        if let Some(fields) = answer.as_object_mut() {
                            fields.insert("success".to_owned(), false.into());
                            fields.insert("errorReason".to_owned(), "settlement_pending".into());
                        }
                        Exchange::Answered(200, answer)
                    }
                    _ => Exchange::Answered(200, truth),
                }
            }
        };
        self.record(call);
        exchange
    }

    fn really_settle(&self, body: &Value, call: &mut FacilitatorCall) -> Value {
        let chain = &self.shared.chain;
        let network = self.network_for(body);
        let settled = check::check(chain, body).and_then(|checked| {
            let payer = checked.authorization.from;
            // The chain decides again, under its lock: another call may have been faster.
            chain.transfer_with_authorization(&checked.authorization, &checked.signature).map_or_else(
                |revert| {
                    let message = revert.to_string();
                    Err(Refusal { reason: check::reason(revert), message, payer: Some(payer) })
                },
                |transaction| Ok((transaction, payer)),
            )
        });
        match settled {
            Ok((transaction, payer)) => {
                call.transaction = Some(transaction);
                json!({ "success": true, "payer": payer, "transaction": transaction, "network": network })
            }
            Err(Refusal { reason, message, payer }) => {
                call.refused = Some(reason.to_owned());
                let mut answer = json!({
                    "success": false,
                    "errorReason": reason,
                    "errorMessage": message,
                    "transaction": "",
                    "network": network,
                });
                set_payer(&mut answer, payer);
                answer
            }
        }
    }

    /// An answer about a transaction that never was.
    fn unsettled(&self, body: &Value, success: bool, reason: Option<&str>) -> Exchange {
        let transaction = keccak(body.to_string().as_bytes());
        let mut answer =
            json!({ "success": success, "transaction": transaction, "network": self.network_for(body) });
        if let Some(fields) = answer.as_object_mut() {
            if let Some(from) = body.pointer("/paymentPayload/payload/authorization/from") {
                fields.insert("payer".to_owned(), from.clone());
            }
            if let Some(reason) = reason {
                fields.insert("errorReason".to_owned(), reason.into());
            }
        }
        Exchange::Answered(200, answer)
    }

    fn network_for(&self, body: &Value) -> String {
        let network = self.shared.chain.token().network();
        let v1 = body.get("x402Version").and_then(Value::as_u64) == Some(1);
        if v1 { network_v1(&network).to_owned() } else { network }
    }

    fn record(&self, call: FacilitatorCall) {
        tracing::debug!(?call, "facilitator");
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

impl FacilitatorCall {
    fn new(operation: &str, body: &Value, fault: Option<&Fault>) -> Self {
        let nonce = body.pointer("/paymentPayload/payload/authorization/nonce").and_then(Value::as_str);
        Self {
            operation: operation.to_owned(),
            nonce: nonce.map(str::to_owned),
            transaction: None,
            refused: None,
            fault: fault.map(Fault::name),
        }
    }
}

fn set_payer(answer: &mut Value, payer: Option<Address>) {
    if let (Some(fields), Some(payer)) = (answer.as_object_mut(), payer) {
        fields.insert("payer".to_owned(), json!(payer));
    }
}
