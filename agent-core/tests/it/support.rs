//! Fakes: a strict journal, gates, tools, and a world to run them in.

use async_trait::async_trait;
use bursar_agent_core::{
    AfterRun, Cancel, EventSender, OnQuestion, Reconciled, Record, RecordEntry, RunContext, Steer, Tool,
    ToolContext, ToolError,
};
use bursar_types::{
    Action, AgentId, Buyer, CallId, Decision, Digest, Effect, FetchError, Fetched, Gate, GateError,
    HttpRequest, Journal, JournalError, JournalRecord, ManualClock, ModelMeter, PlanId, PlanOutcome,
    PlanProposal, Principal, PurchaseKey, Purse, QuoteOutcome, Reason, RunId, SeededEntropy, SessionId,
    Standing, StoredRecord, Timestamp, Verdict,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A journal that refuses gaps, empty appends and records it cannot read back. It can die after so many records, which the
/// writer hears of, or let the writer wait once it holds so many.
#[derive(Debug, Default)]
pub(crate) struct StrictJournal {
    runs: Mutex<BTreeMap<RunId, Vec<StoredRecord>>>,
    dies_at: Mutex<Option<u64>>,
    parks_at: Mutex<Option<u64>>,
    parked: tokio::sync::Notify,
    released: tokio::sync::Notify,
}

impl StrictJournal {
    pub(crate) fn dying_at(records: u64) -> Self {
        Self { dies_at: Mutex::new(Some(records)), ..Self::default() }
    }

    pub(crate) fn parking_at(records: u64) -> Self {
        Self { parks_at: Mutex::new(Some(records)), ..Self::default() }
    }

    /// Waits until a writer waits: what it wrote is durable, and it does not know yet.
    pub(crate) async fn parked(&self) {
        self.parked.notified().await;
    }

    /// Lets the writer go on.
    pub(crate) fn release(&self) {
        self.released.notify_one();
    }

    pub(crate) fn heal(&self) {
        *self.dies_at.lock().unwrap() = None;
    }

    pub(crate) fn records(&self, run: RunId) -> Vec<Record> {
        self.stored(run).iter().map(|stored| RecordEntry::decode(stored).unwrap().record).collect()
    }

    pub(crate) fn stored(&self, run: RunId) -> Vec<StoredRecord> {
        self.runs.lock().unwrap().get(&run).cloned().unwrap_or_default()
    }

    pub(crate) fn only_run(&self) -> RunId {
        let runs = self.runs.lock().unwrap();
        assert_eq!(runs.len(), 1, "one run");
        *runs.keys().next().unwrap()
    }
}

impl StrictJournal {
    fn keep(&self, run: RunId, expected: u64, records: Vec<JournalRecord>) -> Result<u64, JournalError> {
        let mut runs = self.runs.lock().unwrap();
        let kept = runs.entry(run).or_default();
        let found = kept.len() as u64;
        if found != expected {
            return Err(JournalError::Fenced { expected, found });
        }
        if self.dies_at.lock().unwrap().is_some_and(|at| found + records.len() as u64 > at) {
            return Err(JournalError::Store("the machine died".into()));
        }
        for (sequence, record) in (found..).zip(records) {
            let stored = StoredRecord { sequence, kind: record.kind, payload: Some(record.payload) };
            let decoded = RecordEntry::decode(&stored).expect("what is written can be read");
            assert_eq!(decoded.record.kind(), stored.kind);
            kept.push(stored);
        }
        Ok(kept.len() as u64)
    }
}

#[async_trait]
impl Journal for StrictJournal {
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
        assert!(!records.is_empty(), "an append says something");
        let length = self.keep(run, expected, records)?;
        let parks = self.parks_at.lock().unwrap().take_if(|at| length >= *at).is_some();
        if parks {
            self.parked.notify_one();
            self.released.notified().await;
        }
        Ok(length)
    }

    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError> {
        let skip = usize::try_from(from).unwrap();
        Ok(self.stored(run).into_iter().skip(skip).collect())
    }
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Allow,
    Deny,
    Escalate,
    Fail,
}

/// A gate that says the same of one tool, and allows the rest.
#[derive(Debug)]
pub(crate) struct OneRule(pub(crate) &'static str, pub(crate) Says);

#[async_trait]
impl Gate for OneRule {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        let verdict = match self.1 {
            _ if action.tool != self.0 => Verdict::Allow,
            Says::Allow => Verdict::Allow,
            Says::Deny => Verdict::Deny,
            Says::Escalate => Verdict::Escalate,
            Says::Fail => return Err(GateError("the rules are gone".into())),
        };
        let reasons = match verdict {
            Verdict::Allow => Vec::new(),
            Verdict::Deny | Verdict::Escalate => {
                vec![Reason::new("NOT_TODAY", "not today", "ask for something else")]
            }
        };
        Ok(Decision { verdict, reasons, rules: vec!["one-rule".into()], facts: Digest::of(b"") })
    }
}

/// A purse with nothing behind it but a standing.
#[derive(Debug)]
pub(crate) struct EmptyBuyer(pub(crate) Result<Standing, ()>);

#[async_trait]
impl Buyer for EmptyBuyer {
    async fn fetch(&self, _: HttpRequest, _: PurchaseKey) -> Result<Fetched, FetchError> {
        Err(FetchError::Closing)
    }
    async fn quote(&self, _: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        Err(FetchError::Closing)
    }
    async fn propose(&self, _: PlanProposal) -> Result<PlanOutcome, FetchError> {
        Err(FetchError::Closing)
    }
    async fn proposed(&self, _: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        Err(FetchError::Closing)
    }
    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        Err(FetchError::Closing)
    }
    async fn standing(&self) -> Result<Standing, FetchError> {
        self.0.clone().map_err(|()| FetchError::Closing)
    }
}

pub(crate) fn purse() -> Purse {
    let standing = Standing {
        phase: bursar_types::Phase::Explore,
        budgets: Vec::new(),
        open_items: Vec::new(),
        waiting: Vec::new(),
        unsettled: Vec::new(),
    };
    Purse::new(Arc::new(EmptyBuyer(Ok(standing))))
}

/// What a run needs, with handles on it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) journal: Arc<StrictJournal>,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) purse: Option<Purse>,
    pub(crate) meter: Option<Arc<dyn ModelMeter>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) events: EventSender,
    pub(crate) cancel: Cancel,
    pub(crate) steer: Steer,
    pub(crate) worker: &'static str,
    pub(crate) after: Option<Arc<dyn AfterRun>>,
    pub(crate) on_question: OnQuestion,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_journal(StrictJournal::default())
    }

    pub(crate) fn with_journal(journal: StrictJournal) -> Self {
        Self {
            journal: Arc::new(journal),
            gate: Arc::new(OneRule("", Says::Allow)),
            purse: Some(purse()),
            meter: None,
            clock: Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_000_000))),
            events: EventSender::nobody(),
            cancel: Cancel::new(),
            steer: Steer::new(),
            worker: "worker 1",
            after: None,
            on_question: OnQuestion::Tell,
        }
    }

    pub(crate) fn gate(mut self, tool: &'static str, says: Says) -> Self {
        self.gate = Arc::new(OneRule(tool, says));
        self
    }

    pub(crate) fn context(&self) -> RunContext {
        RunContext {
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            gate: Arc::clone(&self.gate),
            purse: self.purse.clone(),
            meter: self.meter.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn bursar_types::Clock>,
            entropy: Arc::new(SeededEntropy::new(7)),
            principal: Principal {
                session: SessionId::derived(&[b"session"]),
                agent: AgentId::derived(&[b"agent"]),
                user: "user-1".into(),
                role: "research".into(),
            },
            events: self.events.clone(),
            cancel: self.cancel.clone(),
            steer: self.steer.clone(),
            under: None,
            worker: self.worker.into(),
            after: self.after.clone(),
            on_question: self.on_question,
            traces: Arc::new(bursar_types::telemetry::Untraced),
        }
    }
}

#[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    pub(crate) n: u32,
}

/// What a tool says of a call that has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// It cannot tell.
    Blind,
    /// It says what is true.
    Sees,
    /// It panics.
    Stumbles,
}

/// A tool that counts its calls and answers with its name and number; `n` = 13 panics, `n` = 98 waits until
/// nobody waits for it, `n` = 99 waits for ever.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) calls: Arc<AtomicU32>,
    pub(crate) delay_ms_per_n: u64,
    looks: Looks,
    done: Arc<Mutex<Vec<CallId>>>,
    started: Arc<tokio::sync::Notify>,
}

impl Counting {
    pub(crate) fn new(name: &'static str, effect: Effect) -> Self {
        Self {
            name,
            effect,
            calls: Arc::default(),
            delay_ms_per_n: 0,
            looks: Looks::Blind,
            done: Arc::default(),
            started: Arc::default(),
        }
    }

    pub(crate) fn slow(mut self, delay_ms_per_n: u64) -> Self {
        self.delay_ms_per_n = delay_ms_per_n;
        self
    }

    pub(crate) fn looks(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    /// Waits until it has been called.
    pub(crate) async fn started(&self) {
        self.started.notified().await;
    }

    pub(crate) fn count(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// How often this call was done.
    pub(crate) fn done(&self, call: CallId) -> usize {
        self.done.lock().unwrap().iter().filter(|done| **done == call).count()
    }
}

#[async_trait]
impl Tool for Counting {
    type Args = Number;
    type Output = serde_json::Value;

    fn name(&self) -> &str {
        self.name
    }
    fn description(&self) -> &str {
        "Counts."
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    async fn call(&self, context: &ToolContext, args: Number) -> Result<serde_json::Value, ToolError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.started.notify_one();
        context.progress().say("counting");
        assert_ne!(args.n, 13, "bad luck");
        if args.n == 98 {
            context.cancel().cancelled().await;
            return Err(ToolError::not_executed("gave up"));
        }
        if args.n == 99 {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(self.delay_ms_per_n * u64::from(args.n))).await;
        self.done.lock().unwrap().push(context.call());
        Ok(serde_json::json!({"tool": self.name, "n": args.n}))
    }
    async fn reconcile(&self, context: &ToolContext, args: Number) -> Reconciled {
        match self.looks {
            Looks::Blind => Reconciled::Unknown,
            Looks::Stumbles => panic!("nothing to be seen"),
            Looks::Sees if self.done(context.call()) > 0 => {
                Reconciled::done(serde_json::json!({"tool": self.name, "n": args.n}))
            }
            Looks::Sees => Reconciled::NotDone,
        }
    }
}
