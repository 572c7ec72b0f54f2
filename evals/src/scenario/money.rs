//! Dollars as people write them in a scenario, kept as whole micro-dollars.

use bursar::types::{Amount, Asset};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// An amount of US dollars in micro-USD. In a file it is decimal text such as `"0.05"`, in a report a whole number.
///
/// One atomic unit of the market's USDC is one micro-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(pub u128);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Micro-dollars.
    #[must_use]
    pub const fn micro(self) -> u128 {
        self.0
    }

    /// Reads decimal text, exactly.
    ///
    /// # Errors
    /// The text with what is wrong: a sign, an exponent, more than six decimals.
    pub fn parse(text: &str) -> Result<Self, String> {
        Amount::parse_decimal(&Asset::micro_usd(), text)
            .map(|amount| Self(amount.atomic()))
            .map_err(|error| error.to_string())
    }
}

impl fmt::Display for Usd {
    /// Writes whole dollars without needless zeros: `0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let rest = format!("{rest:06}");
        write!(f, "{whole}.{}", rest.trim_end_matches('0'))
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for (text, micro) in [("0.05", 50_000), ("10", 10_000_000), ("0.000001", 1), ("0", 0)] {
            assert_eq!(Usd::parse(text), Ok(Usd(micro)));
            assert_eq!(Usd(micro).to_string(), text);
        }
        for text in ["-1", "1e3", "0.0000001", "", "1,5"] {
            assert!(Usd::parse(text).is_err(), "{text}");
        }
    }
}
