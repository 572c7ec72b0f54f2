//! Addresses, 32-byte words and 256-bit numbers, as the chain writes them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest as _, Keccak256};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Hashes `bytes` with Keccak-256.
#[must_use]
pub fn keccak(bytes: &[u8]) -> Word {
    Word(Keccak256::digest(bytes).into())
}

/// Text that is not the number, address or word it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not {wanted}")]
pub struct ParseError {
    text: String,
    wanted: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), wanted }
    }
}

fn unhex<const N: usize>(text: &str, wanted: &'static str) -> Result<[u8; N], ParseError> {
    let mut bytes = [0; N];
    let digits = text.strip_prefix("0x").ok_or_else(|| ParseError::new(text, wanted))?;
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseError::new(text, wanted))?;
    Ok(bytes)
}

/// An account or contract on the chain. Shown with its EIP-55 checksum, read in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address([u8; 20]);

impl Address {
    /// The address no one holds.
    pub const ZERO: Self = Self([0; 20]);

    /// Wraps twenty bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The twenty bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address as an ABI word: twelve zero bytes, then the address.
    #[must_use]
    pub fn to_word(self) -> Word {
        let mut word = [0; 32];
        for (to, from) in word.iter_mut().skip(12).zip(self.0) {
            *to = from;
        }
        Word(word)
    }
}

impl From<[u8; 20]> for Address {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Address {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        unhex(text, "an address: 0x and 40 hex digits").map(Self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = hex::encode(self.0);
        let hash = hex::encode(keccak(lower.as_bytes()).0);
        f.write_str("0x")?;
        for (digit, mark) in lower.chars().zip(hash.chars()) {
            let shown = if mark >= '8' { digit.to_ascii_uppercase() } else { digit };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Thirty-two bytes: a hash, a nonce, a topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Word(pub [u8; 32]);

impl Word {
    /// The last twenty bytes, if the first twelve are zero.
    #[must_use]
    pub fn to_address(self) -> Option<Address> {
        let (head, tail) = self.0.split_first_chunk::<12>()?;
        if *head != [0; 12] {
            return None;
        }
        tail.try_into().ok().map(Address)
    }
}

impl FromStr for Word {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        unhex(text, "a 32-byte word: 0x and 64 hex digits").map(Self)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An unsigned 256-bit number, big end first. Compares as a number; there is no arithmetic to get wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uint([u8; 32]);

impl Uint {
    /// The number as an ABI word.
    #[must_use]
    pub const fn to_word(self) -> Word {
        Word(self.0)
    }

    /// The number behind an ABI word.
    #[must_use]
    pub const fn from_word(word: Word) -> Self {
        Self(word.0)
    }

    /// The number, if it fits.
    #[must_use]
    pub fn to_u128(self) -> Option<u128> {
        let (high, low) = self.0.split_first_chunk::<16>()?;
        if *high != [0; 16] {
            return None;
        }
        low.try_into().ok().map(u128::from_be_bytes)
    }

    /// Reads a canonical decimal number: digits only, no leading zero, no more than 2^256 - 1.
    ///
    /// # Errors
    ///
    /// [`ParseError`] for anything else.
    pub fn from_decimal(text: &str) -> Result<Self, ParseError> {
        const WANTED: &str = "a canonical decimal number below 2^256";
        let refuse = || ParseError::new(text, WANTED);
        let leading_zero = text.len() > 1 && text.starts_with('0');
        if text.is_empty() || leading_zero || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        let mut number = [0_u8; 32];
        for digit in text.bytes() {
            let mut carry = u32::from(digit.wrapping_sub(b'0'));
            for byte in number.iter_mut().rev() {
                let [_, _, high, low] = (u32::from(*byte) * 10 + carry).to_be_bytes();
                *byte = low;
                carry = u32::from(high);
            }
            if carry != 0 {
                return Err(refuse());
            }
        }
        Ok(Self(number))
    }
}

impl From<u128> for Uint {
    fn from(number: u128) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().skip(16).zip(number.to_be_bytes()) {
            *to = from;
        }
        Self(bytes)
    }
}

impl From<u64> for Uint {
    fn from(number: u64) -> Self {
        Self::from(u128::from(number))
    }
}

impl fmt::Display for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut digits = Vec::new();
        while rest != [0; 32] {
            let mut remainder = 0_u32;
            for byte in &mut rest {
                let value = remainder * 256 + u32::from(*byte);
                *byte = u8::try_from(value / 10).unwrap_or(u8::MAX);
                remainder = value % 10;
            }
            digits.push(char::from_digit(remainder, 10).unwrap_or('0'));
        }
        if digits.is_empty() {
            digits.push('0');
        }
        f.write_str(&digits.iter().rev().collect::<String>())
    }
}

impl fmt::Debug for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! as_text {
    ($($kind:ty: $read:expr),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                $read(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Address: Address::from_str, Word: Word::from_str, Uint: Uint::from_decimal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimals_below_two_to_the_256_are_numbers() {
        let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let over = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for good in ["0", "1", "10", "1000000", max] {
            assert_eq!(Uint::from_decimal(good).unwrap().to_string(), good);
        }
        for bad in ["", "00", "01", "-1", "+1", "1e6", "1.0", " 1", "1 ", "0x1", "١", over] {
            assert!(Uint::from_decimal(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_shown_with_their_checksum() {
        let shown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let lower: Address = shown.to_lowercase().parse().unwrap();
        assert_eq!(lower.to_string(), shown);
    }
}
