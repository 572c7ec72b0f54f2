//! The world of one seed: a market, a network, a disk, and what processes are made of.

use crate::clock::{START_S, SimClock};
use crate::disk::{Disk, Handle};
use crate::network::{Network, SECOND_READER, Wire};
use crate::scenario::{DOCUMENTS, Op, Scenario};
use crate::signer::{KEY, Signer};
use crate::stage::{Life, Stage};
use crate::watch::Watch;
use bursar_ledger::{Ledger, Window};
use bursar_market::{Address, ManualClock, Market, Pricing, SellerConfig, SourceDocument, TimeSource};
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{
    Egress, LocalWallet, Mandate, MeteredItem, PaymentsParts, Policy, Rail, RecoveryRules, Scope,
};
use bursar_types::{Amount, Asset, AssetId, AssetRegistry, Clock, Limits, SeededEntropy, SessionId};
use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// How long a vendor has to answer.
const TIMEOUT_MS: u64 = 4_000;
/// What a seller sends that sells something else.
const APOLOGY: &str = "We are sorry: the document you have bought is not available.\n";

/// Everything of one seed that outlives its processes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) stage: Arc<Stage>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) network: Arc<Network>,
    pub(crate) market: Arc<Market>,
    pub(crate) began: Instant,
    policy: Arc<Policy>,
    wallet: Arc<LocalWallet>,
    registry: Arc<AssetRegistry>,
    usdc: AssetId,
    /// What the buyers themselves keep: which sessions they have, and what is left of each script.
    sessions: Mutex<Vec<Option<SessionId>>>,
    scripts: Vec<Vec<Mutex<VecDeque<Op>>>>,
}

impl World {
    pub(crate) async fn new(
        seed: u64,
        scenario: Scenario,
        policy: Arc<Policy>,
        all_lines: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let began = Instant::now();
        let clock = |skew_ms| SimClock::new(began, skew_ms);
        let stage = Stage::new(seed, scenario.rates.clone(), clock(0), all_lines);
        let wallet = Arc::new(LocalWallet::from_private_key(KEY)?);
        let payer: Address = bursar_payments::Wallet::address(&*wallet).parse()?;
        let market_clock = ManualClock::new(START_S);
        let market = Arc::new(market(&scenario, payer, &market_clock).await?);
        let watch = Watch::new(stage.clone(), market.clone(), payer);
        let disk = Disk::new(seed, Arc::new(clock(0)), stage.clone(), watch.clone());
        let network =
            Network::new(market.clone(), market_clock, Arc::new(clock(0)), stage.clone(), watch.clone());
        network.lies(scenario.liar && scenario.readers > 1);
        let token = market.token();
        let asset = Asset::stablecoin(
            token.chain_id,
            &token.address.to_string(),
            "USDC",
            token.decimals,
            (&token.name, &token.version),
            false,
        );
        let usdc = asset.id().clone();
        let mut registry = AssetRegistry::pinned();
        registry.insert(asset);
        watch.may_send(APOLOGY.as_bytes());
        for seller in market.sellers() {
            for document in seller.documents() {
                watch.may_send(document.text().as_bytes());
            }
        }
        let scripts = scenario
            .scripts
            .iter()
            .map(|lanes| lanes.iter().map(|ops| Mutex::new(ops.iter().cloned().collect())).collect());
        Ok(Self {
            seed,
            sessions: Mutex::new(vec![None; usize::from(scenario.processes)]),
            scripts: scripts.collect(),
            scenario,
            stage,
            watch,
            disk,
            network,
            market,
            began,
            policy,
            wallet,
            registry: Arc::new(registry),
            usdc,
        })
    }

    /// What a life of a process is made of.
    pub(crate) fn parts(&self, life: Life) -> PaymentsParts {
        let skew = self.scenario.skews_ms.get(usize::from(life.process)).copied().unwrap_or(0);
        let clock = Arc::new(SimClock::new(self.began, skew));
        let own = self.seed ^ (u64::from(life.process) << 48) ^ (u64::from(life.number) << 32);
        let entropy = Arc::new(SeededEntropy::new(own));
        let transport = Arc::new(Wire { network: self.network.clone(), life });
        let wallet = Arc::new(Signer {
            wallet: self.wallet.clone(),
            stage: self.stage.clone(),
            watch: self.watch.clone(),
            life,
        });
        PaymentsParts {
            ledger: Ledger::new(Arc::new(Handle {
                disk: self.disk.clone(),
                life,
                clock: clock.clone(),
                entropy: entropy.clone(),
            })),
            policy: self.policy.clone(),
            rails: vec![self.rail(transport.clone(), &clock)],
            wallet,
            transport,
            egress: Egress::internet(),
            registry: self.registry.clone(),
            clock,
            entropy,
            limits: Limits { timeout_ms: TIMEOUT_MS, body_bytes_max: 1 << 20, ..Limits::default() },
            recovery: RecoveryRules::default(),
            traces: Arc::new(bursar_types::telemetry::Untraced),
        }
    }

    /// The rail, over a transport.
    pub(crate) fn rail(&self, transport: Arc<Wire>, clock: &Arc<SimClock>) -> Arc<dyn Rail> {
        let mut rpc_urls = vec![self.market.rpc_url().to_owned()];
        if self.scenario.readers > 1 {
            rpc_urls.push(format!("http://{SECOND_READER}"));
        }
        let finality = if self.scenario.finality == 0 { Finality::Latest } else { Finality::Finalized };
        let reader = NetworkReader { network: self.market.network(), rpc_urls, finality };
        let rail = X402::new(X402Options {
            assets: self.registry.clone(),
            networks: vec![reader],
            transport,
            payer: bursar_payments::Wallet::address(&*self.wallet).to_owned(),
            quote_ttl_ms: 600_000,
        });
        let nothing = Amount::from_atomic(AssetId::micro_usd(), 0);
        Arc::new(rail.guarded_by(Safeguards {
            two_readers_above: (self.scenario.readers > 1).then_some(nothing),
            clock: self.scenario.rail_has_clock.then(|| -> Arc<dyn Clock> { clock.clone() }),
            ..Safeguards::default()
        }))
    }

    /// Where a document is sold.
    pub(crate) fn url(&self, document: usize) -> String {
        let seller = document / DOCUMENTS;
        let id = ["alpha", "beta", "gamma"].get(document % DOCUMENTS).copied().unwrap_or_default();
        let url = self.market.seller(seller).map_or_else(String::new, |seller| seller.document_url(id));
        url.replacen("http://", "https://", 1)
    }

    /// What the user authorised: the same for every session.
    pub(crate) fn mandate(&self) -> Mandate {
        let scenario = &self.scenario;
        let usd = |atomic| Amount::from_atomic(AssetId::micro_usd(), atomic);
        let mut mandate = Mandate::new("simulation", "ada")
            .session_budget(usd(scenario.session_cap))
            .asset(self.usdc.clone());
        mandate.window_s_max = scenario.window_s;
        if let Some(cap) = scenario.user_cap {
            mandate = mandate.budget(Scope::User, usd(cap), Window::Rolling { length_ms: 86_400_000 });
        }
        if let Some(cap) = scenario.vendor_cap {
            mandate = mandate.budget(Scope::Vendor, usd(cap), Window::Rolling { length_ms: 3_600_000 });
        }
        let Some(count) = scenario.metered else { return mandate };
        for (number, seller) in self.market.sellers().iter().enumerate() {
            let url = seller.url().replacen("http://", "https://", 1);
            mandate = mandate.metered(MeteredItem {
                name: format!("documents-{number}"),
                resource: format!("{url}/documents/*"),
                method: "GET".to_owned(),
                payee: seller.pay_to().to_string(),
                asset: self.usdc.clone(),
                ceiling: Amount::from_atomic(self.usdc.clone(), u128::from(scenario.price)),
                count,
            });
        }
        mandate
    }

    /// Which session a process works for.
    pub(crate) fn slot(&self, process: u8) -> usize {
        if self.scenario.one_session { 0 } else { usize::from(process) }
    }

    pub(crate) fn session(&self, slot: usize) -> Option<SessionId> {
        self.sessions().get(slot).copied().flatten()
    }

    /// Keeps a session that was opened; the first one stays.
    pub(crate) fn keep_session(&self, slot: usize, session: SessionId) {
        if let Some(kept) = self.sessions().get_mut(slot) {
            kept.get_or_insert(session);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Option<SessionId>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many scripts a process runs side by side.
    pub(crate) fn lanes(&self, process: u8) -> usize {
        self.scripts.get(usize::from(process)).map_or(0, Vec::len)
    }

    /// The next step of a script, which stays until it is done.
    pub(crate) fn next_op(&self, process: u8, lane: usize) -> Option<Op> {
        self.script(process, lane)?.front().cloned()
    }

    /// The step is done.
    pub(crate) fn done_op(&self, process: u8, lane: usize) {
        if let Some(mut script) = self.script(process, lane) {
            script.pop_front();
        }
    }

    fn script(&self, process: u8, lane: usize) -> Option<MutexGuard<'_, VecDeque<Op>>> {
        let script = self.scripts.get(usize::from(process))?.get(lane)?;
        Some(script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives every process something to take up.
    pub(crate) fn then_recover(&self) {
        for process in 0..self.scenario.processes {
            if let Some(mut script) = self.script(process, 0) {
                script.extend([Op::Recover, Op::Recover, Op::Pause(500), Op::Recover, Op::Recover]);
            }
        }
    }

    /// Whether every script is at its end.
    pub(crate) fn is_done(&self) -> bool {
        (0..self.scenario.processes)
            .all(|process| (0..self.lanes(process)).all(|lane| self.next_op(process, lane).is_none()))
    }
}

async fn market(
    scenario: &Scenario,
    payer: Address,
    clock: &ManualClock,
) -> Result<Market, bursar_market::MarketError> {
    let mut builder = Market::builder()
        .in_process()
        .main_seller(false)
        .resellers(false)
        .clock(TimeSource::Manual(clock.clone()))
        .finality_depth(scenario.finality)
        .buyer_funds(payer, scenario.funds);
    for number in 0..scenario.sellers {
        let documents = ["alpha", "beta", "gamma"].map(|name| {
            SourceDocument::new(format!("{name}.md"), format!("# {name} {number}\n\nText of {name}.\n"))
        });
        let seller = SellerConfig::new(format!("Seller {number}"))
            .documents(documents.to_vec())
            .pricing(Pricing::flat(scenario.price))
            .wire(scenario.wire)
            .payment_identifier(scenario.identifier)
            .max_timeout_s(scenario.timeout_s)
            .refunds(scenario.refunds.clone());
        builder = builder.add_seller(seller);
    }
    builder.start().await
}
