//! What is refused, and why.

use crate::world::{World, buy, get, key, plan, propose, quotes, usd};
use bursar_payments::{ApprovalAnswer, ApproveWith, PlanApproval, Scope, SessionHooks};
use bursar_types::{FetchError, Fetched, PlanOutcome};
use std::sync::Arc;

#[tokio::test]
async fn nothing_is_paid_while_exploring() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Quotes { quotes, reasons } = fetched else { panic!("{fetched:?}") };
    assert_eq!((quotes[0].price.atomic(), reasons[0].code.as_ref()), (1_000, "NOT_IN_PLAN"));
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn a_plan_covers_only_what_it_lists() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let fetched = purse.fetch(get(&world.url("beta")), key("beta")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn a_budget_is_never_passed_by_concurrent_purchases() {
    let world = World::new().await;
    let mandate =
        bursar_payments::Mandate { budgets: vec![], ..world.mandate() }.session_budget(usd("0.002"));
    let purse = world.session_under(mandate, None).await.handle();
    for document in ["alpha", "beta", "gamma"] {
        let quotes = quotes(&purse, &world.url(document)).await;
        let outcome = propose(&purse, &[&quotes[0]], 1).await;
        assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    }
    let calls: Vec<_> = ["alpha", "beta", "gamma"]
        .map(|document| {
            let (purse, request) = (purse.clone(), get(&world.url(document)));
            tokio::spawn(async move { purse.fetch(request, key(document)).await })
        })
        .into_iter()
        .collect();
    let mut denied = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(Fetched::Delivered(_)) => {}
            Err(FetchError::Denied(decision)) => denied.extend(decision.reasons),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0].code, "BUDGET_EXCEEDED");
    assert_eq!((world.outflow(), world.books(&purse).await), (2_000, (2_000, 0)));
}

#[tokio::test]
async fn a_users_daily_budget_holds_over_sessions_and_rolls() {
    let world = World::new().await;
    let day = bursar_ledger::Window::Rolling { length_ms: 86_400_000 };
    let mandate = world.mandate().budget(Scope::User, usd("0.001"), day);
    let first = world.session_under(mandate.clone(), None).await.handle();
    assert!(matches!(buy(&world, &first, "alpha").await, Fetched::Delivered(_)));
    let second = world.session_under(mandate.clone(), None).await.handle();
    let found = quotes(&second, &world.url("beta")).await;
    let outcome = propose(&second, &[&found[0]], 1).await;
    assert!(matches!(outcome, PlanOutcome::Refused { .. }), "{outcome:?}");
    world.advance_s(86_400);
    let third = world.session_under(mandate, None).await.handle();
    assert!(matches!(buy(&world, &third, "beta").await, Fetched::Delivered(_)));
    assert_eq!(world.outflow(), 2_000);
}

#[tokio::test]
async fn an_approver_is_asked_where_the_mandate_asks_and_no_is_no() {
    let world = World::new().await;
    let mandate = world.mandate().approval(PlanApproval::Ask);
    for (answer, approved) in
        [(ApprovalAnswer::Approved, true), (ApprovalAnswer::Refused, false), (ApprovalAnswer::Later, false)]
    {
        let said = answer.clone();
        let approver = Arc::new(ApproveWith::new("ada", move |_| said.clone()));
        let purse = world.session_under(mandate.clone(), Some(approver)).await.handle();
        let found = quotes(&purse, &world.url("alpha")).await;
        let outcome = propose(&purse, &[&found[0]], 1).await;
        match (&outcome, &answer) {
            (PlanOutcome::Approved { approved_by, .. }, ApprovalAnswer::Approved) => {
                assert_eq!(approved_by, "ada")
            }
            (PlanOutcome::Refused { decision, .. }, ApprovalAnswer::Refused) => {
                assert_eq!(decision.reasons[0].code, "APPROVAL_REFUSED");
            }
            (PlanOutcome::AwaitingApproval { .. }, ApprovalAnswer::Later) => {}
            other => panic!("{other:?}"),
        }
        let fetched = purse.fetch(get(&world.url("alpha")), key(&format!("{answer:?}"))).await.unwrap();
        assert_eq!(matches!(fetched, Fetched::Delivered(_)), approved, "{fetched:?}");
    }
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn without_an_approver_a_question_waits_and_nothing_is_bought() {
    let world = World::new().await;
    let purse = world.session_under(world.mandate().approval(PlanApproval::Ask), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let outcome = propose(&purse, &[&found[0]], 1).await;
    let PlanOutcome::AwaitingApproval { ticket, .. } = outcome else { panic!("{outcome:?}") };
    assert!(ticket.summary.contains("0.001 USDC"), "{}", ticket.summary);
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
}

#[tokio::test]
async fn a_plan_above_the_budget_is_refused_whole() {
    let world = World::new().await;
    let mandate =
        bursar_payments::Mandate { budgets: vec![], ..world.mandate() }.session_budget(usd("0.0015"));
    let purse = world.session_under(mandate, None).await.handle();
    let (alpha, beta) = (quotes(&purse, &world.url("alpha")).await, quotes(&purse, &world.url("beta")).await);
    let outcome = propose(&purse, &[&alpha[0], &beta[0]], 1).await;
    let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
    assert!(!decision.rules.is_empty() && !decision.reasons[0].next_step.is_empty(), "{decision:?}");
}

#[tokio::test]
async fn a_vendor_outside_the_mandate_is_not_even_asked() {
    let world = World::new().await;
    let mandate = bursar_payments::Mandate { vendors: vec!["api.example".to_owned()], ..world.mandate() };
    let purse = world.session_under(mandate, None).await.handle();
    let before = world.market.seller(0).unwrap().log().entries.len();
    let error = purse.quote(get(&world.url("alpha"))).await.unwrap_err();
    assert!(matches!(error, FetchError::Denied(_)), "{error:?}");
    assert_eq!(world.market.seller(0).unwrap().log().entries.len(), before);
}

#[tokio::test]
async fn requests_that_the_purse_does_not_send_are_refused() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    for url in ["ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/x"] {
        let error = purse.fetch(get(url), key("k")).await.unwrap_err();
        assert!(matches!(error, FetchError::Request(_)), "{url}: {error:?}");
    }
    let mut forged = get(&world.url("alpha"));
    forged.headers_mut().insert("payment-signature", "x".parse().unwrap());
    assert!(matches!(purse.fetch(forged, key("k")).await, Err(FetchError::Request(_))));
    let plain = purse.fetch(get("http://api.example/x"), key("k")).await;
    assert!(matches!(plain, Err(FetchError::Denied(_))), "{plain:?}");
}

#[tokio::test]
async fn a_quote_that_expired_cannot_be_planned() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    world.advance_s(601);
    let outcome = propose(&purse, &[&found[0]], 1).await;
    let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(decision.reasons[0].code, "QUOTE_EXPIRED");
    assert!(found[0].expires_at <= world.now());
}

#[tokio::test]
async fn a_metered_pattern_cannot_be_left_by_dot_segments() {
    let world = World::new().await;
    let seller = world.market.seller(0).unwrap();
    let item = world.metered("/free-zone/*");
    let purse = world.session_under(world.mandate().metered(item), None).await.handle();
    for path in ["../documents/alpha", "%2e%2e/documents/alpha", "x/../../documents/alpha"] {
        let fetched =
            purse.fetch(get(&format!("{}/free-zone/{path}", seller.url())), key(path)).await.unwrap();
        assert!(matches!(fetched, Fetched::Quotes { .. }), "{path}: {fetched:?}");
    }
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn a_session_resumed_as_a_dry_run_buys_nothing_not_even_under_an_old_plan() {
    let world = World::new().await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let hooks = SessionHooks { approval: PlanApproval::Never, ..SessionHooks::default() };
    let dry = world.payments.resume_session(session.session(), hooks).await.unwrap().handle();
    let fetched = dry.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    let Fetched::Quotes { reasons, .. } = fetched else { panic!("{fetched:?}") };
    assert_eq!(reasons[0].code, "PLANS_SWITCHED_OFF");
    let found = quotes(&dry, &world.url("beta")).await;
    assert!(matches!(propose(&dry, &[&found[0]], 1).await, PlanOutcome::Refused { .. }));
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn a_frozen_session_signs_nothing_until_it_is_thawed() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    session.freeze("the owner is away").await.unwrap();
    let refused = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    let Err(FetchError::Denied(decision)) = refused else { panic!("{refused:?}") };
    assert_eq!((decision.reasons[0].code.as_ref(), world.authorizations()), ("FROZEN", 0));
    session.thaw("ada").await.unwrap();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
}
