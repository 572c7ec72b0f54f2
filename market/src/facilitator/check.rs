//! What a payment must fulfil. Every refusal has the reason that real facilitators give.

use crate::{
    chain::{Chain, Revert},
    primitives::{Address, Uint},
    signing::{Authorization, Signature},
    wire::{Payment, PaymentError, Terms, network_v1},
};
use serde_json::Value;

/// How many seconds an authorization must still live, so that its transaction can be mined.
const LIFE_MIN_S: u64 = 6;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) payer: Option<Address>,
}

/// A payment that may be settled.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) authorization: Authorization,
    pub(super) signature: Signature,
}

/// Checks `{x402Version, paymentPayload, paymentRequirements}`.
pub(super) fn check(chain: &Chain, body: &Value) -> Result<Checked, Refusal> {
    let early = |reason, message: String| Refusal { reason, message, payer: None };
    let version = body.get("x402Version").and_then(Value::as_u64);
    let Some(version @ (1 | 2)) = version else {
        return Err(early("invalid_x402_version", "x402Version must be 1 or 2".to_owned()));
    };
    let part = |name: &str| body.get(name).cloned().unwrap_or(Value::Null);
    let requirements = part("paymentRequirements");
    let Some(terms) = Terms::read(version, &requirements) else {
        return Err(early("invalid_payment_requirements", "paymentRequirements cannot be read".to_owned()));
    };
    let payment = Payment::read(version, &part("paymentPayload")).map_err(|error| match error {
        PaymentError::Version => {
            early("invalid_x402_version", "paymentPayload is of another version".to_owned())
        }
        PaymentError::Payload(message) => early("invalid_payload", message),
    })?;
    let authorization = payment.payload.authorization.clone();
    let refuse = |reason, message: &str| Refusal {
        reason,
        message: message.to_owned(),
        payer: Some(authorization.from),
    };
    check_terms(chain, version, &terms).map_err(|(reason, message)| refuse(reason, message))?;
    if payment.accepted.as_ref().is_some_and(|accepted| *accepted != requirements) {
        let message = "the accepted requirement is not the offered one";
        return Err(refuse("invalid_payment_requirements", message));
    }
    if payment.named.as_ref().is_some_and(|(scheme, _)| *scheme != terms.scheme) {
        return Err(refuse("invalid_exact_evm_scheme", "the payment is of another scheme"));
    }
    if payment.named.as_ref().is_some_and(|(_, network)| *network != terms.network) {
        return Err(refuse("invalid_exact_evm_network_mismatch", "the payment is for another network"));
    }
    check_authorization(chain, &terms, &authorization)
        .map_err(|(reason, message)| refuse(reason, message))?;
    let signature = Signature::parse(&payment.payload.signature)
        .map_err(|error| refuse("invalid_exact_evm_signature", &error.to_string()))?;
    match chain.simulate(&authorization, &signature) {
        Ok(()) => Ok(Checked { authorization, signature }),
        Err(revert) => Err(refuse(reason(revert), &revert.to_string())),
    }
}

type Reason = (&'static str, &'static str);

fn check_terms(chain: &Chain, version: u64, terms: &Terms) -> Result<(), Reason> {
    let token = chain.token();
    let network = token.network();
    let expected = if version == 1 { network_v1(&network) } else { &network };
    if terms.scheme != "exact" {
        return Err(("unsupported_scheme", "only `exact` can be settled here"));
    }
    if terms.network != expected {
        return Err(("invalid_network", "this facilitator serves another network"));
    }
    if terms.asset.parse() != Ok(token.address) {
        return Err(("asset_not_deployed_contract", "no such token on this chain"));
    }
    if Uint::from_decimal(&terms.amount).is_err() {
        return Err(("invalid_payment_requirements", "the amount is not a canonical decimal number"));
    }
    let Some(domain) = &terms.extra else {
        return Err(("invalid_exact_evm_missing_eip712_domain", "extra must hold name and version"));
    };
    if domain.name != token.name {
        return Err(("invalid_exact_evm_token_name_mismatch", "the token has another name"));
    }
    if domain.version != token.version {
        return Err(("invalid_exact_evm_token_version_mismatch", "the token has another version"));
    }
    Ok(())
}

fn check_authorization(chain: &Chain, terms: &Terms, authorization: &Authorization) -> Result<(), Reason> {
    let now_s = chain.clock().now_s();
    if terms.pay_to.parse() != Ok(authorization.to) {
        return Err(("invalid_exact_evm_recipient_mismatch", "`to` is not payTo"));
    }
    if Uint::from_decimal(&terms.amount) != Ok(authorization.value) {
        return Err(("invalid_exact_evm_authorization_value", "value is not the amount"));
    }
    if authorization.valid_before < Uint::from(now_s.saturating_add(LIFE_MIN_S)) {
        let message = "validBefore leaves less than six seconds";
        return Err(("invalid_exact_evm_payload_authorization_valid_before", message));
    }
    if authorization.valid_after > Uint::from(now_s) {
        return Err(("invalid_exact_evm_payload_authorization_valid_after", "validAfter is still to come"));
    }
    Ok(())
}

/// The reason for what the token would say.
pub(super) fn reason(revert: Revert) -> &'static str {
    match revert {
        Revert::NotYetValid => "invalid_exact_evm_payload_authorization_valid_after",
        Revert::Expired => "invalid_exact_evm_payload_authorization_valid_before",
        Revert::UsedOrCanceled => "invalid_exact_evm_nonce_already_used",
        Revert::InvalidSignature | Revert::Malformed(_) => "invalid_exact_evm_signature",
        Revert::InsufficientBalance => "invalid_exact_evm_insufficient_balance",
        Revert::FromZero | Revert::ToZero | Revert::BalanceTooBig | Revert::Blacklisted | Revert::NotKept => {
            "invalid_exact_evm_transaction_failed"
        }
    }
}
