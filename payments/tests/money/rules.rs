//! What rules see and decide, through the whole way of a payment.

use crate::traps::{Pause, Spring, Step, Traps};
use crate::world::{Setup, World, buy, get, key, propose, quotes, usd};
use bursar_ledger::StreamId;
use bursar_market::SourceDocument;
use bursar_payments::{
    ApprovalAnswer, ApproveWith, DecisionRecord, Facts, Mandate, MandateError, MeteredItem, OpenError,
    Payments, PaymentsParts, Policy, PolicyFile, SessionPurse,
};
use bursar_types::{DataLabel, FetchError, Fetched, PlanOutcome, Purse, SessionId, Verdict};
use std::sync::Arc;

const SMALL: &str = r#"@id("mine.small") forbid (principal, action == Action::"pay", resource)
    when { context.micro_usd > 10 };"#;
const LARGE: &str = r#"@id("mine.small") forbid (principal, action == Action::"pay", resource)
    when { context.micro_usd > 9000 };"#;

fn policy(files: &[PolicyFile]) -> Arc<Policy> {
    Arc::new(Policy::load(files).unwrap())
}

fn mine(text: &str) -> PolicyFile {
    PolicyFile::new("mine.cedar", text)
}

/// Another process over the world's data file, with rules of its own.
fn under(world: &World, seed: u64, policy: &Arc<Policy>) -> Payments {
    Payments::new(PaymentsParts { policy: policy.clone(), ..world.parts(seed) })
}

async fn open(payments: &Payments, mandate: Mandate) -> Arc<SessionPurse> {
    payments.open_session(mandate, Default::default()).await.unwrap()
}

async fn resumed(payments: &Payments, session: SessionId) -> Purse {
    payments.resume_session(session, Default::default()).await.unwrap().handle()
}

fn codes(fetched: Result<Fetched, FetchError>) -> Vec<String> {
    let Err(FetchError::Denied(decision)) = fetched else { panic!("{fetched:?}") };
    decision.reasons.into_iter().map(|reason| reason.code.into_owned()).collect()
}

async fn proposed(world: &World, purse: &Purse, document: &str) -> PlanOutcome {
    let found = quotes(purse, &world.url(document)).await;
    propose(purse, &[&found[0]], 1).await
}

#[track_caller]
fn refused(outcome: &PlanOutcome, code: &str) {
    let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(decision.reasons[0].code, code, "{decision}");
}

#[track_caller]
fn waits(outcome: &PlanOutcome, code: &str) {
    let PlanOutcome::AwaitingApproval { ticket, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(ticket.decision.reasons[0].code, code, "{}", ticket.decision);
}

async fn decisions(world: &World, session: SessionId, stream: &'static str) -> Vec<DecisionRecord> {
    world.ledger.events(&StreamId::of(stream, session), 0).await.unwrap()
}

/// A standing purchase of anything the seller has.
fn anything(world: &World) -> MeteredItem {
    MeteredItem { count: 50, ..world.metered("/*") }
}

#[tokio::test]
async fn no_single_payment_passes_the_mandates_cap() {
    let world = World::new().await;
    let mandate = Mandate { payment_max: Some(usd("0.000999")), ..world.mandate() };
    let purse = world.session_under(mandate.clone(), None).await.handle();
    refused(&proposed(&world, &purse, "alpha").await, "PER_PAYMENT_CAP");
    // What the mandate itself lists is no exception.
    let purse = world.session_under(mandate.metered(anything(&world)), None).await.handle();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(codes(fetched), ["PER_PAYMENT_CAP"]);
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn small_plans_that_add_up_are_put_to_a_person() {
    let world = World::new().await;
    let mandate = Mandate { review_above: Some(usd("0.0015")), ..world.mandate() };
    let purse = world.session_under(mandate.clone(), None).await.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    waits(&proposed(&world, &purse, "beta").await, "REVIEW_THRESHOLD");
    assert_eq!(world.outflow(), 1_000);
    // Whoever was asked about the plan is not asked about its payments again.
    let yes = Arc::new(ApproveWith::new("ada", |_| ApprovalAnswer::Approved));
    let purse = world.session_under(mandate, Some(yes)).await.handle();
    for document in ["alpha", "beta", "gamma"] {
        let outcome = proposed(&world, &purse, document).await;
        assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn plans_that_pass_one_by_one_are_seen_together_when_they_are_paid() {
    let world = World::new().await;
    let mandate = Mandate { review_above: Some(usd("0.0015")), ..world.mandate() };
    let purse = world.session_under(mandate, None).await.handle();
    for document in ["alpha", "beta", "gamma"] {
        let outcome = proposed(&world, &purse, document).await;
        assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    }
    let calls: Vec<_> = ["alpha", "beta", "gamma"]
        .map(|document| {
            let (purse, request) = (purse.clone(), get(&world.url(document)));
            tokio::spawn(async move { purse.fetch(request, key(document)).await })
        })
        .into_iter()
        .collect();
    let mut delivered = 0;
    for call in calls {
        delivered += usize::from(matches!(call.await.unwrap(), Ok(Fetched::Delivered(_))));
    }
    assert_eq!((delivered, world.outflow()), (1, 1_000));
}

#[tokio::test]
async fn what_the_mandate_lists_one_by_one_is_not_asked_about() {
    let world = World::new().await;
    let mandate = Mandate { review_above: Some(usd("0.0015")), ..world.mandate() };
    let purse = world.session_under(mandate.metered(anything(&world)), None).await.handle();
    for document in ["alpha", "beta", "gamma"] {
        let fetched = purse.fetch(get(&world.url(document)), key(document)).await;
        assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    }
}

#[tokio::test]
async fn a_trial_that_renews_is_put_to_a_person_and_paid_only_as_what_it_is() {
    let trial = SourceDocument::new("trial.md", "# Trial for a week, then renews monthly at $29\n\nText.\n");
    let world = World::with(Setup { documents: vec![trial], ..Setup::default() }).await;
    let purse = world.session().await.handle();
    waits(&proposed(&world, &purse, "trial").await, "RECURRING_COMMITMENT");
    // The mandate lists single purchases.
    let mandate = world.mandate().metered(anything(&world));
    let purse = world.session_under(mandate, None).await.handle();
    let fetched = purse.fetch(get(&world.url("trial")), key("trial")).await;
    assert_eq!(codes(fetched), ["RECURRING_NOT_IN_PLAN"]);
    assert_eq!(world.authorizations(), 0);
    let yes = Arc::new(ApproveWith::new("ada", |_| ApprovalAnswer::Approved));
    let purse = world.session_under(world.mandate(), Some(yes)).await.handle();
    assert!(matches!(buy(&world, &purse, "trial").await, Fetched::Delivered(_)));
}

#[tokio::test]
async fn data_of_clients_goes_to_no_paid_endpoint() {
    let world = World::new().await;
    let rules = policy(&[PolicyFile::bundled("bursar:no-client-data").unwrap()]);
    let payments = under(&world, 2, &rules);
    let session = open(&payments, world.mandate().metered(anything(&world))).await;
    let purse = session.handle();
    let with_query = format!("{}?for=ada", world.url("alpha"));
    // Nobody said whose data it is; then somebody did.
    assert_eq!(codes(purse.fetch(get(&with_query), key("a")).await), ["CLIENT_DATA"]);
    let sent = || world.market.seller(0).unwrap().log().entries.len();
    let before = sent();
    let labelled = DataLabel::Client.on(get(&world.url("beta")));
    assert_eq!(codes(purse.fetch(labelled, key("b")).await), ["CLIENT_DATA"]);
    assert_eq!((sent(), world.authorizations()), (before, 0), "it was shown to the seller");
    for request in [DataLabel::Public.on(get(&with_query)), get(&world.url("gamma"))] {
        let name = key(&request.uri().to_string());
        let fetched = purse.fetch(request, name).await;
        assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    }
}

#[tokio::test]
async fn only_approved_vendors_are_paid_and_an_empty_list_approves_none() {
    let world = World::new().await;
    let rules = policy(&[PolicyFile::bundled("bursar:approved-vendors").unwrap()]);
    let payments = under(&world, 2, &rules);
    let purse = open(&payments, world.mandate()).await.handle();
    refused(&proposed(&world, &purse, "alpha").await, "VENDOR_NOT_APPROVED");
    let mandate = Mandate { vendors: vec!["127.0.0.1".to_owned()], ..world.mandate() };
    let purse = open(&payments, mandate).await.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
}

#[tokio::test]
async fn a_first_purchase_is_put_to_a_person_and_the_next_is_not() {
    let world = World::new().await;
    let rules = policy(&[PolicyFile::bundled("bursar:review").unwrap()]);
    let payments = under(&world, 2, &rules);
    let purse = open(&payments, world.mandate()).await.handle();
    waits(&proposed(&world, &purse, "alpha").await, "FIRST_TIME_VENDOR");
    let known = world.session().await.handle();
    assert!(matches!(buy(&world, &known, "alpha").await, Fetched::Delivered(_)));
    assert!(matches!(buy(&world, &purse, "beta").await, Fetched::Delivered(_)));
}

#[tokio::test]
async fn a_rule_that_is_tried_out_is_journaled_and_stops_nothing() {
    let world = World::new().await;
    let rules = policy(&[mine(SMALL).shadow()]);
    let session = open(&under(&world, 2, &rules), world.mandate()).await;
    assert!(matches!(buy(&world, &session.handle(), "alpha").await, Fetched::Delivered(_)));
    let records = decisions(&world, session.session(), DecisionRecord::DECISIONS).await;
    let [plan, pay] = records.as_slice() else { panic!("{records:?}") };
    assert!(
        matches!((&plan.facts, &plan.shadow), (Some(Facts::Plan(_)), Some(shadow)) if shadow.rules == plan.decision.rules)
    );
    let shadow = pay.shadow.as_ref().unwrap();
    assert_eq!((pay.decision.verdict, shadow.verdict), (Verdict::Allow, Verdict::Deny));
    assert_eq!(shadow.rules, ["mine.small"]);
    // The entry itself names the rules, so that they stay when its payload is erased.
    let stream = StreamId::of(DecisionRecord::DECISIONS, session.session());
    let entries = world.ledger.stream(&stream, 0).await.unwrap();
    assert_eq!(entries[1].body["shadow"]["rules"][0], "mine.small");
    world.verify().await;
}

#[tokio::test]
async fn what_a_rule_that_is_tried_out_would_say_of_a_refused_plan_is_journaled_with_the_refusal() {
    let world = World::new().await;
    let trial = r#"@id("mine.plans") forbid (principal, action == Action::"plan", resource);"#;
    let rules = policy(&[PolicyFile::new("mine.cedar", trial).shadow()]);
    let mandate = Mandate { payment_max: Some(usd("0.000001")), ..world.mandate() };
    let session = open(&under(&world, 2, &rules), mandate).await;
    refused(&proposed(&world, &session.handle(), "alpha").await, "PER_PAYMENT_CAP");
    let records = decisions(&world, session.session(), DecisionRecord::REFUSALS).await;
    let [refusal] = records.as_slice() else { panic!("{records:?}") };
    let shadow = refusal.shadow.as_ref().unwrap();
    assert!(shadow.rules.iter().any(|rule| rule == "mine.plans"), "{shadow:?}");
    assert!(refusal.decision.rules.iter().all(|rule| rule != "mine.plans") && refusal.facts.is_some());
}

#[tokio::test]
async fn a_mandate_in_shadow_enforces_the_shipped_rules_alone() {
    let world = World::new().await;
    let payments = under(&world, 2, &policy(&[mine(SMALL)]));
    let strict = open(&payments, world.mandate()).await.handle();
    let mandate = Mandate { shadow: true, payment_max: Some(usd("0.001")), ..world.mandate() };
    let session = open(&payments, mandate.clone()).await;
    assert!(matches!(buy(&world, &session.handle(), "alpha").await, Fetched::Delivered(_)));
    let records = decisions(&world, session.session(), DecisionRecord::DECISIONS).await;
    assert!(records[1].shadow_differs(), "{records:?}");
    assert!(matches!(proposed(&world, &strict, "beta").await, PlanOutcome::Approved { .. }));
    assert_eq!(codes(strict.fetch(get(&world.url("beta")), key("b")).await), ["MINE_SMALL"]);
    let mandate = Mandate { payment_max: Some(usd("0.000001")), ..mandate };
    let purse = open(&payments, mandate).await.handle();
    refused(&proposed(&world, &purse, "gamma").await, "PER_PAYMENT_CAP");
}

#[tokio::test]
async fn decisions_are_kept_with_the_facts_they_were_made_on() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    let policy = Policy::shipped().unwrap();
    for record in decisions(&world, session.session(), DecisionRecord::DECISIONS).await {
        let again = policy.decide(record.facts.as_ref().unwrap(), &record.approved);
        assert_eq!(again, record.decision);
    }
    let low = Mandate { payment_max: Some(usd("0.000001")), ..world.mandate() };
    let session = world.session_under(low, None).await;
    refused(&proposed(&world, &session.handle(), "beta").await, "PER_PAYMENT_CAP");
    let records = decisions(&world, session.session(), DecisionRecord::REFUSALS).await;
    assert!(records.iter().any(|record| matches!(record.facts, Some(Facts::Plan(_)))), "{records:?}");
}

#[tokio::test]
async fn a_session_goes_on_under_the_rules_it_was_opened_under_or_an_operator_accepted() {
    let world = World::new().await;
    let (strict, loose) = (policy(&[mine(SMALL)]), policy(&[mine(LARGE)]));
    let old = under(&world, 2, &strict);
    let session = open(&old, world.mandate().metered(anything(&world))).await;
    let changed = |opened: Result<Arc<SessionPurse>, OpenError>| matches!(opened, Err(OpenError::Mandate(MandateError::PolicyChanged(name))) if name == "mine.cedar");
    let new = under(&world, 3, &loose);
    assert!(changed(new.resume_session(session.session(), Default::default()).await));
    // A file that is gone, and one that came.
    for files in [vec![], vec![mine(SMALL), PolicyFile::new("more.cedar", SMALL.replace("small", "more"))]] {
        let other = under(&world, 4, &policy(&files));
        let opened = other.resume_session(session.session(), Default::default()).await;
        assert!(matches!(&opened, Err(OpenError::Mandate(MandateError::PolicyChanged(_)))), "{opened:?}");
        assert!(opened.unwrap_err().to_string().contains("POLICY_CHANGED"));
    }
    new.accept_policies(session.session(), "olga").await.unwrap();
    new.accept_policies(session.session(), "olga").await.unwrap();
    let purse = resumed(&new, session.session()).await;
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(fetched, Ok(Fetched::Delivered(_))), "{fetched:?}");
    // Whoever runs on under the old rules decides nothing any more, and takes nothing up again.
    let fetched = session.handle().fetch(get(&world.url("beta")), key("beta")).await;
    assert_eq!(codes(fetched), ["POLICY_CHANGED"]);
    assert!(changed(old.resume_session(session.session(), Default::default()).await));
}

#[tokio::test]
async fn nothing_is_signed_under_rules_that_were_replaced_after_the_decision() {
    let world = World::new().await;
    let (old, new) = (policy(&[mine(LARGE)]), policy(&[mine(SMALL)]));
    let (parts, traps) = Traps::around(PaymentsParts { policy: old, ..world.parts(2) });
    let payments = Payments::new(parts);
    let session = open(&payments, world.mandate().metered(anything(&world))).await;
    let pause = Pause::default();
    traps.set(Step::Commit("payment.signing"), Spring::Pause(pause.clone()));
    let purse = session.handle();
    let url = world.url("alpha");
    let call = tokio::spawn(async move { purse.fetch(get(&url), key("alpha")).await });
    pause.reached().await;
    under(&world, 3, &new).accept_policies(session.session(), "olga").await.unwrap();
    pause.let_go();
    assert_eq!(codes(call.await.unwrap()), ["POLICY_CHANGED"]);
    assert_eq!((world.authorizations(), world.books(&session.handle()).await), (0, (0, 0)));
}

#[tokio::test]
async fn a_mandate_that_pins_its_rules_is_used_with_them_and_with_no_others() {
    let world = World::new().await;
    let strict = policy(&[mine(SMALL)]);
    let pinned: Vec<_> = strict.digests().into_iter().filter(|(name, _)| !Policy::is_shipped(name)).collect();
    let mandate = Mandate { policies: pinned, ..world.mandate() };
    let opened = |files: Vec<PolicyFile>| {
        let (payments, mandate) = (under(&world, 2, &policy(&files)), mandate.clone());
        async move { payments.open_session(mandate, Default::default()).await }
    };
    let session = opened(vec![mine(SMALL)]).await.unwrap().session();
    for files in [
        vec![],
        vec![mine(LARGE)],
        vec![mine(SMALL).shadow()],
        vec![mine(SMALL), PolicyFile::new("more.cedar", SMALL.replace("small", "more"))],
    ] {
        let refused = opened(files).await;
        assert!(matches!(&refused, Err(OpenError::Mandate(MandateError::PolicyChanged(_)))), "{refused:?}");
    }
    // What the mandate itself says, no operator changes for a session.
    let accepted = under(&world, 3, &policy(&[mine(LARGE)])).accept_policies(session, "olga").await;
    assert!(matches!(&accepted, Err(OpenError::Mandate(MandateError::PolicyChanged(_)))), "{accepted:?}");
}
