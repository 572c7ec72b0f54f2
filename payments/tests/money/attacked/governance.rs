//! Attempts to get past what the user and the operator said: with helpers, other spellings, patience, and questions asked
//! again.

use super::{process, resumed, run_out};
use crate::world::{World, get, key, plan, propose, quotes, usd};
use bursar_ledger::Window;
use bursar_market::{Fault, FaultRule};
use bursar_payments::{
    AlertRule, ApprovalAnswer, ApproveWith, BudgetRule, DelegateError, Gates, Mandate, Payments,
    PaymentsParts, PlanApproval, Policy, PolicyFile, Scope, SessionHooks,
};
use bursar_types::{DataLabel, FetchError, Fetched, PlanOutcome, Purse, QuoteOutcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DAY: Window = Window::Rolling { length_ms: 86_400_000 };

fn drops(world: &World, times: u32) {
    let rule = FaultRule::from(Fault::DropBeforeSettle).times(times);
    world.market.seller(0).unwrap().faults().arm(rule).unwrap();
}

async fn code_of(purse: &Purse, url: &str, name: &str) -> Option<String> {
    match purse.fetch(get(url), key(name)).await {
        Ok(Fetched::Delivered(_)) => None,
        Err(FetchError::Denied(decision)) => Some(decision.reasons[0].code.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The shipped rules and this one, in another process over the same file.
fn under(world: &World, seed: u64, rule: &str) -> Payments {
    let policy = Arc::new(Policy::load(&[PolicyFile::new("mine.cedar", rule)]).unwrap());
    Payments::new(PaymentsParts { policy, ..world.parts(seed) })
}

#[tokio::test]
async fn what_was_signed_live_is_not_presented_again_after_live_was_switched_off() {
    let world = World::new().await;
    let on = Payments::new(world.live_parts(2)).with_live();
    let mandate = Mandate { live: true, ..world.mandate() };
    let session = on.open_session(mandate, SessionHooks::default()).await.unwrap();
    plan(&world, &session.handle(), "alpha").await;
    drops(&world, 1);
    let request = || get(&world.url("alpha"));
    let first = session.handle().fetch(request(), key("alpha")).await.unwrap();
    assert!(matches!(first, Fetched::Unknown(_)), "{first:?}");
    let off = Payments::new(world.live_parts(3));
    let again = resumed(&off, &session).await.handle().fetch(request(), key("alpha")).await.unwrap();
    assert!(matches!(again, Fetched::Unknown(_)), "{again:?}");
    assert_eq!(world.outflow(), 0);
    let last = session.handle().fetch(request(), key("alpha")).await.unwrap();
    assert!(matches!(last, Fetched::Delivered(_)), "{last:?}");
    assert_eq!((world.authorizations(), world.outflow()), (1, 1_000));
}

#[tokio::test]
async fn a_helper_does_not_take_the_gates_and_alerts_off_a_shared_budget() {
    let world = World::new().await;
    let shared = BudgetRule { alert: AlertRule::Required, ..BudgetRule::new(Scope::User, usd("0.004"), DAY) };
    let mandate = world.mandate().budget_rule(shared.clone());
    let parent = world.session_under(mandate.clone(), None).await;
    let late = Gates { notify: 10_000, tighten: 10_000, stop: 10_000 };
    for weaker in [
        BudgetRule { alert: AlertRule::Told, ..shared.clone() },
        BudgetRule { gates: late, ..shared.clone() },
    ] {
        let mut child = mandate.child("scout");
        child.budgets[1] = weaker;
        match parent.delegate(child, SessionHooks::default()).await.map(|child| child.session()) {
            Err(DelegateError::Widened(widened)) => assert_eq!(widened.field, "budget[1].gates"),
            other => panic!("{other:?}"),
        }
    }
    // Left out it holds all the same: nobody takes its alerts, so its first gate is not reached.
    let mut child = mandate.child("scout");
    child.budgets.truncate(1);
    let child = parent.delegate(child, SessionHooks::default()).await.unwrap().handle();
    plan(&world, &child, "alpha").await;
    plan(&world, &child, "beta").await;
    assert_eq!(code_of(&child, &world.url("alpha"), "alpha").await, None);
    assert_eq!(code_of(&child, &world.url("beta"), "beta").await.as_deref(), Some("GATE_UNDELIVERED"));
}

#[tokio::test]
async fn a_rule_on_what_a_session_spent_counts_what_its_helpers_spent() {
    let world = World::new().await;
    let rule = r#"
        @id("mine.session")
        @reason("SESSION_REVIEW: the session has spent enough")
        @advice("go on with what is there")
        forbid (principal, action == Action::"pay", resource) when { context.session_micro_usd > 2000 };
    "#;
    let payments = under(&world, 2, rule);
    let mut item = world.metered("/documents/*");
    item.count = 9;
    let mandate = world.mandate().metered(item.clone());
    let parent = payments.open_session(mandate.clone(), SessionHooks::default()).await.unwrap();
    for (n, document, code) in
        [(0, "alpha", None), (1, "beta", None), (2, "gamma", Some("SESSION_REVIEW".to_owned()))]
    {
        let child = mandate.child(format!("scout {n}")).metered(item.clone());
        let child = parent.delegate(child, SessionHooks::default()).await.unwrap().handle();
        assert_eq!(code_of(&child, &world.url(document), document).await, code, "{document}");
    }
    assert_eq!(world.outflow(), 2_000);
}

#[tokio::test]
async fn a_payment_that_was_refused_is_not_asked_for_again_under_another_key() {
    let world = World::new().await;
    let rule = r#"
        @id("mine.review")
        @escalate("may this be paid?")
        @reason("REVIEW: payments are put to a person")
        @advice("wait for the answer")
        forbid (principal, action == Action::"pay", resource);
    "#;
    let payments = under(&world, 2, rule);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Someone who is asked often enough gives in.
    let approver = ApproveWith::new("ada", move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => ApprovalAnswer::Refused,
        _ => ApprovalAnswer::Approved,
    });
    let mandate = world.mandate().metered(world.metered("/documents/*"));
    let hooks = SessionHooks { approver: Some(Arc::new(approver)), ..SessionHooks::default() };
    let purse = payments.open_session(mandate, hooks).await.unwrap().handle();
    for name in ["alpha", "alpha again", "alpha please"] {
        let code = code_of(&purse, &world.url("alpha"), name).await;
        assert_eq!(code.as_deref(), Some("APPROVAL_REFUSED"), "{name}");
    }
    assert_eq!((asked.load(Ordering::SeqCst), world.authorizations()), (1, 0));
    // Another thing is another question.
    assert_eq!(code_of(&purse, &world.url("beta"), "beta").await, None);
    assert_eq!((asked.load(Ordering::SeqCst), world.outflow()), (2, 1_000));
}

#[tokio::test]
async fn a_vendor_that_takes_no_authorization_is_not_shown_new_ones_for_ever() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    drops(&world, 100);
    for n in 0..5 {
        // Plans run out sooner than the patience of this seller.
        let outcome = propose(&purse, &[&quotes(&purse, &world.url("alpha")).await[0]], 9).await;
        assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(fetched, Ok(Fetched::Unknown(_))), "{n}: {fetched:?}");
        run_out(&world);
    }
    // Nor by another process, whatever it is told.
    let (other, _) = process(&world, 2);
    for purse in [purse, resumed(&other, &session).await.handle()] {
        let _ = propose(&purse, &[&quotes(&purse, &world.url("alpha")).await[0]], 9).await;
        let code = code_of(&purse, &world.url("alpha"), "alpha").await;
        assert_eq!(code.as_deref(), Some("ATTEMPTS_EXHAUSTED"));
    }
    assert_eq!((world.authorizations(), world.outflow()), (5, 0));
    assert_eq!(found.len(), 1);
    world.verify().await;
}

#[tokio::test]
async fn a_budget_of_one_payee_holds_however_its_address_is_written() {
    let world = World::new().await;
    let payee = world.market.seller(0).unwrap().pay_to().to_string();
    let (prefix, digits) = payee.split_at(2);
    for (n, written) in
        [payee.to_ascii_lowercase(), format!("{prefix}{}", digits.to_uppercase())].into_iter().enumerate()
    {
        let mandate = Mandate { user: format!("user {n}"), ..world.mandate() };
        let cap = BudgetRule::new(Scope::Payee, usd("0.001"), Window::Life).only(written.clone());
        let purse = world.session_under(mandate.budget_rule(cap), None).await.handle();
        plan(&world, &purse, "alpha").await;
        plan(&world, &purse, "beta").await;
        assert_eq!(code_of(&purse, &world.url("alpha"), &format!("alpha {n}")).await, None);
        let code = code_of(&purse, &world.url("beta"), &format!("beta {n}")).await;
        assert_eq!(code.as_deref(), Some("BUDGET_EXCEEDED"), "{written}");
    }
}

#[tokio::test]
async fn whoever_is_asked_about_a_plan_sees_on_which_network_it_is_paid() {
    let world = World::new().await;
    let purse = world.session_under(world.mandate().approval(PlanApproval::Ask), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let PlanOutcome::AwaitingApproval { ticket, .. } = propose(&purse, &[&found[0]], 1).await else {
        panic!("nobody was asked")
    };
    assert!(ticket.summary.contains(&format!(", on {}\n", world.market.network())), "{}", ticket.summary);
}

#[tokio::test]
async fn a_yes_to_a_plan_is_no_yes_to_the_clients_data_that_nobody_spoke_of() {
    let world = World::new().await;
    let policy = Arc::new(Policy::load(&[PolicyFile::bundled("bursar:review").unwrap()]).unwrap());
    let payments = Payments::new(PaymentsParts { policy, ..world.parts(2) });
    // Says yes to what is new, and no to what shows a client's data.
    let approver = ApproveWith::new("ada", |ticket| match ticket.summary.contains("a client's data") {
        true => ApprovalAnswer::Refused,
        false => ApprovalAnswer::Approved,
    });
    let hooks = SessionHooks { approver: Some(Arc::new(approver)), ..SessionHooks::default() };
    let purse = payments.open_session(world.mandate(), hooks).await.unwrap().handle();
    plan(&world, &purse, "alpha").await;
    let labelled = DataLabel::Client.on(get(&world.url("alpha")));
    match purse.fetch(labelled.clone(), key("alpha")).await {
        Err(FetchError::Denied(decision)) => assert_eq!(decision.reasons[0].code, "APPROVAL_REFUSED"),
        other => panic!("{other:?}"),
    }
    assert_eq!((world.authorizations(), world.outflow()), (0, 0));
    // Where it was spoken of, the plan itself is asked about with it.
    let QuoteOutcome::Quotes(found) = purse.quote(labelled).await.unwrap() else { panic!("it is free") };
    match propose(&purse, &[&found[0]], 1).await {
        PlanOutcome::Refused { decision, .. } => assert_eq!(decision.reasons[0].code, "APPROVAL_REFUSED"),
        other => panic!("{other:?}"),
    }
    // What was approved without is bought without.
    assert_eq!(code_of(&purse, &world.url("alpha"), "alpha").await, None);
}

#[tokio::test]
async fn a_quoted_address_with_a_star_is_no_pattern() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    let star = format!("{}?*", world.url("alpha"));
    let found = quotes(&purse, &star).await;
    let outcome = propose(&purse, &[&found[0]], 9).await;
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    let other = format!("{}?of-another-kind", world.url("alpha"));
    let fetched = purse.fetch(get(&other), key("other")).await.unwrap();
    let Fetched::Quotes { reasons, .. } = fetched else { panic!("{fetched:?}") };
    assert_eq!((reasons[0].code.as_ref(), world.authorizations()), ("NOT_IN_PLAN", 0));
    assert_eq!(code_of(&purse, &star, "star").await, None);
}

#[tokio::test]
async fn an_agent_does_not_answer_for_its_helper() {
    let world = World::new().await;
    let mandate = world.mandate().agent("planner").approval(PlanApproval::Ask);
    let parent = world.session_under(mandate.clone(), None).await;
    for (name, approved) in [("planner", false), ("Planner ", false), ("scout", false), ("ada", true)] {
        let approver = Arc::new(ApproveWith::new(name, |_| ApprovalAnswer::Approved));
        let hooks = SessionHooks { approver: Some(approver), ..SessionHooks::default() };
        let child = parent.delegate(mandate.child("scout"), hooks).await.unwrap().handle();
        let found = quotes(&child, &world.url("alpha")).await;
        let outcome = propose(&child, &[&found[0]], 1).await;
        assert_eq!(matches!(outcome, PlanOutcome::Approved { .. }), approved, "{name}: {outcome:?}");
    }
}
