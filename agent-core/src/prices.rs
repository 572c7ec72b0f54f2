//! What a model costs.

use crate::message::{Media, Part};
use crate::model::{ModelRequest, Usage};
use bursar_types::{Amount, AssetId};
use serde::{Deserialize, Serialize};
use std::io;

/// Prices are for so many tokens.
const MILLION: u128 = 1_000_000;
/// Tokens that a provider may add around what is sent.
const AROUND: u128 = 1_024;
/// Tokens of a picture, where nobody said how many: more than any provider is known to count (48,169, in 2025).
const PICTURE_TOKENS_MAX: u64 = 65_536;
/// Tokens of a document, where nobody said how many: as much as the widest models read in all.
const DOCUMENT_TOKENS_MAX: u64 = 2_097_152;

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
#[serde(from = "Written")]
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
    /// The most tokens that a picture counts as.
    picture_tokens_max: u64,
    /// The most tokens that a document counts as.
    document_tokens_max: u64,
    /// The most tokens that a turn can read, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_tokens_max: Option<u64>,
}

/// Prices as they are written: classes without a price of their own may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    input: u64,
    cached: Option<u64>,
    cache_write: Option<u64>,
    output: u64,
    reasoning: Option<u64>,
    output_tokens_max: u64,
    picture_tokens_max: Option<u64>,
    document_tokens_max: Option<u64>,
    context_tokens_max: Option<u64>,
}

impl From<Written> for Prices {
    fn from(written: Written) -> Self {
        let usual = Self::new(written.input, written.output, written.output_tokens_max);
        Self {
            cached: written.cached.unwrap_or(usual.cached),
            cache_write: written.cache_write.unwrap_or(usual.cache_write),
            reasoning: written.reasoning.unwrap_or(usual.reasoning),
            picture_tokens_max: written.picture_tokens_max.unwrap_or(usual.picture_tokens_max),
            document_tokens_max: written.document_tokens_max.unwrap_or(usual.document_tokens_max),
            context_tokens_max: written.context_tokens_max,
            ..usual
        }
    }
}

impl Prices {
    /// Prices of a million tokens read and written, in micro-USD, and the most tokens that one turn can write: what the backend
    /// is set to, or else the model's own limit. What is set aside before a turn follows from it.
    #[must_use]
    pub const fn new(input: u64, output: u64, output_tokens_max: u64) -> Self {
        Self {
            input,
            cached: input,
            cache_write: input,
            output,
            reasoning: output,
            output_tokens_max,
            picture_tokens_max: PICTURE_TOKENS_MAX,
            document_tokens_max: DOCUMENT_TOKENS_MAX,
            context_tokens_max: None,
        }
    }

    /// The same with the most tokens that the model reads in a turn, which is its context window: no more is ever set aside for what is
    /// sent. Say it where documents are: without it each counts as a whole window of the widest models.
    #[must_use]
    pub const fn context_tokens_max(mut self, tokens: u64) -> Self {
        self.context_tokens_max = Some(tokens);
        self
    }

    /// The same with the most tokens that the provider counts for one picture; 65,536 where nobody says so. Its bytes say nothing of
    /// that: a small file may hold a large picture.
    #[must_use]
    pub const fn picture_tokens_max(mut self, tokens: u64) -> Self {
        self.picture_tokens_max = tokens;
        self
    }

    /// The same with the most tokens that the provider counts for one document that is no plain text; 2,097,152 where nobody says so.
    /// Its bytes say nothing of that: documents are compressed, and their pages may count as pictures.
    #[must_use]
    pub const fn document_tokens_max(mut self, tokens: u64) -> Self {
        self.document_tokens_max = tokens;
        self
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

    /// The most that a turn can cost, in micro-USD, if it is asked for so many times ([`Model::attempts_max`](crate::Model::attempts_max)).
    ///
    /// A token is a byte at least, so what is sent as text has at most as many tokens as bytes; what is no text counts as much as it can.
    #[must_use]
    pub fn most(&self, request: &ModelRequest, attempts: u32) -> Amount {
        let read = self.tokens_read_max(request);
        let input = u128::from(self.input.max(self.cached).max(self.cache_write));
        let written = request
            .max_output_tokens
            .map_or(self.output_tokens_max, |most| self.output_tokens_max.min(most.into()));
        let output = u128::from(self.output.max(self.reasoning));
        let once = read.saturating_mul(input).saturating_add(u128::from(written).saturating_mul(output));
        let total = once.saturating_mul(attempts.max(1).into());
        Amount::from_atomic(AssetId::micro_usd(), total.div_ceil(MILLION))
    }

    fn tokens_read_max(&self, request: &ModelRequest) -> u128 {
        let mut bytes = Counter(AROUND);
        // What cannot be written cannot be sent either.
        let _ = serde_json::to_writer(&mut bytes, request);
        let files =
            request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
                Part::Media(media) => Some(media),
                _ => None,
            });
        let tokens = files.fold(bytes.0, |tokens, media| {
            let sent = u128::try_from(media.data.len()).unwrap_or(0);
            tokens.saturating_sub(sent).saturating_add(self.tokens_of(media))
        });
        tokens.min(self.context_tokens_max.map_or(u128::MAX, u128::from))
    }

    fn tokens_of(&self, media: &Media) -> u128 {
        if media.is_image() {
            self.picture_tokens_max.into()
        } else if media.media_type.starts_with("text/") {
            u128::try_from(media.data.len()).unwrap_or(u128::MAX)
        } else {
            self.document_tokens_max.into()
        }
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
    use crate::message::{Message, Role};

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

    fn asks(parts: Vec<Part>) -> ModelRequest {
        ModelRequest {
            system: String::new(),
            messages: vec![Message { role: Role::User, parts }],
            tools: Vec::new(),
            run: bursar_types::RunId::derived(&[b"run"]),
            turn: 0,
            seed: 0,
            tool_choice: crate::ToolChoice::Auto,
            output: None,
            max_output_tokens: None,
        }
    }

    fn file(media_type: &str, bytes: usize) -> Part {
        Part::Media(Media { media_type: media_type.to_owned(), name: None, data: "A".repeat(bytes) })
    }

    #[test]
    fn prices_that_are_written_need_no_more_than_a_price_list_says() {
        let short = serde_json::json!({"input": 2, "output": 8, "output_tokens_max": 100});
        let read: Prices = serde_json::from_value(short).unwrap();
        assert_eq!(read, Prices::new(2, 8, 100));
        let all = Prices::new(2, 8, 100).cached(1).cache_write(3).reasoning(9).picture_tokens_max(5);
        let all = all.document_tokens_max(6).context_tokens_max(7);
        let again = serde_json::to_value(all).and_then(serde_json::from_value::<Prices>);
        assert_eq!(again.unwrap(), all);
        for bad in [
            serde_json::json!({"input": 2, "output": 8}),
            serde_json::json!({"input": 2.5, "output": 8, "output_tokens_max": 100}),
            serde_json::json!({"input": 2, "output": 8, "output_tokens_max": 100, "outputs": 1}),
        ] {
            assert!(serde_json::from_value::<Prices>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_counts_as_what_it_can_count_as_and_not_as_its_bytes() {
        // A dollar for a million tokens: a token is a micro-dollar.
        let prices = Prices::new(1_000_000, 0, 0);
        let told = prices.picture_tokens_max(2_000).document_tokens_max(30_000);
        let cases = [
            (prices, "image/png", 100, 65_536),
            (prices, "image/png", 1_000_000, 65_536),
            (prices, "application/pdf", 100, 2_097_152),
            (prices, "text/csv", 100_000, 100_000),
            (told, "image/png", 100, 2_000),
            (told, "application/pdf", 1_000_000, 30_000),
            (told, "audio/wav", 10, 30_000),
        ];
        for (prices, media_type, bytes, tokens) in cases {
            let most = prices.most(&asks(vec![file(media_type, bytes)]), 1).atomic();
            // Beside it, what stands around it.
            assert!((tokens..tokens + 2_048).contains(&most), "{media_type} of {bytes}: {most}");
            assert_eq!(
                prices.context_tokens_max(1_500).most(&asks(vec![file(media_type, bytes)]), 1).atomic(),
                1_500
            );
        }
    }

    #[test]
    fn what_is_set_aside_follows_from_the_request_and_from_how_often_it_may_be_billed() {
        let prices = Prices::new(0, 1_000_000, 8_000);
        let mut request = asks(Vec::new());
        for (asked, attempts, most) in [
            (None, 1, 8_000),
            (Some(500), 1, 500),
            (Some(9_000), 1, 8_000),
            (Some(500), 3, 1_500),
            (None, 0, 8_000),
        ] {
            request.max_output_tokens = asked;
            assert_eq!(prices.most(&request, attempts).atomic(), most, "{asked:?} {attempts}");
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
