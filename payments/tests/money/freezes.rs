//! Freezes of agents, sessions, wallets and everybody, from another process; and mandates in the wrong hands.

use crate::traps::{Step, Traps};
use crate::world::{World, get, key, plan, propose, quotes};
use bursar_market::{Fault, FaultRule};
use bursar_payments::{FreezeScope, Mandate, OpenError, Payments, Scope};
use bursar_types::{FetchError, Fetched, PlanOutcome, SessionId};

fn code(told: Result<Fetched, FetchError>) -> String {
    let Err(FetchError::Denied(decision)) = told else { panic!("{told:?}") };
    decision.reasons[0].code.to_string()
}

/// Every scope that a session is in.
fn scopes(world: &World, session: SessionId) -> [FreezeScope; 4] {
    [
        FreezeScope::All,
        FreezeScope::wallet(&world.payer().to_uppercase().replace("0X", "0x")),
        FreezeScope::agent_of("ada", "agent"),
        FreezeScope::Session { session },
    ]
}

#[tokio::test]
async fn a_freeze_from_another_process_between_hold_and_signature_stops_it() {
    let world = World::new().await;
    for index in 0..4_u64 {
        let session = world.session().await;
        let (parts, traps) = Traps::around(world.parts(10 + index));
        let payments = Payments::new(parts);
        let purse = payments.resume_session(session.session(), Default::default()).await.unwrap().handle();
        plan(&world, &purse, "alpha").await;
        let scope = scopes(&world, session.session())[usize::try_from(index).unwrap()].clone();
        let pause = traps.pause(Step::Commit("payment.signing"));
        let (buyer, request) = (purse.clone(), get(&world.url("alpha")));
        let call = tokio::spawn(async move { buyer.fetch(request, key("alpha")).await });
        pause.reached().await;
        let desk = world.reopened(20 + index);
        desk.freeze(&scope, "ada", "it buys too much").await.unwrap();
        pause.let_go();
        assert_eq!(code(call.await.unwrap()), "FROZEN", "{scope}");
        let found = quotes(&purse, &world.url("beta")).await;
        let outcome = propose(&purse, &[&found[0]], 1).await;
        assert!(matches!(outcome, PlanOutcome::Refused { .. }), "{scope}: {outcome:?}");
        assert_eq!((world.authorizations(), world.books(&purse).await), (0, (0, 0)), "{scope}");
        let known = desk.freezes().await.unwrap();
        let listed: Vec<_> = known.iter().map(|freeze| &freeze.scope).collect();
        assert_eq!(listed, [&scope], "sessions are listed too: {known:?}");
        desk.thaw(&scope, "ada", "looked at it").await.unwrap();
        assert_eq!(desk.freezes().await.unwrap(), vec![]);
    }
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    world.verify().await;
}

#[tokio::test]
async fn an_old_authorization_is_not_presented_again_while_anything_of_it_is_frozen() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    let fault = FaultRule::from(Fault::DropBeforeSettle).times(1);
    world.market.seller(0).unwrap().faults().arm(fault).unwrap();
    let first = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(first, Ok(Fetched::Unknown(_))), "{first:?}");
    let desk = world.reopened(2);
    for scope in scopes(&world, session.session()) {
        desk.freeze(&scope, "ada", "stop").await.unwrap();
        let told = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
        assert!(matches!(told, Ok(Fetched::Unknown(_))), "{scope}: {told:?}");
        assert_eq!(world.outflow(), 0, "{scope}");
        desk.thaw(&scope, "ada", "go on").await.unwrap();
    }
    let told = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    assert!(matches!(told, Ok(Fetched::Delivered(_))), "{told:?}");
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn a_freeze_of_others_stops_nothing() {
    let world = World::new().await;
    let other = world.session().await.session();
    for scope in [
        FreezeScope::wallet("0x0000000000000000000000000000000000000001"),
        FreezeScope::agent_of("bob", "agent"),
        FreezeScope::Session { session: other },
    ] {
        world.payments.freeze(&scope, "ada", "not this one").await.unwrap();
    }
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    let nobody = FreezeScope::Session { session: SessionId::derived(&[]) };
    assert!(matches!(world.payments.freeze(&nobody, "a", "b").await, Err(OpenError::NoSession(_))));
}

#[tokio::test]
async fn a_mandate_serves_whom_it_was_given_to_and_is_not_edited() {
    let world = World::new().await;
    let mandate = Mandate { task: Some("t1".to_owned()), ..world.mandate() };
    let session = world.payments.open_session(mandate.clone(), Default::default()).await.unwrap().session();
    let more = Mandate { budgets: vec![], ..mandate.clone() }.session_budget(crate::world::usd("1000"));
    let elsewhere = Some(SessionId::derived(&[b"other"]));
    for (name, used, expected) in [
        ("its own", mandate.clone(), None),
        ("with another question", Mandate { purpose: "more".into(), ..mandate.clone() }, None),
        ("of another agent", Mandate { agent: "other".into(), ..mandate.clone() }, Some("MANDATE_CONTEXT")),
        ("of another user", Mandate { user: "bob".into(), ..mandate.clone() }, Some("MANDATE_CONTEXT")),
        ("of another project", Mandate { project: "p2".into(), ..mandate.clone() }, Some("MANDATE_CONTEXT")),
        ("for another task", Mandate { task: None, ..mandate.clone() }, Some("MANDATE_CONTEXT")),
        ("for another session", Mandate { session: elsewhere, ..mandate.clone() }, Some("MANDATE_CONTEXT")),
        ("with more money", more, Some("MANDATE_IMMUTABLE")),
        (
            "with another vendor",
            Mandate { vendors: vec!["x.example".into()], ..mandate.clone() },
            Some("MANDATE_IMMUTABLE"),
        ),
        (
            "with an approver",
            mandate.clone().approver("eve", crate::approvals::key()),
            Some("MANDATE_IMMUTABLE"),
        ),
        (
            "with another window",
            mandate.clone().budget(Scope::User, crate::world::usd("9"), bursar_ledger::Window::Life),
            Some("MANDATE_IMMUTABLE"),
        ),
    ] {
        let resumed = world.payments.resume_session_under(session, &used, Default::default()).await;
        assert_eq!(resumed.as_ref().err().and_then(OpenError::code), expected, "{name}");
        assert_eq!(resumed.is_ok(), expected.is_none(), "{name}");
    }
    let bound = Mandate { session: elsewhere, ..mandate };
    assert!(world.payments.open_session(bound.clone(), Default::default()).await.is_ok());
    let twice = world.payments.open_session(bound, Default::default()).await;
    assert_eq!(twice.err().and_then(|error| error.code()), Some("MANDATE_CONTEXT"));
}

#[tokio::test]
async fn money_that_is_worth_something_needs_the_operators_switch_and_the_mandates() {
    let world = World::new().await;
    for (seed, operator, live, approved) in
        [(30, false, true, false), (31, true, false, false), (32, true, true, true)]
    {
        let payments = Payments::new(world.live_parts(seed));
        let payments = if operator { payments.with_live() } else { payments };
        let mandate = Mandate { live, ..world.mandate() };
        let purse = payments.open_session(mandate, Default::default()).await.unwrap().handle();
        let found = quotes(&purse, &world.url("alpha")).await;
        let outcome = propose(&purse, &[&found[0]], 1).await;
        assert_eq!(
            matches!(outcome, PlanOutcome::Approved { .. }),
            approved,
            "{operator} {live}: {outcome:?}"
        );
        if !approved {
            let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(decision.reasons[0].code, "LIVE_SWITCHED_OFF");
        }
    }
    assert_eq!(world.authorizations(), 0);
}
