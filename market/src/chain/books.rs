//! The chain's books: what is checked, kept and applied, live and when they are read again.

use super::{
    kept::{Change, Kept, Line},
    revert::Revert,
    sending::{CancelCall, SendError, admit},
    state::{Made, State, nonce_event, transfer_event},
    token::Token,
    transaction::Transaction,
    transfers::{PlainTransfer, Scheduled, Transfer},
};
use crate::{
    facilitator::signer_address,
    primitives::{Address, Uint, Word, keccak},
    signing::{Authorization, Signature, SignatureError, cancel_digest},
};

/// State and transfers, with the file that keeps them.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) state: State,
    pub(super) transfers: Vec<Transfer>,
    pub(super) plain: Vec<PlainTransfer>,
    /// In order of time. Only what is applied is kept.
    pub(super) scheduled: Vec<Scheduled>,
    pub(super) kept: Option<Kept>,
}

impl Books {
    /// Keeps a change that was checked, and applies it. Answers the transaction's hash.
    pub(super) fn change(&mut self, token: &Token, now_s: u64, change: Change) -> Result<Word, Revert> {
        let line = Line { parent: self.state.head_hash(), at_s: self.state.next_time_s(now_s), change };
        if let Some(kept) = &mut self.kept
            && !kept.append(&line)
        {
            return Err(Revert::NotKept);
        }
        self.apply(token, &line)
    }

    /// Checks a kept line as it was checked when it was new, and applies it.
    pub(super) fn replay(&mut self, token: &Token, line: &Line) -> Result<(), String> {
        if line.parent != self.state.head_hash() {
            return Err("it does not follow the line before".to_owned());
        }
        if line.at_s < self.state.head_time_s() {
            return Err("its time lies before that of the line before".to_owned());
        }
        let signature = |text: &str| Signature::parse(text).map_err(|error| error.to_string());
        let checked = match &line.change {
            Change::Empty | Change::Blacklist { .. } | Change::BaseFee { .. } => Ok(()),
            Change::Gas { to, wei } => self.with_gas(*to, *wei).map(|_| ()),
            Change::Sent { raw, .. } => {
                let raw = hex::decode(raw).map_err(|error| error.to_string())?;
                let read = Transaction::read(&raw, token.chain_id).map_err(|error| error.to_string())?;
                let cancel = CancelCall::read(token, &read.input);
                let change = admit(&self.state, token, &raw, &read, cancel.as_ref());
                if change.map_err(|error| error.to_string())? != line.change {
                    return Err("it is not what its transaction does".to_owned());
                }
                Ok(())
            }
            Change::Mint { to, value } => {
                let value = value.to_u128().ok_or_else(|| "its amount is too large".to_owned())?;
                self.minted(*to, value).map(|_| ())
            }
            Change::Transfer { authorization, signature: text } => {
                let signer = signature(text)?.recover(authorization.digest(token));
                check(&self.state, line.at_s, authorization, signer).map(|_| ())
            }
            Change::Plain { from, to, value } => check_plain(&self.state, *from, *to, *value).map(|_| ()),
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

    /// Checks, keeps and applies a transfer by the owner of the money.
    pub(super) fn transfer(
        &mut self,
        token: &Token,
        now_s: u64,
        (from, to): (Address, Address),
        value: u128,
    ) -> Result<Word, Revert> {
        let value = Uint::from(value);
        check_plain(&self.state, from, to, value)?;
        self.change(token, now_s, Change::Plain { from, to, value })
    }

    /// Sends what was scheduled up to now. What the token refuses then is never sent.
    pub(super) fn send_due(&mut self, token: &Token, now_s: u64) -> usize {
        let due = self.scheduled.partition_point(|scheduled| scheduled.at_s <= now_s);
        let due: Vec<_> = self.scheduled.drain(..due).collect();
        let sent = due.into_iter().filter(|Scheduled { at_s, from, to, value }| {
            let sent = self.transfer(token, *at_s, (*from, *to), *value);
            if let Err(revert) = &sent {
                tracing::warn!(%revert, %from, %to, value, "a scheduled transfer is not sent");
            }
            sent.is_ok()
        });
        sent.count()
    }

    /// Checks, keeps and applies a raw transaction, as read.
    pub(super) fn send(
        &mut self,
        token: &Token,
        now_s: u64,
        (raw, read): (&[u8], &Transaction),
        cancel: Option<&CancelCall>,
    ) -> Result<Word, SendError> {
        let change = admit(&self.state, token, raw, read, cancel)?;
        self.change(token, now_s, change).map_err(SendError::NotKept)
    }

    /// What an account has to pay gas with after it is given more.
    pub(super) fn with_gas(&self, to: Address, wei: Uint) -> Result<u128, Revert> {
        let more = wei.to_u128().ok_or(Revert::BalanceTooBig)?;
        self.state.accounts.balance(to, self.state.head()).checked_add(more).ok_or(Revert::BalanceTooBig)
    }

    /// The balance after money is made.
    pub(super) fn minted(&self, to: Address, atomic: u128) -> Result<u128, Revert> {
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
            Change::BaseFee { wei } => {
                state.set_base_fee(*wei);
                Ok(Word::default())
            }
            Change::Gas { to, wei } => {
                let wei = self.with_gas(*to, *wei)?;
                self.state.accounts.set_balance(*to, head, wei);
                Ok(Word::default())
            }
            Change::Sent { raw, from, to, gas_used, price, cancels } => {
                // It was read when it was checked.
                let hash = keccak(&hex::decode(raw).unwrap_or_default());
                let price = price.to_u128().unwrap_or(u128::MAX);
                let success = cancels.is_some();
                let event = |(authorizer, nonce)| {
                    nonce_event("AuthorizationCanceled(address,bytes32)", authorizer, nonce)
                };
                let events = cancels.map(event).into_iter().collect();
                let made = Made { hash, from: *from, to: *to, gas_used: *gas_used, price, success };
                let cost = price.saturating_mul(u128::from(*gas_used));
                let (left, count) = (state.accounts.balance(*from, head), state.accounts.count(*from, head));
                let block = state.mine(at_s, Some((made, events)));
                state.accounts.set_balance(*from, block, left.saturating_sub(cost));
                state.accounts.set_count(*from, block, count.saturating_add(1));
                if let Some((authorizer, nonce)) = cancels {
                    state.use_nonce(*authorizer, *nonce, block);
                }
                Ok(hash)
            }
            Change::Mint { to, value } => {
                let atomic = value.to_u128().ok_or(Revert::BalanceTooBig)?;
                let balance = state.balance(*to, head).checked_add(atomic).ok_or(Revert::BalanceTooBig)?;
                let transaction = transaction_hash(b"mint", &to.to_word().0, head);
                let event = transfer_event(Address::ZERO, *to, *value);
                let made = state.usual(transaction, signer_address());
                let block = state.mine(at_s, Some((made, vec![event])));
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
                let made = state.usual(transaction, signer_address());
                let block = state.mine(at_s, Some((made, events)));
                state.use_nonce(from, nonce, block);
                state.set_balance(from, block, left);
                state.set_balance(to, block, more);
                let timestamp_s = state.head_time_s();
                self.transfers.push(Transfer { from, to, value, nonce, transaction, block, timestamp_s });
                Ok(transaction)
            }
            Change::Plain { from, to, value } => {
                let (from, to) = (*from, *to);
                let (atomic, left, more) = state.moved(from, to, *value)?;
                let subject = [from.to_word().0, to.to_word().0, value.to_word().0].concat();
                let transaction = transaction_hash(b"plain", &subject, head);
                let event = transfer_event(from, to, *value);
                let made = state.usual(transaction, from);
                let block = state.mine(at_s, Some((made, vec![event])));
                state.set_balance(from, block, left);
                state.set_balance(to, block, more);
                let timestamp_s = state.head_time_s();
                self.plain.push(PlainTransfer { from, to, value: atomic, transaction, block, timestamp_s });
                Ok(transaction)
            }
            Change::Cancel { authorizer, nonce, .. } => {
                let digest = cancel_digest(token, *authorizer, *nonce);
                let transaction = transaction_hash(b"cancel", &digest.0, head);
                let event = nonce_event("AuthorizationCanceled(address,bytes32)", *authorizer, *nonce);
                let made = state.usual(transaction, signer_address());
                let block = state.mine(at_s, Some((made, vec![event])));
                state.use_nonce(*authorizer, *nonce, block);
                Ok(transaction)
            }
        }
    }
}

/// The contract's checks in the contract's order. `signer` is recovered outside the lock, for it takes long.
pub(super) fn check(
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

/// The contract's checks of `transfer`.
fn check_plain(state: &State, from: Address, to: Address, value: Uint) -> Result<(u128, u128, u128), Revert> {
    if state.is_blacklisted(from) || state.is_blacklisted(to) {
        return Err(Revert::Blacklisted);
    }
    state.moved(from, to, value)
}

fn transaction_hash(kind: &[u8], subject: &[u8], head: u64) -> Word {
    let mut seed = kind.to_vec();
    seed.extend_from_slice(subject);
    seed.extend_from_slice(&head.to_be_bytes());
    keccak(&seed)
}
