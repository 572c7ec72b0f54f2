//! Clocks that are set back, and clocks that had once been ahead.

use crate::meaning::{Found, find, meaning, read};
use crate::traps::{Spring, Step, Traps};
use crate::world::{World, buy, get, key, plan};
use bursar_payments::{ClockError, Mandate, Payments, PlanApproval, SessionHooks};
use bursar_types::{FetchError, Fetched, PlanOutcome, Timestamp};
use serde_json::json;

const HOUR_MS: u64 = 3_600_000;

fn code(told: Result<Fetched, FetchError>) -> String {
    match told {
        Ok(Fetched::Delivered(_)) => "delivered".to_owned(),
        Ok(Fetched::Quotes { reasons, .. }) => reasons[0].code.to_string(),
        Err(FetchError::Denied(decision)) => decision.reasons[0].code.to_string(),
        told => panic!("{told:?}"),
    }
}

/// A mandate that lasts an hour.
fn for_an_hour(world: &World) -> Mandate {
    Mandate { expires_at: Some(world.now().plus_ms(HOUR_MS)), ..world.mandate() }
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_no_mandate() {
    let world = World::new().await;
    let session = world.session_under(for_an_hour(&world), None).await;
    let purse = session.handle();
    plan(&world, &purse, "alpha").await;
    let before = world.now();
    let fetch = |name: &'static str| purse.fetch(get(&world.url(name)), key(name));
    world.advance_s(3_601);
    assert_eq!(code(fetch("alpha").await), "MANDATE_EXPIRED");
    // Far back: nobody can say what time it is. A little: the journal's time counts.
    world.clock().set(before);
    assert_eq!(code(fetch("alpha").await), "CLOCK_BEHIND");
    world.clock().set(before.plus_ms(3_590_000));
    assert_eq!(code(fetch("alpha").await), "MANDATE_EXPIRED");
    // Nor is anything planned.
    world.clock().set(before);
    let quotes = crate::world::quotes(&purse, &world.url("beta")).await;
    match crate::world::propose(&purse, &[&quotes[0]], 1).await {
        PlanOutcome::Refused { decision, .. } => assert_eq!(decision.reasons[0].code, "CLOCK_BEHIND"),
        other => panic!("{other:?}"),
    }
    assert_eq!((world.authorizations(), world.outflow()), (0, 0));
    world.verify().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_between_hold_and_signature_signs_nothing() {
    let world = World::new().await;
    for (step, by_ms, expected) in
        [(Step::Prepare, HOUR_MS, "CLOCK_BEHIND"), (Step::Prepare, 30_000, "delivered")]
    {
        let (parts, traps) = Traps::around(world.parts(by_ms));
        let payments = Payments::new(parts);
        let session = payments.open_session(world.mandate(), SessionHooks::default()).await.unwrap();
        plan(&world, &session.handle(), "alpha").await;
        let (clock, back) = (world.clock(), world.now().minus_ms(by_ms));
        traps.set(step, Spring::Run(Box::new(move || clock.set(back))));
        let signed = world.authorizations();
        let now = world.now();
        assert_eq!(code(session.handle().fetch(get(&world.url("alpha")), key("alpha")).await), expected);
        assert_eq!(world.authorizations() - signed, usize::from(expected == "delivered"));
        world.clock().set(now);
        payments.close().await;
    }
    world.verify().await;
}

#[tokio::test]
async fn a_clock_that_had_once_been_ahead_stops_spending_until_a_person_turns_the_journal_back() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    assert_eq!(code(Ok(buy(&world, &purse, "alpha").await)), "delivered");
    let asking = world.session_under(world.mandate().approval(PlanApproval::Ask), None).await;
    let right = world.now();

    // Ten years ahead a plan is approved, and the clock is set right again.
    world.clock().set(right.plus_ms(10 * 365 * 24 * HOUR_MS));
    plan(&world, &purse, "beta").await;
    world.clock().set(right.plus_ms(1_000));
    let fetch = |name: &'static str| purse.fetch(get(&world.url(name)), key(name));
    assert_eq!(code(fetch("beta").await), "CLOCK_BEHIND");
    assert!(world.payments.clock().await.unwrap().is_behind());

    for (by, reason) in [("", "the clock was wrong"), ("ada", " ")] {
        assert!(matches!(world.payments.turn_clock_back(by, reason).await, Err(ClockError::Empty(_))));
    }
    let turned = world.payments.turn_clock_back("ada", "the clock was wrong").await.unwrap();
    assert!(turned.from > right.plus_ms(HOUR_MS) && turned.to == world.now());
    let again = world.payments.turn_clock_back("ada", "once more").await;
    assert!(matches!(again, Err(ClockError::NotBehind)));

    // What was approved ten years ahead would live for ten years.
    assert_eq!(code(fetch("beta").await), "PLAN_EXPIRED");
    assert_eq!(code(Ok(buy(&world, &purse, "gamma").await)), "delivered");
    assert_eq!(world.books(&purse).await, (2_000, 0));
    assert!(asking.handle().standing().await.is_ok());
    world.verify().await;

    let entries = read(&world.ledger).await;
    let found = meaning(&entries);
    assert_eq!(found.turned_back.len(), 1);
    assert_eq!((found.turned_back[0].from, found.turned_back[0].to), (turned.from, turned.to));
    // Without the entry, the time that it went back by is a lie.
    let lies: &[Found] = &[(
        |all| {
            let at = all.iter().position(|(entry, _)| entry.kind == "clock.turned_back").unwrap();
            let signing = all.iter().rposition(|(entry, _)| entry.kind == "payment.signing").unwrap();
            all[at].0.body = json!({"from": 1});
            all[signing].0.at = Timestamp::from_unix_ms(all[signing].0.at.unix_ms() + 2 * HOUR_MS);
        },
        "had run out",
    )];
    find(&entries, lies);
}
