//! The network between the processes and the market: it delays, reorders, repeats and loses, and can be cut.

use crate::clock::{START_S, SimClock};
use crate::proxy;
use crate::stage::{Life, Seam, Stage, Verdict};
use crate::watch::Watch;
use async_trait::async_trait;
use bursar_market::{Broken, Fault, FaultRule, ManualClock, Market};
use bursar_types::{BodyProblem, HttpRequest, HttpResponse, Limits, Transport, TransportError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The second endpoint of the chain: the same node under another name, which may lie.
pub(crate) const SECOND_READER: &str = "rpc-b.market.test";
const READER: &str = "rpc.market.test";

/// A request on its way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    life: Life,
    pub(crate) host: String,
    what: String,
    paid: bool,
    request: HttpRequest,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paid = if self.paid { "paid " } else { "" };
        write!(f, "{paid}{} of {} to {}", self.what, self.life, self.host)
    }
}

/// What lies between.
#[derive(Debug)]
pub(crate) struct Network {
    market: Arc<Market>,
    market_clock: ManualClock,
    clock: Arc<SimClock>,
    stage: Arc<Stage>,
    watch: Arc<Watch>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Requests whose senders have not been told yet that they left.
    leaving: BTreeMap<u64, Message>,
    /// Requests whose senders wait no more, and which may arrive all the same.
    ghosts: Vec<Message>,
    /// Which process cannot reach which host.
    cut: BTreeSet<(u8, String)>,
    /// Whether the second endpoint says of everything that it was not used.
    liar: bool,
}

impl Network {
    pub(crate) fn new(
        market: Arc<Market>,
        market_clock: ManualClock,
        clock: Arc<SimClock>,
        stage: Arc<Stage>,
        watch: Arc<Watch>,
    ) -> Arc<Self> {
        Arc::new(Self { market, market_clock, clock, stage, watch, inner: Mutex::default() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the second endpoint lie, or say the truth again.
    pub(crate) fn lies(&self, liar: bool) {
        self.inner().liar = liar;
    }

    /// Everybody who can be cut off.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let sellers = self.market.seller_urls().into_iter().map(|url| url.replace("http://", ""));
        [READER, SECOND_READER].into_iter().map(str::to_owned).chain(sellers).collect()
    }

    /// Cuts a process off from a host.
    pub(crate) fn cut(&self, process: u8, host: String) {
        self.stage.note(format_args!("p{process} is cut off from {host}"));
        self.stage.count("network cut");
        self.inner().cut.insert((process, host));
    }

    /// The cuts there are.
    pub(crate) fn cuts(&self) -> Vec<(u8, String)> {
        self.inner().cut.iter().cloned().collect()
    }

    /// Heals a cut.
    pub(crate) fn heal(&self, cut: &(u8, String)) {
        self.stage.note(format_args!("p{} reaches {} again", cut.0, cut.1));
        self.inner().cut.remove(cut);
    }

    /// Requests that nobody waits for any more: their sender died, or gave up, while they left.
    pub(crate) fn torn(&self) -> Vec<u64> {
        self.inner().leaving.keys().copied().filter(|ticket| !self.stage.is_parked(*ticket)).collect()
    }

    /// Settles whether a torn request left: then it may still arrive.
    pub(crate) fn settle(&self, ticket: u64, left: bool) {
        let message = self.inner().leaving.remove(&ticket);
        let Some(message) = message else { return };
        self.stage.count(if left { "request left before the end" } else { "request never left" });
        if left {
            self.haunt(message);
        }
    }

    fn haunt(&self, message: Message) {
        self.inner().ghosts.push(message);
    }

    /// How many requests may still arrive though nobody waits.
    pub(crate) fn ghosts(&self) -> usize {
        self.inner().ghosts.len()
    }

    /// Lets one of them arrive. Nobody gets the answer.
    pub(crate) async fn arrive(&self, index: usize) {
        let message = {
            let mut inner = self.inner();
            if index >= inner.ghosts.len() {
                return;
            }
            inner.ghosts.swap_remove(index)
        };
        self.stage.count(if message.paid { "ghost paid" } else { "ghost" });
        self.stage.note(format_args!("arrives late: {message}"));
        drop(self.deliver(&message, None).await);
    }

    /// Forgets what is still on its way.
    pub(crate) fn forget_ghosts(&self) {
        self.inner().ghosts.clear();
    }

    /// Puts the market's clock at the true time.
    pub(crate) fn tick(&self) {
        self.market_clock.set_s(START_S.saturating_add(self.clock.elapsed_ms() / 1_000));
    }

    /// Hands a request to the market, which may do something wrong with it.
    async fn deliver(&self, message: &Message, fault: Option<Fault>) -> Result<HttpResponse, Broken> {
        self.tick();
        let armed = fault.as_ref().and_then(|fault| self.arm(message, fault));
        let lies = message.host == SECOND_READER && self.inner().liar;
        if lies {
            self.stage.count("an endpoint lies");
            // It fits the chain's place, so it cannot be refused.
            drop(self.market.chain().faults().arm(Fault::RpcLiesAuthorizationState { used: false }));
        }
        let mut request = proxy::inward(message.request.clone());
        if message.host == SECOND_READER
            && let Ok(reader) = self.market.rpc_url().parse()
        {
            *request.uri_mut() = reader;
        }
        let answer = self.market.exchange(request).await.map(proxy::outward);
        if let (Some(armed), Some(fault)) = (armed, fault) {
            if armed.armed().is_empty() {
                self.stage.count(format!("fault {}", fault.name()));
                self.stage.note(format_args!("the other side: {}", fault.name()));
                if keeps_a_live_signature(&fault) && message.paid {
                    // It is the payee's now, and may be used later.
                    self.haunt(message.clone());
                }
            }
            armed.clear();
        }
        if lies {
            self.market.chain().faults().clear();
        }
        self.watch.market(&self.market);
        answer
    }

    /// Arms a fault where it strikes.
    fn arm(&self, message: &Message, fault: &Fault) -> Option<bursar_market::Faults> {
        let place = fault.place();
        let faults = match () {
            () if place.is_rpc() => self.market.chain().faults().clone(),
            () if place.is_facilitator() => self.market.facilitator().faults().clone(),
            () => {
                let url = format!("http://{}", message.host);
                self.market.sellers().iter().find(|seller| seller.url() == url)?.faults().clone()
            }
        };
        faults.arm(FaultRule::new(fault.clone()).times(1)).ok()?;
        Some(faults)
    }
}

/// Whether the payee could have settled, did not, and still can.
const fn keeps_a_live_signature(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::NeverSettle402
            | Fault::DropBeforeSettle
            | Fault::Error500BeforeSettle
            | Fault::LyingReceipt
            | Fault::Verify500
            | Fault::VerifyRefuses { .. }
            | Fault::SettleLostBefore
            | Fault::Settle500Before
            | Fault::SettlementPendingForever
            | Fault::SettleLies
    )
}

/// One life's handle on the network.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) network: Arc<Network>,
    pub(crate) life: Life,
}

impl Wire {
    async fn exchange(
        &self,
        message: Message,
        ticket: u64,
        limits: Limits,
    ) -> Result<HttpResponse, TransportError> {
        let (network, stage) = (&self.network, &self.network.stage);
        let (host, paid) = (message.host.clone(), message.paid);
        network.inner().leaving.insert(ticket, message.clone());
        let seam = Seam::Send { host: host.clone(), what: message.what.clone(), paid };
        let verdict = stage.pass_often_as(self.life, ticket, seam).await;
        network.inner().leaving.remove(&ticket);
        if network.inner().cut.contains(&(self.life.process, host.clone())) {
            return Err(not_sent(&host));
        }
        let fault = match verdict {
            Verdict::Fail => return Err(not_sent(&host)),
            Verdict::Lost => return Err(no_answer(&host)),
            Verdict::Late => {
                network.haunt(message);
                return Err(no_answer(&host));
            }
            Verdict::Twice => {
                network.haunt(message.clone());
                None
            }
            Verdict::With(fault) => Some(fault),
            Verdict::Go | Verdict::Half => None,
        };
        let answer = network.deliver(&message, fault).await;
        let seam = Seam::Answer { host: host.clone(), paid };
        let verdict = stage.pass_often(self.life, seam).await;
        let cut = network.inner().cut.contains(&(self.life.process, host.clone()));
        let answer = match answer {
            _ if cut || verdict == Verdict::Lost => return Err(no_answer(&host)),
            Err(Broken::NoSuchHost { .. }) => return Err(not_sent(&host)),
            Err(Broken::BrokeOff { head, .. }) => return Err(broke_off(&host, head)),
            Err(_) => return Err(no_answer(&host)),
            Ok(answer) if verdict == Verdict::Half => return Err(broke_off(&host, answer.into_parts().0)),
            Ok(answer) => answer,
        };
        if answer.body().len() > limits.body_bytes_max {
            return Err(broke_off(&host, answer.into_parts().0));
        }
        Ok(answer)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let (network, stage) = (&self.network, &self.network.stage);
        stage.alive(self.life).await;
        let message = self.message(request);
        if message.paid {
            network.watch.on_the_wire(self.life, &message.request);
        }
        let (host, ticket) = (message.host.clone(), stage.ticket());
        let wait = Duration::from_millis(limits.timeout_ms);
        match tokio::time::timeout(wait, self.exchange(message, ticket, limits)).await {
            Ok(result) => result,
            Err(_) => {
                stage.count("send timed out");
                Err(no_answer(&host))
            }
        }
    }
}

impl Wire {
    fn message(&self, request: HttpRequest) -> Message {
        let paid =
            ["payment-signature", "x-payment"].iter().any(|name| request.headers().contains_key(*name));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let what = match host.starts_with("rpc") {
            true => method(request.body()),
            false => format!("{} {}", request.method(), request.uri().path()),
        };
        Message { life: self.life, host, what, paid, request }
    }
}

/// The method of a JSON-RPC call, or of the first of a batch.
fn method(body: &[u8]) -> String {
    let call: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let call = call.get(0).unwrap_or(&call);
    call.get("method").and_then(serde_json::Value::as_str).unwrap_or("nothing").to_owned()
}

fn not_sent(host: &str) -> TransportError {
    TransportError::NotSent { host: host.to_owned(), source: "no connection".into() }
}

fn no_answer(host: &str) -> TransportError {
    TransportError::NoAnswer { host: host.to_owned(), source: "nothing came".into() }
}

fn broke_off(host: &str, head: http::response::Parts) -> TransportError {
    TransportError::Body {
        host: host.to_owned(),
        head: Box::new(head),
        problem: BodyProblem::Broken("in the middle".to_owned()),
    }
}
