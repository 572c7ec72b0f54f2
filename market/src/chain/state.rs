//! Blocks, balances and nonces, each with its history, so that a read at an older block answers as of then.

use super::{
    accounts::Accounts,
    revert::Revert,
    sending::{BASE_FEE, TIP},
};
use crate::primitives::{Address, Uint, Word, keccak};
use std::collections::{HashMap, HashSet};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLog {
    /// The contract.
    pub address: Address,
    /// The event's hash and its indexed fields.
    pub topics: Vec<Word>,
    /// The other fields.
    pub data: Vec<u8>,
    /// The block it is in.
    pub block: u64,
    /// The transaction it is in.
    pub transaction: Word,
    /// Its place in the block.
    pub index: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: Word,
    pub(super) parent: Word,
    pub(super) timestamp_s: u64,
    pub(super) transactions: Vec<Word>,
    /// In wei.
    pub(super) base_fee: u64,
}

/// A transaction in a block.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) hash: Word,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) gas_used: u64,
    /// Wei for each gas.
    pub(super) price: u128,
    pub(super) success: bool,
}

/// The gas of every transaction that did not come in raw.
const GAS: u64 = 66_000;

#[derive(Debug)]
pub(super) struct State {
    token: Address,
    blocks: Vec<Block>,
    balances: HashMap<Address, Vec<(u64, u128)>>,
    nonces: HashMap<(Address, Word), u64>,
    blacklist: HashSet<Address>,
    logs: Vec<ChainLog>,
    made: HashMap<Word, Made>,
    base_fee: u64,
    pub(super) accounts: Accounts,
}

/// An event to be written: topics and data.
pub(super) type Event = (Vec<Word>, Vec<u8>);

/// `AuthorizationUsed` or `AuthorizationCanceled`.
pub(super) fn nonce_event(signature: &str, authorizer: Address, nonce: Word) -> Event {
    (vec![keccak(signature.as_bytes()), authorizer.to_word(), nonce], Vec::new())
}

/// `Transfer`.
pub(super) fn transfer_event(from: Address, to: Address, value: Uint) -> Event {
    let topic = keccak(b"Transfer(address,address,uint256)");
    (vec![topic, from.to_word(), to.to_word()], value.to_word().0.to_vec())
}

impl State {
    /// A chain with nothing but its first block.
    pub(super) fn new(token: Address, chain_id: u64, now_s: u64) -> Self {
        let hash = keccak(format!("bursar market chain {chain_id} {now_s}").as_bytes());
        let genesis = Block {
            number: 0,
            hash,
            parent: Word::default(),
            timestamp_s: now_s,
            transactions: Vec::new(),
            base_fee: BASE_FEE,
        };
        Self {
            token,
            blocks: vec![genesis],
            balances: HashMap::new(),
            nonces: HashMap::new(),
            blacklist: HashSet::new(),
            logs: Vec::new(),
            made: HashMap::new(),
            base_fee: BASE_FEE,
            accounts: Accounts::default(),
        }
    }

    /// A transaction in a block.
    pub(super) fn made(&self, hash: Word) -> Option<&Made> {
        self.made.get(&hash)
    }

    /// The base fee of the next block, in wei.
    pub(super) const fn base_fee(&self) -> u64 {
        self.base_fee
    }

    pub(super) const fn set_base_fee(&mut self, wei: u64) {
        self.base_fee = wei;
    }

    /// A transaction that somebody sent to the token for usual gas, and that succeeded.
    pub(super) fn usual(&self, hash: Word, from: Address) -> Made {
        let price = u128::from(self.base_fee).saturating_add(u128::from(TIP));
        Made { hash, from, to: self.token, gas_used: GAS, price, success: true }
    }

    /// The newest block's number.
    pub(super) fn head(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.number)
    }

    /// The newest block's time.
    pub(super) fn head_time_s(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.timestamp_s)
    }

    pub(super) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(super) fn block_by_hash(&self, hash: Word) -> Option<&Block> {
        self.blocks.iter().find(|block| block.hash == hash)
    }

    /// The block of a transaction.
    pub(super) fn block_of(&self, transaction: Word) -> Option<&Block> {
        self.blocks.iter().rev().find(|block| block.transactions.contains(&transaction))
    }

    pub(super) fn logs(&self) -> &[ChainLog] {
        &self.logs
    }

    /// The time of the next block if it were mined now: never before its parent's.
    pub(super) fn next_time_s(&self, now_s: u64) -> u64 {
        self.head_time_s().max(now_s)
    }

    /// The times of the blocks that a chain with `block_time_s` would have mined since: enough that the newest has the
    /// clock's time and the `depth` blocks under it are no older than they must be.
    pub(super) fn due(&self, now_s: u64, block_time_s: u64, depth: u64) -> Vec<u64> {
        let lag_s = now_s.saturating_sub(self.head_time_s());
        if lag_s == 0 {
            return Vec::new();
        }
        let missing = lag_s.div_ceil(block_time_s.max(1)).min(depth.saturating_add(1));
        (0..missing).rev().map(|left| now_s.saturating_sub(left.saturating_mul(block_time_s))).collect()
    }

    /// The newest block's hash.
    pub(super) fn head_hash(&self) -> Word {
        self.blocks.last().map_or_else(Word::default, |block| block.hash)
    }

    /// Whether money was ever made for this address.
    pub(super) fn was_minted_for(&self, who: Address) -> bool {
        let (topics, _) = transfer_event(Address::ZERO, who, Uint::default());
        self.logs.iter().any(|log| log.topics == topics)
    }

    /// Mines one block, empty or with one transaction and its events. Returns its number.
    pub(super) fn mine(&mut self, timestamp_s: u64, transaction: Option<(Made, Vec<Event>)>) -> u64 {
        let (number, parent) = match self.blocks.last() {
            Some(block) => (block.number + 1, block.hash),
            None => (0, Word::default()),
        };
        let timestamp_s = self.next_time_s(timestamp_s);
        let mut seed = parent.0.to_vec();
        seed.extend_from_slice(&timestamp_s.to_be_bytes());
        let mut transactions = Vec::new();
        if let Some((made, events)) = transaction {
            let transaction = made.hash;
            seed.extend_from_slice(&transaction.0);
            transactions.push(transaction);
            for (index, (topics, data)) in (0..).zip(events) {
                let (address, block) = (self.token, number);
                self.logs.push(ChainLog { address, topics, data, block, transaction, index });
            }
            self.made.insert(transaction, made);
        }
        let (hash, base_fee) = (keccak(&seed), self.base_fee);
        self.blocks.push(Block { number, hash, parent, timestamp_s, transactions, base_fee });
        number
    }

    /// The balance after block `at`.
    pub(super) fn balance(&self, who: Address, at: u64) -> u128 {
        let history = self.balances.get(&who).map(Vec::as_slice).unwrap_or_default();
        history.iter().rev().find(|(block, _)| *block <= at).map_or(0, |(_, balance)| *balance)
    }

    /// Whether the nonce was used or cancelled in block `at` or before.
    pub(super) fn nonce_used(&self, who: Address, nonce: Word, at: u64) -> bool {
        self.nonces.get(&(who, nonce)).is_some_and(|block| *block <= at)
    }

    /// Refuses a nonce that was used or cancelled.
    pub(super) fn require_unused(&self, who: Address, nonce: Word) -> Result<(), Revert> {
        if self.nonce_used(who, nonce, self.head()) { Err(Revert::UsedOrCanceled) } else { Ok(()) }
    }

    pub(super) fn use_nonce(&mut self, who: Address, nonce: Word, block: u64) {
        self.nonces.insert((who, nonce), block);
    }

    pub(super) fn set_blacklisted(&mut self, who: Address, listed: bool) {
        if listed {
            self.blacklist.insert(who);
        } else {
            self.blacklist.remove(&who);
        }
    }

    pub(super) fn is_blacklisted(&self, who: Address) -> bool {
        self.blacklist.contains(&who)
    }

    /// The balances after a transfer, in the contract's order of refusal.
    pub(super) fn moved(
        &self,
        from: Address,
        to: Address,
        value: Uint,
    ) -> Result<(u128, u128, u128), Revert> {
        if from == Address::ZERO {
            return Err(Revert::FromZero);
        }
        if to == Address::ZERO {
            return Err(Revert::ToZero);
        }
        let value = value.to_u128().ok_or(Revert::InsufficientBalance)?;
        let left = self.balance(from, self.head()).checked_sub(value).ok_or(Revert::InsufficientBalance)?;
        let before = if from == to { left } else { self.balance(to, self.head()) };
        let more = before.checked_add(value).ok_or(Revert::BalanceTooBig)?;
        Ok((value, left, more))
    }

    pub(super) fn set_balance(&mut self, who: Address, block: u64, balance: u128) {
        self.balances.entry(who).or_default().push((block, balance));
    }
}
