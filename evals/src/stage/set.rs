//! What stands on the stage.

use super::crash::{Life, Signed};
use super::log::Log;
use super::market;
use super::process::{Process, approve};
use super::street::Street;
use crate::scenario::{Alerts, Scenario, SellerSpec};
use bursar::ledger::StoreError;
use bursar::payments::{DelegateError, LocalWallet, Mandate, MandateFile, MoneyEvent, Observer, Wallet};
use bursar::types::{AssetRegistry, Clock, ManualClock, SessionId, Timestamp};
use bursar::{Bursar, BursarError, Session};
use bursar_market::{ManualClock as MarketClock, Market};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use thiserror::Error;

/// The buyer's key; worth nothing anywhere.
pub(crate) const WALLET_KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

/// Texts that stand for shipped rules: all those that always hold, and some that hold where they are asked for.
pub(crate) type Floor = Arc<Vec<bursar::payments::PolicyFile>>;

/// Why something could not be put on the stage. A scenario can expect the second.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// The scenario does not hold together.
    #[error("{0}")]
    Scenario(String),
    /// Bursar does not open what the scenario describes.
    #[error(transparent)]
    Open(Box<BursarError>),
    /// The mandate cannot be read.
    #[error("mandate: {0}")]
    Mandate(String),
    /// Nobody delegated to this session.
    #[error("nobody delegated to `{0}`")]
    NoSession(String),
    /// A session delegates nothing like this.
    #[error(transparent)]
    Delegate(DelegateError),
    /// The market did not start.
    #[error("market: {0}")]
    Market(String),
    /// The temporary folder cannot be made.
    #[error("temporary folder: {0}")]
    Folder(#[from] std::io::Error),
}

impl StageError {
    /// The reason code that stands for it; `None` if it is the scenario's or the machine's own fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        let error = match self {
            Self::Open(error) => error,
            Self::Mandate(_) => return Some("CONFIG_INVALID"),
            Self::Delegate(DelegateError::Widened(_)) => return Some("DELEGATION_WIDENED"),
            Self::Delegate(_) | Self::NoSession(_) => return Some("NOT_DELEGATED"),
            Self::Scenario(_) | Self::Market(_) | Self::Folder(_) => return None,
        };
        match &**error {
            BursarError::Policy(_) => Some("POLICY_INVALID"),
            BursarError::Ledger(StoreError::RolledBack { .. }) => Some("LEDGER_ROLLED_BACK"),
            BursarError::Mandate(_) | BursarError::Config { .. } => Some("CONFIG_INVALID"),
            BursarError::Session(error) => Some(match error {
                bursar::payments::OpenError::Mandate(bursar::payments::MandateError::PolicyChanged(_)) => {
                    "POLICY_CHANGED"
                }
                bursar::payments::OpenError::BudgetChanged => "BUDGET_CHANGED",
                _ => "SESSION_REFUSED",
            }),
            _ => Some("NOT_OPENED"),
        }
    }
}

/// What was said and shown while a scenario was played.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    shown: Mutex<Vec<String>>,
    codes: Mutex<BTreeSet<String>>,
}

impl Seen {
    /// A person was shown this.
    pub(crate) fn show(&self, text: &str) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }

    /// Keeps the reason codes of an event.
    fn hear(&self, event: &impl serde::Serialize) {
        let value = serde_json::to_value(event).unwrap_or_default();
        collect_codes(&value, &mut self.codes.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reason codes that came with events.
    pub(crate) fn codes(&self) -> Vec<String> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Seen {
    fn event(&self, event: &MoneyEvent) {
        self.hear(event);
    }
}

/// A scenario's world: the market, the clock, the data file and the buyer's processes.
///
/// An [own agent](crate::AgentFn) gets it, and works with [`Stage::session`].
#[derive(Debug)]
pub struct Stage {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) seed: u64,
    own_agent: bool,
    /// Texts that stand for the shipped rules, where a check is taken out of them.
    pub(crate) floor: Option<Floor>,
    pub(crate) sellers: Vec<SellerSpec>,
    pub(crate) market: Market,
    pub(crate) street: Arc<Street>,
    pub(crate) clock: Arc<ManualClock>,
    market_clock: MarketClock,
    pub(crate) wallet: Arc<LocalWallet>,
    pub(crate) signed: Arc<Signed>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) data: TempDir,
    /// What the outside sees of the journal.
    pub(crate) log: Option<Log>,
    /// Data folders of processes that have one of their own.
    pub(super) forks: Mutex<BTreeMap<String, PathBuf>>,
    processes: tokio::sync::Mutex<BTreeMap<String, Process>>,
    /// The file of rules, as it is now.
    pub(crate) rules: Mutex<Option<String>>,
    lives: Mutex<u64>,
    ids: Mutex<BTreeMap<String, SessionId>>,
    /// Sessions that nobody got: there are none of these names.
    none: Mutex<BTreeSet<String>>,
}

impl Stage {
    pub(crate) async fn set(scenario: Arc<Scenario>, seed: u64, own_agent: bool) -> Result<Self, StageError> {
        let wallet = LocalWallet::from_private_key(WALLET_KEY)
            .map_err(|error| StageError::Scenario(format!("the buyer's key: {error}")))?;
        let buyer = wallet.address().parse();
        let buyer = buyer.map_err(|_| StageError::Scenario("the buyer has no address".to_owned()))?;
        let market_clock = MarketClock::new(scenario.starts_at);
        let sellers = market::sellers(&scenario);
        let market = market::start(&scenario, &sellers, buyer, market_clock.clone()).await?;
        let starts_at = Timestamp::from_unix_ms(scenario.starts_at.saturating_mul(1_000));
        let clock = Arc::new(ManualClock::new(starts_at));
        let mut street = Street::new(clock.clone());
        for (spec, seller) in sellers.iter().zip(market.sellers()) {
            street.build(&spec.host, seller.bound());
        }
        for host in ["rpc.test", "rpc-2.test"] {
            street.build(host, market.rpc_url());
        }
        street.build("discovery.test", market.facilitator_url());
        let data = folder()?;
        let log = Log::begin(&scenario, seed, data.path(), &clock, &mut street).await?;
        Ok(Self {
            clock,
            own_agent,
            floor: None,
            rules: Mutex::new(scenario.policy.clone()),
            scenario,
            seed,
            sellers,
            market,
            street: Arc::new(street),
            market_clock,
            wallet: Arc::new(wallet),
            signed: Arc::default(),
            seen: Arc::default(),
            data,
            log,
            forks: Mutex::default(),
            processes: tokio::sync::Mutex::default(),
            lives: Mutex::default(),
            ids: Mutex::default(),
            none: Mutex::default(),
        })
    }

    /// The same, with other texts for the shipped rules.
    pub(crate) fn under(mut self, floor: Option<&Floor>) -> Self {
        self.floor = floor.cloned();
        self
    }

    /// The scenario that is played.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The session `main`, opened under the scenario's mandate when it is first asked for: what an agent works in. Give its
    /// [`run_context`](Session::run_context) to your agent's `run`, and tools made over it to the agent.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn session(&self) -> Result<Arc<Session>, StageError> {
        self.session_named("main", "main").await.map(|(session, _)| session)
    }

    /// A session, through a process that is opened if it does not run.
    pub(crate) async fn session_named(
        &self,
        name: &str,
        process: &str,
    ) -> Result<(Arc<Session>, Arc<Life>), StageError> {
        let known = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        let none = self.none.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        match known {
            Some(id) => self.resumed(name, process, id).await,
            None if none => Err(StageError::NoSession(name.to_owned())),
            None => self.opened(name, process, &toml::Table::new()).await,
        }
    }

    async fn resumed(
        &self,
        name: &str,
        process: &str,
        id: SessionId,
    ) -> Result<(Arc<Session>, Arc<Life>), StageError> {
        let mut processes = self.processes.lock().await;
        let running = self.running(&mut processes, process).await?;
        if let Some(session) = running.sessions.get(name) {
            return Ok((session.clone(), running.life.clone()));
        }
        let session = running.bursar.resume(id, approve(self)).await;
        let session = Arc::new(session.map_err(|error| StageError::Open(Box::new(error)))?);
        self.listen(&session);
        running.sessions.insert(name.to_owned(), session.clone());
        Ok((session, running.life.clone()))
    }

    /// Opens a session under the scenario's mandate with some keys changed.
    pub(crate) async fn opened(
        &self,
        name: &str,
        process: &str,
        changed: &toml::Table,
    ) -> Result<(Arc<Session>, Arc<Life>), StageError> {
        let mandate = self.mandate(changed)?;
        let mut processes = self.processes.lock().await;
        let running = self.running(&mut processes, process).await?;
        let purpose = mandate.purpose.clone();
        let session = running.bursar.session(purpose).mandate(mandate).approve(approve(self)).start().await;
        let session = Arc::new(session.map_err(|error| StageError::Open(Box::new(error)))?);
        self.listen(&session);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), session.id());
        running.sessions.insert(name.to_owned(), session.clone());
        Ok((session, running.life.clone()))
    }

    /// A session delegates to another, under the scenario's mandate without metered items and with some keys changed.
    pub(crate) async fn delegated(
        &self,
        name: &str,
        from: &str,
        process: &str,
        changed: &toml::Table,
    ) -> Result<(), StageError> {
        let (parent, _) = self.session_named(from, process).await?;
        let mut cut = toml::Table::from_iter([
            ("metered".to_owned(), toml::Value::Array(Vec::new())),
            ("agent".to_owned(), name.into()),
        ]);
        cut.extend(changed.clone());
        let child = match parent.delegate(self.mandate(&cut)?, approve(self)).await {
            Ok(child) => Arc::new(child),
            Err(error) => {
                // Whoever had the name before has it no more.
                self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                self.none.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                return Err(StageError::Delegate(error));
            }
        };
        self.listen(&child);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), child.id());
        let mut processes = self.processes.lock().await;
        self.running(&mut processes, process).await?.sessions.insert(name.to_owned(), child);
        Ok(())
    }

    /// Hears what a session tells, unless an agent of the user's own may want to.
    fn listen(&self, session: &Session) {
        if self.own_agent {
            return;
        }
        let Some(mut events) = session.events() else { return };
        if self.scenario.alerts == Alerts::Lost {
            return;
        }
        let seen = self.seen.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                seen.hear(&event);
            }
        });
    }

    async fn running<'a>(
        &self,
        processes: &'a mut BTreeMap<String, Process>,
        name: &str,
    ) -> Result<&'a mut Process, StageError> {
        if processes.get(name).is_none_or(|process| process.life.is_over()) {
            let number = {
                let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
                *lives = lives.saturating_add(1);
                *lives
            };
            processes.insert(name.to_owned(), Process::open(self, self.folder_of(name), number).await?);
        }
        processes.get_mut(name).ok_or_else(|| StageError::Scenario(format!("no process `{name}`")))
    }

    /// A process's handle on the data file.
    pub(crate) async fn bursar(&self, process: &str) -> Result<(Bursar, Arc<Life>), StageError> {
        let mut processes = self.processes.lock().await;
        let running = self.running(&mut processes, process).await?;
        Ok((running.bursar.clone(), running.life.clone()))
    }

    /// Closes a process in order, if it runs.
    pub(crate) async fn close(&self, process: &str) {
        let closed = self.processes.lock().await.remove(process);
        if let Some(process) = closed.filter(|process| !process.life.is_over()) {
            drop(process.sessions);
            if let Err(error) = process.bursar.close().await {
                tracing::warn!(%error, "a process could not be closed");
            }
        }
    }

    /// Waits for what runs on its own in every process.
    pub(crate) async fn drain(&self) {
        let processes = self.processes.lock().await;
        for process in processes.values().filter(|process| !process.life.is_over()) {
            process.bursar.desk().close().await;
        }
    }

    /// The mandate as the scenario's file has it, with some keys changed, and with what it may leave out.
    pub(crate) fn mandate(&self, changed: &toml::Table) -> Result<Mandate, StageError> {
        let mut table = self.scenario.mandate.clone();
        table.extend(changed.clone());
        let usdc = format!("eip155:{}/erc20:{}", market::CHAIN_ID, market::TOKEN);
        let default = |table: &mut toml::Table, key: &str, value: toml::Value| {
            table.entry(key).or_insert(value);
        };
        default(&mut table, "purpose", "eval".into());
        default(&mut table, "user", "ada".into());
        default(&mut table, "assets", toml::Value::Array(vec![usdc.clone().into()]));
        if let Some(toml::Value::Array(items)) = table.get_mut("metered") {
            for (index, item) in items.iter_mut().enumerate() {
                let toml::Value::Table(item) = item else { continue };
                default(item, "name", format!("item-{}", index.saturating_add(1)).into());
                default(item, "asset", usdc.clone().into());
                default(item, "count", 1.into());
                let host = item.get("resource").and_then(toml::Value::as_str).and_then(host_of);
                let seller = self.sellers.iter().find(|seller| Some(&seller.host) == host.as_ref());
                if let Some(seller) = seller {
                    default(item, "payee", market::payee(seller).to_string().into());
                }
            }
        }
        let table = self.named(toml::Value::Table(table), &usdc);
        let file: MandateFile = table
            .try_into()
            .map_err(|error: toml::de::Error| StageError::Mandate(error.message().to_owned()))?;
        let mut known = AssetRegistry::pinned();
        market::assets(&self.scenario).into_iter().for_each(|asset| known.insert(asset));
        let mut mandate = file
            .into_mandate(&known)
            .map_err(|error| StageError::Open(Box::new(BursarError::Mandate(error))))?;
        let starts_at = Timestamp::from_unix_ms(self.scenario.starts_at.saturating_mul(1_000));
        mandate.expires_at =
            self.scenario.expires_s.map(|seconds| starts_at.plus_ms(seconds.saturating_mul(1_000)));
        Ok(mandate)
    }

    /// `@usdc` and `@NAME` as what they stand for.
    fn named(&self, value: toml::Value, usdc: &str) -> toml::Value {
        match value {
            toml::Value::String(text) => toml::Value::String(match text.strip_prefix('@') {
                Some("usdc") => usdc.to_owned(),
                Some(name) => self
                    .sellers
                    .iter()
                    .find(|seller| seller.name == name)
                    .map_or(text.clone(), |seller| market::payee(seller).to_string()),
                None => text,
            }),
            toml::Value::Array(all) => {
                toml::Value::Array(all.into_iter().map(|value| self.named(value, usdc)).collect())
            }
            toml::Value::Table(table) => toml::Value::Table(
                table.into_iter().map(|(key, value)| (key, self.named(value, usdc))).collect(),
            ),
            other => other,
        }
    }

    /// One of the market's sellers.
    pub(crate) fn seller(&self, name: &str) -> Result<&bursar_market::Seller, StageError> {
        let index = self.sellers.iter().position(|seller| seller.name == name);
        index
            .and_then(|index| self.market.seller(index))
            .ok_or_else(|| StageError::Scenario(format!("there is no seller `{name}`")))
    }

    /// Everybody's clock moves.
    pub(crate) fn advance_s(&self, seconds: u64) {
        self.clock.advance_ms(seconds.saturating_mul(1_000));
        self.market_clock.advance_s(seconds);
        self.market.chain().mine();
    }

    /// The folder that everything is kept in while the scenario is played.
    pub(crate) fn folder(&self) -> String {
        self.data.path().display().to_string()
    }

    pub(crate) fn wallet_address(&self) -> &str {
        self.wallet.address()
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.clock.now().unix_s()
    }
}

/// Every `code` of a reason, however deep; quotes say why they cannot be paid, which refuses nothing yet.
fn collect_codes(value: &serde_json::Value, codes: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            if let (Some(serde_json::Value::String(code)), true) =
                (fields.get("code"), fields.contains_key("next_step"))
            {
                codes.insert(code.clone());
            }
            fields
                .iter()
                .filter(|(name, _)| *name != "quotes")
                .for_each(|(_, value)| collect_codes(value, codes));
        }
        serde_json::Value::Array(all) => all.iter().for_each(|value| collect_codes(value, codes)),
        _ => {}
    }
}

fn host_of(resource: &str) -> Option<String> {
    let url = url::Url::parse(resource.strip_suffix('*').unwrap_or(resource)).ok()?;
    Some(url.host_str()?.to_owned())
}

/// A folder that lives as long as the stage, in memory where the system has a place for that with enough room: every commit
/// waits for the disk otherwise, and nothing of this is to be kept.
fn folder() -> std::io::Result<TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    let in_memory = has_room(memory).then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.map_or_else(tempfile::tempdir, Ok)
}

#[cfg(unix)]
fn has_room(folder: &std::path::Path) -> bool {
    const ROOM: u64 = 1 << 30;
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM)
}

#[cfg(not(unix))]
fn has_room(_: &std::path::Path) -> bool {
    false
}
