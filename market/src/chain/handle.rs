//! The chain as the rest of the market uses it.

use super::{
    books::{Books, check},
    kept::{Change, Kept, StateFileError},
    revert::Revert,
    sending::{CancelCall, SendError},
    state::State,
    token::Token,
    transaction::Transaction,
    transfers::{PlainTransfer, Scheduled, Transfer},
};
use crate::{
    clock::TimeSource,
    faults::Faults,
    primitives::{Address, Uint, Word},
    signing::{Authorization, Signature, cancel_digest},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How the chain is to be.
#[derive(Debug, Clone)]
pub(crate) struct ChainSettings {
    pub(crate) token: Token,
    pub(crate) clock: TimeSource,
    pub(crate) finality_depth: u64,
    pub(crate) block_time_s: u64,
    pub(crate) log_range_max: u64,
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
        let books = Mutex::new(Books {
            state,
            transfers: Vec::new(),
            plain: Vec::new(),
            scheduled: Vec::new(),
            kept,
        });
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

    /// How many blocks one `eth_getLogs` may span.
    pub(super) fn log_range_max(&self) -> u64 {
        self.shared.settings.log_range_max
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

    /// Gives an account wei to pay gas with. It has none before.
    ///
    /// # Errors
    ///
    /// [`Revert::BalanceTooBig`] or [`Revert::NotKept`].
    pub fn give_gas(&self, to: impl Into<Address>, wei: u128) -> Result<(), Revert> {
        let (to, wei) = (to.into(), Uint::from(wei));
        let now_s = self.clock().now_s();
        let mut books = self.lock();
        books.with_gas(to, wei)?;
        books.change(self.token(), now_s, Change::Gas { to, wei }).map(|_| ())
    }

    /// What an account has to pay gas with at the newest block, in wei.
    #[must_use]
    pub fn gas_balance_of(&self, who: impl Into<Address>) -> u128 {
        let books = self.lock();
        books.state.accounts.balance(who.into(), books.state.head())
    }

    /// How many raw transactions an account has sent: the number of its next one.
    #[must_use]
    pub fn transaction_count(&self, who: impl Into<Address>) -> u64 {
        let books = self.lock();
        books.state.accounts.count(who.into(), books.state.head())
    }

    /// Sets the base fee, in wei, of the blocks to come.
    pub fn set_base_fee(&self, wei: u64) {
        let now_s = self.clock().now_s();
        // As for an empty block.
        let _ = self.lock().change(self.token(), now_s, Change::BaseFee { wei });
    }

    /// Takes a signed transaction of type 2 and mines the block it is in. It reverts, and costs its gas all the same, unless
    /// it is a call of the token's `cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)` that the token accepts.
    ///
    /// # Errors
    ///
    /// [`SendError`]; then nothing was spent and no block was mined.
    ///
    /// # Idempotency
    ///
    /// A second call with the same bytes is [`SendError::AlreadyKnown`].
    pub fn send_raw_transaction(&self, raw: &[u8]) -> Result<Word, SendError> {
        let token = self.token();
        let now_s = self.clock().now_s();
        // Signers are recovered outside the lock, for it takes long.
        let read = Transaction::read(raw, token.chain_id)?;
        let cancel = CancelCall::read(token, &read.input);
        let hash = self.lock().send(token, now_s, (raw, &read), cancel.as_ref())?;
        tracing::debug!(from = %read.sender, nonce = read.nonce, %hash, "sent");
        Ok(hash)
    }

    /// Whether an account was ever given wei to pay gas with.
    pub(crate) fn was_given_gas(&self, who: Address) -> bool {
        self.lock().state.accounts.was_given_gas(who)
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

    /// Moves money as its owner would, by a transaction of its own, and mines the block it is in. Its only event is
    /// `Transfer`.
    ///
    /// # Errors
    ///
    /// [`Revert`]; then nothing moved and no block was mined.
    pub fn transfer(
        &self,
        from: impl Into<Address>,
        to: impl Into<Address>,
        value: u128,
    ) -> Result<Word, Revert> {
        let (from, to) = (from.into(), to.into());
        let now_s = self.clock().now_s();
        self.lock().transfer(self.token(), now_s, (from, to), value)
    }

    /// Moves money as [`Chain::transfer`] does, in a block of the time `at_s`, once the clock is there.
    pub(crate) fn schedule(&self, at_s: u64, from: Address, to: Address, value: u128) {
        let mut books = self.lock();
        let place = books.scheduled.partition_point(|earlier| earlier.at_s <= at_s);
        books.scheduled.insert(place, Scheduled { at_s, from, to, value });
    }

    /// Mines the scheduled transfers whose time has come. Answers how many moved money.
    pub(crate) fn send_due(&self) -> usize {
        let now_s = self.clock().now_s();
        self.lock().send_due(self.token(), now_s)
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

    /// All transfers without authorization so far, oldest first. Those still to come are not among them, even if their
    /// time has come, until the chain was read or [they were sent](crate::Market::send_due_refunds).
    #[must_use]
    pub fn plain_transfers(&self) -> Vec<PlainTransfer> {
        self.lock().plain.clone()
    }

    /// Reads the state after catching up with the clock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let settings = &self.shared.settings;
        let now_s = settings.clock.now_s();
        let mut books = self.lock();
        books.send_due(&settings.token, now_s);
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
