//! Assets and the pinned registry of their decimals.

use crate::amount::{Amount, AmountError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Identifies one asset on one network, as CAIP-19 text such as `eip155:8453/erc20:0x8335…`.
///
/// Two ids are ours and name no chain: [`AssetId::micro_usd`], in which budgets count, and [`AssetId::count`], for
/// limits on how often.
///
/// # Source
/// CAIP-19 (ChainAgnostic), "Specification of Asset Type".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId(Arc<str>);

/// Why a text is not an asset id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a CAIP-19 asset id such as `eip155:8453/erc20:0x8335…`")]
pub struct ParseAssetIdError {
    text: String,
}

/// The asset is not in the registry, so its decimals are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("asset `{0}` is not in the registry; add it under `[[asset]]` if you trust it")]
pub struct UnknownAsset(pub AssetId);

impl AssetId {
    /// The unit in which budgets count: a millionth of a US dollar.
    #[must_use]
    pub fn micro_usd() -> Self {
        Self(Arc::from("bursar:unit/usd:micro"))
    }

    /// The unit of limits on how often something may happen.
    #[must_use]
    pub fn count() -> Self {
        Self(Arc::from("bursar:unit/count:1"))
    }

    /// An ERC-20 token.
    #[must_use]
    pub fn erc20(chain_id: u64, address: &str) -> Self {
        Self(Arc::from(format!("eip155:{chain_id}/erc20:{}", address.to_ascii_lowercase())))
    }

    /// Reads an id. Hex addresses are folded to lower case, so that one token has one id.
    ///
    /// # Errors
    /// [`ParseAssetIdError`] if the text has not the shape of CAIP-19.
    pub fn parse(text: &str) -> Result<Self, ParseAssetIdError> {
        let error =
            || ParseAssetIdError { text: text.chars().take(200).flat_map(char::escape_debug).collect() };
        let (network, asset) = text.split_once('/').ok_or_else(error)?;
        let (namespace, reference) = network.split_once(':').ok_or_else(error)?;
        let (kind, address) = asset.split_once(':').ok_or_else(error)?;
        let word = |part: &str, longest: usize, extra: &[u8]| {
            !part.is_empty()
                && part.len() <= longest
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
        };
        let fits = word(namespace, 8, b"-") && word(reference, 32, b"-_") && word(kind, 8, b"-");
        if !fits || !word(address, 128, b"-.%") {
            return Err(error());
        }
        if namespace == "eip155" && kind == "erc20" {
            let digits = address.strip_prefix("0x").ok_or_else(error)?;
            if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            return Ok(Self(Arc::from(text.to_ascii_lowercase())));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The CAIP-2 network, such as `eip155:8453`.
    #[must_use]
    pub fn network(&self) -> &str {
        self.0.split_once('/').map_or("", |(network, _)| network)
    }

    /// The reference after the asset's kind, such as a token's address.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, reference)| reference)
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AssetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AssetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The EIP-712 name and version of a token's contract, pinned so that no quote can choose what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eip712Name {
    /// The domain's `name`.
    pub name: String,
    /// The domain's `version`.
    pub version: String,
}

/// One asset of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    id: AssetId,
    symbol: String,
    decimals: u8,
    /// Whether budgets may count one whole unit as one US dollar.
    #[serde(default)]
    usd_peg: bool,
    /// Whether the asset is worth money. Off by default: a live asset is paid with only when the switch is on.
    #[serde(default)]
    live: bool,
    #[serde(default)]
    eip712: Option<Eip712Name>,
}

impl Asset {
    /// The unit in which budgets count.
    #[must_use]
    pub fn micro_usd() -> Self {
        Self {
            id: AssetId::micro_usd(),
            symbol: "USD".to_owned(),
            decimals: 6,
            usd_peg: true,
            live: false,
            eip712: None,
        }
    }

    /// A token counted as a dollar, under the id given.
    #[must_use]
    pub fn dollar_token(id: AssetId, symbol: &str, decimals: u8, eip712: Eip712Name, live: bool) -> Self {
        Self { id, symbol: symbol.to_owned(), decimals, usd_peg: true, live, eip712: Some(eip712) }
    }

    /// A dollar stablecoin token on an EVM chain.
    #[must_use]
    pub fn stablecoin(
        chain_id: u64,
        address: &str,
        symbol: &str,
        decimals: u8,
        eip712: (&str, &str),
        live: bool,
    ) -> Self {
        let name = Eip712Name { name: eip712.0.to_owned(), version: eip712.1.to_owned() };
        Self::dollar_token(AssetId::erc20(chain_id, address), symbol, decimals, name, live)
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &AssetId {
        &self.id
    }

    /// The symbol for screens, such as `USDC`.
    #[must_use]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// How many decimals one whole unit has.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// Whether one whole unit counts as one US dollar.
    #[must_use]
    pub const fn usd_peg(&self) -> bool {
        self.usd_peg
    }

    /// Whether the asset is worth money.
    #[must_use]
    pub const fn live(&self) -> bool {
        self.live
    }

    /// The pinned EIP-712 name and version, if the asset is a token that has them.
    #[must_use]
    pub const fn eip712(&self) -> Option<&Eip712Name> {
        self.eip712.as_ref()
    }

    /// Writes an amount of this asset in whole units, without trailing zeros: `0.5`.
    ///
    /// # Errors
    /// [`AmountError::AssetMismatch`] for an amount of another asset.
    pub fn format_units(&self, amount: &Amount) -> Result<String, AmountError> {
        if amount.asset() != &self.id {
            return Err(AmountError::AssetMismatch { left: self.id.clone(), right: amount.asset().clone() });
        }
        let decimals = usize::from(self.decimals);
        let digits = format!("{:0>width$}", amount.atomic(), width = decimals.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
        let fraction = fraction.trim_end_matches('0');
        Ok(match fraction.is_empty() {
            true => whole.to_owned(),
            false => format!("{whole}.{fraction}"),
        })
    }
}

/// The assets a process knows, with their decimals. A quote never adds to it.
///
/// # Example
/// ```
/// use bursar_types::{Amount, AssetRegistry};
/// let registry = AssetRegistry::pinned();
/// let usdc = registry.iter().find(|asset| asset.id().network() == "eip155:8453").unwrap();
/// assert_eq!(registry.display(&Amount::from_atomic(usdc.id().clone(), 1_500)), "0.0015 USDC");
/// ```
#[derive(Debug, Clone)]
pub struct AssetRegistry {
    assets: BTreeMap<AssetId, Asset>,
}

impl AssetRegistry {
    /// The assets shipped with Bursar: Circle's USDC on the networks where x402 is in use.
    ///
    /// # Source
    /// Circle, "USDC contract addresses"; EIP-712 names as the contracts answer `name()` and `version()`.
    #[must_use]
    pub fn pinned() -> Self {
        const USDC: [(u64, &str, &str, bool); 7] = [
            (1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin", true),
            (10, "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85", "USD Coin", true),
            (137, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin", true),
            (8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin", true),
            (42161, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin", true),
            (43114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", "USD Coin", true),
            (84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC", false),
        ];
        let mut registry = Self { assets: BTreeMap::new() };
        registry.insert(Asset::micro_usd());
        for (chain_id, address, name, live) in USDC {
            registry.insert(Asset::stablecoin(chain_id, address, "USDC", 6, (name, "2"), live));
        }
        registry
    }

    /// Adds an asset that the operator trusts; an asset of the same id is replaced.
    pub fn insert(&mut self, asset: Asset) {
        self.assets.insert(asset.id.clone(), asset);
    }

    /// Finds an asset.
    ///
    /// # Errors
    /// [`UnknownAsset`]: without its decimals nothing can be said about amounts of it; do not pay with it.
    pub fn get(&self, id: &AssetId) -> Result<&Asset, UnknownAsset> {
        self.assets.get(id).ok_or_else(|| UnknownAsset(id.clone()))
    }

    /// All assets, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// Writes an amount for a person: `0.0015 USDC`, or atomic units where the asset is unknown.
    #[must_use]
    pub fn display(&self, amount: &Amount) -> String {
        if amount.asset() == &AssetId::count() {
            return amount.atomic().to_string();
        }
        match self.assets.get(amount.asset()).map(|asset| (asset, asset.format_units(amount))) {
            Some((asset, Ok(units))) => format!("{units} {}", asset.symbol()),
            _ => format!("{} atomic units of {}", amount.atomic(), amount.asset()),
        }
    }

    /// The worth of an amount in micro-USD, rounded up, for budgets.
    ///
    /// `None` if the asset has no explicit peg: then no budget can count it and it cannot be paid with.
    #[must_use]
    pub fn to_micro_usd(&self, amount: &Amount) -> Option<Amount> {
        let asset = self.assets.get(amount.asset()).filter(|asset| asset.usd_peg)?;
        let atomic = match asset.decimals.checked_sub(6) {
            Some(shift) => amount.atomic().div_ceil(10u128.checked_pow(u32::from(shift))?),
            None => {
                let shift = 6u8.checked_sub(asset.decimals)?;
                amount.atomic().checked_mul(10u128.checked_pow(u32::from(shift))?)?
            }
        };
        Some(Amount::from_atomic(AssetId::micro_usd(), atomic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_has_one_id_whatever_the_case_of_its_address() {
        let upper = AssetId::parse("eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913").unwrap();
        assert_eq!(upper, AssetId::erc20(8453, "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"));
        assert_eq!(upper.network(), "eip155:8453");
        assert_eq!(upper.reference(), "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913");
    }

    #[test]
    fn text_that_is_no_asset_id_is_refused() {
        for text in [
            "",
            "usdc",
            "eip155:1",
            "eip155:1/erc20",
            "eip155:1/erc20:0x12",
            "eip155:1/erc20:zz",
            "a b:c/d:e",
        ] {
            assert!(AssetId::parse(text).is_err(), "`{text}`");
        }
    }

    #[test]
    fn worth_is_rounded_up_against_the_agent() {
        let mut registry = AssetRegistry::pinned();
        registry.insert(Asset::stablecoin(1, &format!("0x{:040}", 1), "DAI", 18, ("Dai", "1"), true));
        registry.insert(Asset::stablecoin(
            1,
            &format!("0x{:040}", 2),
            "GUSD",
            2,
            ("Gemini dollar", "1"),
            true,
        ));
        for (address, atomic, micro) in
            [(1, 1, 1), (1, 1_000_000_000_000, 1), (1, 1_000_000_000_001, 2), (2, 3, 30_000)]
        {
            let id = AssetId::erc20(1, &format!("0x{address:040}"));
            let worth = registry.to_micro_usd(&Amount::from_atomic(id, atomic)).unwrap();
            assert_eq!(worth.atomic(), micro, "{atomic} of token {address}");
        }
    }

    #[test]
    fn an_asset_without_a_peg_has_no_worth() {
        let id = AssetId::erc20(1, &format!("0x{:040}", 9));
        assert_eq!(AssetRegistry::pinned().to_micro_usd(&Amount::from_atomic(id, 1)), None);
    }
}
