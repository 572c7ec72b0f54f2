//! What a model costs.

use crate::model::{ModelRequest, Usage};
use bursar_types::{Amount, AssetId};
use serde::{Deserialize, Serialize};
use std::io;

/// Prices are for so many tokens.
const MILLION: u128 = 1_000_000;
/// Tokens that a provider may add around what is sent.
const AROUND: u128 = 1_024;

/// What a model costs: micro-USD for a million tokens of each class.
///
/// A price list says "$2.50 per million input tokens": that is 2,500,000 here. Classes without a price of their own cost what the
/// class around them costs.
///
/// # Example
/// ```
/// use bursar_agent_core::{Prices, Usage};
/// let prices = Prices::new(2_500_000, 10_000_000, 16_384).cached(1_250_000);
/// let usage = Usage {
///     input_tokens: Some(1_000),
///     cached_tokens: Some(600),
///     output_tokens: Some(100),
///     ..Usage::default()
/// };
/// // 400 x $2.50 + 600 x $1.25 + 100 x $10, each for a million: $0.00275.
/// assert_eq!(prices.cost(&usage).unwrap().atomic(), 2_750);
/// assert_eq!(prices.cost(&Usage::default()), None, "what was not reported is not known");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Tokens read that are in no other class.
    input: u64,
    /// Tokens read from the provider's cache.
    cached: u64,
    /// Tokens written to the provider's cache.
    cache_write: u64,
    /// Tokens written.
    output: u64,
    /// Of these, tokens of reasoning.
    reasoning: u64,
    /// The most tokens that a turn can write.
    output_tokens_max: u64,
}

impl Prices {
    /// Prices of a million tokens read and written, in micro-USD, and the most tokens that one turn can write: what the backend
    /// is set to, or else the model's own limit. What is set aside before a turn follows from it.
    #[must_use]
    pub const fn new(input: u64, output: u64, output_tokens_max: u64) -> Self {
        Self { input, cached: input, cache_write: input, output, reasoning: output, output_tokens_max }
    }

    /// The same with a price of tokens that come from the provider's cache.
    #[must_use]
    pub const fn cached(mut self, micro_usd: u64) -> Self {
        self.cached = micro_usd;
        self
    }

    /// The same with a price of tokens that are written to the provider's cache.
    #[must_use]
    pub const fn cache_write(mut self, micro_usd: u64) -> Self {
        self.cache_write = micro_usd;
        self
    }

    /// The same with a price of tokens of reasoning.
    #[must_use]
    pub const fn reasoning(mut self, micro_usd: u64) -> Self {
        self.reasoning = micro_usd;
        self
    }

    /// What a turn cost in micro-USD, rounded up; `None` if tokens read or written were not reported, or if the parts are more
    /// than the whole. Where a part was not reported, all of the whole is priced as the dearer of the two.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<Amount> {
        let (input, output) = (usage.input_tokens?, usage.output_tokens?);
        let cached = usage.cached_tokens.unwrap_or(0);
        let written = usage.cache_write_tokens.unwrap_or(0);
        let plain = input.checked_sub(cached)?.checked_sub(written)?;
        let reasoning = usage.reasoning_tokens.unwrap_or(0);
        let said = output.checked_sub(reasoning)?;
        let or_dearer = |reported: Option<u64>, own: u64, other: u64| match reported {
            Some(_) => own,
            None => own.max(other),
        };
        let plain_price = or_dearer(
            usage.cache_write_tokens,
            or_dearer(usage.cached_tokens, self.input, self.cached),
            self.cache_write,
        );
        let said_price = or_dearer(usage.reasoning_tokens, self.output, self.reasoning);
        sum([
            (plain, plain_price),
            (cached, self.cached),
            (written, self.cache_write),
            (said, said_price),
            (reasoning, self.reasoning),
        ])
    }

    /// The most that a turn can cost, in micro-USD. A token is a byte at least, so what is sent has at most as many tokens as bytes.
    #[must_use]
    pub fn most(&self, request: &ModelRequest) -> Amount {
        let mut bytes = Counter(AROUND);
        // What cannot be written cannot be sent either.
        let _ = serde_json::to_writer(&mut bytes, request);
        let input = u128::from(self.input.max(self.cached).max(self.cache_write));
        let output = u128::from(self.output.max(self.reasoning));
        let total = bytes
            .0
            .saturating_mul(input)
            .saturating_add(u128::from(self.output_tokens_max).saturating_mul(output));
        Amount::from_atomic(AssetId::micro_usd(), total.div_ceil(MILLION))
    }
}

fn sum(parts: [(u64, u64); 5]) -> Option<Amount> {
    let total = parts.into_iter().try_fold(0_u128, |total, (tokens, price)| {
        total.checked_add(u128::from(tokens).checked_mul(u128::from(price))?)
    })?;
    Some(Amount::from_atomic(AssetId::micro_usd(), total.div_ceil(MILLION)))
}

/// Counts bytes.
struct Counter(u128);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(u128::try_from(bytes.len()).unwrap_or(u128::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
    }

    #[test]
    fn a_fraction_of_a_micro_dollar_is_a_whole_one_and_nothing_costs_nothing() {
        let prices = Prices::new(1, 3, 10);
        for (input, output, expected) in
            [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1_000_000, 1, 2), (1_000_000, 1_000_000, 4)]
        {
            assert_eq!(prices.cost(&usage(input, output)).unwrap().atomic(), expected, "{input} {output}");
        }
    }

    #[test]
    fn a_part_that_was_not_reported_is_priced_as_the_dearer_class() {
        let dear =
            Prices::new(1_000_000, 1_000_000, 1).cached(100_000).cache_write(2_000_000).reasoning(3_000_000);
        assert_eq!(dear.cost(&usage(10, 10)).unwrap().atomic(), 20 + 30);
        let split = Usage {
            cached_tokens: Some(5),
            cache_write_tokens: Some(2),
            reasoning_tokens: Some(4),
            ..usage(10, 10)
        };
        // 3 x 1 + 5 x 0.1 + 2 x 2, and 6 x 1 + 4 x 3.
        assert_eq!(dear.cost(&split).unwrap().atomic(), 26);
        let nonsense = Usage { cached_tokens: Some(11), ..usage(10, 10) };
        assert_eq!(dear.cost(&nonsense), None);
        assert_eq!(dear.cost(&Usage { output_tokens: None, ..usage(10, 10) }), None);
    }

    #[test]
    fn prices_beyond_counting_are_unknown_and_never_small() {
        let endless = Prices::new(u64::MAX, u64::MAX, u64::MAX);
        let cost = endless.cost(&usage(u64::MAX, 0)).unwrap();
        assert!(cost.atomic() > u128::from(u64::MAX));
        assert_eq!(endless.cost(&usage(u64::MAX, u64::MAX)), None);
    }
}
