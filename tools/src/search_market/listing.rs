//! What a market answers, read leniently.

use super::{ANSWER_BYTES_MAX, IndicatedPrice, MarketHit};
use crate::address::Address;
use crate::show::{TITLE_CHARS_MAX, integer};
use bursar_memory::clean_line;
use bursar_types::{Amount, AssetId, AssetRegistry, Digest};
use bytes::Bytes;
use serde_json::Value;

const PREVIEW_CHARS_MAX: usize = 400;
const SNIPPET_CHARS_MAX: usize = 300;
const SNIPPETS_MAX: usize = 3;
const RESOURCES_MAX: usize = 200;
const ACCEPTS_MAX: usize = 16;
/// The names that x402 version 1 has for networks.
const NETWORKS_V1: [(&str, u64); 8] = [
    ("ethereum", 1),
    ("sepolia", 11_155_111),
    ("base", 8_453),
    ("base-sepolia", 84_532),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("avalanche", 43_114),
    ("avalanche-fuji", 43_113),
];

/// One resource of an answer, its address checked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) address: Address,
    pub(super) score_milli: i64,
    /// SHA-256 of the text, as the market claims it.
    pub(super) digest: Option<Digest>,
    title: String,
    media_type: String,
    size_bytes: Option<u64>,
    preview: String,
    snippets: Vec<String>,
    prices: Vec<Amount>,
}

/// The resources of an answer and how many there are in all. What has no good address is left out.
pub(super) fn read(body: &Bytes) -> Result<(Vec<Found>, u64), String> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(format!("its answer has {} bytes; {ANSWER_BYTES_MAX} are read at most", body.len()));
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| "its answer is not JSON".to_owned())?;
    let list = ["resources", "items", "results"].iter().find_map(|name| answer.get(name)?.as_array());
    let list = list.ok_or("its answer lists no resources")?;
    let found: Vec<Found> = list.iter().take(RESOURCES_MAX).filter_map(resource).collect();
    let total =
        answer.get("total").or_else(|| answer.get("pagination")?.get("total")).and_then(Value::as_u64);
    let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    // A total is only shown; it is kept within what every reader of JSON holds.
    Ok((found, total.unwrap_or(count).clamp(count, 1_000_000_000)))
}

fn resource(value: &Value) -> Option<Found> {
    let url = value.get("resource").and_then(|found| found.as_str().or_else(|| found.get("url")?.as_str()));
    let address = Address::parse(url?).ok()?;
    let accepts = value.get("accepts").and_then(Value::as_array);
    let described = |field: &str| {
        let inside = value.get("metadata").and_then(|metadata| metadata.get(field));
        inside.or_else(|| value.get(field))
    };
    let text = |field: &str, chars_max: usize| {
        described(field).and_then(Value::as_str).map(|text| clean_line(text, chars_max)).unwrap_or_default()
    };
    let snippets = described("snippets").and_then(Value::as_array).into_iter().flatten();
    let snippets = snippets.filter_map(Value::as_str).take(SNIPPETS_MAX);
    let title = match text("title", TITLE_CHARS_MAX) {
        title if title.is_empty() => clean_line(address.as_str(), TITLE_CHARS_MAX),
        title => title,
    };
    let preview = match text("preview", PREVIEW_CHARS_MAX) {
        preview if preview.is_empty() => text("description", PREVIEW_CHARS_MAX),
        preview => preview,
    };
    Some(Found {
        score_milli: described("score_milli")
            .and_then(Value::as_i64)
            .unwrap_or(0)
            .clamp(-1_000_000_000, 1_000_000_000),
        digest: described("sha256").and_then(Value::as_str).and_then(|text| Digest::parse(text).ok()),
        title,
        media_type: text("media_type", 100),
        size_bytes: described("size_bytes").and_then(Value::as_u64).filter(|size| *size < 1 << 53),
        preview,
        snippets: snippets.map(|snippet| clean_line(snippet, SNIPPET_CHARS_MAX)).collect(),
        prices: accepts.into_iter().flatten().take(ACCEPTS_MAX).filter_map(price).collect(),
        address,
    })
}

/// The price of one x402 `exact` requirement, of either version.
fn price(terms: &Value) -> Option<Amount> {
    let text = |field: &str| terms.get(field).and_then(Value::as_str);
    if text("scheme") != Some("exact") {
        return None;
    }
    let network = text("network")?;
    let chain_id = match network.strip_prefix("eip155:") {
        Some(reference) => reference.parse().ok()?,
        None => NETWORKS_V1.iter().find(|(name, _)| *name == network)?.1,
    };
    let token = text("asset").filter(|token| token.len() <= 64)?;
    let asset = AssetId::parse(&format!("eip155:{chain_id}/erc20:{token}")).ok()?;
    Amount::parse_atomic(asset, text("amount").or_else(|| text("maxAmountRequired"))?).ok()
}

impl Found {
    /// The resource as a model sees it, with the cheapest price whose asset is known here.
    pub(super) fn shown(self, assets: &AssetRegistry, owned: bool) -> MarketHit {
        let worth = |price: &Amount| assets.to_micro_usd(price);
        let known = self.prices.iter().filter(|price| assets.get(price.asset()).is_ok());
        let cheapest = known.min_by_key(|price| worth(price).map_or(u128::MAX, |worth| worth.atomic()));
        let price = cheapest.and_then(|price| {
            let asset = assets.get(price.asset()).ok()?;
            Some(IndicatedPrice {
                amount: asset.format_units(price).ok()?,
                symbol: asset.symbol().to_owned(),
            })
        });
        MarketHit {
            title: self.title,
            host: self.address.host(),
            url: self.address.as_str().to_owned(),
            media_type: self.media_type,
            size_bytes: self.size_bytes,
            price,
            price_micro_usd: cheapest.and_then(worth).as_ref().and_then(integer),
            preview: self.preview,
            snippets: self.snippets,
            score_milli: self.score_milli,
            owned,
        }
    }
}
