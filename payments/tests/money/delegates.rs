//! Delegation: helpers spend under mandates cut from one, and never more than it lets them together.

use crate::world::{World, get, key, plan, propose, quotes, usd};
use bursar_ledger::Window;
use bursar_payments::{
    DelegateError, LimitRule, Mandate, OpenError, PlanApproval, Scope, SessionHooks, SessionPurse,
};
use bursar_types::{FetchError, Fetched, Phase, PlanOutcome, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

async fn helper(parent: &SessionPurse, change: impl FnOnce(Mandate) -> Mandate) -> Arc<SessionPurse> {
    let mandate = change(parent.mandate().await.unwrap().child("scout"));
    parent.delegate(mandate, SessionHooks::default()).await.unwrap()
}

/// Buys `alpha` under a key of its own; the code if it was refused.
async fn try_buy(world: &World, purse: &Arc<SessionPurse>, name: &str) -> Result<(), String> {
    let url = format!("{}?{}", world.url("alpha"), name.replace(' ', "-"));
    match purse.handle().fetch(get(&url), key(name)).await {
        Ok(Fetched::Delivered(_)) => Ok(()),
        Ok(Fetched::Quotes { reasons, .. }) => Err(reasons[0].code.to_string()),
        Err(FetchError::Denied(decision)) => Err(decision.reasons[0].code.to_string()),
        other => panic!("{other:?}"),
    }
}

/// A mandate under which anything at the seller may be bought.
fn standing_order(world: &World, cap: &str, count: u32) -> Mandate {
    let mut item = world.metered("/documents/*");
    item.count = count;
    let mandate = Mandate { budgets: vec![], ..world.mandate() };
    mandate.session_budget(usd(cap)).metered(item)
}

/// The same standing purchase, cut to a count.
fn with_item(parent: &Mandate, count: u32) -> impl FnOnce(Mandate) -> Mandate {
    let mut item = parent.metered[0].clone();
    item.count = count;
    move |mandate| mandate.metered(item)
}

#[tokio::test]
async fn a_helper_begins_to_explore_whatever_its_parent_may_buy() {
    let world = World::new().await;
    let parent = world.session_under(world.mandate(), None).await;
    plan(&world, &parent.handle(), "alpha").await;
    assert_eq!(parent.handle().standing().await.unwrap().phase, Phase::Acquire);
    let child = helper(&parent, |mandate| mandate).await;
    assert_eq!(child.handle().standing().await.unwrap().phase, Phase::Explore);
    let fetched = child.handle().fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    assert_eq!(world.authorizations(), 0);
    // It may plan by itself, within what it was given.
    plan(&world, &child.handle(), "beta").await;
    let fetched = child.handle().fetch(get(&world.url("beta")), key("beta")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
}

#[tokio::test]
async fn helpers_together_spend_no_more_than_their_parent_may() {
    let world = World::new().await;
    let mandate = standing_order(&world, "0.004", 100);
    let parent = world.session_under(mandate.clone(), None).await;
    let mut made = Vec::new();
    for n in 0..3 {
        let child = helper(&parent, with_item(&mandate, 100)).await;
        for m in 0..2 {
            made.push(try_buy(&world, &child, &format!("child {n} {m}")).await);
        }
    }
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 4, "{made:?}");
    assert_eq!(made[4], Err("BUDGET_EXCEEDED".to_owned()));
    assert_eq!(try_buy(&world, &parent, "parent").await, Err("BUDGET_EXCEEDED".to_owned()));
    assert_eq!((world.outflow(), world.books(&parent.handle()).await), (4_000, (4_000, 0)));
    world.verify().await;
}

#[tokio::test]
async fn a_parents_standing_purchase_limits_and_agent_budgets_hold_for_its_helpers() {
    let world = World::new().await;
    let day = Window::Rolling { length_ms: 86_400_000 };
    let counted = standing_order(&world, "0.5", 3);
    let paced = standing_order(&world, "0.5", 100).limit(LimitRule::payments(Scope::Session, 3, day));
    let capped = standing_order(&world, "0.5", 100).budget(Scope::Agent, usd("0.003"), day);
    for (mandate, code) in
        [(counted, "ITEM_CONSUMED"), (paced, "VELOCITY_EXCEEDED"), (capped, "BUDGET_EXCEEDED")]
    {
        let mandate = Mandate { user: code.to_owned(), ..mandate };
        let parent = world.session_under(mandate.clone(), None).await;
        // The child's own rules are dropped: the parent's hold all the same.
        let bare = |mandate: Mandate| Mandate { limits: vec![], ..mandate };
        let child = helper(&parent, |child| bare(with_item(&mandate, 3)(child))).await;
        for n in 0..2 {
            assert_eq!(try_buy(&world, &child, &format!("{code} {n}")).await, Ok(()), "{code}");
        }
        let parents_own = try_buy(&world, &parent, &format!("{code} parent")).await;
        assert_eq!(parents_own, Ok(()), "{code}");
        let refused = try_buy(&world, &child, &format!("{code} last")).await;
        assert_eq!(refused, Err(code.to_owned()));
    }
}

#[tokio::test]
async fn what_stops_a_parent_stops_all_below_it() {
    let world = World::new().await;
    let mut mandate = standing_order(&world, "0.5", 100);
    mandate.expires_at = Some(Timestamp::from_unix_ms(world.now().unix_ms() + 100_000));
    let parent = world.session_under(mandate.clone(), None).await;
    let child = helper(&parent, with_item(&mandate, 100)).await;
    let grandchild = helper(&child, with_item(&mandate, 100)).await;
    assert_eq!(try_buy(&world, &grandchild, "first").await, Ok(()));
    parent.freeze("the owner is away").await.unwrap();
    for (name, session) in [("child", &child), ("grandchild", &grandchild)] {
        assert_eq!(try_buy(&world, session, name).await, Err("FROZEN".to_owned()));
        let found = quotes(&session.handle(), &world.url("beta")).await;
        let outcome = propose(&session.handle(), &[&found[0]], 1).await;
        assert!(matches!(outcome, PlanOutcome::Refused { .. }), "{outcome:?}");
    }
    let more = child.delegate(mandate.child("more"), SessionHooks::default()).await;
    assert!(matches!(more, Err(DelegateError::Stopped(_))), "{more:?}");
    parent.thaw("ada").await.unwrap();
    assert_eq!(try_buy(&world, &grandchild, "thawed").await, Ok(()));
    // Revoking one branch leaves the others.
    let sibling = helper(&parent, with_item(&mandate, 100)).await;
    child.revoke("ada").await.unwrap();
    assert_eq!(try_buy(&world, &grandchild, "revoked").await, Err("MANDATE_REVOKED".to_owned()));
    assert_eq!(try_buy(&world, &sibling, "sibling").await, Ok(()));
    child.thaw("ada").await.unwrap();
    assert_eq!(try_buy(&world, &child, "still revoked").await, Err("MANDATE_REVOKED".to_owned()));
    world.advance_s(100);
    assert!(try_buy(&world, &sibling, "late").await.is_err());
    assert_eq!(world.outflow(), 3_000);
}

#[tokio::test]
async fn a_parent_frozen_in_another_process_between_hold_and_signature_stops_the_signature() {
    let world = World::new().await;
    let mandate = standing_order(&world, "0.5", 100);
    let parent = world.session_under(mandate.clone(), None).await;
    let child = helper(&parent, with_item(&mandate, 100)).await;
    let hooks =
        SessionHooks { observer: Arc::new(FreezeOnHold::of(&world, &parent)), ..SessionHooks::default() };
    let child = world.payments.resume_session(child.session(), hooks).await.unwrap();
    assert_eq!(try_buy(&world, &child, "k").await, Err("FROZEN".to_owned()));
    assert_eq!((world.authorizations(), world.outflow()), (0, 0));
    assert_eq!(world.books(&parent.handle()).await, (0, 0));
}

/// Freezes the parent, from another process, as soon as money is held.
#[derive(Debug)]
struct FreezeOnHold {
    payments: bursar_payments::Payments,
    parent: bursar_types::SessionId,
}

impl FreezeOnHold {
    fn of(world: &World, parent: &SessionPurse) -> Self {
        Self { payments: world.reopened(77), parent: parent.session() }
    }
}

impl bursar_payments::Observer for FreezeOnHold {
    fn event(&self, event: &bursar_payments::MoneyEvent) {
        if !matches!(event, bursar_payments::MoneyEvent::Held { .. }) {
            return;
        }
        let (payments, parent) = (self.payments.clone(), self.parent);
        let frozen = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let purse = payments.resume_session(parent, SessionHooks::default()).await.unwrap();
                purse.freeze("stop").await.unwrap();
            });
        });
        frozen.join().unwrap();
    }
}

#[tokio::test]
async fn a_wider_mandate_is_refused_and_names_the_field() {
    let world = World::new().await;
    let parent = world.session_under(world.mandate().approval(PlanApproval::Ask), None).await;
    let mandate = parent.mandate().await.unwrap();
    for (wide, field) in [
        (mandate.child("scout").approval(PlanApproval::Rule), "approval"),
        (Mandate { live: true, ..mandate.child("scout") }, "live"),
        (Mandate { user: "eve".to_owned(), ..mandate.child("scout") }, "user"),
    ] {
        match parent.delegate(wide, SessionHooks::default()).await {
            Err(DelegateError::Widened(widened)) => assert_eq!(widened.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_delegate_eight_times_over_and_no_deeper() {
    let world = World::new().await;
    let mut session = world.session().await;
    for _ in 0..8 {
        session = helper(&session, |mandate| mandate).await;
    }
    let mandate = session.mandate().await.unwrap().child("deeper");
    let deeper = session.delegate(mandate, SessionHooks::default()).await;
    assert!(matches!(deeper, Err(DelegateError::Open(OpenError::TooDeep))), "{deeper:?}");
}

/// A tree of sessions (whose parent each is, and its cap in purchases) and which of them buys, in order.
fn trees() -> impl Strategy<Value = (Vec<(usize, u128)>, Vec<usize>)> {
    let node = (0..5_usize, 1..5_u128);
    (proptest::collection::vec(node, 1..6), proptest::collection::vec(0..6_usize, 1..10))
}

#[test]
fn in_any_tree_no_session_and_those_below_it_spend_more_than_it_may() {
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    proptest!(config, |((nodes, buyers) in trees())| {
        runtime.block_on(one_tree(nodes, buyers));
    });
}

async fn one_tree(nodes: Vec<(usize, u128)>, buyers: Vec<usize>) {
    let world = World::new().await;
    let mandate = standing_order(&world, "0.006", 100);
    let root = world.session_under(mandate.clone(), None).await;
    let mut sessions = vec![(root, None, 6_u128, 0_u128)];
    for (parent, cap) in nodes {
        let parent = parent % sessions.len();
        let cut = cap.min(sessions[parent].2);
        let limit = usd(&format!("0.00{cut}"));
        let child =
            helper(&sessions[parent].0, |child| with_item(&mandate, 100)(child).cap_session(limit)).await;
        sessions.push((child, Some(parent), cut, 0));
    }
    for (n, buyer) in buyers.into_iter().enumerate() {
        let buyer = buyer % sessions.len();
        let mut line = vec![buyer];
        while let Some(parent) = sessions[*line.last().unwrap()].1 {
            line.push(parent);
        }
        let room = line.iter().all(|&index| sessions[index].3 < sessions[index].2);
        let made = try_buy(&world, &sessions[buyer].0, &n.to_string()).await;
        assert_eq!(made.is_ok(), room, "{made:?} by {buyer} of {sessions:?}");
        if room {
            line.iter().for_each(|&index| sessions[index].3 += 1);
        }
    }
    for (session, _, _, spent) in &sessions {
        assert_eq!(world.books(&session.handle()).await, (spent * 1_000, 0));
    }
    assert_eq!(world.outflow(), sessions[0].3 * 1_000);
}
