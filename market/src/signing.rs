//! EIP-712 hashing of EIP-3009 authorizations, signer recovery, and signing for tests.

use crate::{
    chain::Token,
    primitives::{Address, ParseError, Uint, Word, keccak},
};
use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

const DOMAIN: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const TRANSFER: &str = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
                        uint256 validBefore,bytes32 nonce)";
const CANCEL: &str = "CancelAuthorization(address authorizer,bytes32 nonce)";

/// What a payer signs: EIP-3009 `TransferWithAuthorization`. Reads only the six fields, amounts as decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// Atomic units.
    pub value: Uint,
    /// Unix seconds; the block's time must be greater.
    pub valid_after: Uint,
    /// Unix seconds; the block's time must be smaller.
    pub valid_before: Uint,
    /// Chosen by the payer, used once.
    pub nonce: Word,
}

fn struct_hash(type_text: &str, fields: &[Word]) -> Word {
    let mut bytes = keccak(type_text.as_bytes()).0.to_vec();
    for field in fields {
        bytes.extend_from_slice(&field.0);
    }
    keccak(&bytes)
}

fn typed_digest(token: &Token, message: Word) -> Word {
    let domain = struct_hash(
        DOMAIN,
        &[
            keccak(token.name.as_bytes()),
            keccak(token.version.as_bytes()),
            Uint::from(token.chain_id).to_word(),
            token.address.to_word(),
        ],
    );
    let mut bytes = vec![0x19, 0x01];
    bytes.extend_from_slice(&domain.0);
    bytes.extend_from_slice(&message.0);
    keccak(&bytes)
}

impl Authorization {
    /// The EIP-712 digest under the token's domain.
    #[must_use]
    pub fn digest(&self, token: &Token) -> Word {
        let message = struct_hash(
            TRANSFER,
            &[
                self.from.to_word(),
                self.to.to_word(),
                self.value.to_word(),
                self.valid_after.to_word(),
                self.valid_before.to_word(),
                self.nonce,
            ],
        );
        typed_digest(token, message)
    }
}

/// The EIP-712 digest of `CancelAuthorization`.
pub(crate) fn cancel_digest(token: &Token, authorizer: Address, nonce: Word) -> Word {
    typed_digest(token, struct_hash(CANCEL, &[authorizer.to_word(), nonce]))
}

/// The EIP-712 digest of what a seller signs of itself, for no contract: texts and numbers in the order of the type.
///
/// # Source
/// x402, "Offer and Receipt Extension" 0.6: chain id 1, whatever the network.
pub(crate) fn statement_digest(name: &str, type_text: &str, fields: &[Field<'_>]) -> Word {
    let domain = struct_hash(
        "EIP712Domain(string name,string version,uint256 chainId)",
        &[keccak(name.as_bytes()), keccak(b"1"), Uint::from(1_u64).to_word()],
    );
    let fields: Vec<Word> = fields
        .iter()
        .map(|field| match field {
            Field::Text(text) => keccak(text.as_bytes()),
            Field::Number(number) => Uint::from(*number).to_word(),
        })
        .collect();
    let mut bytes = vec![0x19, 0x01];
    bytes.extend_from_slice(&domain.0);
    bytes.extend_from_slice(&struct_hash(type_text, &fields).0);
    keccak(&bytes)
}

/// A field of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Number(u64),
}

/// Why no signer can be recovered; each with the words of the token's ECRecover library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("ECRecover: invalid signature length")]
    Length,
    /// The upper half of the curve: the same signature twice.
    #[error("ECRecover: invalid signature 's' value")]
    HighS,
    /// Neither 27 nor 28.
    #[error("ECRecover: invalid signature 'v' value")]
    V,
    /// No key made it.
    #[error("ECRecover: invalid signature")]
    Point,
}

/// Signature bytes as they came: `r`, `s`, `v`.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Wraps bytes, of whatever length.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Reads `0x` and hex digits.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let digits = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        digits.map(Self).ok_or_else(|| ParseError::new(text, "a signature: 0x and hex digits"))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The address whose key signed `digest`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: whatever the token refuses, malleable signatures included.
    pub fn recover(&self, digest: Word) -> Result<Address, SignatureError> {
        let bytes: &[u8; 65] = self.0.as_slice().try_into().map_err(|_| SignatureError::Length)?;
        let (scalars, v) = bytes.split_at(64);
        let signature = k256::ecdsa::Signature::from_slice(scalars).map_err(|_| SignatureError::Point)?;
        if signature.normalize_s().is_some() {
            return Err(SignatureError::HighS);
        }
        let parity = match v {
            [27] => 0,
            [28] => 1,
            _ => return Err(SignatureError::V),
        };
        let id = RecoveryId::from_byte(parity).ok_or(SignatureError::V)?;
        VerifyingKey::recover_from_prehash(&digest.0, &signature, id)
            .map(|key| address_of(&key))
            .map_err(|_| SignatureError::Point)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    let hash = keccak(point.as_bytes().get(1..).unwrap_or_default());
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(hash.0.into_iter().skip(12)) {
        *to = from;
    }
    Address::new(bytes)
}

/// Bytes that are no private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("make a private key: not 32 bytes within the order of the curve")]
pub struct KeyError;

/// A private key for a buyer in a test. It guards nothing: the market's money is play money.
#[derive(Clone)]
pub struct Key(SigningKey);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address())
    }
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the bytes are no key.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| KeyError)
    }

    /// A key that follows from a name.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for one name in 2^128.
    pub fn named(name: &str) -> Result<Self, KeyError> {
        Self::new(&keccak(name.as_bytes()).0)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// Signs a transfer; the same input gives the same bytes (RFC 6979).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the curve refuses, which no digest is known to do.
    pub fn sign(&self, authorization: &Authorization, token: &Token) -> Result<Signature, KeyError> {
        self.sign_digest(authorization.digest(token))
    }

    /// Signs the cancelling of a nonce.
    ///
    /// # Errors
    ///
    /// As [`Key::sign`].
    pub fn sign_cancel(&self, nonce: Word, token: &Token) -> Result<Signature, KeyError> {
        self.sign_digest(cancel_digest(token, self.address(), nonce))
    }

    /// Signs a digest, of whatever it is. The last byte is 27 or 28.
    ///
    /// # Errors
    ///
    /// As [`Key::sign`].
    pub fn sign_digest(&self, digest: Word) -> Result<Signature, KeyError> {
        let (signature, id) = self.0.sign_prehash_recoverable(&digest.0).map_err(|_| KeyError)?;
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + u8::from(id.is_y_odd()));
        Ok(Signature(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> (Key, Token, Authorization) {
        let key = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
        let key = Key::new(&key.parse::<Word>().unwrap().0).unwrap();
        let token = Token {
            address: "0x5FbDB2315678afecb367f032d93F642f64180aa3".parse().unwrap(),
            name: "USD Coin".into(),
            version: "2".into(),
            symbol: "USDC".into(),
            chain_id: 31337,
            decimals: 6,
        };
        let nonce = "0xa07f97acc465e684db1f2e4a05e69701d0590156ab98efe991c18de3546d4996";
        let authorization = Authorization {
            from: key.address(),
            to: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC".parse().unwrap(),
            value: Uint::from(1000_u64),
            valid_after: Uint::default(),
            valid_before: Uint::from(1_795_258_967_u64),
            nonce: nonce.parse().unwrap(),
        };
        (key, token, authorization)
    }

    #[test]
    fn the_published_vector_is_signed_and_recovered() {
        let (key, token, authorization) = vector();
        assert_eq!(key.address().to_string(), "0x90F79bf6EB2c4f870365E785982E1f101E93b906");
        let signature = key.sign(&authorization, &token).unwrap();
        assert_eq!(
            signature.to_string(),
            "0xef49846ea68f8bf5f409038b507ca577ca41b85a156d7138dbf3b7f521275330432584ab42e1125d61794e48ff8ac3921\
             88fe9378038414a4a2b141d15af2cbd1b"
        );
        assert_eq!(signature.recover(authorization.digest(&token)), Ok(key.address()));
    }

    #[test]
    fn signatures_that_the_token_refuses_are_refused_in_its_words() {
        let (key, token, authorization) = vector();
        let digest = authorization.digest(&token);
        let good = key.sign(&authorization, &token).unwrap().bytes().to_vec();
        let high_s = {
            let low = k256::ecdsa::Signature::from_slice(&good[..64]).unwrap();
            let s = -*low.s();
            let high = k256::ecdsa::Signature::from_scalars(low.r().to_bytes(), s.to_bytes()).unwrap();
            let mut bytes = high.to_bytes().to_vec();
            bytes.push(if good[64] == 27 { 28 } else { 27 });
            bytes
        };
        let with_v = |v: u8| good[..64].iter().copied().chain([v]).collect::<Vec<_>>();
        let cases = [
            (good[..64].to_vec(), SignatureError::Length),
            (high_s, SignatureError::HighS),
            (with_v(0), SignatureError::V),
            (with_v(29), SignatureError::V),
            (vec![0; 65], SignatureError::Point),
        ];
        for (bytes, error) in cases {
            assert_eq!(Signature::new(bytes).recover(digest), Err(error));
        }
        let other = if good[64] == 27 { 28 } else { 27 };
        assert_ne!(Signature::new(with_v(other)).recover(digest), Ok(key.address()));
    }
}
