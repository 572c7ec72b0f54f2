//! Money that left the wallet without the journal: old copies of the data file, other users of the key, and the way back.

use crate::world::{World, get, key, propose, quotes, usd};
use bursar_market::{Fault, FaultRule};
use bursar_payments::{
    Found, FreezeScope, Mandate, Meaning, OutflowError, OutflowRules, Payments, SessionHooks, SessionPurse,
    Unread,
};
use bursar_types::{FetchError, Fetched, PlanOutcome, SessionId};
use std::path::Path;
use std::sync::Arc;

const STRANGER: &str = "0x00000000000000000000000000000000000000aa";

/// Payments over a data folder of its own, with the same wallet on the same chain.
fn open(world: &World, folder: &Path, seed: u64, rules: OutflowRules) -> Payments {
    Payments::new(world.parts_in(folder, seed)).guarding_outflow(rules)
}

async fn take_up(payments: &Payments, session: SessionId) -> Arc<SessionPurse> {
    payments.resume_session(session, SessionHooks::default()).await.unwrap()
}

async fn begin(payments: &Payments, world: &World) -> Arc<SessionPurse> {
    payments.open_session(world.mandate(), SessionHooks::default()).await.unwrap()
}

async fn buy(world: &World, purse: &Arc<SessionPurse>, name: &str) -> Result<Fetched, FetchError> {
    let handle = purse.handle();
    let found = quotes(&handle, &world.url(name)).await;
    if let PlanOutcome::Refused { decision, .. } = propose(&handle, &[&found[0]], 1).await {
        return Err(FetchError::Denied(decision));
    }
    handle.fetch(get(&world.url(name)), key(name)).await
}

fn code(told: Result<Fetched, FetchError>) -> String {
    match told {
        Err(FetchError::Denied(decision)) => decision.reasons[0].code.to_string(),
        Ok(Fetched::Delivered(_)) => "delivered".to_owned(),
        Ok(Fetched::Owned(_)) => "owned".to_owned(),
        told => panic!("{told:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Puts back exactly what was copied, the mark included.
fn restore(copied: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    copy(copied, folder);
}

#[tokio::test]
async fn an_old_copy_that_was_put_back_pays_nothing_until_a_person_took_in_what_it_forgot() {
    let world = World::new().await;
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rules = OutflowRules::default();

    let first = open(&world, folder.path(), 1, rules);
    let purse = begin(&first, &world).await;
    let session = purse.session();
    assert_eq!(code(buy(&world, &purse, "alpha").await), "delivered");
    first.close().await;
    first.ledger().close().await.unwrap();
    copy(folder.path(), copied.path());

    let second = open(&world, folder.path(), 2, rules);
    let purse = take_up(&second, session).await;
    assert_eq!(code(buy(&world, &purse, "beta").await), "delivered");
    second.close().await;
    second.ledger().close().await.unwrap();
    restore(copied.path(), folder.path());

    let old = open(&world, folder.path(), 3, rules);
    let recovered = old.recover().await.unwrap();
    assert_eq!(recovered.let_go, 0);
    let purse = take_up(&old, session).await;
    let before = (world.authorizations(), world.outflow());
    for name in ["beta", "gamma"] {
        assert_eq!(code(buy(&world, &purse, name).await), "OUTFLOW_UNKNOWN", "{name}");
    }
    assert_eq!((world.authorizations(), world.outflow()), before, "nothing was signed");
    // What is owned is given all the same.
    let owned = purse.handle().fetch(get(&world.url("alpha")), key("alpha")).await;
    assert_eq!(code(owned), "owned");
    // Whoever thaws everything has not seen what is missing.
    old.thaw(&FreezeScope::All, "ada", "go on").await.unwrap();
    old.thaw(&FreezeScope::wallet(world.payer()), "ada", "go on").await.unwrap();
    assert_eq!(code(buy(&world, &purse, "gamma").await), "OUTFLOW_UNKNOWN");
    assert_eq!(world.books(&purse.handle()).await, (1_000, 0), "the old copy has forgotten a payment");

    let found = old.check_outflow().await.unwrap();
    let unknown: Vec<_> = found.contradictions().collect();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].unknown().atomic(), 1_000);
    assert!(matches!(&unknown[0].found, Found::Missing { why, .. } if why.starts_with("this ledger")));

    for (by, reason) in [("", "found it"), ("ada", " ")] {
        assert!(matches!(old.accept_outflow(by, reason).await, Err(OutflowError::Empty(_))));
    }
    let accepted = old.accept_outflow("ada", "the disk was restored").await.unwrap();
    assert_eq!((accepted.adopted.len(), accepted.lifted), (1, true));
    assert_eq!(world.books(&purse.handle()).await, (2_000, 0), "what it forgot counts");
    let again = old.accept_outflow("ada", "once more").await.unwrap();
    assert_eq!((again.adopted.len(), again.lifted), (0, false));
    assert_eq!(world.books(&purse.handle()).await, (2_000, 0), "once");

    assert_eq!(code(buy(&world, &purse, "gamma").await), "delivered");
    assert_eq!(code(buy(&world, &purse, "beta").await), "PAID_UNRECORDED", "it is not paid for twice");
    assert_eq!(world.books(&purse.handle()).await, (3_000, 0));
    assert_eq!(world.outflow(), 3_000);
    old.close().await;
    assert_eq!(old.ledger().verify().await.unwrap().problems, Vec::<String>::new());
    assert_eq!(Meaning::of(old.ledger()).await.unwrap().problems, Vec::<String>::new());

    // The next process goes on where this one ended.
    old.ledger().close().await.unwrap();
    let next = open(&world, folder.path(), 4, rules);
    assert_eq!(next.check_outflow().await.unwrap().contradictions().count(), 0);
}

#[tokio::test]
async fn a_copy_that_is_used_beside_its_original_stops_both() {
    let world = World::new().await;
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Also a wallet that others use: the copy signs as this ledger does.
    let rules = OutflowRules { shared: true, ..OutflowRules::default() };
    let first = open(&world, one.path(), 1, rules);
    let session = begin(&first, &world).await.session();
    first.close().await;
    first.ledger().close().await.unwrap();
    copy(one.path(), other.path());

    let original = open(&world, one.path(), 2, rules);
    let copied = open(&world, other.path(), 3, rules);
    let purse = take_up(&original, session).await;
    assert_eq!(code(buy(&world, &purse, "alpha").await), "delivered");
    let purse = take_up(&copied, session).await;
    assert_eq!(code(buy(&world, &purse, "beta").await), "OUTFLOW_UNKNOWN");
}

#[tokio::test]
async fn what_somebody_else_sends_from_the_wallet_stops_spending_unless_the_wallet_is_shared() {
    for (shared, by_hand, expected) in
        [(false, false, "delivered"), (false, true, "OUTFLOW_UNKNOWN"), (true, true, "delivered")]
    {
        let world = World::new().await;
        let folder = tempfile::tempdir().unwrap();
        let payments = open(&world, folder.path(), 1, OutflowRules { shared, ..OutflowRules::default() });
        let purse = begin(&payments, &world).await;
        let wallet: bursar_market::Address = world.payer().parse().unwrap();
        let chain = world.market.chain();
        // What anybody can make in anybody's name is no money.
        chain.transfer(wallet, STRANGER.parse::<bursar_market::Address>().unwrap(), 0).unwrap();
        if by_hand {
            chain.transfer(wallet, STRANGER.parse::<bursar_market::Address>().unwrap(), 7).unwrap();
        }
        assert_eq!(code(buy(&world, &purse, "alpha").await), expected, "{shared} {by_hand}");
        if expected == "OUTFLOW_UNKNOWN" {
            let accepted = payments.accept_outflow("ada", "I sent it").await.unwrap();
            assert_eq!((accepted.adopted.len(), accepted.lifted), (1, true));
            assert_eq!(world.books(&purse.handle()).await, (7, 0));
            assert_eq!(code(buy(&world, &purse, "alpha").await), "delivered");
        }
        payments.close().await;
        assert_eq!(Meaning::of(payments.ledger()).await.unwrap().problems, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_was_forgotten_counts_above_a_cap_too() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let payments = open(&world, folder.path(), 1, OutflowRules::default());
    let mandate = Mandate::new("tests", "ada").session_budget(usd("0.002")).asset(world.usdc.clone());
    let purse = payments.open_session(mandate, SessionHooks::default()).await.unwrap();
    let wallet: bursar_market::Address = world.payer().parse().unwrap();
    let stranger: bursar_market::Address = STRANGER.parse().unwrap();
    world.market.chain().transfer(wallet, stranger, 5_000).unwrap();
    payments.accept_outflow("ada", "lost").await.unwrap();
    assert_eq!(world.books(&purse.handle()).await, (5_000, 0));
    assert_eq!(code(buy(&world, &purse, "alpha").await), "BUDGET_EXCEEDED");
    payments.close().await;
    assert_eq!(payments.ledger().verify().await.unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_chain_nothing_is_paid_unless_that_is_allowed_and_then_it_is_journaled() {
    let world = World::new().await;
    for (unread, expected) in [(Unread::Refuse, "OUTFLOW_UNREAD"), (Unread::Pay, "delivered")] {
        let folder = tempfile::tempdir().unwrap();
        let rules = OutflowRules { unread, ..OutflowRules::default() };
        let payments = open(&world, folder.path(), 1, rules);
        let purse = begin(&payments, &world).await;
        // Only what is asked on the way of the comparison: funds and outcomes are read all the same.
        let fault = FaultRule::from(Fault::RpcError { code: -32_000, message: "no".into() });
        world.market.chain().faults().arm(fault.path("eth_getLogs")).unwrap();
        assert_eq!(code(buy(&world, &purse, "alpha").await), expected);
        let noted = payments.ledger().streams("outflow/unread").await.unwrap();
        assert_eq!(noted.len(), usize::from(unread == Unread::Pay));
        world.market.chain().faults().clear();
        payments.close().await;
    }
}

#[tokio::test]
async fn the_first_payment_compares_and_the_next_ones_do_not_ask_again() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let payments = open(&world, folder.path(), 1, OutflowRules::default());
    let purse = begin(&payments, &world).await;
    assert_eq!(code(buy(&world, &purse, "alpha").await), "delivered");
    let matched = || async { payments.ledger().streams("outflow/").await.unwrap() };
    let before = matched().await;
    assert_eq!(before.iter().map(|(_, length)| length).sum::<u64>(), 1, "{before:?}");
    assert_eq!(code(buy(&world, &purse, "beta").await), "delivered");
    assert_eq!(matched().await, before);
    // What was matched meanwhile is worth remembering.
    let found = payments.check_outflow().await.unwrap();
    assert_eq!((found.compared.len(), found.contradictions().count()), (2, 0));
    assert_eq!(matched().await.iter().map(|(_, length)| length).sum::<u64>(), 2);
    assert_eq!(payments.check_outflow().await.unwrap().compared.len(), 0, "it is not read again");
}
