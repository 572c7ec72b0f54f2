//! Journals that hash, add up and tell of nothing impossible, and are not what the rules, the mandate, the time or the price say.

use crate::meaning::{Entries, Found, edit, find, meaning, op, place, read, told};
use crate::world::{World, buy};
use bursar_market::Address;
use bursar_payments::{
    LimitRule, OutflowRules, Payments, PaymentsParts, Policy, PolicyFile, Scope, SessionHooks,
};
use bursar_types::{Digest, Fetched, canonical_digest};
use serde_json::{Value, json};
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;

fn event(entries: &Entries, at: usize) -> Value {
    serde_json::from_slice(entries[at].1.as_ref().unwrap()).unwrap()
}

fn put(entries: &mut Entries, at: usize, event: &Value) {
    entries[at].1 = Some(serde_json::to_vec(event).unwrap());
}

/// The decision that allowed the first payment.
fn decided(entries: &Entries) -> usize {
    let about =
        |entry: &bursar_ledger::Entry| entry.kind == "decision.allowed" && entry.body["payment"].is_string();
    entries.iter().position(|(entry, _)| about(entry)).unwrap()
}

/// Tells the rules something else before the first payment, and writes it down wherever it is written.
fn tell(entries: &mut Entries, change: impl Fn(&mut Value)) {
    let at = decided(entries);
    let mut record = event(entries, at);
    let before = record["decision"].clone();
    change(&mut record["facts"]);
    record["decision"]["facts"] = json!(canonical_digest(&record["facts"]).unwrap());
    put(entries, at, &record);
    for held in 0..entries.len() {
        if entries[held].0.kind == "payment.held" && event(entries, held)["decision"] == before {
            let mut paid = event(entries, held);
            paid["decision"] = record["decision"].clone();
            put(entries, held, &paid);
        }
    }
}

/// Moves everything from an entry on to a later time.
fn later(entries: &mut Entries, kind: &str, ms: u64) {
    let from = place(entries, kind);
    for (entry, _) in &mut entries[from..] {
        entry.at = entry.at.plus_ms(ms);
    }
}

#[tokio::test]
async fn what_the_rules_the_mandate_or_the_time_did_not_allow_is_found() {
    let (_world, entries) = told().await;
    let found = meaning(&entries);
    assert!(found.decided_again > 2 && found.not_decided_again.is_empty(), "{found:?}");
    assert_eq!(found.worth_not_known.len(), 1, "only the market knows its token");
    let lies: &[Found] = &[
        (|all| later(all, "payment.signing", 2 * HOUR_MS), "had run out"),
        (|all| later(all, "payment.signing", HOUR_MS / 2), "its terms were fixed at"),
        (
            |all| {
                edit(all, "payment.signing", |event| {
                    event["prepared"]["expires_at"] = json!(9_000_000_000_000_u64)
                })
            },
            "its authorization lives longer than 60 seconds",
        ),
        (
            |all| edit(all, "payment.signing", |event| event["order"]["window_s_max"] = json!(3_000)),
            "its authorization lives longer than 60 seconds",
        ),
        (
            |all| {
                edit(all, "plan.approved", |event| event["plan"]["expires_at"] = json!(9_000_000_000_000_u64))
            },
            "lasts longer than the mandate lets it",
        ),
        (
            |all| edit(all, "plan.approved", |event| event["decision"]["rules"] = json!(["another"])),
            "no decision that allows plan",
        ),
        (
            |all| edit(all, "plan.approved", |event| event["approved_by"] = json!("mandate")),
            "is not the one that the mandate itself approves",
        ),
        (
            |all| edit(all, "plan.approved", |event| event["plan"]["items"][0]["client_data"] = json!(true)),
            "were told another label of its data",
        ),
        (
            |all| tell(all, |facts| facts["mandate_expired"] = json!(true)),
            "it says allow (pay.allow), and the rules say deny (pay.mandate-expired)",
        ),
        (
            |all| tell(all, |facts| facts["upfront_allowed"] = json!(true)),
            "were told another word on money that moves first",
        ),
        (
            |all| tell(all, |facts| facts["actor"]["role"] = json!("buyer")),
            "were told another user, project or role",
        ),
        (
            |all| tell(all, |facts| facts["first_time_vendor"] = json!(false)),
            "told that its vendor was paid before",
        ),
        (
            |all| {
                let at = decided(all);
                let mut record = event(all, at);
                record["approved"] = json!(["pay.anything"]);
                put(all, at, &record);
            },
            "rules were lifted that nobody was asked about: pay.anything",
        ),
        (
            |all| {
                let at = decided(all);
                let mut record = event(all, at);
                record["facts"] = json!(null);
                put(all, at, &record);
            },
            "it decides over no facts",
        ),
        (
            |all| {
                edit(all, "session.opened", |event| {
                    event["policies"].as_array_mut().unwrap().retain(|file| file[0] != "pay.cedar");
                });
            },
            "its session began without the rules of `pay.cedar`",
        ),
        (
            |all| {
                let at = all.iter().rposition(|(entry, _)| entry.kind == "payment.held").unwrap();
                let mut held = event(all, at);
                held["offer"]["quote"]["cost_micro_usd"]["atomic"] = json!("1");
                put(all, at, &held);
            },
            "which was worth something else before",
        ),
        (
            |all| {
                edit(all, "obligation.refund_seen", |event| {
                    let at = event["refund"]["transfer"]["at"].as_u64();
                    let at = at.unwrap_or_else(|| panic!("{event}"));
                    event["refund"]["transfer"]["at"] = json!(at + 24 * HOUR_MS);
                })
            },
            "and tells of what the chain shows at",
        ),
    ];
    find(&entries, lies);
}

#[tokio::test]
async fn decisions_are_taken_again_under_the_rules_that_were_kept_and_else_nothing_is_said_of_them() {
    const MINE: &str = "@id(\"mine\")\n@reason(\"MINE: too much\")\nforbid (principal, action == Action::\"pay\", resource)\nwhen { context.micro_usd > 5000 };\n";
    let world = World::new().await;
    let policy = Arc::new(Policy::load(&[PolicyFile::new("mine.cedar", MINE)]).unwrap());
    let payments = Payments::new(PaymentsParts { policy, ..world.parts(2) });
    let open = || payments.open_session(world.mandate(), SessionHooks::default());
    let purse = open().await.unwrap().handle();
    assert!(matches!(buy(&world, &purse, "alpha").await, Fetched::Delivered(_)));
    open().await.unwrap();
    let entries = read(&world.ledger).await;
    let kept = entries.iter().filter(|(entry, _)| entry.kind == "rules.kept").count();
    assert_eq!(kept, 1, "kept once");
    let found = meaning(&entries);
    assert_eq!((found.problems, found.not_decided_again.len()), (vec![], 0));
    let taken = found.decided_again;
    assert!(taken >= 2, "the plan and the payment");

    // Without their text, or under another, nothing is known of them, and that is told.
    let at = place(&entries, "rules.kept");
    for text in [None, Some(json!({"text": MINE.replace("5000", "9000")}))] {
        let mut all = entries.clone();
        all[at].1 = text.map(|text| serde_json::to_vec(&text).unwrap());
        let found = meaning(&all);
        assert_eq!((found.problems, found.decided_again), (vec![], 0));
        let expected = ("the text of `mine.cedar` was not kept, or was erased".to_owned(), taken);
        assert_eq!(found.not_decided_again.into_iter().collect::<Vec<_>>(), vec![expected]);
    }

    // Rules that forbid what was paid were not those that allowed it.
    let forbids: &[Found] = &[(
        |all| {
            let strict = MINE.replace("5000", "500");
            let at = place(all, "rules.kept");
            put(all, at, &json!({"text": strict}));
            edit(all, "session.opened", |event| {
                let files = event["policies"].as_array_mut().unwrap();
                let mine = files.iter_mut().find(|file| file[0] == "mine.cedar").unwrap();
                mine[1] = json!(Digest::of(strict.as_bytes()));
            });
        },
        "and the rules say deny (mine)",
    )];
    find(&entries, forbids);
}

/// Changes every line of what was adopted.
fn adopted_lines(entries: &mut Entries, change: impl Fn(&mut Vec<Value>)) {
    let at = op(entries, "capture");
    for op in entries[at].0.body["ops"].as_array_mut().unwrap() {
        if op["op"] == "hold" || op["op"] == "capture" {
            change(op["lines"].as_array_mut().unwrap());
        }
    }
}

fn worth_one(entries: &mut Entries) {
    adopted_lines(entries, |lines| {
        let dollars = lines.iter_mut().filter(|line| line["amount"]["atomic"] == "5000");
        dollars.for_each(|line| line["amount"]["atomic"] = json!("1"));
    });
}

#[tokio::test]
async fn what_was_taken_in_as_less_than_left_is_found() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let payments = Payments::new(world.parts_in(folder.path(), 1)).guarding_outflow(OutflowRules::default());
    let session = payments.open_session(world.mandate(), SessionHooks::default()).await.unwrap();
    assert!(matches!(buy(&world, &session.handle(), "alpha").await, Fetched::Delivered(_)));
    world.advance_s(120);
    let (wallet, stranger): (Address, Address) =
        (world.payer().parse().unwrap(), format!("0x{:040}", 7).parse().unwrap());
    world.market.chain().transfer(wallet, stranger, 5_000).unwrap();
    payments.accept_outflow("ada", "I sent it").await.unwrap();
    payments.close().await;
    let entries = read(payments.ledger()).await;
    let lies: &[Found] = &[
        (
            |all| {
                worth_one(all);
                let at = place(all, "outflow.adopted");
                all[at].0.body["micro_usd"] = json!("1");
            },
            "1 micro-USD are counted for 5000",
        ),
        (worth_one, "5000 micro-USD left the wallet, and are not counted"),
        (
            |all| {
                let at = place(all, "outflow.adopted");
                all[at].0.body["atomic"] = json!("4");
            },
            "it shows something else than what left the wallet",
        ),
        (
            |all| {
                let at = op(all, "capture");
                for op in all[at].0.body["ops"]
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .filter(|op| op["op"] == "capture")
                {
                    op["lines"].as_array_mut().unwrap().truncate(1);
                }
            },
            "it does not count in the budget `session`",
        ),
        (
            |all| {
                let at = place(all, "outflow.adopted");
                all[at].0.body["hold"] = json!(bursar_types::HoldId::derived(&[b"another"]));
            },
            "is not that of what left",
        ),
        (
            |all| {
                let at = op(all, "capture");
                let mut credit = all[at].clone();
                let ops = credit.0.body["ops"].as_array().unwrap();
                let taken = ops.iter().find(|op| op["op"] == "capture").unwrap();
                credit.0.body["ops"] =
                    json!([{"op": "refund", "id": "back", "hold": taken["id"], "lines": taken["lines"]}]);
                all.push(credit);
            },
            "and nothing of it comes back",
        ),
        (
            |all| {
                edit(all, "outflow.adopted", |event| {
                    let at = event["sent"]["at"].as_u64().unwrap();
                    event["sent"]["at"] = json!(at + 24 * HOUR_MS);
                })
            },
            "and tells of what the chain shows at",
        ),
    ];
    find(&entries, lies);
}

#[tokio::test]
async fn a_session_that_began_beyond_what_may_begin_is_found() {
    let world = World::new().await;
    let hour = bursar_ledger::Window::Rolling { length_ms: HOUR_MS };
    let mandate = world.mandate().limit(LimitRule::sessions(Scope::Agent, 3, hour));
    world.session_under(mandate, None).await;
    let entries = read(&world.ledger).await;
    let uncounted = "it does not count in the budget `sessions, agent";
    let lies: &[Found] = &[
        (
            |all| {
                let at = op(all, "capture");
                let ops = all[at].0.body["ops"].as_array_mut().unwrap();
                ops.retain(|op| op["op"] == "open");
            },
            uncounted,
        ),
        (
            |all| {
                let at = op(all, "capture");
                let ops = all[at].0.body["ops"].as_array_mut().unwrap();
                let taken = ops.iter_mut().find(|op| op["op"] == "capture").unwrap();
                taken["lines"] = json!([]);
            },
            uncounted,
        ),
        (
            |all| {
                let at = op(all, "capture");
                let ops = all[at].0.body["ops"].as_array_mut().unwrap();
                let opened = ops
                    .iter_mut()
                    .find(|op| op["name"].as_str().is_some_and(|name| name.starts_with("sessions,")));
                opened.unwrap()["limit"]["atomic"] = json!("3000");
            },
            uncounted,
        ),
    ];
    find(&entries, lies);
}
