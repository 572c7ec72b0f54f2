//! What does not end by itself: compensators that hang or panic, claims that cannot be made, and listeners that panic. And
//! what is told to others about it all.

use crate::pure_world::{PureWorld, Trouble, at_once};
use crate::support::{Counting, session, taken_up, with};
use crate::world::{World, get};
use async_trait::async_trait;
use bursar_market::{Pricing, RefundRule, SellerConfig};
use bursar_payments::x402::{Finality, NetworkReader, X402, X402Options};
use bursar_payments::{
    ClaimReason, OnFailure, Payments, RecoveryRules, RemedyError, SagaDriver, SagaEnd, SagaEvent, SagaId,
    SagaOptions, SagaReport, StepTerms, Undo, UndoState, Undone, WantedClaim,
};
use bursar_types::{
    Digest, HttpRequest, HttpResponse, Limits, PaymentId, PurchaseKey, SessionId, Timestamp, Transport,
    TransportError,
};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// A process that waits a second where others wait half a minute, and tries twice.
fn hasty(world: &World) -> Payments {
    let mut parts = world.parts(3);
    parts.recovery = RecoveryRules { try_again_ms: 1_000, tries: 2, ..RecoveryRules::default() };
    Payments::new(parts)
}

/// A saga with a step before the one whose compensator is no good, taken back until somebody has to look after it.
async fn parked_by(bad: &Arc<Counting>) -> (SagaReport, usize) {
    let world = World::new().await;
    let payments = hasty(&world);
    let session = taken_up(&payments, &*session(&world).await).await;
    let good = Counting::new("delete");
    let mut saga = session.saga("uploads", with(&[&good, bad])).await.unwrap();
    for (step, compensator) in [("upload", "delete"), ("mail", "recall")] {
        let _: u64 = saga.step(step, Undo::by(compensator, json!({})), || async { Ok(1) }).await.unwrap();
    }
    let begun = tokio::time::timeout(Duration::from_secs(20), saga.unwind("broken")).await;
    assert_eq!(begun.unwrap().unwrap().end, SagaEnd::Unwinding);
    world.advance_s(60);
    let pass = tokio::time::timeout(Duration::from_secs(20), payments.recover()).await;
    let found = pass.unwrap().unwrap();
    assert_eq!((found.sagas.parked, found.sagas.failed), (1, 0), "{found:?}");
    (payments.saga(saga.id()).await.unwrap().unwrap(), good.done())
}

fn problem(report: &SagaReport, step: &str) -> String {
    match &report.step(step).unwrap().undo {
        UndoState::Parked { problem, .. } => problem.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_compensator_that_never_ends_counts_as_failed_and_stops_nothing() {
    let bad = Counting::stuck("recall");
    let (report, others) = parked_by(&bad).await;
    assert_eq!((bad.asked(), others), (2, 1), "{report}");
    assert!(problem(&report, "mail").contains("did not end within 1 s; nobody knows"), "{report}");
}

#[tokio::test]
async fn a_compensator_that_panics_counts_as_failed_and_stops_nothing() {
    let bad = Counting::panicking("recall");
    let (report, others) = parked_by(&bad).await;
    assert_eq!((bad.asked(), others), (2, 1), "{report}");
    assert!(problem(&report, "mail").contains("its compensator panicked; nobody knows"), "{report}");
}

#[tokio::test]
async fn a_listener_that_panics_does_not_end_the_watch() {
    let world = World::new().await;
    let (told, told_again) = (AtomicU64::new(0), Arc::new(tokio::sync::Semaphore::new(0)));
    let count = told_again.clone();
    let watch = world.payments.watch(Duration::from_millis(20), move |_| {
        assert!(told.fetch_add(1, Ordering::SeqCst) > 1, "a mistake in a user's own code");
        count.add_permits(1);
    });
    // The first two panic; it goes on with two more.
    let more = async { told_again.acquire_many(2).await.map(drop).unwrap() };
    tokio::time::timeout(Duration::from_secs(20), more).await.expect("recovery on the timer is over");
    drop(watch);
}

/// A completed saga with a step that wants money back, whose claim fails like this.
fn wanting(trouble: Result<bool, RemedyError>) -> (PureWorld, SagaDriver<PureWorld>) {
    let world = PureWorld::new(Trouble { no_claims: Some(trouble), ..Trouble::default() });
    let opened = SagaEvent::Opened {
        session: SessionId::from_bytes([1; 16]),
        name: "rows".to_owned(),
        owner: "ada".to_owned(),
        deadline: Timestamp::from_unix_ms(DAY_MS),
    };
    let terms = StepTerms::Paid {
        payment: PaymentId::from_bytes([2; 16]),
        key: PurchaseKey::new("rows").unwrap(),
        request: Digest::of(b"rows"),
        on_failure: OnFailure::AskBack,
    };
    let wanted = WantedClaim {
        amount: None,
        reason: ClaimReason::PartDelivered,
        detail: "rows are missing".to_owned(),
    };
    let saga = SagaId::derived(&[b"rows"]);
    let mut driver = at_once(SagaDriver::open(world.clone(), saga, opened)).unwrap();
    at_once(driver.begin("rows", terms, false)).unwrap();
    at_once(driver.end("rows", Ok(1_u64), Some(wanted))).unwrap();
    assert_eq!(at_once(driver.complete()).unwrap().end, SagaEnd::Completed);
    (world, driver)
}

fn tries(world: &PureWorld) -> usize {
    world.events().iter().filter(|event| matches!(event, SagaEvent::ClaimFailed { .. })).count()
}

#[test]
fn a_claim_that_keeps_failing_is_tried_as_often_as_the_rules_say_and_parked_with_its_problem() {
    let (world, mut driver) = wanting(Err(RemedyError::Failed("the data file is away".to_owned())));
    assert_eq!(tries(&world), 1);
    // Before the wait is over nothing is tried.
    at_once(driver.go_on()).unwrap();
    assert_eq!(tries(&world), 1);
    for _ in 0..20 {
        world.reborn(15 * 60 * 1_000);
        at_once(driver.go_on()).unwrap();
    }
    assert_eq!(tries(&world), usize::try_from(RecoveryRules::default().tries).unwrap());
    let report = driver.report();
    assert_eq!(report.end, SagaEnd::Completed, "its steps were done");
    assert!(problem(&report, "rows").contains("the data file is away"), "{report}");
    assert_eq!(
        report.at_risk().map(|(step, _, owner, _)| (step, owner)).collect::<Vec<_>>(),
        [("rows", "ada")]
    );
    assert!(!driver.state().is_open());
    // A person says what became of it, and nothing is asked back after that.
    let report = at_once(driver.settle("rows", "eve", "they sent the rows")).unwrap();
    assert!(
        matches!(report.step("rows").unwrap().undo, UndoState::Over(Undone::ByPerson { .. })),
        "{report}"
    );
    let length = world.events().len();
    world.reborn(DAY_MS);
    at_once(driver.go_on()).unwrap();
    assert_eq!(world.events().len(), length);
}

#[test]
fn a_claim_that_is_of_no_use_to_repeat_is_parked_at_once() {
    let (world, driver) = wanting(Err(RemedyError::Refused("more than was paid".to_owned())));
    assert_eq!(tries(&world), 1);
    assert!(problem(&driver.report(), "rows").contains("more than was paid"), "{}", driver.report());
}

#[test]
fn a_claim_of_what_nobody_sees_paid_is_not_waited_for_without_end() {
    let (world, mut driver) = wanting(Ok(false));
    world.reborn(7 * DAY_MS);
    at_once(driver.go_on()).unwrap();
    assert!(driver.state().is_open(), "there is time left");
    world.reborn(2 * DAY_MS);
    at_once(driver.go_on()).unwrap();
    assert!(problem(&driver.report(), "rows").contains("nobody can see yet"), "{}", driver.report());
}

/// Keeps what is posted to sellers.
#[derive(Debug)]
struct Listening {
    inner: Arc<dyn Transport>,
    posted: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Listening {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        if !body.contains("jsonrpc") {
            self.posted.lock().unwrap().push(body);
        }
        self.inner.send(request, limits).await
    }
}

#[tokio::test]
async fn why_a_saga_failed_is_not_told_to_whoever_sold_something_to_it() {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(RefundRule::NeverSends);
    let seller = seller.refund_terms(30 * DAY_MS / 1_000, true);
    let world = World::with(crate::world::Setup { seller, ..Default::default() }).await;
    let mut parts = world.parts(8);
    let transport = Arc::new(Listening { inner: parts.transport.clone(), posted: Mutex::default() });
    let reader = NetworkReader {
        network: world.market.network(),
        rpc_urls: vec![world.market.rpc_url().to_owned()],
        finality: Finality::Latest,
    };
    parts.rails = vec![Arc::new(X402::new(X402Options {
        assets: parts.registry.clone(),
        networks: vec![reader],
        transport: transport.clone(),
        payer: parts.wallet.address().to_owned(),
        quote_ttl_ms: 600_000,
    }))];
    let session = taken_up(&Payments::new(parts), &*session(&world).await).await;
    let mut saga = session.saga("report", SagaOptions::default()).await.unwrap();
    saga.buy("source", get(&world.url("alpha"))).await.unwrap();
    let report = saga.unwind("the merger with Umbra plc is off").await.unwrap();
    assert_eq!(report.reason, "the merger with Umbra plc is off");
    let posted = transport.posted.lock().unwrap().clone();
    assert!(
        posted.iter().any(|body| body.contains("what it was bought for could not be done")),
        "{posted:?}"
    );
    assert!(!posted.iter().any(|body| body.contains("Umbra")), "{posted:?}");
}
