//! What every account has to pay gas with, and how many transactions it has sent, each with its history.

use crate::primitives::Address;
use std::collections::HashMap;

/// Values, each since a block.
type History<T> = HashMap<Address, Vec<(u64, T)>>;

/// The accounts. One that is not mentioned has nothing and has sent nothing.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    balances: History<u128>,
    counts: History<u64>,
}

impl Accounts {
    /// Wei after block `at`.
    pub(super) fn balance(&self, who: Address, at: u64) -> u128 {
        value(&self.balances, who, at)
    }

    /// How many transactions were sent up to block `at`: the number of the next one.
    pub(super) fn count(&self, who: Address, at: u64) -> u64 {
        value(&self.counts, who, at)
    }

    /// Whether it ever had anything to pay gas with.
    pub(super) fn was_given_gas(&self, who: Address) -> bool {
        self.balances.contains_key(&who)
    }

    pub(super) fn set_balance(&mut self, who: Address, block: u64, wei: u128) {
        self.balances.entry(who).or_default().push((block, wei));
    }

    pub(super) fn set_count(&mut self, who: Address, block: u64, count: u64) {
        self.counts.entry(who).or_default().push((block, count));
    }
}

fn value<T: Copy + Default>(history: &History<T>, who: Address, at: u64) -> T {
    let history = history.get(&who).map(Vec::as_slice).unwrap_or_default();
    history.iter().rev().find(|(block, _)| *block <= at).map_or_else(T::default, |(_, value)| *value)
}
