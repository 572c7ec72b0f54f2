//! What making an authorization worthless is, to the byte.
//!
//! A [`Cancellation`] can express nothing but a call of `cancelAuthorization` on a token, by the payer, without value. Both
//! things that are signed for one are made here, from its terms alone: no caller brings a digest, an address or calldata.
//!
//! # Source
//! EIP-3009 `cancelAuthorization` and `CancelAuthorization`; EIP-712; EIP-1559, EIP-2718.

use super::super::network;
use crate::rail::PreparedVoid;
use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::primitives::{Address, B256, Signature, TxKind, U256};
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolCall as _, SolStruct as _};
use bursar_types::Digest;
use serde::{Deserialize, Serialize};

sol! {
    #[derive(Debug)]
    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
}

/// What is stored of a cancellation: enough to make the same bytes again. Every number is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancellation {
    pub(in crate::rail::x402) network: String,
    pub(in crate::rail::x402) token: String,
    pub(in crate::rail::x402) token_name: String,
    pub(in crate::rail::x402) token_version: String,
    pub(in crate::rail::x402) payer: String,
    /// The authorization's.
    pub(in crate::rail::x402) nonce: String,
    /// The number of the transaction among the payer's.
    pub(in crate::rail::x402) transaction: String,
    pub(in crate::rail::x402) gas_limit: String,
    pub(in crate::rail::x402) max_fee_per_gas: String,
    pub(in crate::rail::x402) max_priority_fee_per_gas: String,
}

/// A transaction that carries the signed cancellation.
#[derive(Debug)]
pub(crate) struct Carrier {
    transaction: TxEip1559,
    payer: Address,
}

fn read<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("the stored {what} cannot be read"))
}

impl Cancellation {
    /// The network of stored terms.
    pub(super) fn network_of(prepared: &PreparedVoid) -> Result<String, String> {
        Self::of(prepared).map(|terms| terms.network)
    }

    /// Reads stored terms, and checks that they are the ones that were cleared.
    pub(crate) fn cleared(prepared: &PreparedVoid, payer: &str) -> Result<Self, String> {
        let terms = Self::of(prepared)?;
        let same = prepared.signing == [terms.digest()?] && terms.payer.eq_ignore_ascii_case(payer);
        match same {
            true => Ok(terms),
            false => Err("the stored terms are not the ones that were cleared".to_owned()),
        }
    }

    fn of(prepared: &PreparedVoid) -> Result<Self, String> {
        if prepared.rail != super::super::RAIL {
            return Err(format!("the stored terms are of rail `{}`", prepared.rail));
        }
        Self::deserialize(&prepared.terms)
            .map_err(|error| format!("the stored terms cannot be read: {error}"))
    }

    /// What is signed first: that the authorization is taken back.
    pub(crate) fn digest(&self) -> Result<Digest, String> {
        let domain = Eip712Domain::new(
            Some(self.token_name.clone().into()),
            Some(self.token_version.clone().into()),
            Some(U256::from(self.chain_id()?)),
            Some(read("token", &self.token)?),
            None,
        );
        let message = CancelAuthorization {
            authorizer: read("payer", &self.payer)?,
            nonce: read("nonce", &self.nonce)?,
        };
        Ok(Digest::from_bytes(message.eip712_signing_hash(&domain).0))
    }

    /// The transaction that carries what was signed. A signature of somebody else, or of something else, is carried nowhere.
    pub(crate) fn carrying(&self, signed: &[u8; 65]) -> Result<Carrier, String> {
        let payer: Address = read("payer", &self.payer)?;
        let signature = by(payer, &self.digest()?, signed)?;
        let call = cancelAuthorizationCall {
            authorizer: payer,
            nonce: read("nonce", &self.nonce)?,
            v: if signature.v() { 28 } else { 27 },
            r: signature.r().into(),
            s: signature.s().into(),
        };
        let transaction = TxEip1559 {
            chain_id: self.chain_id()?,
            nonce: read("transaction number", &self.transaction)?,
            gas_limit: read("gas limit", &self.gas_limit)?,
            max_fee_per_gas: read("fee", &self.max_fee_per_gas)?,
            max_priority_fee_per_gas: read("tip", &self.max_priority_fee_per_gas)?,
            to: TxKind::Call(read("token", &self.token)?),
            value: U256::ZERO,
            access_list: Vec::new().into(),
            input: call.abi_encode().into(),
        };
        Ok(Carrier { transaction, payer })
    }

    fn chain_id(&self) -> Result<u64, String> {
        network::chain_id(&self.network).ok_or_else(|| "the stored network is no EVM chain".to_owned())
    }
}

impl Carrier {
    /// What is signed second: the transaction.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(self.transaction.signature_hash().0)
    }

    /// The signed transaction, as it is submitted.
    pub(crate) fn signed(self, signed: &[u8; 65]) -> Result<Vec<u8>, String> {
        let signature = by(self.payer, &self.digest(), signed)?;
        let mut raw = Vec::new();
        self.transaction.into_signed(signature).eip2718_encode(&mut raw);
        Ok(raw)
    }
}

/// A wallet may be a machine far away. What it signed must be this, by the payer, in the one form that is accepted.
fn by(payer: Address, digest: &Digest, bytes: &[u8; 65]) -> Result<Signature, String> {
    let [.., v] = bytes;
    Signature::from_raw_array(bytes)
        .ok()
        .filter(|signature| matches!(v, 27 | 28) && signature.normalize_s().is_none())
        .filter(|signature| {
            signature.recover_address_from_prehash(&B256::from(*digest.as_bytes())).ok() == Some(payer)
        })
        .ok_or_else(|| "the wallet's signature is not the payer's over this cancellation".to_owned())
}
