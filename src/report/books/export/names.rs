//! Names that accounting programs take, made of names that others chose.

use bursar_types::{AssetId, AssetRegistry, Digest, Timestamp};
use std::collections::BTreeMap;
use std::fmt;

/// Longest name that is kept as it is.
const PLAIN_MAX: usize = 100;

/// A part of an account's name: a capital letter or a digit, then letters, digits and dashes. Two names never give the same.
///
/// A host name of lower-case labels keeps its look: `.` is a dash, a dash is two, `:8443` is `-Port8443`. Such labels neither begin nor
/// end with a dash, so a single dash is a dot and an even run stands for dashes, and no other capital stands inside. Anything else is what is
/// legal of it, `-H`, and half of its SHA-256.
pub(super) fn component(name: &str) -> String {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (name, None),
    };
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if name.len() > PLAIN_MAX || !host.split('.').all(is_label) || !port.is_none_or(digits) {
        return hashed(name);
    }
    let mut text = host.replace('-', "--").replace('.', "-");
    if let Some(port) = port {
        text.push_str("-Port");
        text.push_str(port);
    }
    capital(&text)
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty() && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
}

fn hashed(name: &str) -> String {
    let legal = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let legal: String = legal.take(24).collect();
    let digest = Digest::of_parts("bursar/books/account/v1", &[name.as_bytes()]).to_string();
    let digits: String = digest.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    capital(&format!("{}-H{digits}", legal.trim_matches('-')))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if first.is_ascii_alphanumeric() => {
            first.to_ascii_uppercase().to_string() + chars.as_str()
        }
        _ => format!("X{text}"),
    }
}

/// A text that is quoted: no control, no hidden characters, one line.
pub(super) fn quoted(text: &str) -> String {
    let text = bursar_memory::clean_line(text, 200);
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text where nothing can be quoted: what could mean something becomes `_`.
pub(super) fn bare(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/');
    text.chars().take(200).map(|c| if plain(c) { c } else { '_' }).collect()
}

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(u64);

impl Day {
    pub(super) const fn of(at: Timestamp) -> Self {
        Self(at.unix_ms() / 86_400_000)
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::from_unix_ms(self.0.saturating_mul(86_400_000)).to_string();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

/// What an asset is called in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commodity {
    pub(super) name: String,
    /// How many decimals; `None` where they are not known and amounts are atomic.
    pub(super) decimals: Option<u8>,
}

/// One commodity for each asset.
#[derive(Debug, Default)]
pub(super) struct Commodities(BTreeMap<AssetId, Commodity>);

impl Commodities {
    /// Of these assets: `USDC-8453` where the registry knows one of the name; else a name made of the id, in atomic units.
    pub(super) fn of<'a>(assets: impl Iterator<Item = &'a AssetId>, registry: &AssetRegistry) -> Self {
        let mut all = BTreeMap::new();
        for id in assets {
            let known = registry.get(id).ok();
            let name = known
                .map(|asset| readable(asset.symbol(), id))
                .filter(|name| name.len() <= 24 && !name.ends_with('-'));
            // Another asset of the registry that would be called the same: neither is then.
            let twice = |name: &String| {
                let same = |one: &&bursar_types::Asset| readable(one.symbol(), one.id()) == *name;
                registry.iter().filter(same).count() > 1
            };
            let name = name.filter(|name| !twice(name)).unwrap_or_else(|| digits_of(id));
            all.insert(id.clone(), Commodity { name, decimals: known.map(bursar_types::Asset::decimals) });
        }
        Self(all)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&AssetId, &Commodity)> {
        self.0.iter()
    }

    /// An amount in whole units with all its decimals, and the name of what is counted.
    pub(super) fn written(&self, id: &AssetId, atomic: i128) -> (String, &str) {
        let Some(Commodity { name, decimals }) = self.0.get(id) else {
            return (atomic.to_string(), "UNNAMED");
        };
        let sign = if atomic < 0 { "-" } else { "" };
        let digits = atomic.unsigned_abs().to_string();
        let places = usize::from(decimals.unwrap_or(0));
        if places == 0 {
            return (format!("{sign}{digits}"), name);
        }
        let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
        (format!("{sign}{whole}.{fraction}"), name)
    }
}

/// Symbol and chain, with a dash between; what is made of a digest has none.
fn readable(symbol: &str, id: &AssetId) -> String {
    let mut symbol: String = symbol.chars().filter(char::is_ascii_alphanumeric).collect();
    if !symbol.starts_with(|c: char| c.is_ascii_alphabetic()) {
        symbol.insert(0, 'T');
    }
    let (_, chain) = id.network().split_once(':').unwrap_or_default();
    let chain: String = chain.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{symbol}-{chain}").to_ascii_uppercase()
}

fn digits_of(id: &AssetId) -> String {
    let digest = Digest::of_parts("bursar/books/asset/v1", &[id.as_str().as_bytes()]).to_string();
    let digits: String = digest.chars().filter(char::is_ascii_hexdigit).take(20).collect();
    format!("X0{}", digits.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gives_a_legal_part_of_an_account_and_no_two_the_same() {
        let names = [
            "api.example.com",
            "api-example.com",
            "api--example.com",
            "api.example.com:8443",
            "api.example.com.port8443",
            "127.0.0.1:4021",
            "xn--bcher-kva.example",
            "Api.example.com",
            "API.EXAMPLE.COM",
            "",
            "-",
            ".",
            "a..b",
            "a.-b",
            "-a",
            "a-",
            "Web search",
            "web search",
            "Web  search",
            "müller.example",
            "notknown",
            "NotKnown",
            "h0123",
            "x\" Expenses:Y\n2026-01-01 * \"gift\"",
            "a:b",
            "a:123456",
            "a\u{0}b",
            "$(rm)",
            "0xabc",
        ];
        let parts: Vec<String> = names.iter().map(|name| component(name)).collect();
        for (name, part) in names.iter().zip(&parts) {
            let mut chars = part.chars();
            assert!(
                chars.next().is_some_and(|c| c.is_ascii_uppercase() || c.is_ascii_digit()),
                "{name:?}: {part}"
            );
            assert!(chars.all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name:?}: {part}");
            assert_ne!(part, "NotKnown");
        }
        let distinct: std::collections::BTreeSet<_> = parts.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{parts:#?}");
        assert_eq!(component("my-shop.example:8443"), "My--shop-example-Port8443");
    }

    #[test]
    fn amounts_are_exact_whatever_their_size() {
        let mut registry = AssetRegistry::pinned();
        let dai = AssetId::erc20(1, &format!("0x{:040}", 1));
        registry.insert(bursar_types::Asset::stablecoin(1, dai.reference(), "DAI", 18, ("Dai", "1"), true));
        let strange = AssetId::erc20(2, &format!("0x{:040}", 2));
        let all = Commodities::of([&dai, &strange].into_iter(), &registry);
        let most = i128::MAX;
        for (atomic, written) in [
            (0, "0.000000000000000000"),
            (1, "0.000000000000000001"),
            (-1_500_000_000_000_000_000, "-1.500000000000000000"),
            (most, "170141183460469231731.687303715884105727"),
        ] {
            assert_eq!(all.written(&dai, atomic), (written.to_owned(), "DAI-1"));
        }
        let (units, name) = all.written(&strange, 7);
        assert_eq!((units.as_str(), name.len()), ("7", 22));
    }

    #[test]
    fn two_tokens_of_one_symbol_on_one_chain_have_two_names() {
        let mut registry = AssetRegistry::pinned();
        let ids = [1, 2].map(|n| AssetId::erc20(5, &format!("0x{n:040}")));
        for id in &ids {
            registry.insert(bursar_types::Asset::stablecoin(
                5,
                id.reference(),
                "USD",
                6,
                ("USD", "1"),
                false,
            ));
        }
        let all = Commodities::of(ids.iter(), &registry);
        assert_ne!(all.written(&ids[0], 1).1, all.written(&ids[1], 1).1);
    }
}
