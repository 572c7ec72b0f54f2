//! A transaction of type 2 (EIP-1559) as its sender signed it.

use super::{
    rlp::{Items, RlpError, list_of},
    sending::SendError,
};
use crate::{
    primitives::{Address, Uint, Word, keccak},
    signing::Signature,
};

/// The type's byte in front of the list.
const TYPE: u8 = 0x02;

/// A transaction and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) hash: Word,
    pub(super) sender: Address,
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) max_priority_fee: u128,
    pub(super) max_fee: u128,
    pub(super) gas_limit: u64,
    pub(super) to: Address,
    pub(super) value: Uint,
    pub(super) input: Vec<u8>,
}

impl Transaction {
    /// Reads the raw bytes and recovers the sender. `chain_id` is the only one whose transactions are read.
    pub(super) fn read(raw: &[u8], chain_id: u64) -> Result<Self, SendError> {
        let (kind, list) = raw.split_first().ok_or("typed transaction too short")?;
        if *kind != TYPE {
            return Err(SendError::Type);
        }
        let mut items = Items::of_list(list)?;
        let fields = items.written();
        let chain = u64::from_be_bytes(items.number()?);
        let nonce = u64::from_be_bytes(items.number()?);
        let max_priority_fee = u128::from_be_bytes(items.number()?);
        let max_fee = u128::from_be_bytes(items.number()?);
        let gas_limit = u64::from_be_bytes(items.number()?);
        let to = items.bytes()?;
        let value = Uint::from_word(Word(items.number()?));
        let input = items.bytes()?.to_vec();
        if !items.list()?.is_empty() {
            return Err(SendError::AccessList);
        }
        let signed = fields.get(..fields.len().saturating_sub(items.left())).unwrap_or_default();
        let signature = signature(&mut items)?;
        if !items.is_empty() {
            return Err(SendError::Rlp("input list has too many elements"));
        }
        if chain != chain_id {
            return Err(SendError::ChainId { have: chain, want: chain_id });
        }
        if to.is_empty() {
            return Err(SendError::Creation);
        }
        let to: [u8; 20] = to.try_into().map_err(|_| SendError::Rlp("input string of the wrong length"))?;
        let digest = keccak(&[vec![TYPE], list_of(signed)].concat());
        let sender = signature.recover(digest).map_err(|_| SendError::Signature)?;
        let hash = keccak(raw);
        let to = Address::new(to);
        Ok(Self {
            hash,
            sender,
            chain_id: chain,
            nonce,
            max_priority_fee,
            max_fee,
            gas_limit,
            to,
            value,
            input,
        })
    }
}

/// Parity, `r` and `s`, as the token's library wants them: the upper half of the curve is refused there.
fn signature(items: &mut Items<'_>) -> Result<Signature, SendError> {
    let [parity] = items.number()?;
    let r: [u8; 32] = items.number()?;
    let s: [u8; 32] = items.number()?;
    if parity > 1 {
        return Err(SendError::Signature);
    }
    Ok(Signature::new([r.as_slice(), &s, &[27 + parity]].concat()))
}

impl From<RlpError> for SendError {
    fn from(error: RlpError) -> Self {
        Self::Rlp(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://etherscan.io/tx/0x86718885c4b4218c6af87d3d0b0d83e3cc465df2a05c048aa4db9f1a6f9de91f>
    const MAINNET: &str = "02f872018307910d808507204d2cb1827d0094388c818ca8b9251b393131c08a736a67ccb19297880320d0\
                           4823e2701c80c001a0cf024f4815304df2867a1a74e9d2707b6abda0337d2d54a4438d453f4160f190a07a\
                           c0e6b3bc9395b5b9c8b9e6d77204a236577a5b18467b9175c01de4faa208d9";

    #[test]
    fn a_transaction_of_the_main_network_is_read_and_its_sender_recovered() {
        let read = Transaction::read(&hex::decode(MAINNET).unwrap(), 1).unwrap();
        assert_eq!(read.sender.to_string(), "0x95222290DD7278Aa3Ddd389Cc1E1d165CC4BAfe5");
        let hash = "0x86718885c4b4218c6af87d3d0b0d83e3cc465df2a05c048aa4db9f1a6f9de91f";
        assert_eq!(read.hash.to_string(), hash);
        assert_eq!(read.to.to_string(), "0x388C818CA8B9251b393131C08a736A67ccB19297");
        assert_eq!((read.chain_id, read.nonce, read.gas_limit), (1, 0x0007_910d, 32_000));
        assert_eq!((read.max_priority_fee, read.max_fee), (0, 30_606_699_697));
        assert_eq!(read.value.to_string(), "225408989626789916");
        assert_eq!(read.input, b"");
    }

    #[test]
    fn what_is_not_exactly_such_a_transaction_is_refused() {
        let good = hex::decode(MAINNET).unwrap();
        assert_eq!(Transaction::read(&good, 8_453), Err(SendError::ChainId { have: 1, want: 8_453 }));
        assert_eq!(Transaction::read(&[], 1), Err(SendError::Rlp("typed transaction too short")));
        for other in [[vec![0x01], good[1..].to_vec()].concat(), good[1..].to_vec()] {
            assert_eq!(Transaction::read(&other, 1), Err(SendError::Type));
        }
        for length in 1..good.len() {
            assert!(Transaction::read(&good[..length], 1).is_err(), "{length}");
        }
        assert!(Transaction::read(&[good.clone(), vec![0]].concat(), 1).is_err());
        let text = hex::encode(&good);
        // Another item, a leading zero, a parity that is none, and a list where there are bytes.
        for (from, to) in [
            ("02f872", "02f873"),
            ("827d00", "83007d"),
            ("80c001a0", "80c002a0"),
            ("80c001a0", "80c101a0"),
            ("80c001a0", "c0c001a0"),
        ] {
            let changed = hex::decode(text.replacen(from, to, 1)).unwrap();
            assert!(Transaction::read(&changed, 1).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn a_malleable_signature_is_refused() {
        let good = hex::decode(MAINNET).unwrap();
        let (rest, s) = good.split_at(good.len() - 32);
        let low = k256::ecdsa::Signature::from_slice(&[&rest[rest.len() - 33..rest.len() - 1], s].concat())
            .unwrap();
        let high = (-*low.s()).to_bytes();
        let mut rest = rest.to_vec();
        let parity = rest.len() - 35;
        assert_eq!(rest[parity], 0x01);
        rest[parity] = 0x80;
        let changed = [rest, high.to_vec()].concat();
        assert_eq!(Transaction::read(&changed, 1), Err(SendError::Signature));
    }
}
