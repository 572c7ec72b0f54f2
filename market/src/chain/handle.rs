//! The chain as the rest of the market uses it.

use super::{
    revert::Revert,
    state::{State, nonce_event, transfer_event},
};
use crate::{
    clock::TimeSource,
    faults::Faults,
    primitives::{Address, Uint, Word, keccak},
    signing::{Authorization, Signature, SignatureError, cancel_digest},
};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The token everybody pays with, and the fields of its EIP-712 domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its contract.
    pub address: Address,
    /// Name in the domain.
    pub name: String,
    /// Version in the domain.
    pub version: String,
    /// What people call it.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
    /// The chain it lives on.
    pub chain_id: u64,
}

impl Default for Token {
    /// A look-alike of USDC on chain 31337, where its signatures are worth nothing anywhere else.
    fn default() -> Self {
        Self {
            address: Address::new([
                0x5f, 0xbd, 0xb2, 0x31, 0x56, 0x78, 0xaf, 0xec, 0xb3, 0x67, 0xf0, 0x32, 0xd9, 0x3f, 0x64,
                0x2f, 0x64, 0x18, 0x0a, 0xa3,
            ]),
            name: "USD Coin".to_owned(),
            version: "2".to_owned(),
            symbol: "USDC".to_owned(),
            decimals: 6,
            chain_id: 31_337,
        }
    }
}

impl Token {
    /// The CAIP-2 name of its chain.
    #[must_use]
    pub fn network(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }
}

/// One transfer by authorization that the chain has mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// Atomic units.
    pub value: u128,
    /// The authorization's nonce.
    pub nonce: Word,
    /// The transaction.
    pub transaction: Word,
    /// The block.
    pub block: u64,
    /// The block's time, in Unix seconds.
    pub timestamp_s: u64,
}

/// How the chain is to be.
#[derive(Debug, Clone)]
pub(crate) struct ChainSettings {
    pub(crate) token: Token,
    pub(crate) clock: TimeSource,
    pub(crate) finality_depth: u64,
    pub(crate) block_time_s: u64,
}

/// An in-process chain. Clones share it.
#[derive(Debug, Clone)]
pub struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: ChainSettings,
    faults: Faults,
    state: Mutex<(State, Vec<Transfer>)>,
}

impl Chain {
    /// An empty chain whose first block has the clock's time.
    pub(crate) fn new(settings: ChainSettings) -> Self {
        let state = State::new(settings.token.address, settings.token.chain_id, settings.clock.now_s());
        let state = Mutex::new((state, Vec::new()));
        Self { shared: Arc::new(Shared { settings, faults: Faults::for_rpc(), state }) }
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.shared.settings.token
    }

    /// The clock that chain, facilitator and sellers share.
    #[must_use]
    pub fn clock(&self) -> &TimeSource {
        &self.shared.settings.clock
    }

    /// The faults of its JSON-RPC. The chain itself, and what the facilitator sees of it, is always right.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// How many blocks `safe` and `finalized` lie behind `latest`.
    #[must_use]
    pub fn finality_depth(&self) -> u64 {
        self.shared.settings.finality_depth
    }

    /// Mines an empty block at the clock's time.
    pub fn mine(&self) {
        let now_s = self.clock().now_s();
        self.lock().0.mine(now_s, None);
    }

    /// The newest block's number and time, after catching up with the clock.
    #[must_use]
    pub fn head(&self) -> (u64, u64) {
        self.read(|state| (state.head(), state.head_time_s()))
    }

    /// Makes money.
    ///
    /// # Errors
    ///
    /// [`Revert::BalanceTooBig`] or [`Revert::ToZero`].
    pub fn mint(&self, to: impl Into<Address>, atomic: u128) -> Result<Word, Revert> {
        let to = to.into();
        if to == Address::ZERO {
            return Err(Revert::ToZero);
        }
        let now_s = self.clock().now_s();
        let mut guard = self.lock();
        let state = &mut guard.0;
        let balance = state.balance(to, state.head()).checked_add(atomic).ok_or(Revert::BalanceTooBig)?;
        let transaction = transaction_hash(b"mint", &to.to_word().0, state.head());
        let event = transfer_event(Address::ZERO, to, Uint::from(atomic));
        let block = state.mine(now_s, Some((transaction, vec![event])));
        state.set_balance(to, block, balance);
        Ok(transaction)
    }

    /// The balance at the newest block.
    #[must_use]
    pub fn balance_of(&self, who: impl Into<Address>) -> u128 {
        let who = who.into();
        let guard = self.lock();
        guard.0.balance(who, guard.0.head())
    }

    /// Whether the nonce was used or cancelled.
    #[must_use]
    pub fn authorization_state(&self, who: impl Into<Address>, nonce: Word) -> bool {
        let guard = self.lock();
        guard.0.nonce_used(who.into(), nonce, guard.0.head())
    }

    /// Puts an account on the issuer's list, or takes it off.
    pub fn set_blacklisted(&self, who: impl Into<Address>, listed: bool) {
        self.lock().0.set_blacklisted(who.into(), listed);
    }

    /// Moves what the authorization says, and mines the block it is in.
    ///
    /// # Errors
    ///
    /// [`Revert`]; then nothing moved and no block was mined.
    ///
    /// # Idempotency
    ///
    /// A second call with the same nonce is [`Revert::UsedOrCanceled`].
    pub fn transfer_with_authorization(
        &self,
        authorization: &Authorization,
        signature: &Signature,
    ) -> Result<Word, Revert> {
        let now_s = self.clock().now_s();
        let signer = signature.recover(authorization.digest(self.token()));
        let mut guard = self.lock();
        let (state, transfers) = &mut *guard;
        let (value, left, more) = check(state, now_s, authorization, signer)?;
        let Authorization { from, to, nonce, .. } = *authorization;
        let transaction = transaction_hash(b"transfer", &authorization.digest(self.token()).0, state.head());
        let events = vec![
            nonce_event("AuthorizationUsed(address,bytes32)", from, nonce),
            transfer_event(from, to, authorization.value),
        ];
        let block = state.mine(now_s, Some((transaction, events)));
        state.use_nonce(from, nonce, block);
        state.set_balance(from, block, left);
        state.set_balance(to, block, more);
        let timestamp_s = state.head_time_s();
        transfers.push(Transfer { from, to, value, nonce, transaction, block, timestamp_s });
        tracing::debug!(%from, %to, value, %nonce, %transaction, "settled");
        Ok(transaction)
    }

    /// Whether [`Chain::transfer_with_authorization`] would succeed in a block mined now.
    ///
    /// # Errors
    ///
    /// [`Revert`] as it would be.
    pub fn simulate(&self, authorization: &Authorization, signature: &Signature) -> Result<(), Revert> {
        let now_s = self.clock().now_s();
        let signer = signature.recover(authorization.digest(self.token()));
        check(&self.lock().0, now_s, authorization, signer).map(|_| ())
    }

    /// Burns a nonce without moving money.
    ///
    /// # Errors
    ///
    /// [`Revert`]: the nonce was used or cancelled before, or the signature is not the authorizer's.
    pub fn cancel_authorization(
        &self,
        authorizer: impl Into<Address>,
        nonce: Word,
        signature: &Signature,
    ) -> Result<Word, Revert> {
        let authorizer = authorizer.into();
        let now_s = self.clock().now_s();
        let mut guard = self.lock();
        let state = &mut guard.0;
        state.require_unused(authorizer, nonce)?;
        let digest = cancel_digest(self.token(), authorizer, nonce);
        if signature.recover(digest)? != authorizer {
            return Err(Revert::InvalidSignature);
        }
        let transaction = transaction_hash(b"cancel", &digest.0, state.head());
        let event = nonce_event("AuthorizationCanceled(address,bytes32)", authorizer, nonce);
        let block = state.mine(now_s, Some((transaction, vec![event])));
        state.use_nonce(authorizer, nonce, block);
        Ok(transaction)
    }

    /// All transfers by authorization so far, oldest first: what really was paid.
    #[must_use]
    pub fn transfers(&self) -> Vec<Transfer> {
        self.lock().1.clone()
    }

    /// Reads the state after catching up with the clock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let settings = &self.shared.settings;
        let now_s = settings.clock.now_s();
        let mut guard = self.lock();
        guard.0.catch_up(now_s, settings.block_time_s, settings.finality_depth);
        read(&guard.0)
    }

    fn lock(&self) -> MutexGuard<'_, (State, Vec<Transfer>)> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The contract's checks in the contract's order. `signer` is recovered outside the lock, for it takes long.
fn check(
    state: &State,
    now_s: u64,
    authorization: &Authorization,
    signer: Result<Address, SignatureError>,
) -> Result<(u128, u128, u128), Revert> {
    let Authorization { from, to, value, valid_after, valid_before, nonce } = authorization;
    if state.is_blacklisted(*from) || state.is_blacklisted(*to) {
        return Err(Revert::Blacklisted);
    }
    let time = Uint::from(state.next_time_s(now_s));
    if time <= *valid_after {
        return Err(Revert::NotYetValid);
    }
    if time >= *valid_before {
        return Err(Revert::Expired);
    }
    state.require_unused(*from, *nonce)?;
    if signer? != *from {
        return Err(Revert::InvalidSignature);
    }
    state.moved(*from, *to, *value)
}

fn transaction_hash(kind: &[u8], subject: &[u8], head: u64) -> Word {
    let mut seed = kind.to_vec();
    seed.extend_from_slice(subject);
    seed.extend_from_slice(&head.to_be_bytes());
    keccak(&seed)
}
