//! The exact terms of one attempt: an EIP-3009 `TransferWithAuthorization`.
//!
//! # Source
//! EIP-3009, EIP-712; x402 specification v2, scheme `exact` on EVM.

use super::check::WINDOW_S_MIN;
use super::offers::{Verbatim, reread, unreadable};
use super::wire::Version;
use super::{RAIL, X402, network};
use crate::rail::{OfferError, Order, Prepared};
use crate::reasons;
use alloy::primitives::{Address, B256, U256};
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolStruct as _};
use bursar_types::{Digest, LedgerId, PaymentId, Reason, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

sol! {
    #[derive(Debug)]
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// What is stored of an attempt: enough to make the same bytes again and to ask the chain about them. Every number is
/// text, so that it reads back exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terms {
    pub(super) version: Version,
    pub(super) network: String,
    pub(super) token: String,
    pub(super) token_name: String,
    pub(super) token_version: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) value: String,
    pub(super) valid_after: String,
    pub(super) valid_before: String,
    pub(super) nonce: String,
    /// When the window began, by our clock: the chain is searched from shortly before.
    pub(super) from_s: String,
    /// The alternative, byte for byte.
    pub(super) accepted: String,
    pub(super) resource: Option<String>,
    /// The vendor's extensions with what we append.
    pub(super) extensions: Option<String>,
}

/// [`Terms`] with their numbers read.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    pub(super) chain_id: u64,
    pub(super) token: Address,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: u128,
    pub(super) valid_after: u64,
    pub(super) valid_before: u64,
    pub(super) nonce: B256,
    pub(super) from_s: u64,
}

/// Fixes the terms of an order's attempt. Pure: the same order gives the same bytes.
pub(super) fn prepare(rail: &X402, order: &Order) -> Result<Prepared, OfferError> {
    let quote = &order.offer.quote;
    if let Some(reason) = &quote.blocked {
        return Err(OfferError::NotPayable(reason.clone()));
    }
    let (verbatim, payable) = reread(rail, &order.offer)?;
    let to = format!("{:#x}", payable.pay_to);
    if quote.price != payable.price || quote.payee != to || quote.network != payable.network {
        return Err(unreadable(
            "the stored offer contradicts the vendor's own words: amount, payee or network differ".to_owned(),
        ));
    }
    if !order.payer.eq_ignore_ascii_case(&rail.options.payer) {
        return Err(OfferError::NotPayable(Reason::new(
            "OTHER_PAYER",
            "the order is for another wallet than this rail's",
            "open the wallet that the order names",
        )));
    }
    let window_s = payable.timeout_s.min(order.window_s_max);
    if window_s < WINDOW_S_MIN {
        return Err(OfferError::NotPayable(Reason::new(
            "BAD_TIMEOUT",
            format!("an authorization may live {window_s} s, and settling takes {WINDOW_S_MIN} s"),
            "allow longer windows",
        )));
    }
    let clamped =
        (window_s < payable.timeout_s).then(|| reasons::window_clamped(payable.timeout_s, window_s));
    let from_s = order.now.unix_s();
    let valid_before = from_s.saturating_add(window_s);
    let terms = Terms {
        version: verbatim.version,
        network: payable.network,
        token: format!("{:#x}", payable.token),
        token_name: payable.name.name,
        token_version: payable.name.version,
        from: order.payer.to_ascii_lowercase(),
        to,
        value: payable.price.atomic().to_string(),
        valid_after: "0".to_owned(),
        valid_before: valid_before.to_string(),
        nonce: format!("{:#x}", nonce(order.ledger, order.payment, order.attempt)),
        from_s: from_s.to_string(),
        extensions: extensions(&verbatim, order).map_err(unreadable)?,
        accepted: verbatim.accepted.get().to_owned(),
        resource: verbatim.resource.map(|raw| raw.get().to_owned()),
    };
    Ok(Prepared {
        rail: RAIL.to_owned(),
        signing: terms.signing_digest().map_err(unreadable)?,
        terms: serde_json::to_value(&terms)
            .map_err(|error| unreadable(format!("the terms cannot be stored: {error}")))?,
        expires_at: Timestamp::from_unix_ms(valid_before.saturating_mul(1_000)),
        notes: clamped.into_iter().collect(),
    })
}

/// How many bytes of a nonce say which ledger made it.
const MARK_BYTES: usize = 8;

/// The nonce of an attempt: two ledgers, payments or attempts never share one, and the same attempt has no other.
///
/// Its first eight bytes are the same in all nonces of a ledger, so that a ledger knows its own also where its journal does not
/// know the payment any more. The wallet's address on the chain links them anyhow.
pub(super) fn nonce(ledger: LedgerId, payment: PaymentId, attempt: u32) -> B256 {
    let number = attempt.to_be_bytes();
    let parts: [&[u8]; 3] = [ledger.as_bytes(), payment.as_bytes(), &number];
    let mut nonce = *Digest::of_parts("bursar/x402/eip3009-nonce/v2", &parts).as_bytes();
    for (byte, mark) in nonce.iter_mut().zip(mark(ledger)) {
        *byte = mark;
    }
    B256::from(nonce)
}

/// Whether a nonce is one that this ledger makes.
pub(super) fn is_marked(ledger: LedgerId, nonce: B256) -> bool {
    nonce.0.starts_with(&mark(ledger))
}

fn mark(ledger: LedgerId) -> [u8; MARK_BYTES] {
    let whole = *Digest::of_parts("bursar/x402/eip3009-nonce/ledger/v1", &[ledger.as_bytes()]).as_bytes();
    let mut mark = [0; MARK_BYTES];
    for (byte, of) in mark.iter_mut().zip(whole) {
        *byte = of;
    }
    mark
}

impl Terms {
    /// Reads what [`prepare`] stored.
    pub(super) fn of(prepared: &Prepared) -> Result<Self, String> {
        if prepared.rail != RAIL {
            return Err(format!("the stored terms are of rail `{}`", prepared.rail));
        }
        Self::deserialize(&prepared.terms)
            .map_err(|error| format!("the stored terms cannot be read: {error}"))
    }

    /// Reads the numbers.
    pub(super) fn transfer(&self) -> Result<Transfer, String> {
        fn read<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("the stored {what} cannot be read"))
        }
        Ok(Transfer {
            chain_id: network::chain_id(&self.network).ok_or("the stored network is no EVM chain")?,
            token: read("token", &self.token)?,
            from: read("payer", &self.from)?,
            to: read("payee", &self.to)?,
            value: read("value", &self.value)?,
            valid_after: read("start of the window", &self.valid_after)?,
            valid_before: read("end of the window", &self.valid_before)?,
            nonce: read("nonce", &self.nonce)?,
            from_s: read("moment", &self.from_s)?,
        })
    }

    /// The digest that a wallet signs: over the stored terms and the pinned name, never over what a quote calls the token.
    pub(super) fn signing_digest(&self) -> Result<Digest, String> {
        let transfer = self.transfer()?;
        let domain = Eip712Domain::new(
            Some(self.token_name.clone().into()),
            Some(self.token_version.clone().into()),
            Some(U256::from(transfer.chain_id)),
            Some(transfer.token),
            None,
        );
        let message = TransferWithAuthorization {
            from: transfer.from,
            to: transfer.to,
            value: U256::from(transfer.value),
            validAfter: U256::from(transfer.valid_after),
            validBefore: U256::from(transfer.valid_before),
            nonce: transfer.nonce,
        };
        Ok(Digest::from_bytes(message.eip712_signing_hash(&domain).0))
    }
}

type Object = BTreeMap<String, Box<RawValue>>;

/// The vendor's extensions to be echoed. Where it offers `payment-identifier`, our id for the attempt is appended, so that a
/// vendor who keeps its promise answers a repeat from its cache. Everything else stays as it came: a changed echo is refused.
fn extensions(verbatim: &Verbatim, order: &Order) -> Result<Option<String>, String> {
    const KEY: &str = "payment-identifier";
    let Some(raw) = &verbatim.extensions else { return Ok(None) };
    let unchanged = || Ok(Some(raw.get().to_owned()));
    // Extensions that are no object, or hold the offer in another shape, are echoed and not understood.
    let object = |raw: &RawValue| serde_json::from_str::<Object>(raw.get()).ok();
    let Some(mut all) = object(raw) else { return unchanged() };
    let Some(mut extension) = all.get(KEY).and_then(|raw| object(raw)) else { return unchanged() };
    let Some(mut info) = extension.get("info").and_then(|raw| object(raw)) else { return unchanged() };
    if info.get("id").is_some_and(|id| id.get() != "null") {
        return unchanged();
    }
    let written = |error: serde_json::Error| format!("the extensions cannot be written: {error}");
    let id = format!("{}-{}", order.payment, order.attempt);
    info.insert("id".to_owned(), serde_json::value::to_raw_value(&id).map_err(written)?);
    extension.insert("info".to_owned(), serde_json::value::to_raw_value(&info).map_err(written)?);
    all.insert(KEY.to_owned(), serde_json::value::to_raw_value(&extension).map_err(written)?);
    serde_json::to_string(&all).map(Some).map_err(written)
}
