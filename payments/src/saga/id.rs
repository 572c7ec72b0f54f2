//! The names of sagas and of compensations.

use bursar_types::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Why a text is no saga's or compensation's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not an id of the form `{0}_` and 32 hex digits")]
pub struct ParseSagaIdError(&'static str);

/// Names a saga: the same session and name always give the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SagaId([u8; 16]);

impl SagaId {
    /// Derives the id from what it stands for.
    #[must_use]
    pub fn derived(parts: &[&[u8]]) -> Self {
        Self(half("bursar/id/sag", parts))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseSagaIdError`].
    pub fn parse(text: &str) -> Result<Self, ParseSagaIdError> {
        read(text, "sag").map(Self)
    }

    /// The id of a step's compensation: the same in every repetition, in every process.
    #[must_use]
    pub fn compensation(&self, step: &str, round: u32) -> CompensationId {
        CompensationId(half("bursar/id/cmp", &[&self.0, step.as_bytes(), &round.to_be_bytes()]))
    }

    /// The name under which a step buys: the same in every repetition, so that it pays once.
    pub(crate) fn purchase(&self, step: &str) -> String {
        let step: [u8; 16] = half("bursar/saga/purchase/v1", &[&self.0, step.as_bytes()]);
        format!("saga/{self}/{}", hex::encode(step))
    }
}

/// Names one compensation of one step. Whoever compensates does the same id once, however often it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CompensationId([u8; 16]);

impl CompensationId {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseSagaIdError`].
    pub fn parse(text: &str) -> Result<Self, ParseSagaIdError> {
        read(text, "cmp").map(Self)
    }
}

fn half(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Digest::of_parts(domain, parts).as_bytes()) {
        *to = *from;
    }
    bytes
}

fn read(text: &str, prefix: &'static str) -> Result<[u8; 16], ParseSagaIdError> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    let digits = digits.filter(|digits| !digits.bytes().any(|b| b.is_ascii_uppercase()));
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits.ok_or(ParseSagaIdError(prefix))?, &mut bytes)
        .map_err(|_| ParseSagaIdError(prefix))?;
    Ok(bytes)
}

macro_rules! text_form {
    ($name:ident, $prefix:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseSagaIdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }
    };
}

text_form!(SagaId, "sag");
text_form!(CompensationId, "cmp");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_other_kinds_are_refused() {
        let saga = SagaId::derived(&[b"a"]);
        assert_eq!(SagaId::parse(&saga.to_string()), Ok(saga));
        let compensation = saga.compensation("upload", 0);
        assert_eq!(CompensationId::parse(&compensation.to_string()), Ok(compensation));
        for text in ["", "sag_12", &compensation.to_string(), &saga.to_string().to_uppercase()] {
            assert!(SagaId::parse(text).is_err(), "`{text}`");
        }
    }

    #[test]
    fn a_compensation_is_named_by_saga_step_and_round() {
        let (one, other) = (SagaId::derived(&[b"1"]), SagaId::derived(&[b"2"]));
        let names = [
            one.compensation("a", 0),
            one.compensation("a", 1),
            one.compensation("b", 0),
            other.compensation("a", 0),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names.iter().skip(at + 1).any(|later| later == name), "{name} names two");
        }
    }
}
