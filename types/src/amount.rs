//! Quantities of one asset, in atomic units.

use crate::asset::{Asset, AssetId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A non-negative quantity of one asset.
///
/// # Units
/// The asset's atomic unit: 1 USDC is 1_000_000. There is no `Ord`: amounts of different assets do not compare.
///
/// # Example
/// ```
/// use bursar_types::{Amount, AmountError, AssetId};
/// let usd = AssetId::micro_usd();
/// let a = Amount::from_atomic(usd.clone(), 1_500_000);
/// assert_eq!(a.checked_add(&a)?, Amount::from_atomic(usd, 3_000_000));
/// assert!(a.checked_add(&Amount::from_atomic(AssetId::count(), 1)).is_err());
/// # Ok::<(), AmountError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    // INVARIANT: always in `asset`'s atomic units. On the wire it is decimal text, since JSON numbers lose digits.
    #[serde(with = "atomic_text")]
    atomic: u128,
    asset: AssetId,
}

/// Why two amounts could not be combined.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// The amounts are of different assets.
    #[error("amounts are of different assets (`{left}` and `{right}`)")]
    AssetMismatch {
        /// The asset on the left.
        left: AssetId,
        /// The asset on the right.
        right: AssetId,
    },
    /// The result does not fit, or would be negative.
    #[error("amount out of range")]
    OutOfRange,
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseAmountError {
    /// The text is empty.
    #[error("an amount is needed, for example `0.50`")]
    Empty,
    /// The text has something else than digits and one point.
    #[error(
        "`{text}` is not a plain decimal amount; write digits with at most one point, for example `0.50`"
    )]
    NotDecimal {
        /// The text as given, cut to 40 characters.
        text: String,
    },
    /// The text is negative.
    #[error("`{text}` is negative; amounts start at zero")]
    Negative {
        /// The text as given, cut to 40 characters.
        text: String,
    },
    /// The text has more decimals than the asset.
    #[error("`{text}` has {found} decimals; {symbol} has {decimals}")]
    TooManyDecimals {
        /// The text as given, cut to 40 characters.
        text: String,
        /// How many decimals were found.
        found: usize,
        /// How many the asset has.
        decimals: u8,
        /// The asset's symbol.
        symbol: String,
    },
    /// The number does not fit.
    #[error("`{text}` is too large")]
    OutOfRange {
        /// The text as given, cut to 40 characters.
        text: String,
    },
}

impl Amount {
    /// Wraps a count of atomic units.
    #[must_use]
    pub const fn from_atomic(asset: AssetId, atomic: u128) -> Self {
        Self { atomic, asset }
    }

    /// Reads an atomic count as protocols write it: digits only, no sign, no leading zero.
    ///
    /// # Errors
    /// [`ParseAmountError`] for anything else (`-1`, `1e6`, `01`, 2^256); never zero instead.
    pub fn parse_atomic(asset: AssetId, text: &str) -> Result<Self, ParseAmountError> {
        Ok(Self { atomic: parse_digits(text)?, asset })
    }

    /// Reads a decimal text such as `0.50` in whole units of `asset`, exactly.
    ///
    /// # Errors
    /// [`ParseAmountError`]: empty, not decimal, negative, more decimals than the asset has, or too large.
    ///
    /// # Example
    /// ```
    /// use bursar_types::{Amount, Asset};
    /// let usd = Asset::micro_usd();
    /// assert_eq!(Amount::parse_decimal(&usd, "0.50")?.atomic(), 500_000);
    /// assert!(Amount::parse_decimal(&usd, "0.1234567").is_err());
    /// assert!(Amount::parse_decimal(&usd, "1e9").is_err());
    /// # Ok::<(), bursar_types::ParseAmountError>(())
    /// ```
    pub fn parse_decimal(asset: &Asset, text: &str) -> Result<Self, ParseAmountError> {
        if text.is_empty() {
            return Err(ParseAmountError::Empty);
        }
        if let Some(rest) = text.strip_prefix('-') {
            return Err(match rest.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !rest.is_empty() {
                true => ParseAmountError::Negative { text: cut(text) },
                false => ParseAmountError::NotDecimal { text: cut(text) },
            });
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let padded = whole.len() > 1 && whole.starts_with('0');
        if !plain(whole) || !plain(fraction) || padded {
            return Err(ParseAmountError::NotDecimal { text: cut(text) });
        }
        let significant = fraction.trim_end_matches('0');
        let decimals = usize::from(asset.decimals());
        if significant.len() > decimals {
            return Err(ParseAmountError::TooManyDecimals {
                text: cut(text),
                found: significant.len(),
                decimals: asset.decimals(),
                symbol: asset.symbol().to_owned(),
            });
        }
        let out_of_range = || ParseAmountError::OutOfRange { text: cut(text) };
        let digits = format!("{whole}{significant:0<decimals$}");
        let atomic = digits.parse::<u128>().map_err(|_| out_of_range())?;
        Ok(Self { atomic, asset: asset.id().clone() })
    }

    /// The count of atomic units.
    #[must_use]
    pub const fn atomic(&self) -> u128 {
        self.atomic
    }

    /// The asset.
    #[must_use]
    pub const fn asset(&self) -> &AssetId {
        &self.asset
    }

    /// Whether the count is zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.atomic == 0
    }

    /// Adds two amounts of the same asset.
    ///
    /// # Errors
    /// [`AmountError`]; never saturates.
    pub fn checked_add(&self, other: &Self) -> Result<Self, AmountError> {
        self.combine(other, u128::checked_add)
    }

    /// Subtracts an amount of the same asset.
    ///
    /// # Errors
    /// [`AmountError`]; a result below zero is [`AmountError::OutOfRange`], never zero.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, AmountError> {
        self.combine(other, u128::checked_sub)
    }

    /// Multiplies by a count.
    ///
    /// # Errors
    /// [`AmountError::OutOfRange`].
    pub fn checked_mul(&self, count: u64) -> Result<Self, AmountError> {
        let atomic = self.atomic.checked_mul(u128::from(count)).ok_or(AmountError::OutOfRange)?;
        Ok(Self { atomic, asset: self.asset.clone() })
    }

    /// Whether this is at most `limit`.
    ///
    /// # Errors
    /// [`AmountError::AssetMismatch`]: there is no answer across assets.
    pub fn at_most(&self, limit: &Self) -> Result<bool, AmountError> {
        self.same_asset(limit)?;
        Ok(self.atomic <= limit.atomic)
    }

    fn same_asset(&self, other: &Self) -> Result<(), AmountError> {
        if self.asset == other.asset {
            return Ok(());
        }
        Err(AmountError::AssetMismatch { left: self.asset.clone(), right: other.asset.clone() })
    }

    fn combine(&self, other: &Self, op: fn(u128, u128) -> Option<u128>) -> Result<Self, AmountError> {
        self.same_asset(other)?;
        let atomic = op(self.atomic, other.atomic).ok_or(AmountError::OutOfRange)?;
        Ok(Self { atomic, asset: self.asset.clone() })
    }
}

fn parse_digits(text: &str) -> Result<u128, ParseAmountError> {
    if text.is_empty() {
        return Err(ParseAmountError::Empty);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(match text.starts_with('-') {
            true => ParseAmountError::Negative { text: cut(text) },
            false => ParseAmountError::NotDecimal { text: cut(text) },
        });
    }
    text.parse().map_err(|_| ParseAmountError::OutOfRange { text: cut(text) })
}

fn cut(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

mod atomic_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        super::parse_digits(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_that_is_not_an_exact_amount_is_refused() {
        for text in [
            "",
            " ",
            "1 ",
            "+1",
            "-1",
            "-0.5",
            "-",
            "1e9",
            "1.",
            ".5",
            "1.2.3",
            "0x10",
            "١",
            "NaN",
            "1,5",
            "00.5",
            "€20",
            "0.1234567",
            "340282366920938463463374607431768211456",
        ] {
            let parsed = Amount::parse_decimal(&Asset::micro_usd(), text);
            assert!(parsed.is_err(), "`{text}` was read as {parsed:?}");
        }
    }

    #[test]
    fn exact_decimal_text_is_read_to_the_unit() {
        for (text, atomic) in
            [("0", 0), ("0.50", 500_000), ("12", 12_000_000), ("0.000001", 1), ("1.1000000000", 1_100_000)]
        {
            assert_eq!(
                Amount::parse_decimal(&Asset::micro_usd(), text).unwrap().atomic(),
                atomic,
                "`{text}`"
            );
        }
    }

    #[test]
    fn atomic_text_from_a_protocol_is_read_strictly() {
        let two_to_256 = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for text in ["", "-1", "1e6", "01", "1.0", " 1", "0x1", two_to_256] {
            assert!(Amount::parse_atomic(AssetId::micro_usd(), text).is_err(), "`{text}`");
        }
        assert_eq!(Amount::parse_atomic(AssetId::micro_usd(), "250000").unwrap().atomic(), 250_000);
    }

    #[test]
    fn subtraction_below_zero_is_refused() {
        let one = Amount::from_atomic(AssetId::count(), 1);
        let two = Amount::from_atomic(AssetId::count(), 2);
        assert_eq!(one.checked_sub(&two), Err(AmountError::OutOfRange));
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same_amount(atomic in any::<u128>()) {
            let usd = Asset::micro_usd();
            let amount = Amount::from_atomic(usd.id().clone(), atomic);
            let text = usd.format_units(&amount).unwrap();
            prop_assert_eq!(Amount::parse_decimal(&usd, &text).unwrap(), amount.clone());
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
    }
}
