//! What the model costs: set aside before each try, settled after, and never lost.

use crate::support::{EmptyBuyer, StrictJournal, World};
use async_trait::async_trait;
use bursar_agent_core::models::{Fallback, RateLimited, Scripted, ScriptedTurn, Timeout};
use bursar_agent_core::{
    Agent, BuildError, Limits, Model, ModelDescriptor, ModelError, ModelErrorKind, ModelRequest, ModelStream,
    Prices, Record, Retry, RunOutcome, RunReport, StopCause, Usage, read_run,
};
use bursar_types::{
    Amount, AssetId, BudgetStanding, Decision, Digest, GateLevel, MeterError, ModelCharge, ModelCost,
    ModelHold, ModelMeter, Phase, Purse, Reason, RunId, Standing, Verdict,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One dollar for a million tokens read, ten for a million written.
const PRICES: Prices = Prices::new(1_000_000, 10_000_000, 1_000);
const CHEAP: Prices = Prices::new(100_000, 100_000, 100);

fn usd(micro: u128) -> Amount {
    Amount::from_atomic(AssetId::micro_usd(), micro)
}

fn id() -> RunId {
    RunId::derived(&[b"cost"])
}

const USAGE: Usage = Usage {
    input_tokens: Some(500),
    output_tokens: Some(10),
    cached_tokens: None,
    cache_write_tokens: None,
    reasoning_tokens: None,
};

type Try = (u32, u32);

/// A meter in memory: what is held, and what was settled. It has so much to give.
#[derive(Debug)]
struct Till {
    left: Mutex<u128>,
    held: Mutex<BTreeMap<Try, ModelCharge>>,
    settled: Mutex<BTreeMap<Try, (Amount, String)>>,
    fails: Mutex<bool>,
}

impl Till {
    fn with(left: u128) -> Arc<Self> {
        let (held, settled, fails) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { left: Mutex::new(left), held, settled, fails })
    }

    fn booked(&self) -> u128 {
        self.settled.lock().unwrap().values().map(|(amount, _)| amount.atomic()).sum()
    }
}

#[async_trait]
impl ModelMeter for Till {
    async fn hold(&self, charge: &ModelCharge) -> Result<ModelHold, MeterError> {
        if *self.fails.lock().unwrap() {
            return Err(MeterError("the till is locked".into()));
        }
        let mut left = self.left.lock().unwrap();
        let Some(rest) = left.checked_sub(charge.most.atomic()) else {
            let reasons =
                vec![Reason::new("BUDGET_EXCEEDED", "the till is empty", "answer with what you have")];
            let facts = Digest::of(b"");
            return Ok(ModelHold::Refused(Decision {
                verdict: Verdict::Deny,
                reasons,
                rules: Vec::new(),
                facts,
            }));
        };
        *left = rest;
        self.held.lock().unwrap().insert((charge.turn, charge.attempt), charge.clone());
        Ok(ModelHold::Held)
    }

    async fn settle(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError> {
        let key = (charge.turn, charge.attempt);
        let mut settled = self.settled.lock().unwrap();
        if let Some((amount, _)) = settled.get(&key) {
            return Ok(amount.clone());
        }
        let Some(held) = self.held.lock().unwrap().remove(&key) else { return Ok(usd(0)) };
        let amount = match cost {
            ModelCost::Known(amount) => amount.clone(),
            ModelCost::Nothing => usd(0),
            ModelCost::Unknown => held.most.clone(),
        };
        *self.left.lock().unwrap() += held.most.atomic() - amount.atomic();
        settled.insert(key, (amount.clone(), charge.model.clone()));
        Ok(amount)
    }
}

fn metered(journal: StrictJournal, till: &Arc<Till>) -> World {
    let mut world = World::with_journal(journal);
    world.meter = Some(Arc::clone(till) as Arc<dyn ModelMeter>);
    world
}

fn two_turns(usage: Usage) -> Scripted {
    Scripted::new().usage(usage).call("nothing", serde_json::json!({})).text("done")
}

fn agent(model: Scripted) -> Agent {
    Agent::builder(Arc::new(model)).prices(PRICES).build().unwrap()
}

fn cause(report: &RunReport) -> &StopCause {
    match &report.outcome {
        RunOutcome::Stopped { cause } => cause,
        RunOutcome::Answered { answer } => panic!("answered: {}", answer.text),
    }
}

fn mosts(world: &World) -> Vec<u128> {
    let records = world.journal.records(id());
    let mosts = records.iter().filter_map(|record| match record {
        Record::ModelRequested { most, .. } => most.as_ref().map(Amount::atomic),
        _ => None,
    });
    mosts.collect()
}

#[tokio::test]
async fn each_try_is_set_aside_at_its_most_and_booked_at_what_it_cost() {
    let till = Till::with(1_000_000);
    let world = metered(StrictJournal::default(), &till);
    let report = agent(two_turns(USAGE)).run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(report.model_cost, usd(2 * 600), "500 read and 10 written, twice");
    assert_eq!((till.booked(), *till.left.lock().unwrap()), (1_200, 1_000_000 - 1_200));
    for most in mosts(&world) {
        assert!(most >= 10_000, "at least all that can be written: {most}");
    }
    let (run, _) = read_run(world.journal.as_ref(), id()).await.unwrap();
    assert_eq!(run.model_cost(), report.model_cost);
}

#[tokio::test]
async fn what_was_not_reported_costs_all_that_was_set_aside() {
    for unreported in [Usage::default(), Usage { output_tokens: None, ..USAGE }] {
        let till = Till::with(1_000_000);
        let world = metered(StrictJournal::default(), &till);
        let report = agent(two_turns(unreported)).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.model_cost.atomic(), mosts(&world).iter().sum::<u128>());
        assert_eq!(till.booked(), report.model_cost.atomic());

        // Without a meter the run itself counts the same.
        let alone = World::new();
        let report = agent(two_turns(unreported)).run_as(alone.context(), id(), "q").await.unwrap();
        assert_eq!(report.model_cost.atomic(), mosts(&alone).iter().sum::<u128>());
    }
}

/// A model that fails so before it answers.
#[derive(Debug)]
struct Failing {
    descriptor: ModelDescriptor,
    fails: Mutex<Vec<(ModelErrorKind, Option<u16>)>>,
}

#[async_trait]
impl Model for Failing {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        if let Some((kind, status)) = self.fails.lock().unwrap().pop() {
            let mut error = ModelError::new(kind, "no").retry(Retry::After { ms: 1 });
            error.status = status;
            return Err(error);
        }
        Scripted::new().usage(USAGE).text("done").stream(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_turned_away_costs_nothing_and_one_that_may_have_been_worked_on_costs_its_most() {
    for (kind, status, costs) in [
        (ModelErrorKind::RateLimited, Some(429), false),
        (ModelErrorKind::Provider, Some(500), true),
        (ModelErrorKind::Network, None, true),
        (ModelErrorKind::Protocol, None, true),
    ] {
        let till = Till::with(1_000_000);
        let world = metered(StrictJournal::default(), &till);
        let model = Failing {
            descriptor: ModelDescriptor::new("test", "failing"),
            fails: Mutex::new(vec![(kind, status)]),
        };
        let agent = Agent::builder(Arc::new(model)).prices(PRICES).build().unwrap();
        let report = agent.run_as(world.context(), id(), "q").await.unwrap();
        let expected = 600 + if costs { mosts(&world)[0] } else { 0 };
        assert_eq!((report.answer(), report.model_cost.atomic()), (Ok("done"), expected), "{kind:?}");
        assert_eq!(till.booked(), expected);
    }
}

#[tokio::test]
async fn a_crash_at_any_record_loses_no_cost_and_counts_none_twice() {
    let calm = Till::with(1_000_000);
    let world = metered(StrictJournal::default(), &calm);
    agent(two_turns(USAGE)).run_as(world.context(), id(), "q").await.unwrap();
    let records = world.journal.records(id()).len() as u64;
    for at in 1..records {
        let till = Till::with(1_000_000);
        let world = metered(StrictJournal::dying_at(at), &till);
        agent(two_turns(USAGE)).run_as(world.context(), id(), "q").await.unwrap_err();
        world.journal.heal();
        let report = agent(two_turns(USAGE)).resume(world.context(), id()).await.unwrap();
        assert_eq!(report.answer(), Ok("done"));
        assert_eq!(report.model_cost.atomic(), till.booked(), "record {at}: the run knows what was booked");
        assert!(till.held.lock().unwrap().is_empty(), "record {at}: nothing stays set aside");
        assert!(till.booked() >= 1_200, "record {at}");
    }
}

#[tokio::test]
async fn a_try_whose_process_is_gone_costs_all_that_was_set_aside() {
    let till = Till::with(1_000_000);
    let world = metered(StrictJournal::parking_at(2), &till);
    let agent = agent(two_turns(USAGE));
    tokio::select! {
        biased;
        () = world.journal.parked() => {}
        _ = agent.run_as(world.context(), id(), "q") => panic!("it waits"),
    }
    // The other process had come as far as the hold.
    let charge =
        |most: Amount| ModelCharge { run: id(), turn: 0, attempt: 0, model: "scripted".into(), most };
    let most = mosts(&world)[0];
    assert_eq!(till.hold(&charge(usd(most))).await.unwrap(), ModelHold::Held);
    let report = agent.resume(world.context(), id()).await.unwrap();
    assert_eq!((report.answer(), report.model_cost.atomic()), (Ok("done"), most + 1_200));
    let charged = world
        .journal
        .records(id())
        .into_iter()
        .filter(|record| matches!(record, Record::ModelCharged { .. }));
    assert_eq!(charged.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_turn_costs_all_that_was_set_aside() {
    #[derive(Debug)]
    struct Silent(ModelDescriptor);
    #[async_trait]
    impl Model for Silent {
        fn descriptor(&self) -> &ModelDescriptor {
            &self.0
        }
        async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
            std::future::pending().await
        }
    }
    let till = Till::with(1_000_000);
    let world = metered(StrictJournal::default(), &till);
    let silent = Silent(ModelDescriptor::new("test", "silent"));
    let agent = Agent::builder(Arc::new(silent)).prices(PRICES).build().unwrap();
    let cancel = world.cancel.clone();
    let cancelling = async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(agent.run_as(world.context(), id(), "q"), cancelling);
    let report = report.unwrap();
    assert_eq!(cause(&report), &StopCause::Cancelled);
    assert_eq!(report.model_cost.atomic(), mosts(&world)[0]);
    assert_eq!(till.booked(), mosts(&world)[0]);
}

#[tokio::test]
async fn a_model_that_does_not_fit_into_a_budget_is_not_called() {
    let till = Till::with(9_999);
    let world = metered(StrictJournal::default(), &till);
    let never = Scripted::new().turn_with(|_| panic!("it was called"));
    let agent = agent(never);
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    let StopCause::ModelWithheld { reasons } = cause(&report) else { panic!("{report:?}") };
    assert_eq!((reasons[0].code.as_ref(), report.can_go_on(), till.booked()), ("BUDGET_EXCEEDED", true, 0));

    // With room again it goes on where it stood.
    *till.left.lock().unwrap() = 1_000_000;
    let agent =
        Agent::builder(Arc::new(Scripted::new().usage(USAGE).text("done"))).prices(PRICES).build().unwrap();
    assert_eq!(agent.resume(world.context(), id()).await.unwrap().answer(), Ok("done"));
}

#[tokio::test]
async fn a_cheaper_model_is_asked_where_the_other_does_not_fit_or_little_is_left() {
    let cheaper = || Arc::new(Scripted::new().usage(USAGE).text("cheap"));
    let dear = || Arc::new(Scripted::new().usage(USAGE).text("dear"));
    let both = || Agent::builder(dear()).prices(PRICES).cheaper(cheaper(), CHEAP).build().unwrap();
    let till = Till::with(9_999);
    let world = metered(StrictJournal::default(), &till);
    let report = both().run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!((report.answer(), report.model_cost.atomic()), (Ok("cheap"), 51));
    let kinds: Vec<_> = world.journal.records(id()).iter().map(Record::kind).collect();
    assert_eq!(kinds[1..4], ["model_requested", "model_withheld", "model_requested"]);

    for (gate, expected) in
        [(GateLevel::Notified, "dear"), (GateLevel::Tightened, "cheap"), (GateLevel::Stopped, "cheap")]
    {
        let budget = BudgetStanding {
            name: "session".into(),
            limit: usd(100),
            spent: usd(80),
            held: usd(0),
            left: usd(20),
            gate,
        };
        let standing = Standing {
            phase: Phase::Explore,
            budgets: vec![budget],
            open_items: Vec::new(),
            waiting: Vec::new(),
            unsettled: Vec::new(),
        };
        let mut world = metered(StrictJournal::default(), &Till::with(1_000_000));
        world.purse = Some(Purse::new(Arc::new(EmptyBuyer(Ok(standing)))));
        let report = both().run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.answer(), Ok(expected), "{gate:?}");
    }

    // Where neither fits, the run stands still.
    let world = metered(StrictJournal::default(), &Till::with(1));
    let report = both().run_as(world.context(), id(), "q").await.unwrap();
    assert!(matches!(cause(&report), StopCause::ModelWithheld { .. }));
}

#[tokio::test]
async fn a_meter_that_fails_stops_the_run_before_the_model_is_called() {
    let till = Till::with(1_000_000);
    *till.fails.lock().unwrap() = true;
    let world = metered(StrictJournal::default(), &till);
    let error =
        agent(Scripted::new().turn_with(|_| panic!("called"))).run_as(world.context(), id(), "q").await;
    assert!(matches!(error, Err(bursar_agent_core::RunError::Meter(_))));
    *till.fails.lock().unwrap() = false;
    let report = agent(two_turns(USAGE)).resume(world.context(), id()).await.unwrap();
    assert_eq!(
        (report.answer(), report.model_cost.atomic()),
        (Ok("done"), 1_200),
        "nothing was ever held of the first"
    );
}

#[tokio::test]
async fn a_limit_on_what_the_model_costs_ends_the_run() {
    let world = World::new();
    let limits = Limits { model_cost: Some(usd(600)), ..Limits::default() };
    let agent =
        Agent::builder(Arc::new(two_turns(USAGE))).prices(PRICES).limits(limits.clone()).build().unwrap();
    let report = agent.run_as(world.context(), id(), "q").await.unwrap();
    assert_eq!(cause(&report), &StopCause::ModelCost { limit: usd(600), used: usd(600) });

    let bare = || Agent::builder(Arc::new(Scripted::new()));
    assert_eq!(bare().limits(limits).build().unwrap_err(), BuildError::NoPrices);
    assert_eq!(bare().cheaper(Arc::new(Scripted::new()), CHEAP).build().unwrap_err(), BuildError::NoPrices);
    let other = Amount::from_atomic(AssetId::count(), 1);
    let limits = Limits { model_cost: Some(other), ..Limits::default() };
    assert_eq!(bare().prices(PRICES).limits(limits).build().unwrap_err(), BuildError::NotMicroUsd);
}

#[tokio::test]
async fn a_model_that_asks_several_is_set_aside_as_many_times_and_booked_at_what_was_reported() {
    let failing = |fails| {
        let descriptor = ModelDescriptor::new("test", "failing");
        Arc::new(Failing { descriptor, fails: Mutex::new(fails) }) as Arc<dyn Model>
    };
    let agent = |model| Agent::builder(model).prices(PRICES).max_output_tokens(100).build().unwrap();
    let run = async |model: Arc<dyn Model>| {
        let till = Till::with(1_000_000);
        let world = metered(StrictJournal::default(), &till);
        let report = agent(model).run_as(world.context(), id(), "q").await.unwrap();
        assert_eq!(report.model_cost.atomic(), till.booked());
        (mosts(&world)[0], till.booked())
    };
    let (one, booked) = run(failing(Vec::new())).await;
    assert_eq!(booked, 600);
    assert!((1_000 + 1..10_000).contains(&one), "what may be written is the request's: {one}");
    let turned_away = || failing(vec![(ModelErrorKind::RateLimited, Some(429))]);
    let inner = Arc::new(Fallback::new(turned_away()).or(turned_away()));
    let limited = RateLimited::new(Arc::new(Timeout::new(inner)));
    let three = Arc::new(Fallback::new(Arc::new(limited)).or(failing(Vec::new())));
    assert_eq!(run(three).await, (3 * one, 600), "two were turned away, and cost nothing");
    // One that may have worked for nothing: all that was set aside, of which each has a part.
    let worked = failing(vec![(ModelErrorKind::Provider, Some(500))]);
    assert_eq!(run(Arc::new(Fallback::new(worked).or(failing(Vec::new())))).await, (2 * one, 2 * one));
    let zero = Agent::builder(Arc::new(Scripted::new())).max_output_tokens(0).build();
    assert_eq!(zero.unwrap_err(), BuildError::ZeroLimit { limit: "output tokens" });
}

#[tokio::test]
async fn a_run_with_another_cheaper_model_is_another_agents() {
    let one = Agent::builder(Arc::new(Scripted::new().turn(ScriptedTurn::Text("a".into())))).prices(PRICES);
    let other = one.clone().cheaper(Arc::new(Scripted::new()), CHEAP).build().unwrap();
    assert_ne!(one.build().unwrap().settings(), other.settings());
}
