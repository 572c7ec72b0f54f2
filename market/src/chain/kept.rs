//! The chain in a file: a line for everything that was applied, read again at the next start.

use crate::{
    chain::{ChainSettings, Token},
    primitives::{Address, Uint, Word},
    signing::{Authorization, Signature},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The number of the lines' shapes.
const FORM: u32 = 1;

/// Why a chain cannot be kept in a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// It cannot be read or written.
    #[error("keep the chain in `{}`: {source}; give a file in a folder where you may write", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another market has it open.
    #[error("keep the chain in `{}`: another market has it open; stop that one, or give another file", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what was written.
    #[error(
        "read the chain in `{}`: line {line} is damaged: {problem}; restore the file, or begin a new chain in another one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It is the chain of another network or token.
    #[error(
        "read the chain in `{}`: it is chain {chain_id} with token {token}, not the one asked for; give another file",
        path.display()
    )]
    OtherChain {
        /// The file.
        path: PathBuf,
        /// Its chain id.
        chain_id: u64,
        /// Its token.
        token: Address,
    },
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Genesis {
    form: u32,
    chain_id: u64,
    token: Address,
    at_s: u64,
}

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// The newest block's hash before: a line that was changed or lost breaks the chain of the next one.
    pub(super) parent: Word,
    /// The time of the block that it makes.
    pub(super) at_s: u64,
    pub(super) change: Change,
}

/// What was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Change {
    /// An empty block.
    Empty,
    /// Money was made.
    Mint { to: Address, value: Uint },
    /// Money moved by authorization.
    Transfer { authorization: Authorization, signature: String },
    /// Money was moved by its owner.
    Plain { from: Address, to: Address, value: Uint },
    /// A nonce was burnt.
    Cancel { authorizer: Address, nonce: Word, signature: String },
    /// An account was given wei to pay gas with. Makes no block.
    Gas { to: Address, wei: Uint },
    /// The next blocks have another base fee. Makes no block.
    BaseFee { wei: u64 },
    /// A raw transaction entered a block: who sent it, what it cost, and whose nonce it burnt, if it did not revert.
    Sent {
        raw: String,
        from: Address,
        to: Address,
        gas_used: u64,
        price: Uint,
        cancels: Option<(Address, Word)>,
    },
    /// An account was put on the issuer's list, or taken off. Makes no block.
    Blacklist { who: Address, listed: bool },
}

impl Change {
    pub(super) fn transfer(authorization: &Authorization, signature: &Signature) -> Self {
        Self::Transfer { authorization: authorization.clone(), signature: signature.to_string() }
    }
}

/// The file. Held locked while the market runs.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    path: PathBuf,
    /// A line could not be written, so nothing that comes after it may be.
    broken: bool,
}

impl Kept {
    /// Opens the file, begun if missing or empty, and gives the time of its first block and its lines.
    pub(super) fn open(
        path: &Path,
        settings: &ChainSettings,
    ) -> Result<(Self, u64, Vec<Line>), StateFileError> {
        let io = |source| StateFileError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateFileError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let damaged =
            |line: usize, problem: String| StateFileError::Damaged { path: path.to_owned(), line, problem };
        let text = std::str::from_utf8(&bytes).map_err(|error| damaged(1, error.to_string()))?;
        // A last line without its end was being written when the market died: nobody was told of it.
        let whole = text.rfind('\n').map_or("", |end| text.get(..=end).unwrap_or_default());
        if whole.len() < text.len() {
            tracing::warn!(path = %path.display(), "the last line of the chain was not written to its end; it is left out");
            file.set_len(u64::try_from(whole.len()).unwrap_or(u64::MAX)).map_err(io)?;
        }
        let mut kept = Self { file, path: path.to_owned(), broken: false };
        let mut lines = (1_usize..).zip(whole.lines());
        let Some((_, first)) = lines.next() else {
            let at_s = settings.clock.now_s();
            let Token { address: token, chain_id, .. } = settings.token;
            kept.write(&Genesis { form: FORM, chain_id, token, at_s }, true).map_err(io)?;
            return Ok((kept, at_s, Vec::new()));
        };
        let genesis: Genesis = serde_json::from_str(first).map_err(|error| damaged(1, error.to_string()))?;
        if genesis.form != FORM {
            return Err(damaged(1, format!("it has form {}; this market reads form {FORM}", genesis.form)));
        }
        if genesis.chain_id != settings.token.chain_id || genesis.token != settings.token.address {
            let Genesis { chain_id, token, .. } = genesis;
            return Err(StateFileError::OtherChain { path: path.to_owned(), chain_id, token });
        }
        let lines = lines.map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| damaged(number, error.to_string()))
        });
        let lines = lines.collect::<Result<_, _>>()?;
        Ok((kept, genesis.at_s, lines))
    }

    /// What is wrong with the line at `index` of those after the first.
    pub(super) fn damaged(&self, index: usize, problem: String) -> StateFileError {
        StateFileError::Damaged { path: self.path.clone(), line: index.saturating_add(2), problem }
    }

    /// Writes a line before it is applied. `false` if it could not be: then it must not be applied.
    pub(super) fn append(&mut self, line: &Line) -> bool {
        if self.broken {
            return false;
        }
        let durable = !matches!(line.change, Change::Empty);
        if let Err(error) = self.write(line, durable) {
            tracing::error!(path = %self.path.display(), %error, "the chain's file cannot be written; nothing moves any more");
            self.broken = true;
        }
        !self.broken
    }

    fn write(&mut self, line: &impl Serialize, durable: bool) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        if durable { self.file.sync_data() } else { Ok(()) }
    }
}
