//! Putting Bursar together.

use crate::audit::{AuditOptions, Keeper};
use crate::callers::{self, Caller};
use crate::config::{Config, FinalityConfig};
use crate::erase;
use crate::error::BursarError;
use crate::handle::{Bursar, Inner};
use crate::mandate_file::{self, Issued};
use crate::mark;
use crate::runs::RunsInLedger;
use crate::system::{SystemClock, SystemEntropy};
use crate::telemetry::{Gauges, Meter, metered};
use crate::wallet_file;
use bursar_ledger::{Ledger, SqliteOptions, SqliteStore};
use bursar_memory::Library;
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{
    Alerts, Compensator, Compensators, Egress, HttpTransport, Mandate, NoObserver, Observer, OutflowRules,
    Payments, PaymentsParts, PinnedKey, Policy, PolicyFile, Rail, Recovered, RecoveryRules, Unread, Wallet,
};
use bursar_types::telemetry::{Traces, Untraced};
use bursar_types::{Amount, Asset, AssetId, AssetRegistry, Clock, Entropy, FetchError, Limits, Transport};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a quote may be used before it must be asked again.
const QUOTE_TTL_MS: u64 = 15 * 60 * 1_000;
/// Above ten dollars one endpoint's word about a payment is not enough.
const TWO_READERS_ABOVE_MICRO_USD: u128 = 10_000_000;
/// How often what is open is looked after, beside other work.
const WATCH_EVERY: Duration = Duration::from_secs(30);

/// What is put around the ledger.
struct AroundLedger(Box<dyn FnOnce(Ledger) -> Ledger + Send>);

impl std::fmt::Debug for AroundLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AroundLedger")
    }
}

/// Puts Bursar together in code. [`Bursar::open`] does the same from a file.
#[derive(Debug)]
#[must_use]
pub struct BursarBuilder {
    data: PathBuf,
    mark: Option<PathBuf>,
    wallet: Option<(Arc<dyn Wallet>, Option<PathBuf>)>,
    networks: Vec<NetworkReader>,
    registry: AssetRegistry,
    policies: Vec<PolicyFile>,
    weakened: Option<Vec<PolicyFile>>,
    loaded: Option<Arc<Policy>>,
    discovery: Vec<String>,
    mandate: Option<Mandate>,
    issued: Option<Issued>,
    issuers: Vec<PinnedKey>,
    alerts: Option<Arc<dyn Alerts>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    transport: Option<Arc<dyn Transport>>,
    around_ledger: Option<AroundLedger>,
    limits: Limits,
    egress: Egress,
    recovery: RecoveryRules,
    observer: Arc<dyn Observer>,
    watch_every: Option<Duration>,
    two_readers_above: Option<Amount>,
    cancel_fees: BTreeMap<String, u128>,
    compensators: Compensators,
    audit: Option<AuditOptions>,
    traces: Arc<dyn Traces>,
    meter: Option<Arc<dyn Meter>>,
    retention_ms: Option<u64>,
    outflow: OutflowRules,
    live: bool,
    callers: Vec<Caller>,
    #[cfg(feature = "openapi")]
    apis: Vec<bursar_tools::openapi::Api>,
    #[cfg(feature = "mcp")]
    mcp: Vec<bursar_tools::mcp::McpServer>,
}

impl BursarBuilder {
    pub(crate) fn new(data: PathBuf) -> Self {
        Self {
            data,
            mark: None,
            wallet: None,
            networks: Vec::new(),
            registry: AssetRegistry::pinned(),
            policies: Vec::new(),
            weakened: None,
            loaded: None,
            discovery: Vec::new(),
            mandate: None,
            issued: None,
            issuers: Vec::new(),
            alerts: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            transport: None,
            around_ledger: None,
            limits: Limits::default(),
            egress: Egress::internet(),
            recovery: RecoveryRules::default(),
            observer: Arc::new(NoObserver),
            watch_every: Some(WATCH_EVERY),
            two_readers_above: Some(Amount::from_atomic(AssetId::micro_usd(), TWO_READERS_ABOVE_MICRO_USD)),
            cancel_fees: BTreeMap::new(),
            compensators: Compensators::default(),
            audit: Some(AuditOptions::default()),
            traces: Arc::new(Untraced),
            meter: None,
            retention_ms: None,
            outflow: OutflowRules::default(),
            live: false,
            callers: Vec::new(),
            #[cfg(feature = "openapi")]
            apis: Vec::new(),
            #[cfg(feature = "mcp")]
            mcp: Vec::new(),
        }
    }

    /// Reads a configuration file.
    pub(crate) fn from_file(path: &Path) -> Result<Self, BursarError> {
        let config = Config::read(path)?;
        let two_readers = config.two_readers()?;
        let base = path.parent().unwrap_or(Path::new("."));
        let mut builder = Self::new(base.join(&config.data));
        builder.mark = config.mark.as_ref().map(|mark| base.join(mark));
        if let Some(wallet) = &config.wallet {
            let (wallet, binding) = wallet_file::open(wallet, base)?;
            builder.wallet = Some((Arc::new(wallet), binding));
        }
        builder.policies = config.read_policies(base)?;
        builder.audit = Some(config.audit_options(base));
        for network in config.networks.clone() {
            let finality = match network.finality {
                FinalityConfig::Finalized => Finality::Finalized,
                FinalityConfig::Latest => Finality::Latest,
            };
            if let Some(wei_max) = network.cancel_fee_wei_max {
                builder.cancel_fees.insert(network.network.clone(), u128::from(wei_max));
            }
            builder.networks.push(NetworkReader {
                network: network.network,
                rpc_urls: network.rpc,
                finality,
            });
        }
        for asset in config.assets.clone() {
            builder.registry.insert(asset.into_asset());
        }
        if let Some(amount) = two_readers {
            builder.two_readers_above = Some(amount);
        }
        builder.retention_ms = config.retention.payloads_ms();
        builder.outflow = config.outflow.rules();
        builder.discovery = config.discovery.clone();
        builder.live = config.live;
        if config.network_access.loopback {
            builder = builder.reach_loopback();
        }
        builder.recovery = config.recovery.clone();
        if let Some(read) = mandate_file::read(&config, base, &builder.registry, builder.clock.now())? {
            builder.mandate = Some(read.mandate);
            builder.issued = read.issued;
        }
        builder.callers = callers::read(&config, base, builder.mandate.as_ref(), builder.clock.now())?;
        #[cfg(feature = "openapi")]
        for api in &config.apis {
            builder.apis.push(crate::openapi::declared(api, base)?);
        }
        #[cfg(not(feature = "openapi"))]
        if !config.apis.is_empty() {
            return Err(BursarError::Feature { what: "APIs", feature: "openapi" });
        }
        #[cfg(feature = "mcp")]
        for server in &config.mcp {
            builder.mcp.push(crate::mcp::declared(server)?);
        }
        #[cfg(not(feature = "mcp"))]
        if !config.mcp.is_empty() {
            return Err(BursarError::Feature { what: "MCP servers", feature: "mcp" });
        }
        builder.issuers = config.issuers;
        Ok(builder)
    }

    /// The wallet. It is not bound to the data file on disk: that is the caller's duty here.
    pub fn wallet(mut self, wallet: Arc<dyn Wallet>) -> Self {
        self.wallet = Some((wallet, None));
        self
    }

    /// A wallet for play money, made in the data folder at first use: for chains on this machine.
    ///
    /// # Errors
    /// [`BursarError::Write`] or [`BursarError::Wallet`] if its file cannot be made or read.
    pub fn play_wallet(mut self) -> Result<Self, BursarError> {
        let (wallet, binding) = wallet_file::play_wallet(&self.data.join("play-money.key"), &*self.entropy)?;
        self.wallet = Some((Arc::new(wallet), Some(binding)));
        Ok(self)
    }

    /// The wallet's address, if there is one yet.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.wallet.as_ref().map(|(wallet, _)| wallet.address())
    }

    /// Adds a network that can be paid on, with the endpoints that read it. On `local` chains the latest block counts.
    pub fn network(mut self, network: impl Into<String>, rpc_urls: Vec<String>, local: bool) -> Self {
        let finality = if local { Finality::Latest } else { Finality::Finalized };
        self.networks.push(NetworkReader { network: network.into(), rpc_urls, finality });
        self
    }

    /// Trusts an asset beside the pinned ones.
    pub fn asset(mut self, asset: Asset) -> Self {
        self.registry.insert(asset);
        self
    }

    /// Adds a Cedar file beside the shipped rules.
    pub fn policy(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.policies.push(PolicyFile::new(name, text));
        self
    }

    /// Adds rules that are shipped and hold where they are asked for, such as `bursar:review`.
    ///
    /// # Errors
    /// [`BursarError::Policy`] if none of this name are shipped.
    pub fn bundled_policy(mut self, name: &str) -> Result<Self, BursarError> {
        self.policies.push(PolicyFile::bundled(name)?);
        Ok(self)
    }

    /// Adds a Cedar file that is only tried out: decided and recorded, and not enforced.
    pub fn shadow_policy(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.policies.push(PolicyFile::new(name, text).shadow());
        self
    }

    /// Lets other texts stand for the shipped rules, for an evaluation that takes a check out; see [`Policy::weakened`]: nothing
    /// that is worth money is paid under them.
    pub fn weakened_rules(mut self, floor: Vec<PolicyFile>) -> Self {
        self.weakened = Some(floor);
        self
    }

    /// Uses rules that were loaded before, instead of loading files: for many data files under the same rules. Files that were
    /// added besides are not read.
    pub fn loaded_rules(mut self, rules: Arc<Policy>) -> Self {
        self.loaded = Some(rules);
        self
    }

    /// Adds a discovery service that agents search.
    pub fn discovery(mut self, url: impl Into<String>) -> Self {
        self.discovery.push(url.into());
        self
    }

    /// Says that others pay from this wallet too. What leaves it then stops spending only where this ledger authorized it and its
    /// journal does not know; without it, anything that the journal does not know does.
    pub const fn shared_wallet(mut self) -> Self {
        self.outflow.shared = true;
        self
    }

    /// Pays also where the chain cannot be read and nobody knows what left the wallet; that it was so is journaled. Without it
    /// nothing is paid then, with `OUTFLOW_UNREAD`.
    pub const fn pay_unread(mut self) -> Self {
        self.outflow.unread = Unread::Pay;
        self
    }

    /// Lets money be spent that is worth something, where the mandate says so too. Off unless it is called.
    pub const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The mandate of sessions that bring none. Where the configuration names issuers, one that is not signed is refused.
    pub fn mandate(mut self, mandate: Mandate) -> Self {
        self.mandate = Some(mandate);
        self.issued = None;
        self
    }

    /// Adds somebody who may spend through an entrance of this process: see [`Bursar::session_of`].
    pub fn caller(mut self, caller: Caller) -> Self {
        self.callers.push(caller);
        self
    }

    /// Declares an MCP server: see [`Bursar::mcp_servers`].
    #[cfg(feature = "mcp")]
    pub fn mcp(mut self, server: bursar_tools::mcp::McpServer) -> Self {
        self.mcp.push(server);
        self
    }

    /// Who takes the alerts that budgets require, in every session; without it, whoever holds the session's event stream does. See
    /// [`SessionBuilder::alerts`](crate::SessionBuilder::alerts) for one session.
    pub fn alerts(mut self, alerts: Arc<dyn Alerts>) -> Self {
        self.alerts = Some(alerts);
        self
    }

    /// Replaces the machine's clock, for tests and replays.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the machine's randomness, for tests and replays. Ids, salts and nonces follow from it, so that one that can be
    /// guessed is no good for money.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Replaces the network, for tests, replays and proxies of one's own. Everything that leaves goes through it, and whoever
    /// gives one keeps what [`Transport`] promises.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Declares an API whose operations agents may use: see [`Bursar::apis`](crate::Bursar::apis).
    #[cfg(feature = "openapi")]
    pub fn api(mut self, api: bursar_tools::openapi::Api) -> Self {
        self.apis.push(api);
        self
    }

    /// Puts something around the ledger once it is open: what counts its writes, or makes them fail in a test.
    pub fn around_ledger(mut self, around: impl FnOnce(Ledger) -> Ledger + Send + 'static) -> Self {
        self.around_ledger = Some(AroundLedger(Box::new(around)));
        self
    }

    /// Bounds of every exchange with a vendor.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets agents reach this machine: for development, and for a market in a box. Private, link-local and metadata
    /// addresses stay out of reach.
    pub const fn reach_loopback(mut self) -> Self {
        self.egress = self.egress.and_loopback();
        self
    }

    /// How patiently what is open is looked after.
    pub fn recovery(mut self, recovery: RecoveryRules) -> Self {
        self.recovery = recovery;
        self
    }

    /// Who hears what recovery finds and does, from opening on. What a session does is in its own events.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// How often what is open is looked after beside other work; `None` leaves it to [`Bursar::recover`].
    pub const fn watch_every(mut self, every: Option<Duration>) -> Self {
        self.watch_every = every;
        self
    }

    /// Where the journal is published, how often, and who sees it: by default into the data folder, every second.
    pub fn audit(mut self, audit: AuditOptions) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Publishes nothing: for evaluations and tests that open many data files. Nobody can check such a journal who does not
    /// have it.
    pub fn unpublished(mut self) -> Self {
        self.audit = None;
        self
    }

    /// Who knows which trace a task is in: journal entries and runs name it. Without it they name none. The module `telemetry`,
    /// with the feature `otel`, has one.
    pub fn traces(mut self, traces: Arc<dyn Traces>) -> Self {
        self.traces = traces;
        self
    }

    /// Who counts what happens to money, in every session and in recovery, and what is open.
    pub fn meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Sends spans and metrics to a collector: [`traces`](Self::traces) and [`meter`](Self::meter) at once. The program's
    /// subscriber needs its [`layer`](crate::telemetry::Telemetry::layer) as well.
    #[cfg(feature = "otel")]
    pub fn telemetry(self, telemetry: &crate::telemetry::Telemetry) -> Self {
        self.traces(telemetry.traces()).meter(telemetry.meter())
    }

    /// How long payloads of what is finished are kept: texts, URLs, bodies, quotes, mandates and runs. What is older is erased
    /// on opening, once a day or four times an age that is shorter, and by [`Bursar::erase_expired`]. Without it everything is kept.
    pub fn keep_payloads(mut self, age: Duration) -> Self {
        self.retention_ms = Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Makes a compensator known from the start, so that opening goes on with sagas that a crash left half taken back.
    pub fn compensator(self, compensator: Arc<dyn Compensator>) -> Self {
        self.compensators.register(compensator);
        self
    }

    /// Opens the data file and everything over it, and takes up payments that a crash left open.
    ///
    /// # Errors
    /// [`BursarError`], with the file and what to do.
    pub async fn open(self) -> Result<Bursar, BursarError> {
        let (wallet, binding) = self.wallet.ok_or(BursarError::NoWallet)?;
        mandate_file::check_issuers(
            &self.issuers,
            self.mandate.is_some() && self.issued.is_none(),
            &*wallet,
        )?;
        let policy = match (&self.weakened, self.loaded) {
            (Some(floor), _) => Arc::new(Policy::weakened(floor, &self.policies)?),
            (None, Some(rules)) => rules,
            (None, None) => Arc::new(Policy::load(&self.policies)?),
        };
        make_private(&self.data).map_err(|source| BursarError::Write { path: self.data.clone(), source })?;
        let mark = mark::of(&self.data, self.mark.as_deref())
            .map_err(|source| BursarError::Write { path: self.data.clone(), source })?;
        let options = SqliteOptions::new(
            self.data.join("ledger.sqlite"),
            mark,
            self.clock.clone(),
            self.entropy.clone(),
        );
        let ledger = Ledger::new(Arc::new(SqliteStore::open(options)?));
        let ledger = match self.around_ledger {
            Some(AroundLedger(around)) => around(ledger),
            None => ledger,
        };
        if let Some(binding) = binding {
            wallet_file::bind(&binding, ledger.id())?;
        }
        if let Some(issued) = &self.issued {
            issued.record(&ledger, &*self.entropy).await?;
        }
        let library = Library::open(self.data.join("library.sqlite"), ledger.clone()).await?;
        let (readers, vendors): (Arc<dyn Transport>, Arc<dyn Transport>) = match self.transport {
            Some(transport) => (transport.clone(), transport),
            None => (Arc::new(HttpTransport::new()?), Arc::new(HttpTransport::guarded(self.egress)?)),
        };
        #[cfg(feature = "openapi")]
        let (vendors, apis) = crate::openapi::Apis::around(vendors, self.apis);
        let registry = Arc::new(self.registry);
        #[cfg(feature = "mcp")]
        let (vendors, mcp) = crate::mcp::Mcp::around(vendors, self.mcp, &self.data);
        let operators = readers.clone();
        let guards = Safeguards {
            two_readers_above: self.two_readers_above,
            cancel_fee_wei_max: self.cancel_fees,
            clock: Some(self.clock.clone()),
        };
        let x402 = X402::new(X402Options {
            assets: registry.clone(),
            networks: self.networks,
            transport: readers,
            payer: wallet.address().to_owned(),
            quote_ttl_ms: QUOTE_TTL_MS,
        });
        let rail: Arc<dyn Rail> = Arc::new(x402.guarded_by(guards).asking_vendors_through(vendors.clone()));
        let parts = PaymentsParts {
            ledger: ledger.clone(),
            policy,
            rails: vec![rail],
            wallet,
            transport: vendors,
            egress: self.egress,
            registry: registry.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            limits: self.limits,
            recovery: self.recovery,
            traces: self.traces.clone(),
        };
        let log = match &self.audit {
            Some(audit) => Some(audit.publisher(
                &self.data,
                ledger.clone(),
                self.clock.clone(),
                &*self.entropy,
                operators,
            )?),
            None => None,
        };
        let payments = Payments::observed(parts, metered(self.meter.as_ref(), self.observer));
        let payments = payments.guarding_outflow(self.outflow);
        let payments = payments.knowing_runs(Arc::new(RunsInLedger(ledger.clone())));
        let payments = if self.live { payments.with_live() } else { payments };
        payments.compensators().extend(&self.compensators);
        let log = log.map(|log| Keeper::new(log, payments.clone()));
        // What was published is looked at before anything is paid.
        if let Some(log) = &log {
            log.publish_at_the_beginning().await?;
        }
        let recovered = payments.recover().await?;
        let every = self.audit.as_ref().and_then(AuditOptions::period);
        let schedule = log.as_ref().zip(every).map(|(log, every)| log.keep_on(every));
        let watch = self.watch_every.map(|every| payments.watch(every, log_failure));
        let gauges = self.meter.clone().map(|meter| Gauges::keep_on(meter, ledger.clone()));
        library.sync().await?;
        erase::finish(&ledger, &library).await?;
        let bursar = Bursar(Arc::new(Inner {
            payments,
            ledger,
            library,
            registry,
            clock: self.clock,
            entropy: self.entropy,
            discovery: self.discovery,
            mandate: self.mandate,
            issued_only: !self.issuers.is_empty(),
            alerts: self.alerts,
            traces: self.traces,
            meter: self.meter,
            gauges: Mutex::new(gauges),
            retention_ms: self.retention_ms,
            #[cfg(feature = "mcp")]
            mcp,
            recovered,
            watch: Mutex::new(watch),
            log,
            schedule: Mutex::new(schedule),
            callers: self.callers,
            #[cfg(feature = "openapi")]
            apis,
        }));
        // What should be gone keeps nobody from paying; the next look tries again.
        if let Err(error) = bursar.erase_expired_if_due().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what has expired could not be erased");
        }
        Ok(bursar)
    }
}

fn log_failure(found: &Result<Recovered, FetchError>) {
    if let Err(error) = found {
        tracing::warn!(error = error as &dyn std::error::Error, "what is open could not be looked after");
    }
}

/// Makes the data folder so that only its owner reads it: it holds what was bought, and what for.
fn make_private(data: &Path) -> std::io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(data)
}
