//! Amounts, vendors and texts as people read them.

use bursar::types::{Amount, AssetRegistry};
use bursar::{Asset, memory::clean_line};

/// Writes amounts.
#[derive(Debug, Clone)]
pub(crate) struct Amounts {
    registry: AssetRegistry,
}

impl Amounts {
    /// By a session's registry.
    pub(crate) const fn new(registry: AssetRegistry) -> Self {
        Self { registry }
    }

    /// By the pinned assets and the market's token, where there is no session to ask.
    pub(crate) fn pinned() -> Self {
        let mut registry = AssetRegistry::pinned();
        let token = bursar_market::Token::default();
        registry.insert(Asset::stablecoin(
            token.chain_id,
            &token.address.to_string(),
            &token.symbol,
            token.decimals,
            (&token.name, &token.version),
            false,
        ));
        Self { registry }
    }

    /// The assets it knows.
    pub(crate) const fn registry(&self) -> &AssetRegistry {
        &self.registry
    }

    /// `0.014 USDC`.
    pub(crate) fn show(&self, amount: &Amount) -> String {
        self.registry.display(amount)
    }
}

/// Text from outside on one line, without characters that a terminal would obey.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    clean_line(text, chars_max)
}

/// A vendor: host and payee, as observed.
pub(crate) fn vendor(host: &str, payee: &str) -> String {
    format!("{} ({})", line(host, 80), short(&line(payee, 80)))
}

/// A long hash or address, cut in its middle.
pub(crate) fn short(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= 18 {
        return text.to_owned();
    }
    let head: String = chars.iter().take(10).collect();
    let tail: String = chars.iter().skip(chars.len().saturating_sub(6)).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_hash_is_cut_in_its_middle() {
        assert_eq!(short("0x1234567890abcdef"), "0x1234567890abcdef");
        assert_eq!(short(&format!("0x{}", "ab".repeat(32))), "0xabababab…ababab");
    }

    #[test]
    fn a_sellers_words_cannot_write_over_a_terminal() {
        assert_eq!(line("a\u{1b}[2J\nb\u{202e}c", 80), "a [2J bc");
    }
}
