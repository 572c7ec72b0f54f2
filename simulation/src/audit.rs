//! The end of a seed: time passes, what is open is taken up until nothing is, and everything is counted.

use crate::clock::SimClock;
use crate::driver::Driver;
use crate::network::Wire;
use crate::stage::Life;
use crate::watch::{Phase, Violation};
use crate::world::World;
use bursar_ledger::{Commitment, Ledger, StreamId};
use bursar_payments::{Evidence, Meaning, ObligationState, Payment, PaymentEvent, Payments, Recovered};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The process that takes up what the others left.
const AUDITOR: Life = Life { process: 99, number: 1 };
/// Seconds between its rounds: past every window, then past every wait that the rules of recovery have.
const WAITS_S: [u64; 14] =
    [0, 60, 600, 3_600, 7_200, 86_400, 86_400, 400_000, 400_000, 86_400, 1_000_000, 1_000_000, 1_000_000, 10];

/// Takes up what is open until nothing that can be decided is, and audits.
pub(crate) async fn audit(driver: &mut Driver) -> Result<(), Violation> {
    let world = driver.world.clone();
    let payments = Payments::new(world.parts(AUDITOR));
    let mut last = Recovered::default();
    for wait_s in WAITS_S {
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        world.network.tick();
        last = payments.recover().await.map_err(|error| Violation {
            invariant: "what-heals-goes-on",
            message: format!("recovery fails though nothing is wrong: {error}"),
        })?;
        world.stage.note(format_args!("the auditor recovers: {last:?}"));
        world.watch.market(&world.market);
        if let Some(violation) = world.watch.violations().into_iter().next() {
            return Err(violation);
        }
        if nothing_open(&world) {
            break;
        }
    }
    let mut problems = open_payments(&world, last);
    problems.extend(money(&world));
    problems.extend(refunds(&world));
    problems.extend(budgets(&world, payments.ledger()).await);
    problems.extend(replay(&world, payments.ledger()).await);
    problems.extend(meaning(payments.ledger()).await);
    problems.extend(world.disk.verify().await.into_iter().map(|problem| ("the-ledger-verifies", problem)));
    let root = payments.ledger().head().await.map(|head| head.root.to_string()).unwrap_or_default();
    world.stage.note(format_args!("the end: {root}"));
    match problems.into_iter().next() {
        Some((invariant, message)) => Err(Violation { invariant, message }),
        None => Ok(()),
    }
}

type Problems = Vec<(&'static str, String)>;

/// Whether recovery has parks and claims yet: then every obligation must come to an end or to a person.
fn looks_after_obligations() -> bool {
    format!("{:?}", Recovered::default()).contains("parked")
}

fn nothing_open(world: &World) -> bool {
    let seen = world.watch.seen();
    seen.payments.values().all(|known| match &known.payment {
        Payment::NotPaid { .. } => true,
        Payment::Paid { evidence, obligation, .. } => {
            let settled = obligation.is_over() || matches!(obligation.state, ObligationState::Parked { .. });
            evidence.is_observed() && (settled || !looks_after_obligations())
        }
        Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. } => false,
    })
}

/// Every payment is decided, and what is owed has an owner and a date.
fn open_payments(world: &World, last: Recovered) -> Problems {
    let seen = world.watch.seen();
    let mut problems = Problems::new();
    for (id, known) in &seen.payments {
        world.stage.count(format!("ended {}", crate::watch::state_name(&known.payment)));
        match &known.payment {
            Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. } => {
                let state = known.payment.name();
                problems.push(("everything-is-decided", format!("{id} is {state} at the end: {last:?}")));
            }
            Payment::Paid { evidence: Evidence::Claimed { .. } | Evidence::Presumed { .. }, .. } => {
                problems.push(("everything-is-decided", format!("{id} is paid and was never observed")));
            }
            Payment::Paid { obligation, .. } => {
                let owned = !obligation.owner.is_empty() && obligation.due.is_some();
                let parked = matches!(obligation.state, ObligationState::Parked { .. });
                let fits = match () {
                    () if obligation.is_over() => true,
                    () if looks_after_obligations() => parked && owned,
                    () => owned,
                };
                if !fits {
                    problems.push((
                        "obligations-end-or-have-an-owner",
                        format!(
                            "{id} is {}, owner `{}`",
                            crate::watch::state_name(&known.payment),
                            obligation.owner
                        ),
                    ));
                }
            }
            Payment::NotPaid { .. } => {}
        }
    }
    let open = ["open/", "unknown/", "claimed/"];
    for key in seen.links.keys().filter(|key| open.iter().any(|prefix| key.starts_with(prefix))) {
        let owed = seen
            .payments
            .values()
            .any(|known| !known.is_over() && *key == format!("open/{}", known.payment.ask().request));
        if !owed {
            problems.push(("everything-is-decided", format!("the link {key} is there at the end")));
        }
    }
    problems
}

/// What left the wallet is what was captured and not disproved, payment for payment.
fn money(world: &World) -> Problems {
    let seen = world.watch.seen();
    let transfers = world.market.chain().transfers();
    let outflow: u128 = transfers.iter().map(|moved| moved.value).sum();
    let mut booked = 0_u128;
    let mut problems = Problems::new();
    for (id, known) in &seen.payments {
        let nonces: Vec<_> = known.attempts.values().map(|attempt| attempt.nonce.clone()).collect();
        let settled = transfers.iter().filter(|moved| nonces.contains(&moved.nonce.to_string())).count();
        let paid = matches!(known.payment, Payment::Paid { .. });
        if let (true, Some(held)) = (paid, known.payment.held()) {
            booked = booked.saturating_add(held.amount().atomic());
        }
        if settled != usize::from(paid) {
            let state = known.payment.name();
            problems.push(("outflow-is-booked", format!("{id} is {state} and settled {settled} times")));
        }
        if known.disproved > 0 && known.captures != known.disproved.saturating_add(u32::from(paid)) {
            problems.push(("outflow-is-booked", format!("{id} was captured {} times", known.captures)));
        }
    }
    if booked != outflow {
        problems.push(("outflow-is-booked", format!("{outflow} left the wallet and {booked} are booked")));
    }
    problems
}

/// What was credited came, and came for one purchase only.
fn refunds(world: &World) -> Problems {
    let seen = world.watch.seen();
    let came = world.market.chain().plain_transfers();
    let mut credited = BTreeSet::new();
    let mut problems = Problems::new();
    for (id, known) in &seen.payments {
        for refund in known.payment.obligation().map_or(&[][..], |obligation| &obligation.refunds) {
            let transfer = &refund.transfer;
            world.stage.count("refund credited");
            if !credited.insert(transfer.event.clone()) {
                problems
                    .push(("refunds-are-real", format!("{id} is credited with {} again", transfer.event)));
            }
            let real = came.iter().any(|plain| {
                plain.transaction.to_string() == transfer.event.transaction
                    && plain.value == transfer.amount.atomic()
            });
            if !real {
                problems.push(("refunds-are-real", format!("{id} is credited with what never came")));
            }
        }
    }
    problems
}

/// The entries alone, read by whoever has nothing else, tell nothing that cannot be.
async fn meaning(ledger: &Ledger) -> Problems {
    match Meaning::of(ledger).await {
        Ok(found) => {
            found.problems.into_iter().map(|problem| ("the-journal-is-true-to-the-rules", problem)).collect()
        }
        Err(error) => vec![("the-journal-is-true-to-the-rules", error.to_string())],
    }
}

/// Every budget stands where the model says, and holds are where the payments say.
async fn budgets(world: &World, ledger: &Ledger) -> Problems {
    let now = world.parts(AUDITOR).clock.now();
    let budgets: Vec<_> = world.watch.seen().accounts.budgets.values().cloned().collect();
    let mut problems = Problems::new();
    for budget in budgets {
        let (spent, held) = world.watch.seen().accounts.used(&budget, now);
        let found = match ledger.budget(budget.id).await {
            Ok(Some(state)) => (state.spent.atomic(), state.held.atomic()),
            other => {
                problems.push(("accounts-add-up", format!("budget `{}` reads {other:?}", budget.name)));
                continue;
            }
        };
        if found != (spent, held) {
            let name = &budget.name;
            problems.push((
                "accounts-add-up",
                format!("budget `{name}` has {found:?} spent and held, and the model {:?}", (spent, held)),
            ));
        }
    }
    let seen = world.watch.seen();
    for (id, known) in &seen.payments {
        let Some(held) = known.payment.held() else { continue };
        let phase = seen.accounts.phase(held.hold);
        if !matches!(phase, Some(Phase::Captured { .. })) {
            problems.push(("money-follows-state", format!("{id} ends with its hold {phase:?}")));
        }
    }
    problems
}

/// The streams, folded again from nothing, give the same; the bodies are there; and terms are a function of their order.
async fn replay(world: &Arc<World>, ledger: &Ledger) -> Problems {
    let wire = Arc::new(Wire { network: world.network.clone(), life: AUDITOR });
    let rail = world.rail(wire, &Arc::new(SimClock::new(world.began, 0)));
    let known: Vec<_> = {
        let seen = world.watch.seen();
        seen.payments.iter().map(|(id, known)| (*id, known.payment.clone())).collect()
    };
    let mut problems = Problems::new();
    for (id, payment) in known {
        let events = match ledger.events::<PaymentEvent>(&StreamId::of("payment", id), 0).await {
            Ok(events) => events,
            Err(error) => {
                problems.push(("replay-gives-the-same", format!("{id} cannot be read: {error}")));
                continue;
            }
        };
        let mut folded = None;
        for event in events {
            if let PaymentEvent::Signing { order, prepared } = &event
                && rail.prepare(order).as_ref().ok() != Some(&**prepared)
            {
                problems.push(("terms-follow-from-the-order", format!("{id} has other terms again")));
            }
            folded = Payment::apply(folded, event).ok();
        }
        if folded.as_ref() != Some(&payment) {
            problems.push(("replay-gives-the-same", format!("{id} folds to another state")));
        }
        let Some(record) = payment.obligation().and_then(|obligation| obligation.record.as_ref()) else {
            continue;
        };
        let body = ledger.payload(Commitment::from_digest(record.payload)).await.ok().flatten();
        let digest = body.map(|body| bursar_types::Digest::of(&body));
        if digest != Some(record.artifact.digest) {
            problems.push(("goods-are-kept", format!("what {id} bought is {digest:?} on the disk")));
        }
    }
    problems
}
