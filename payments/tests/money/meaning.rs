//! Journals that hash and add up, and tell what cannot be: each lie is put into the entries of a real one.

use crate::world::{Setup, World, buy, get, key, plan};
use bursar_ledger::{Entry, Ledger};
use bursar_market::{Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{
    ApprovalAnswer, ApproveWith, FreezeScope, Meaning, MeaningAudit, PlanApproval, SessionEvent, SessionHooks,
};
use bursar_types::{BudgetId, Fetched};
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries with the payloads that they name.
pub(crate) type Entries = Vec<(Entry, Option<Vec<u8>>)>;

pub(crate) async fn read(ledger: &Ledger) -> Entries {
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

pub(crate) fn meaning(entries: &Entries) -> Meaning {
    let mut audit = MeaningAudit::new();
    entries.iter().for_each(|(entry, payload)| audit.entry(entry, payload.as_deref()));
    audit.finish()
}

pub(crate) fn place(entries: &Entries, kind: &str) -> usize {
    entries.iter().position(|(entry, _)| entry.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// The entry of account changes with this one in it.
pub(crate) fn op(entries: &Entries, name: &str) -> usize {
    let has =
        |entry: &Entry| entry.body["ops"].as_array().is_some_and(|ops| ops.iter().any(|op| op["op"] == name));
    entries.iter().rposition(|(entry, _)| has(entry)).unwrap_or_else(|| panic!("no {name}"))
}

/// Changes the event of an entry.
pub(crate) fn edit(entries: &mut Entries, kind: &str, change: impl Fn(&mut Value)) {
    let at = place(entries, kind);
    let mut event = serde_json::from_slice(entries[at].1.as_ref().unwrap()).unwrap();
    change(&mut event);
    entries[at].1 = Some(serde_json::to_vec(&event).unwrap());
}

fn remove(entries: &mut Entries, kind: &str) {
    let at = place(entries, kind);
    entries.remove(at);
}

/// Takes the thaws of a kind of scope out.
fn without_thaw(entries: &mut Entries, of: &str) {
    entries.retain(|(entry, _)| entry.kind != "freeze.thawed" || !entry.stream.as_str().starts_with(of));
}

/// Changes the lines of every hold, in the accounts and in what payments say of them.
pub(crate) fn edit_lines(entries: &mut Entries, change: impl Fn(&mut Vec<Value>)) {
    for (entry, payload) in entries {
        for op in entry.body["ops"].as_array_mut().into_iter().flatten().filter(|op| op["op"] == "hold") {
            change(op["lines"].as_array_mut().unwrap());
        }
        if entry.kind == "payment.held" {
            let mut event: Value = serde_json::from_slice(payload.as_ref().unwrap()).unwrap();
            change(event["lines"].as_array_mut().unwrap());
            *payload = Some(serde_json::to_vec(&event).unwrap());
        }
    }
}

/// Opens a budget like the one of this name, and counts the last purchase there.
fn count_elsewhere(entries: &mut Entries, name: &str) {
    let opened =
        entries.iter().flat_map(|(entry, _)| entry.body["ops"].as_array().cloned().unwrap_or_default());
    let mut budget = opened.into_iter().find(|op| op["op"] == "open" && op["name"] == name).unwrap();
    let (own, other) = (budget["id"].clone(), json!(BudgetId::derived(&[b"another"])));
    budget["id"] = other.clone();
    let last = op(entries, "hold");
    entries[last].0.body["ops"].as_array_mut().unwrap().insert(0, budget);
    let mut kept = entries.split_off(last);
    edit_lines(&mut kept, |lines| {
        lines.iter_mut().filter(|line| line["budget"] == own).for_each(|line| line["budget"] = other.clone());
    });
    entries.extend(kept);
}

/// Puts an event of the session before its first entry of another kind.
pub(crate) fn insert(entries: &mut Entries, kind: &str, before: &str, event: &SessionEvent) {
    let mut entry = entries[place(entries, "session.opened")].0.clone();
    entry.kind = kind.to_owned();
    let at = place(entries, before);
    entries.insert(at, (entry, Some(serde_json::to_vec(event).unwrap())));
}

/// Two purchases: one delivered, one paid in vain and given back.
pub(crate) async fn told() -> (World, Entries) {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(RefundRule::Exact);
    let seller = seller.refund_terms(30 * 86_400, true);
    let world = World::with(Setup { seller, ..Setup::default() }).await;
    let mandate = world.mandate();
    let agent = FreezeScope::agent_of(&mandate.user, &mandate.agent);
    for scope in [FreezeScope::All, FreezeScope::wallet(world.payer()), agent] {
        world.payments.freeze(&scope, "ada", "to look").await.unwrap();
        world.payments.thaw(&scope, "ada", "seen").await.unwrap();
    }
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
    assert!(
        found.awaited.keys().all(|link| link.starts_with("bought/")) && found.undecided.is_empty(),
        "{found:?}"
    );
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
        "a capture of less than was set aside",
        |all| {
            let at = op(all, "capture");
            all[at].0.body["ops"][0]["lines"] = json!([]);
        },
        "captures other money of hold",
    ),
    (
        "purchases that count in no cap",
        |all| edit_lines(all, |lines| drop(lines.drain(..lines.len() - 2))),
        "it does not count in the budget `session`",
    ),
    (
        "purchases that count in no item",
        |all| edit_lines(all, |lines| lines.truncate(lines.len() - 2)),
        "it does not count in what is left of item",
    ),
    (
        "a purchase in a cap that begins anew",
        |all| count_elsewhere(all, "met at a vendor per day"),
        "it does not count in the budget `met at a vendor per day`",
    ),
    (
        "a purchase in the cap of another session",
        |all| count_elsewhere(all, "met in a session"),
        "it does not count in the budget `met in a session`",
    ),
    (
        "rules that were told of another purchase",
        |all| {
            for (entry, payload) in all {
                if entry.kind == "decision.allowed" && entry.body["payment"].is_string() {
                    let text = String::from_utf8(payload.clone().unwrap()).unwrap();
                    *payload = Some(text.replace("\"micro_usd\":1000", "\"micro_usd\":1").into_bytes());
                }
            }
        },
        "were told of another purchase",
    ),
    ("a payment while everybody is frozen", |all| without_thaw(all, "freeze/all"), "spending of `all`"),
    ("a payment of a frozen wallet", |all| without_thaw(all, "freeze/wallet"), "spending of `wallet:"),
    ("a payment of a frozen agent", |all| without_thaw(all, "freeze/agent"), "spending of `agent:"),
    (
        "a thaw of something else",
        |all| {
            edit(all, "freeze.thawed", |event| event["scope"] = json!({"scope": "wallet", "address": "0x1"}));
        },
        "freezes or thaws wallet:0x1",
    ),
    (
        "a refund that is credited with another amount",
        |all| {
            let at = op(all, "refund");
            all[at].0.body["ops"][0]["lines"][0]["amount"]["atomic"] = json!("999999");
        },
        "was credited with another amount than came back",
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

/// A lie that is put into the entries of a session.
pub(crate) type Found = (fn(&mut Entries), &'static str);

pub(crate) fn find(entries: &Entries, lies: &[Found]) {
    assert_eq!(meaning(entries).problems, Vec::<String>::new());
    for (lie, words) in lies {
        let mut all = entries.clone();
        lie(&mut all);
        let problems = meaning(&all).problems;
        assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:#?}");
    }
}

#[tokio::test]
async fn a_helper_that_goes_beyond_its_parent_is_found() {
    let world = World::new().await;
    let parent = world.session().await;
    let child = parent.mandate().await.unwrap().child("scout");
    let child = parent.delegate(child, SessionHooks::default()).await.unwrap();
    assert!(matches!(buy(&world, &child.handle(), "alpha").await, Fetched::Delivered(_)));
    let entries = read(&world.ledger).await;
    find(
        &entries,
        &[
            (
                |all| {
                    let at = all.iter().rposition(|(entry, _)| entry.kind == "session.opened").unwrap();
                    let mut event: Value = serde_json::from_slice(all[at].1.as_ref().unwrap()).unwrap();
                    event["mandate"]["window_s_max"] = json!(1_000_000);
                    all[at].1 = Some(serde_json::to_vec(&event).unwrap());
                },
                "its mandate is not cut from that of session",
            ),
            (|all| remove(all, "session.opened"), "which delegated to it, was never opened"),
            (
                // Sums of sessions stand before three of days and two of the item: the parent's is the last of them.
                |all| edit_lines(all, |lines| drop(lines.remove(lines.len() - 6))),
                "it does not count in the budget `met in a session`",
            ),
        ],
    );
}

#[tokio::test]
async fn a_yes_that_lasts_longer_than_it_was_given_for_is_found() {
    let world = World::new().await;
    let yes = Arc::new(ApproveWith::new("ada", |_| ApprovalAnswer::Approved));
    let purse = world.session_under(world.mandate().approval(PlanApproval::Ask), Some(yes)).await.handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    let entries = read(&world.ledger).await;
    find(
        &entries,
        &[
            (
                |all| edit(all, "approval.given", |event| event["expires_at"] = json!(9_000_000_000_000_u64)),
                "lasts longer than what was asked",
            ),
            (
                |all| {
                    let at = place(all, "plan.approved");
                    all[at].0.at = all[at].0.at.plus_ms(365 * 86_400_000);
                },
                "was used after it had run out",
            ),
            (
                |all| edit(all, "approval.given", |event| event["by"]["name"] = json!("agent")),
                "the agent that asks",
            ),
        ],
    );
}
