//! Whether one alternative can be paid, and if not, why.

use super::X402;
use super::network::{caip2, chain_id};
use super::text::shown;
use super::wire::{Requirement, Version};
use crate::reasons;
use alloy::primitives::Address;
use bursar_types::{Amount, AssetId, Eip712Name, MCP_TOOL, Reason};
use serde_json::Value;
use url::Url;

/// A facilitator wants this much of the window to be left when it settles.
const SETTLEMENT_S: u64 = 6;
/// Time for the signed request to reach it.
const MARGIN_S: u64 = 2;
/// The shortest window in which a payment can settle.
pub(super) const WINDOW_S_MIN: u64 = SETTLEMENT_S + MARGIN_S;

const FOREIGN_CHARS_MAX: usize = 80;

/// One alternative that can be paid.
#[derive(Debug)]
pub(super) struct Payable {
    pub(super) network: String,
    pub(super) token: Address,
    pub(super) name: Eip712Name,
    pub(super) pay_to: Address,
    pub(super) price: Amount,
    /// What the vendor lets the window be, in seconds.
    pub(super) timeout_s: u64,
}

/// Checks one alternative. The first reason found is given; they are ordered from what it is to what it asks.
pub(super) fn payable(
    rail: &X402,
    version: Version,
    terms: &Requirement,
    asked: &Url,
    stated_url: Option<&Value>,
) -> Result<Payable, Reason> {
    check_scheme(terms)?;
    let (network, chain_id) = readable_network(rail, terms)?;
    check_transfer_method(terms)?;
    let (token, asset, name) = known_asset(rail, terms, chain_id)?;
    check_name(terms, &name)?;
    check_one_amount(terms)?;
    let price = price(amount_of(version, terms), asset)?;
    check_readers(rail, &network, &price)?;
    let pay_to = payee(rail, terms, token)?;
    let timeout_s = timeout(terms)?;
    check_resource(asked, stated_url)?;
    flow(terms)?;
    Ok(Payable { network, token, name, pay_to, price, timeout_s })
}

/// The amount under the name that the version gives it.
pub(super) fn amount_of(version: Version, terms: &Requirement) -> Option<&Value> {
    match version {
        Version::V1 => terms.max_amount_required.as_ref(),
        Version::V2 => terms.amount.as_ref(),
    }
}

/// A field of `extra`; `null` counts as absent.
pub(super) fn extra<'a>(terms: &'a Requirement, key: &str) -> Option<&'a Value> {
    terms.extra.as_ref()?.get(key).filter(|value| !value.is_null())
}

/// When money can move.
pub(super) fn flow(terms: &Requirement) -> Result<&str, Reason> {
    match extra(terms, "paymentFlow") {
        None => Ok("authorization"),
        Some(Value::String(flow)) if matches!(flow.as_str(), "authorization" | "upfront" | "escrow") => {
            Ok(flow)
        }
        Some(other) => Err(Reason::new(
            "UNKNOWN_FLOW",
            format!("the vendor does not say in known words when money moves: {}", foreign(Some(other))),
            "use another alternative or vendor",
        )),
    }
}

/// Reads an address. Mixed case is a checksum (EIP-55), and a wrong one is a mistyped address.
pub(super) fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let address: Address = text.parse().ok()?;
    let lower = digits.bytes().any(|b| b.is_ascii_lowercase());
    let upper = digits.bytes().any(|b| b.is_ascii_uppercase());
    let checked = !(lower && upper) || address.to_checksum(None) == text;
    (digits.len() == 40 && checked).then_some(address)
}

/// The asset that a text on a network means, for display too: `None` if the two make no CAIP-19 id.
pub(super) fn asset_id(network: &str, asset: &str) -> Option<AssetId> {
    let kind = match network.split_once(':')?.0 {
        "eip155" => "erc20",
        _ => "token",
    };
    AssetId::parse(&format!("{network}/{kind}:{asset}")).ok()
}

fn check_scheme(terms: &Requirement) -> Result<(), Reason> {
    match text(terms.scheme.as_ref()) {
        Some("exact") => Ok(()),
        _ => Err(Reason::new(
            "UNKNOWN_SCHEME",
            format!("the payment scheme is {}, and only `exact` can be paid", foreign(terms.scheme.as_ref())),
            "use another alternative or vendor",
        )),
    }
}

fn readable_network(rail: &X402, terms: &Requirement) -> Result<(String, u64), Reason> {
    let network = text(terms.network.as_ref()).and_then(caip2).ok_or_else(|| {
        Reason::new(
            "UNKNOWN_NETWORK",
            format!("{} is no network that is known", foreign(terms.network.as_ref())),
            "use another alternative or vendor",
        )
    })?;
    let read = rail.reader(&network).is_some_and(|reader| !reader.rpc_urls.is_empty());
    match chain_id(&network) {
        Some(chain_id) if read => Ok((network, chain_id)),
        _ => Err(Reason::new(
            "NO_CHAIN_READER",
            format!("nobody here can read `{network}`, so the outcome of a payment could not be known"),
            "configure an RPC endpoint for the network, or use another alternative",
        )),
    }
}

/// Above the operator's amount one endpoint's word is not enough, so where there is one no outcome could be known.
fn check_readers(rail: &X402, network: &str, price: &Amount) -> Result<(), Reason> {
    let Some(limit) = rail.two_readers_for(price) else { return Ok(()) };
    match rail.reader(network).map_or(0, |reader| rail.witnesses(reader)) {
        0 | 1 => Err(Reason::new(
            "NEEDS_TWO_READERS",
            format!(
                "{} is more than {}, above which two RPC endpoints must agree, and `{network}` has fewer",
                rail.shown_amount(price),
                rail.shown_amount(limit)
            ),
            "configure a second RPC endpoint of another host for the network, or buy something cheaper",
        )),
        _ => Ok(()),
    }
}

fn check_transfer_method(terms: &Requirement) -> Result<(), Reason> {
    match (&terms.extra, extra(terms, "assetTransferMethod")) {
        (None | Some(Value::Object(_)), None) => Ok(()),
        (_, Some(Value::String(method))) if method == "eip3009" => Ok(()),
        (whole, method) => Err(Reason::new(
            "UNSUPPORTED_TRANSFER_METHOD",
            format!(
                "the transfer method is {}, and only `eip3009` is supported",
                foreign(method.or(whole.as_ref()))
            ),
            "use another alternative or vendor",
        )),
    }
}

fn known_asset(
    rail: &X402,
    terms: &Requirement,
    chain_id: u64,
) -> Result<(Address, AssetId, Eip712Name), Reason> {
    let unknown = || {
        Reason::new(
            "UNKNOWN_ASSET",
            format!(
                "asset {} is not in the registry, or cannot be signed for",
                foreign(terms.asset.as_ref())
            ),
            "add the asset with its EIP-712 name to the registry if you trust it",
        )
    };
    let token: Address = text(terms.asset.as_ref()).and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
    let id = AssetId::erc20(chain_id, &format!("{token:#x}"));
    let asset = rail.options.assets.get(&id).map_err(|_| unknown())?;
    let name = asset.eip712().cloned().ok_or_else(unknown)?;
    Ok((token, id, name))
}

/// A quote may leave the names out, and may not contradict them.
fn check_name(terms: &Requirement, pinned: &Eip712Name) -> Result<(), Reason> {
    for (key, ours) in [("name", &pinned.name), ("version", &pinned.version)] {
        let theirs = extra(terms, key);
        if theirs.is_some_and(|theirs| theirs != ours) {
            return Err(Reason::new(
                "ASSET_NAME_MISMATCH",
                format!("the vendor gives the token's {key} as {}, and it is `{ours}`", foreign(theirs)),
                "use another vendor: a signature for this one would be worth nothing or mean something else",
            ));
        }
    }
    Ok(())
}

/// Each version has its own name for the amount; whoever gives both must say the same.
fn check_one_amount(terms: &Requirement) -> Result<(), Reason> {
    let stated = |value: &Option<Value>| value.clone().filter(|value| !value.is_null());
    match (stated(&terms.amount), stated(&terms.max_amount_required)) {
        (Some(one), Some(other)) if one != other => Err(reasons::challenge_ambiguous(&format!(
            "it names two amounts, {} and {}",
            foreign(Some(&one)),
            foreign(Some(&other))
        ))),
        _ => Ok(()),
    }
}

fn price(amount: Option<&Value>, asset: AssetId) -> Result<Amount, Reason> {
    let bad = |why: &str| {
        Reason::new(
            "AMOUNT_INVALID",
            format!("amount {} {why}", foreign(amount)),
            "use another alternative, or tell the vendor",
        )
    };
    let digits = text(amount).ok_or_else(|| bad("is not decimal text"))?;
    let price =
        Amount::parse_atomic(asset, digits).map_err(|error| bad(&format!("cannot be counted: {error}")))?;
    if price.is_zero() {
        return Err(bad("is nothing"));
    }
    Ok(price)
}

fn payee(rail: &X402, terms: &Requirement, token: Address) -> Result<Address, Reason> {
    let bad = |why: &str| {
        Reason::new(
            "BAD_PAYEE",
            format!("payee {} {why}", foreign(terms.pay_to.as_ref())),
            "use another vendor",
        )
    };
    let payee = text(terms.pay_to.as_ref()).and_then(address).ok_or_else(|| bad("is no address"))?;
    let payer: Option<Address> = rail.options.payer.parse().ok();
    match payee {
        payee if payee.is_zero() => Err(bad("is the zero address: the money would be lost")),
        payee if payee == token => Err(bad("is the token itself: the money would be lost")),
        payee if Some(payee) == payer => Err(bad("is this wallet itself")),
        payee => Ok(payee),
    }
}

fn timeout(terms: &Requirement) -> Result<u64, Reason> {
    match terms.max_timeout_seconds.as_ref().and_then(Value::as_u64) {
        Some(seconds) if seconds >= WINDOW_S_MIN => Ok(seconds),
        _ => Err(Reason::new(
            "BAD_TIMEOUT",
            format!(
                "the longest time to settle is given as {}, and a whole number of at least {WINDOW_S_MIN} seconds is needed",
                foreign(terms.max_timeout_seconds.as_ref())
            ),
            "use another alternative, or tell the vendor",
        )),
    }
}

/// The resource must be of the host asked. Sellers behind a TLS proxy often write `http` where `https` was asked, so the two
/// schemes count as one on their own ports; the path is theirs to name.
fn check_resource(asked: &Url, stated: Option<&Value>) -> Result<(), Reason> {
    let stated = match stated {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) if text.is_empty() => return Ok(()),
        Some(Value::String(text)) => asked.join(text).ok(),
        Some(_) => None,
    };
    let web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let fits = stated
        .as_ref()
        .is_some_and(|url| web(url) && url.host() == asked.host() && url.port() == asked.port());
    if fits || stated.as_ref().is_some_and(|url| names_tool(asked, url)) {
        return Ok(());
    }
    let host = stated.as_ref().and_then(Url::host_str).unwrap_or("no host");
    Err(Reason::new(
        "RESOURCE_MISMATCH",
        format!(
            "the terms are for a resource of `{}`, and another host was asked",
            shown(host, FOREIGN_CHARS_MAX)
        ),
        "use another vendor",
    ))
}

/// Whether the tool that was asked is the one that the terms are for. A server of MCP tools names them `mcp://tool/NAME`, without a host.
///
/// # Source
/// x402 specification v2, transport `mcp`.
fn names_tool(asked: &Url, stated: &Url) -> bool {
    let Some((_, tool)) = asked.query_pairs().find(|(name, _)| name == MCP_TOOL) else { return false };
    let mut named = stated.clone();
    if let Ok(mut path) = named.path_segments_mut() {
        path.clear().push(&tool);
    }
    named == *stated && stated.scheme() == "mcp" && stated.host_str() == Some("tool")
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn foreign(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "missing".to_owned(),
        Some(Value::String(text)) => format!("`{}`", shown(text, FOREIGN_CHARS_MAX)),
        Some(other) => format!("`{}` (not text)", shown(&other.to_string(), FOREIGN_CHARS_MAX)),
    }
}
