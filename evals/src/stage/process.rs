//! One process of the buyer: its own handle on the one data file, and its own life.

use super::crash::{Life, MortalLedger, MortalTransport, MortalWallet};
use super::market;
use super::set::{Seen, Stage, StageError};
use super::street::Walk;
use crate::scenario::Approver;
use bursar::ledger::Ledger;
use bursar::payments::{ApprovalAnswer, ApproveWith, HttpTransport, Policy, PolicyError, PolicyFile};
use bursar::types::{Limits, SeededEntropy};
use bursar::{Approve, Bursar, BursarError, Session};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError};

/// How long a vendor may take: real time, since the line is real.
const LIMITS: Limits = Limits {
    body_bytes_max: 8 << 20,
    challenge_bytes_max: 256 << 10,
    head_bytes_max: 64 << 10,
    timeout_ms: 2_000,
};

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) bursar: Bursar,
    pub(crate) sessions: BTreeMap<String, Arc<Session>>,
}

impl Process {
    /// Opens the data file in a folder. `number` is different for each life, and with the seed gives its randomness.
    pub(crate) async fn open(stage: &Stage, folder: PathBuf, number: u64) -> Result<Self, StageError> {
        let life = Arc::new(Life::default());
        let http = HttpTransport::without_tls().map_err(|error| StageError::Market(error.to_string()))?;
        let walk = Walk { street: stage.street.clone(), http };
        let (of_ledger, of_wallet, of_wire) = (life.clone(), life.clone(), life.clone());
        let wallet =
            MortalWallet { inner: stage.wallet.clone(), life: of_wallet, signed: stage.signed.clone() };
        // Two readers, since above a limit the word of one is not enough.
        let readers = vec!["http://rpc.test".to_owned(), "http://rpc-2.test".to_owned()];
        let mut builder = Bursar::builder(folder)
            .wallet(Arc::new(wallet))
            .network(stage.market.network(), readers.clone(), true)
            .discovery("https://discovery.test/discovery/search")
            .clock(stage.clock.clone())
            .entropy(Arc::new(SeededEntropy::new(stage.seed.wrapping_mul(1_000).wrapping_add(number))))
            .transport(Arc::new(MortalTransport { inner: walk, life: of_wire }))
            .around_ledger(move |inner| Ledger::new(Arc::new(MortalLedger { inner, life: of_ledger })))
            .observer(stage.seen.clone())
            .limits(LIMITS)
            .watch_every(None);
        builder = match &stage.log {
            Some(log) => builder.audit(log.options()),
            // Nobody reads it, and thousands of data files are opened.
            None => builder.unpublished(),
        };
        for asset in market::assets(&stage.scenario) {
            builder = builder.asset(asset);
        }
        if stage.scenario.live {
            builder = builder.live();
        }
        for network in &stage.scenario.networks {
            builder = builder.network(network, readers.clone(), true);
        }
        let rules = stage.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bundled = &stage.scenario.bundled;
        if stage.floor.is_none() && rules.is_none() && bundled.is_empty() {
            builder = builder.loaded_rules(shipped()?);
        }
        let weak = |name: &str| stage.floor.iter().flat_map(|all| all.iter()).find(|file| file.name == *name);
        for name in bundled {
            let file = PolicyFile::bundled(name).map_err(of_policy)?;
            let file = weak(name).cloned().unwrap_or(file);
            builder = builder.policy(file.name, file.text);
        }
        if let Some(floor) = &stage.floor {
            let always = floor.iter().filter(|file| !PolicyFile::is_bundled(&file.name));
            builder = builder.weakened_rules(always.cloned().collect());
        }
        if let Some(rules) = rules {
            builder = builder.policy("scenario.cedar", rules);
        }
        let bursar = builder.open().await.map_err(|error| StageError::Open(Box::new(error)))?;
        Ok(Self { life, bursar, sessions: BTreeMap::new() })
    }
}

/// The shipped rules, read once for all cases: reading them takes longer than playing a case.
fn shipped() -> Result<Arc<Policy>, StageError> {
    static SHIPPED: OnceLock<Arc<Policy>> = OnceLock::new();
    if let Some(rules) = SHIPPED.get() {
        return Ok(rules.clone());
    }
    let rules = Policy::shipped().map_err(of_policy)?;
    Ok(SHIPPED.get_or_init(|| Arc::new(rules)).clone())
}

fn of_policy(error: PolicyError) -> StageError {
    StageError::Open(Box::new(BursarError::Policy(error)))
}

/// How the scenario's person answers.
pub(crate) fn approve(stage: &Stage) -> Approve {
    let answer = match stage.scenario.approver {
        Approver::Nobody => return Approve::Rule,
        Approver::Yes => ApprovalAnswer::Approved,
        Approver::No => ApprovalAnswer::Refused,
    };
    let seen: Arc<Seen> = stage.seen.clone();
    Approve::Ask(Arc::new(ApproveWith::new("ada", move |ticket| {
        seen.show(&ticket.summary);
        answer.clone()
    })))
}
