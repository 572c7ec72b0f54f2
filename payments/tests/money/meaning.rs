//! Journals that hash and add up, and tell what cannot be: each lie is put into the entries of a real one.

use crate::world::{Setup, World, buy, get, key, plan};
use bursar_ledger::{Entry, Ledger};
use bursar_market::{Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{Meaning, MeaningAudit, SessionEvent};
use bursar_types::Fetched;
use serde_json::{Value, json};

/// Entries with the payloads that they name.
type Entries = Vec<(Entry, Option<Vec<u8>>)>;

async fn read(ledger: &Ledger) -> Entries {
    let mut all = Vec::new();
    for entry in ledger.entries(0, 10_000).await.unwrap() {
        let payload = match entry.detail() {
            Some(detail) => ledger.payload(detail).await.unwrap().map(|bytes| bytes.to_vec()),
            None => None,
        };
        all.push((entry, payload));
    }
    all
}

fn meaning(entries: &Entries) -> Meaning {
    let mut audit = MeaningAudit::new();
    entries.iter().for_each(|(entry, payload)| audit.entry(entry, payload.as_deref()));
    audit.finish()
}

fn place(entries: &Entries, kind: &str) -> usize {
    entries.iter().position(|(entry, _)| entry.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// The entry of account changes with this one in it.
fn op(entries: &Entries, name: &str) -> usize {
    let has =
        |entry: &Entry| entry.body["ops"].as_array().is_some_and(|ops| ops.iter().any(|op| op["op"] == name));
    entries.iter().rposition(|(entry, _)| has(entry)).unwrap_or_else(|| panic!("no {name}"))
}

/// Changes the event of an entry.
fn edit(entries: &mut Entries, kind: &str, change: impl Fn(&mut Value)) {
    let at = place(entries, kind);
    let mut event = serde_json::from_slice(entries[at].1.as_ref().unwrap()).unwrap();
    change(&mut event);
    entries[at].1 = Some(serde_json::to_vec(&event).unwrap());
}

fn remove(entries: &mut Entries, kind: &str) {
    let at = place(entries, kind);
    entries.remove(at);
}

/// Puts an event of the session before its first entry of another kind.
fn insert(entries: &mut Entries, kind: &str, before: &str, event: &SessionEvent) {
    let mut entry = entries[place(entries, "session.opened")].0.clone();
    entry.kind = kind.to_owned();
    let at = place(entries, before);
    entries.insert(at, (entry, Some(serde_json::to_vec(event).unwrap())));
}

/// Two purchases: one delivered, one paid in vain and given back.
async fn told() -> (World, Entries) {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(RefundRule::Exact);
    let seller = seller.refund_terms(30 * 86_400, true);
    let world = World::with(Setup { seller, ..Setup::default() }).await;
    let purse = world.session().await.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    plan(&world, &purse, "beta").await;
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let fetched = purse.fetch(get(&world.url("beta")), key("beta")).await.unwrap();
    assert!(matches!(fetched, Fetched::Undelivered(_)), "{fetched:?}");
    world.advance_s(120);
    for _ in 0..4 {
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
        world.market.send_due_refunds();
        world.advance_s(60);
    }
    world.verify().await;
    let entries = read(&world.ledger).await;
    (world, entries)
}

#[tokio::test]
async fn what_really_happened_is_found_possible_and_counted() {
    let (world, entries) = told().await;
    let found = meaning(&entries);
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!((found.payments, found.signatures, found.erased), (2, 2, 0));
    let captured: u128 = found.captured.iter().map(|one| one.amount.atomic()).sum();
    assert_eq!(captured, world.outflow());
    assert!(found.captured.iter().all(|one| one.observed && one.reference.is_some()));
    assert!(found.awaited.is_empty() && found.undecided.is_empty(), "{found:?}");
}

/// What is done to the entries of a true journal, and words of what is found.
type Lie = (&'static str, fn(&mut Entries), &'static str);

const LIES: &[Lie] = &[
    (
        "a signature without a decision",
        |all| {
            all.retain(|(entry, _)| entry.kind != "decision.allowed");
        },
        "no decision that allows it",
    ),
    (
        "a decision on other facts",
        |all| {
            for (entry, payload) in all {
                if entry.kind == "decision.allowed" && entry.body["payment"].is_string() {
                    let mut event: Value = serde_json::from_slice(payload.as_ref().unwrap()).unwrap();
                    event["decision"]["rules"] = json!(["another"]);
                    *payload = Some(serde_json::to_vec(&event).unwrap());
                }
            }
        },
        "no decision that allows it",
    ),
    (
        "a signature without a hold",
        |all| {
            let at = op(all, "hold");
            all.remove(at);
        },
        "no money was set aside",
    ),
    (
        "a hold of another amount",
        |all| {
            let at = op(all, "hold");
            for line in all[at].0.body["ops"][0]["lines"].as_array_mut().unwrap() {
                line["amount"]["atomic"] = json!("1");
            }
        },
        "sets other money aside",
    ),
    (
        "a signature over a hold that may run out",
        |all| {
            let at = op(all, "pin");
            all.remove(at);
        },
        "not pending and kept for it",
    ),
    (
        "an answer without its budget move",
        |all| {
            let at = op(all, "capture");
            all.remove(at);
        },
        "no hold was captured",
    ),
    (
        "a budget move without its answer",
        |all| {
            let at = place(all, "payment.answered");
            let stream = all[at].0.stream.clone();
            all.retain(|(entry, _)| entry.stream != stream || entry.stream_sequence < 2);
        },
        "and its payment says kept for a signature",
    ),
    (
        "a payment taken out whole",
        |all| {
            let stream = all[place(all, "payment.held")].0.stream.clone();
            all.retain(|(entry, _)| entry.stream != stream);
        },
        "no payment is there for it",
    ),
    (
        "an item bought more often than approved",
        |all| {
            edit(all, "plan.approved", |event| event["plan"]["items"][0]["count"] = json!(0));
        },
        "was approved 0 times and is bought 1 times",
    ),
    (
        "a plan bought for more than approved",
        |all| {
            edit(all, "plan.approved", |event| event["plan"]["total"]["atomic"] = json!("999"));
        },
        "1000 micro-USD are bought",
    ),
    (
        "an item of another payee",
        |all| {
            edit(all, "plan.approved", |event| event["plan"]["items"][0]["payee"] = json!("0xother"));
        },
        "PAYEE_CHANGED",
    ),
    ("no plan at all", |all| remove(all, "plan.approved"), "no approved plan has the item"),
    (
        "a frozen session that pays",
        |all| {
            let frozen = SessionEvent::Frozen { by: "ada".to_owned(), reason: "stop".to_owned() };
            insert(all, "session.frozen", "payment.signing", &frozen);
        },
        "was frozen",
    ),
    (
        "a revoked mandate that pays",
        |all| {
            insert(
                all,
                "session.revoked",
                "payment.signing",
                &SessionEvent::Revoked { by: "ada".to_owned() },
            );
        },
        "had been taken back",
    ),
    (
        "a payment under another name",
        |all| {
            edit(all, "payment.held", |event| event["ask"]["key"] = json!("another"));
        },
        "its name is not that of its session, key and request",
    ),
    (
        "a leaf that shows another amount",
        |all| {
            let at = place(all, "payment.signing");
            all[at].0.body["atomic"] = json!("1");
        },
        "its entry shows another atomic than its event",
    ),
    (
        "an event under another kind",
        |all| {
            let at = place(all, "payment.signing");
            all[at].0.kind = "payment.observed".to_owned();
        },
        "it is named `payment.observed` and is `payment.signing`",
    ),
    (
        "two attempts at once",
        |all| {
            let at = place(all, "payment.signing");
            let again = all[at].clone();
            all.insert(at, again);
        },
        "`signing` cannot follow `signing`",
    ),
    (
        "a refund without its credit",
        |all| {
            let at = op(all, "refund");
            all.remove(at);
        },
        "was not credited to its budgets",
    ),
    (
        "a credit without its refund",
        |all| {
            remove(all, "obligation.refund_seen");
        },
        "and its payment knows of none",
    ),
    ("goods that nobody kept", |all| remove(all, "artifact.kept"), "and nothing was kept"),
    ("goods that never came", |all| remove(all, "payment.delivered"), "that never came"),
    (
        "an event that is none",
        |all| edit(all, "payment.held", |event| *event = json!("x")),
        "does not read as its event",
    ),
    (
        "a claim on a payment that was not paid",
        |all| {
            let at = place(all, "obligation.claim_opened");
            let claim = all.remove(at);
            let stream = claim.0.stream.clone();
            let held = all.iter().position(|(entry, _)| entry.stream == stream).unwrap();
            all.insert(held + 1, claim);
        },
        "`claim_opened` cannot follow `held`",
    ),
];

#[tokio::test]
async fn every_lie_is_found() {
    let (_world, entries) = told().await;
    for (name, lie, words) in LIES {
        let mut all = entries.clone();
        lie(&mut all);
        assert!(all != entries, "{name}: nothing was changed");
        let problems = meaning(&all).problems;
        assert!(problems.iter().any(|problem| problem.contains(words)), "{name}: {problems:#?}");
    }
}

#[tokio::test]
async fn what_was_erased_is_counted_and_no_lie() {
    let (_world, entries) = told().await;
    for kind in [
        "payment.held",
        "payment.answered",
        "session.opened",
        "decision.allowed",
        "artifact.kept",
        "plan.approved",
    ] {
        let mut all = entries.clone();
        let at = place(&all, kind);
        all[at].1 = None;
        let found = meaning(&all);
        assert_eq!((found.problems, found.erased), (Vec::new(), 1), "{kind}");
    }
}
