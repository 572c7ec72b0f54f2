//! The chain as the rest of the market uses it.

use super::{
    kept::{Change, Kept, Line, StateFileError},
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
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    state: State,
    transfers: Vec<Transfer>,
    kept: Option<Kept>,
}

impl Chain {
    /// An empty chain whose first block has the clock's time.
    pub(crate) fn new(settings: ChainSettings) -> Self {
        let now_s = settings.clock.now_s();
        Self::begin(settings, now_s, None)
    }

    /// The chain of a file, as it was left; an empty one if there is none yet.
    pub(crate) fn open(settings: ChainSettings, path: &Path) -> Result<Self, StateFileError> {
        let (kept, first_s, lines) = Kept::open(path, &settings)?;
        let chain = Self::begin(settings, first_s, None);
        let mut books = chain.lock();
        for (index, line) in lines.iter().enumerate() {
            books.replay(chain.token(), line).map_err(|problem| kept.damaged(index, problem))?;
        }
        books.kept = Some(kept);
        drop(books);
        Ok(chain)
    }

    fn begin(settings: ChainSettings, first_s: u64, kept: Option<Kept>) -> Self {
        let state = State::new(settings.token.address, settings.token.chain_id, first_s);
        let books = Mutex::new(Books { state, transfers: Vec::new(), kept });
        Self { shared: Arc::new(Shared { settings, faults: Faults::for_rpc(), books }) }
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
        // A file that cannot be written is told in the log, and where money would move.
        let _ = self.lock().change(self.token(), now_s, Change::Empty);
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
    /// [`Revert::BalanceTooBig`], [`Revert::ToZero`] or [`Revert::NotKept`].
    pub fn mint(&self, to: impl Into<Address>, atomic: u128) -> Result<Word, Revert> {
        let to = to.into();
        let now_s = self.clock().now_s();
        let mut books = self.lock();
        books.minted(to, atomic)?;
        books.change(self.token(), now_s, Change::Mint { to, value: Uint::from(atomic) })
    }

    /// Whether money was ever made for this address.
    pub(crate) fn was_minted_for(&self, who: Address) -> bool {
        self.lock().state.was_minted_for(who)
    }

    /// The balance at the newest block.
    #[must_use]
    pub fn balance_of(&self, who: impl Into<Address>) -> u128 {
        let who = who.into();
        let books = self.lock();
        books.state.balance(who, books.state.head())
    }

    /// Whether the nonce was used or cancelled.
    #[must_use]
    pub fn authorization_state(&self, who: impl Into<Address>, nonce: Word) -> bool {
        let books = self.lock();
        books.state.nonce_used(who.into(), nonce, books.state.head())
    }

    /// Puts an account on the issuer's list, or takes it off.
    pub fn set_blacklisted(&self, who: impl Into<Address>, listed: bool) {
        let now_s = self.clock().now_s();
        let change = Change::Blacklist { who: who.into(), listed };
        // As for an empty block.
        let _ = self.lock().change(self.token(), now_s, change);
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
        let mut books = self.lock();
        check(&books.state, now_s, authorization, signer)?;
        let transaction = books.change(self.token(), now_s, Change::transfer(authorization, signature))?;
        let Authorization { from, to, value, nonce, .. } = authorization;
        tracing::debug!(%from, %to, %value, %nonce, %transaction, "settled");
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
        check(&self.lock().state, now_s, authorization, signer).map(|_| ())
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
        let mut books = self.lock();
        books.state.require_unused(authorizer, nonce)?;
        if signature.recover(cancel_digest(self.token(), authorizer, nonce))? != authorizer {
            return Err(Revert::InvalidSignature);
        }
        let change = Change::Cancel { authorizer, nonce, signature: signature.to_string() };
        books.change(self.token(), now_s, change)
    }

    /// All transfers by authorization so far, oldest first: what really was paid.
    #[must_use]
    pub fn transfers(&self) -> Vec<Transfer> {
        self.lock().transfers.clone()
    }

    /// Reads the state after catching up with the clock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let settings = &self.shared.settings;
        let now_s = settings.clock.now_s();
        let mut books = self.lock();
        for at_s in books.state.due(now_s, settings.block_time_s, settings.finality_depth) {
            if books.change(&settings.token, at_s, Change::Empty).is_err() {
                break;
            }
        }
        read(&books.state)
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.shared.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Keeps a change that was checked, and applies it. Answers the transaction's hash.
    fn change(&mut self, token: &Token, now_s: u64, change: Change) -> Result<Word, Revert> {
        let line = Line { parent: self.state.head_hash(), at_s: self.state.next_time_s(now_s), change };
        if let Some(kept) = &mut self.kept
            && !kept.append(&line)
        {
            return Err(Revert::NotKept);
        }
        self.apply(token, &line)
    }

    /// Checks a kept line as it was checked when it was new, and applies it.
    fn replay(&mut self, token: &Token, line: &Line) -> Result<(), String> {
        if line.parent != self.state.head_hash() {
            return Err("it does not follow the line before".to_owned());
        }
        if line.at_s < self.state.head_time_s() {
            return Err("its time lies before that of the line before".to_owned());
        }
        let signature = |text: &str| Signature::parse(text).map_err(|error| error.to_string());
        let checked = match &line.change {
            Change::Empty | Change::Blacklist { .. } => Ok(()),
            Change::Mint { to, value } => {
                let value = value.to_u128().ok_or_else(|| "its amount is too large".to_owned())?;
                self.minted(*to, value).map(|_| ())
            }
            Change::Transfer { authorization, signature: text } => {
                let signer = signature(text)?.recover(authorization.digest(token));
                check(&self.state, line.at_s, authorization, signer).map(|_| ())
            }
            Change::Cancel { authorizer, nonce, signature: text } => {
                let signer = signature(text)?.recover(cancel_digest(token, *authorizer, *nonce));
                match signer {
                    Ok(signer) if signer == *authorizer => self.state.require_unused(*authorizer, *nonce),
                    Ok(_) => Err(Revert::InvalidSignature),
                    Err(error) => Err(error.into()),
                }
            }
        };
        checked.and_then(|()| self.apply(token, line)).map(|_| ()).map_err(|revert| revert.to_string())
    }

    /// The balance after money is made.
    fn minted(&self, to: Address, atomic: u128) -> Result<u128, Revert> {
        if to == Address::ZERO {
            return Err(Revert::ToZero);
        }
        self.state.balance(to, self.state.head()).checked_add(atomic).ok_or(Revert::BalanceTooBig)
    }

    /// The only way to change the books: live, and when they are read again.
    fn apply(&mut self, token: &Token, line: &Line) -> Result<Word, Revert> {
        let (head, at_s) = (self.state.head(), line.at_s);
        let state = &mut self.state;
        match &line.change {
            Change::Empty => {
                state.mine(at_s, None);
                Ok(Word::default())
            }
            Change::Blacklist { who, listed } => {
                state.set_blacklisted(*who, *listed);
                Ok(Word::default())
            }
            Change::Mint { to, value } => {
                let atomic = value.to_u128().ok_or(Revert::BalanceTooBig)?;
                let balance = state.balance(*to, head).checked_add(atomic).ok_or(Revert::BalanceTooBig)?;
                let transaction = transaction_hash(b"mint", &to.to_word().0, head);
                let event = transfer_event(Address::ZERO, *to, *value);
                let block = state.mine(at_s, Some((transaction, vec![event])));
                state.set_balance(*to, block, balance);
                Ok(transaction)
            }
            Change::Transfer { authorization, .. } => {
                let Authorization { from, to, nonce, .. } = *authorization;
                let (value, left, more) = state.moved(from, to, authorization.value)?;
                let transaction = transaction_hash(b"transfer", &authorization.digest(token).0, head);
                let events = vec![
                    nonce_event("AuthorizationUsed(address,bytes32)", from, nonce),
                    transfer_event(from, to, authorization.value),
                ];
                let block = state.mine(at_s, Some((transaction, events)));
                state.use_nonce(from, nonce, block);
                state.set_balance(from, block, left);
                state.set_balance(to, block, more);
                let timestamp_s = state.head_time_s();
                self.transfers.push(Transfer { from, to, value, nonce, transaction, block, timestamp_s });
                Ok(transaction)
            }
            Change::Cancel { authorizer, nonce, .. } => {
                let digest = cancel_digest(token, *authorizer, *nonce);
                let transaction = transaction_hash(b"cancel", &digest.0, head);
                let event = nonce_event("AuthorizationCanceled(address,bytes32)", *authorizer, *nonce);
                let block = state.mine(at_s, Some((transaction, vec![event])));
                state.use_nonce(*authorizer, *nonce, block);
                Ok(transaction)
            }
        }
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
