//! Budgets of every scope and window, limits on pace, and gates, through the real path.

use crate::world::{Kept, Setup, World, get, key, plan, propose, quotes, usd};
use bursar_ledger::Window;
use bursar_market::{Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{
    AlertError, AlertRule, Alerts, BudgetRule, GateReached, Gates, LimitRule, Mandate, MoneyEvent, OpenError,
    Scope, SessionHooks, SessionPurse,
};
use bursar_types::{FetchError, Fetched, GateLevel, PlanOutcome, Purse};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const DAY: Window = Window::Rolling { length_ms: 86_400_000 };
const MINUTE: Window = Window::Rolling { length_ms: 60_000 };

/// A mandate under which anything at the seller may be bought, up to a thousand times.
fn standing_order(world: &World) -> Mandate {
    let mut item = world.metered("/documents/*");
    item.count = 1_000;
    let mandate = Mandate { budgets: vec![], ..world.mandate() };
    mandate.session_budget(usd("0.9")).category("docs", &["127.0.0.1"]).metered(item)
}

/// Buys one document under a key of its own; the code if it was refused.
async fn try_buy(world: &World, purse: &Purse, name: &str) -> Result<(), String> {
    match purse.fetch(get(&world.url("alpha")), key(name)).await {
        Ok(Fetched::Delivered(_)) => Ok(()),
        Err(FetchError::Denied(decision)) => Err(decision.reasons[0].code.to_string()),
        other => panic!("{other:?}"),
    }
}

/// How many of some purchases are made, and why the first of the others is not.
async fn bought(world: &World, purse: &Purse, name: &str, tries: usize) -> (usize, Option<String>) {
    let mut count = 0;
    for n in 0..tries {
        match try_buy(world, purse, &format!("{name} {n}")).await {
            Ok(()) => count += 1,
            Err(code) => return (count, Some(code)),
        }
    }
    (count, None)
}

#[tokio::test]
async fn a_budget_of_any_scope_and_window_ends_at_its_cap() {
    let over = "BUDGET_EXCEEDED";
    let all: [(Scope, Option<&str>, bool, &str); 12] = [
        (Scope::Session, None, false, over),
        (Scope::Agent, None, true, over),
        (Scope::User, None, true, over),
        (Scope::Project, None, true, over),
        (Scope::Vendor, None, true, over),
        (Scope::Vendor, Some("127.0.0.1"), true, over),
        (Scope::Payee, None, true, over),
        (Scope::Category, Some("docs"), true, over),
        (Scope::Rail, Some("x402"), true, over),
        (Scope::Family, None, true, over),
        (Scope::Category, None, true, over),
        (Scope::All, None, true, over),
    ];
    for (scope, only, shared, code) in all {
        let world = World::new().await;
        for window in [Window::Life, DAY, Window::Rolling { length_ms: 7_000 }] {
            let rule =
                BudgetRule { only: only.map(str::to_owned), ..BudgetRule::new(scope, usd("0.003"), window) };
            let mandate = Mandate {
                user: format!("{window:?}"),
                project: format!("{window:?}"),
                ..standing_order(&world)
            };
            let mandate = Mandate { budgets: vec![], ..mandate }.budget(
                Scope::Session,
                usd("0.8"),
                Window::Rolling { length_ms: 9 },
            );
            let mandate = mandate.budget_rule(rule);
            let before = world.outflow();
            let first = world.session_under(mandate.clone(), None).await.handle();
            // Of the whole ledger there is one budget; all others begin anew with the user.
            let case = format!("{scope:?} {only:?} {window:?}");
            assert_eq!(bought(&world, &first, &format!("{case} a"), 1).await, (1, None), "{case}");
            let second = world.session_under(mandate, None).await.handle();
            let expected = if shared { 2 } else { 3 };
            let found = bought(&world, &second, &format!("{case} b"), 4).await;
            assert_eq!(found, (expected, Some(code.to_owned())), "{case}");
            assert_eq!(world.outflow() - before, 1_000 * (expected as u128 + 1), "{case}");
        }
        world.verify().await;
    }
}

#[tokio::test]
async fn a_budget_for_another_vendor_payee_category_or_rail_does_not_count_here() {
    let world = World::new().await;
    let one = |scope, only: &str| BudgetRule::new(scope, usd("0.0001"), Window::Life).only(only);
    let mandate = standing_order(&world)
        .category("weather", &["api.weather.example"])
        .budget_rule(one(Scope::Vendor, "*.example"))
        .budget_rule(one(Scope::Payee, "0x00000000000000000000000000000000000000aa"))
        .budget_rule(one(Scope::Category, "weather"))
        .budget_rule(one(Scope::Rail, "card"))
        .budget_rule(BudgetRule::new(Scope::UnknownVendors, usd("0.0001"), Window::Life));
    let purse = world.session_under(mandate, None).await.handle();
    assert_eq!(bought(&world, &purse, "k", 2).await, (2, None));
}

#[tokio::test]
async fn vendors_that_the_mandate_does_not_name_share_one_pool_however_many_they_are() {
    let world = World::with(Setup { others: 12, ..Setup::default() }).await;
    let pool = BudgetRule::new(Scope::UnknownVendors, usd("0.002"), DAY);
    let mandate = world.mandate().budget_rule(pool);
    let mut codes = Vec::new();
    // Thirteen hosts, each with a payee of its own, and a new session for every second one.
    let mut purse = world.session_under(mandate.clone(), None).await.handle();
    for n in 0..13 {
        if n % 2 == 1 {
            purse = world.session_under(mandate.clone(), None).await.handle();
        }
        let url = world.market.seller(n).unwrap().document_url("alpha");
        let found = quotes(&purse, &url).await;
        assert!(!mandate.knows_vendor(&found[0].host));
        let planned = propose(&purse, &[&found[0]], 1).await;
        assert!(matches!(planned, PlanOutcome::Approved { .. }), "{planned:?}");
        codes.push(match purse.fetch(get(&url), key(&url)).await {
            Ok(Fetched::Delivered(_)) => "paid".to_owned(),
            Err(FetchError::Denied(decision)) => decision.reasons[0].code.to_string(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(codes[..3], ["paid", "paid", "UNKNOWN_VENDOR_POOL"]);
    assert!(codes[3..].iter().all(|code| code == "UNKNOWN_VENDOR_POOL"), "{codes:?}");
    assert_eq!(world.outflow(), 2_000);
    // One that the mandate names is none of them.
    let host = quotes(&purse, &world.url("beta")).await[0].host.clone();
    let named = mandate.category("docs", &[&host]);
    let purse = world.session_under(named, None).await.handle();
    plan(&world, &purse, "beta").await;
    let fetched = purse.fetch(get(&world.url("beta")), key("beta")).await;
    assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
}

#[tokio::test]
async fn a_gross_budget_gets_nothing_back_and_a_net_one_what_was_spent_in_its_window() {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(RefundRule::NeverSends);
    let setup = Setup { seller: seller.refund_terms(2_592_000, true), ..Setup::default() };
    let world = World::with(setup).await;
    let (net, gross) = (BudgetRule::new(Scope::User, usd("0.002"), DAY), usd("0.003"));
    let mandate = standing_order(&world)
        .budget_rule(net)
        .budget_rule(BudgetRule { gross: true, ..BudgetRule::new(Scope::User, gross, DAY) });
    let purse = world.session_under(mandate, None).await.handle();
    let seller = world.market.seller(0).unwrap();
    let mut refunded = std::collections::BTreeSet::new();
    let left = |name: &'static str| {
        let purse = purse.clone();
        async move {
            let standing = purse.standing().await.unwrap();
            standing.budgets.into_iter().find(|budget| budget.name == name).unwrap().left.atomic()
        }
    };
    for round in 0..3_u32 {
        seller.faults().arm(Fault::SettleThenDrop).unwrap();
        let fetched = purse.fetch(get(&world.url("alpha")), key(&round.to_string())).await.unwrap();
        assert!(matches!(fetched, Fetched::Undelivered(_)), "{fetched:?}");
        let nonce = *seller.log().nonces.iter().find(|nonce| !refunded.contains(*nonce)).unwrap();
        refunded.insert(nonce);
        assert_eq!(left("user per day").await, 1_000);
        world.advance_s(120);
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
        seller.refund_now(nonce, 1_000).unwrap();
        for _ in 0..3 {
            world.market.chain().mine();
            world.payments.recover().await.unwrap();
        }
        assert_eq!(left("user per day").await, 2_000, "round {round}");
        assert_eq!(left("gross user per day").await, 2_000 - 1_000 * u128::from(round));
    }
    assert_eq!(try_buy(&world, &purse, "fourth").await.unwrap_err(), "BUDGET_EXCEEDED");
    // The net budget never came above half, and its first gate fired once by what was spent before refunds.
    let gates: Vec<_> = gates(&world.seen).into_iter().filter(|gate| gate.name == "user per day").collect();
    let levels: Vec<_> = gates.iter().map(|gate| gate.level).collect();
    assert_eq!(levels, [GateLevel::Notified, GateLevel::Tightened]);
    assert_eq!(world.outflow(), 3_000);
    world.verify().await;
}

#[tokio::test]
async fn a_limit_on_pace_names_itself_and_passes_with_its_window() {
    for (rule, code) in [
        (LimitRule::payments(Scope::Session, 2, MINUTE), "VELOCITY_EXCEEDED"),
        (LimitRule::payments(Scope::Vendor, 2, MINUTE), "VELOCITY_EXCEEDED"),
        (LimitRule::payments(Scope::Agent, 2, MINUTE), "VELOCITY_EXCEEDED"),
        (LimitRule::payments(Scope::Payee, 2, MINUTE), "VELOCITY_EXCEEDED"),
        (LimitRule::payments(Scope::All, 2, MINUTE), "VELOCITY_EXCEEDED"),
        (LimitRule::payments(Scope::Family, 2, MINUTE), "LOOP_DETECTED"),
    ] {
        let world = World::new().await;
        let purse = world.session_under(standing_order(&world).limit(rule.clone()), None).await.handle();
        assert_eq!(bought(&world, &purse, "now", 5).await, (2, Some(code.to_owned())), "{rule:?}");
        world.advance_s(60);
        assert_eq!(bought(&world, &purse, "later", 5).await, (2, Some(code.to_owned())), "{rule:?}");
        assert_eq!(world.outflow(), 4_000);
    }
}

#[tokio::test]
async fn a_loop_over_one_endpoint_ends_whatever_its_query_says() {
    let world = World::new().await;
    let mut item = world.metered("/documents/alpha*");
    item.count = 200;
    let mandate = Mandate { metered: vec![item], ..standing_order(&world) };
    let mandate = mandate.limit(LimitRule::payments(Scope::Family, 3, DAY));
    let purse = world.session_under(mandate, None).await.handle();
    let mut codes = Vec::new();
    for n in 0..20 {
        let url = format!("{}?verify-wallet={n}", world.url("alpha"));
        match purse.fetch(get(&url), key(&n.to_string())).await {
            Ok(Fetched::Delivered(_)) => codes.push("paid".to_owned()),
            Err(FetchError::Denied(decision)) => codes.push(decision.reasons[0].code.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(codes[..4], ["paid", "paid", "paid", "LOOP_DETECTED"]);
    assert_eq!((world.outflow(), world.authorizations()), (3_000, 3));
}

#[tokio::test]
async fn what_may_be_under_way_at_once_is_free_again_when_it_is_settled() {
    let world = World::new().await;
    let one_at_a_time = LimitRule::payments(Scope::Session, 1, Window::Open);
    let purse = world.session_under(standing_order(&world).limit(one_at_a_time), None).await.handle();
    assert_eq!(bought(&world, &purse, "k", 3).await, (3, None));
    let small = BudgetRule::new(Scope::Session, usd("0.0009"), Window::Open);
    let other = World::new().await;
    let purse = other.session_under(standing_order(&other).budget_rule(small), None).await.handle();
    assert_eq!(bought(&other, &purse, "k", 1).await, (0, Some("OPEN_HOLDS_EXCEEDED".to_owned())));
    assert_eq!(other.authorizations(), 0);
}

#[tokio::test]
async fn an_agent_begins_no_more_sessions_in_an_hour_than_it_may() {
    let world = World::new().await;
    let hour = Window::Rolling { length_ms: 3_600_000 };
    let mandate = standing_order(&world).limit(LimitRule::sessions(Scope::Agent, 3, hour));
    let begin = |mandate: Mandate| {
        let payments = world.payments.clone();
        async move { payments.open_session(mandate, SessionHooks::default()).await }
    };
    let all: Vec<_> = (0..10).map(|_| tokio::spawn(begin(mandate.clone()))).collect();
    let mut begun = 0;
    for one in all {
        match one.await.unwrap() {
            Ok(_) => begun += 1,
            Err(OpenError::Limit(reason)) => assert_eq!(reason.code, "SESSIONS_EXCEEDED"),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(begun, 3);
    assert!(begin(mandate.clone().agent("another")).await.is_ok());
    world.advance_s(3_600);
    assert!(begin(mandate).await.is_ok());
    world.verify().await;
}

#[tokio::test]
async fn twenty_calls_at_once_fill_a_budget_exactly() {
    let world = World::new().await;
    let mandate = Mandate { budgets: vec![], ..standing_order(&world) }.session_budget(usd("0.02"));
    let purse = world.session_under(mandate, None).await.handle();
    let calls: Vec<_> = (0..30)
        .map(|n| {
            let (purse, request) = (purse.clone(), get(&world.url("alpha")));
            let key = key(&n.to_string());
            // The same request under another key joins it while it is open, so each asks for its own.
            let mut request = request;
            *request.uri_mut() = format!("{}?n={n}", world.url("alpha")).parse().unwrap();
            tokio::spawn(async move { purse.fetch(request, key).await })
        })
        .collect();
    let (mut paid, mut codes) = (0, Vec::new());
    for call in calls {
        match call.await.unwrap() {
            Ok(Fetched::Delivered(_)) => paid += 1,
            Err(FetchError::Denied(decision)) => codes.push(decision.reasons[0].code.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((paid, world.outflow()), (20, 20_000));
    assert!(codes.iter().all(|code| code == "BUDGET_EXCEEDED"), "{codes:?}");
}

fn gates(seen: &Kept) -> Vec<GateReached> {
    let gate = |event| match event {
        MoneyEvent::GateReached { gate } => Some(gate),
        _ => None,
    };
    seen.all().into_iter().filter_map(gate).collect()
}

async fn journaled(world: &World) -> Vec<String> {
    let mut levels = Vec::new();
    for (stream, _) in world.ledger.streams("gate/").await.unwrap() {
        for entry in world.ledger.stream(&stream, 0).await.unwrap() {
            levels.push(format!(
                "{} {}",
                entry.body["name"].as_str().unwrap(),
                entry.body["level"].as_str().unwrap()
            ));
        }
    }
    levels
}

#[tokio::test]
async fn each_gate_fires_once_also_after_a_restart() {
    let world = World::new().await;
    let mandate = Mandate { budgets: vec![], ..standing_order(&world) }.session_budget(usd("0.004"));
    let session = world.session_under(mandate, None).await;
    let purse = session.handle();
    let mut told = Vec::new();
    for n in 0..2 {
        try_buy(&world, &purse, &format!("k{n}")).await.unwrap();
        told.push((gates(&world.seen).len(), purse.standing().await.unwrap().gate()));
    }
    assert_eq!(told, [(0, GateLevel::None), (1, GateLevel::Notified)]);
    // Another process takes the session up, and does not tell again what was told.
    let seen = Arc::new(Kept::default());
    let hooks = SessionHooks { observer: seen.clone(), ..SessionHooks::default() };
    let purse = world.reopened(9).resume_session(session.session(), hooks).await.unwrap().handle();
    assert_eq!(purse.standing().await.unwrap().gate(), GateLevel::Notified);
    for n in 2..4 {
        try_buy(&world, &purse, &format!("k{n}")).await.unwrap();
    }
    let levels: Vec<_> = gates(&seen).iter().map(|gate| (gate.level, gate.used.atomic())).collect();
    assert_eq!(levels, [(GateLevel::Tightened, 3_000), (GateLevel::Stopped, 4_000)]);
    assert_eq!(purse.standing().await.unwrap().gate(), GateLevel::Stopped);
    assert_eq!(try_buy(&world, &purse, "k4").await.unwrap_err(), "BUDGET_EXCEEDED");
    assert_eq!(journaled(&world).await, ["session notified", "session tightened", "session stopped"]);
    world.verify().await;
}

#[tokio::test]
async fn gates_stand_where_the_mandate_puts_them_and_one_payment_can_reach_several() {
    let world = World::new().await;
    let gates_at = Gates { notify: 1_000, tighten: 2_000, stop: 5_000 };
    let rule = BudgetRule { gates: gates_at, ..BudgetRule::new(Scope::Session, usd("0.005"), Window::Life) };
    let mandate = Mandate { budgets: vec![], ..standing_order(&world) }.budget_rule(rule);
    let purse = world.session_under(mandate, None).await.handle();
    // A `stop` below 100 % is where the ledger stops: 0.0025 of the 0.005.
    assert_eq!(bought(&world, &purse, "k", 4).await, (2, Some("BUDGET_EXCEEDED".to_owned())));
    assert_eq!(journaled(&world).await, ["session notified", "session tightened"]);
}

#[tokio::test]
async fn a_gate_of_a_rolling_budget_fires_again_a_window_later() {
    let world = World::new().await;
    let mandate = standing_order(&world).budget(Scope::User, usd("0.004"), DAY);
    let purse = world.session_under(mandate, None).await.handle();
    let mut told = Vec::new();
    for day in 0..3 {
        for n in 0..2 {
            try_buy(&world, &purse, &format!("day {day} {n}")).await.unwrap();
        }
        told.push(gates(&world.seen).len());
        world.advance_s(86_400);
        assert_eq!(purse.standing().await.unwrap().gate(), GateLevel::None);
    }
    assert_eq!(told, [1, 2, 3]);
}

#[tokio::test]
async fn many_payments_that_reach_a_gate_at_once_fire_it_once() {
    let world = World::new().await;
    let mandate = Mandate { budgets: vec![], ..standing_order(&world) }.session_budget(usd("0.02"));
    let session = world.session_under(mandate, None).await;
    let second = world.reopened(5);
    let hooks = SessionHooks { observer: world.seen.clone(), ..SessionHooks::default() };
    let elsewhere = second.resume_session(session.session(), hooks).await.unwrap();
    let calls: Vec<_> = (0..16)
        .map(|n| {
            let purse: Purse = [&session, &elsewhere][n % 2].handle();
            let request = get(&format!("{}?n={n}", world.url("alpha")));
            tokio::spawn(async move { purse.fetch(request, key(&n.to_string())).await })
        })
        .collect();
    for call in calls {
        let fetched = call.await.unwrap();
        assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    }
    assert_eq!(journaled(&world).await, ["session notified", "session tightened"]);
    assert_eq!(gates(&world.seen).len(), 2);
    world.verify().await;
}

/// Takes alerts while it is up.
#[derive(Debug, Default)]
struct Sink {
    down: AtomicBool,
    taken: Mutex<Vec<GateLevel>>,
}

#[async_trait::async_trait]
impl Alerts for Sink {
    async fn deliver(&self, gate: &GateReached) -> Result<(), AlertError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(AlertError("the pager is down".into()));
        }
        self.taken.lock().unwrap().push(gate.level);
        Ok(())
    }
}

#[tokio::test]
async fn no_payment_reaches_a_gate_whose_alert_nobody_took() {
    let world = World::new().await;
    let rule = BudgetRule {
        alert: AlertRule::Required,
        ..BudgetRule::new(Scope::Session, usd("0.0012"), Window::Life)
    };
    let mandate = Mandate { budgets: vec![], ..standing_order(&world) }.budget_rule(rule);
    let sink = Arc::new(Sink { down: AtomicBool::new(true), ..Sink::default() });
    let with = |alerts: Option<Arc<dyn Alerts>>| SessionHooks { alerts, ..SessionHooks::default() };
    let deaf: Arc<SessionPurse> = world.payments.open_session(mandate.clone(), with(None)).await.unwrap();
    assert_eq!(try_buy(&world, &deaf.handle(), "k").await.unwrap_err(), "GATE_UNDELIVERED");
    let session = world.payments.open_session(mandate, with(Some(sink.clone()))).await.unwrap();
    assert_eq!(try_buy(&world, &session.handle(), "k").await.unwrap_err(), "GATE_UNDELIVERED");
    assert_eq!((world.authorizations(), world.books(&session.handle()).await), (0, (0, 0)));
    assert_eq!(world.ledger.streams("gate/").await.unwrap(), vec![]);
    sink.down.store(false, Ordering::SeqCst);
    try_buy(&world, &session.handle(), "k").await.unwrap();
    assert_eq!(*sink.taken.lock().unwrap(), [GateLevel::Notified, GateLevel::Tightened]);
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn a_purchase_cut_into_pieces_is_seen_as_the_whole() {
    let world = World::new().await;
    let mut mandate = world.mandate();
    mandate.review_above = Some(usd("0.0015"));
    let first = world.session_under(mandate.clone(), None).await.handle();
    plan(&world, &first, "alpha").await;
    let fetched = first.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    // The second half, in another session of the same user.
    let second = world.session_under(mandate.clone(), None).await.handle();
    let found = quotes(&second, &world.url("beta")).await;
    let outcome = propose(&second, &[&found[0]], 1).await;
    assert!(matches!(outcome, PlanOutcome::AwaitingApproval { .. }), "{outcome:?}");
    // Another user has bought nothing yet, and a day later neither has this one.
    let other =
        world.session_under(Mandate { user: "bob".to_owned(), ..mandate.clone() }, None).await.handle();
    plan(&world, &other, "beta").await;
    world.advance_s(86_400);
    let later = world.session_under(mandate, None).await.handle();
    plan(&world, &later, "gamma").await;
}
