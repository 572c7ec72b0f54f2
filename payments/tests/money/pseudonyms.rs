//! What the tree keeps for ever names nobody, and leads to nobody by a digest that can be guessed.

use crate::approvals::{answers, asking};
use crate::world::{Setup, World, get, key, plan, propose, quotes};
use bursar_ledger::Window;
use bursar_market::{Fault, Pricing, RefundRule, SellerConfig};
use bursar_payments::{Answer, FreezeScope, LimitRule, Mandate, Scope};
use bursar_types::{AgentId, BudgetId, Digest, FetchError, Fetched, PlanOutcome, SessionId};

const USER: &str = "erika.mustermann";
const AGENT: &str = "skipper-of-erika";
const PROJECT: &str = "acme-merger";
const TASK: &str = "task-4711";
const PURPOSE: &str = "find out whether acme is insolvent";
const WHY: &str = "the chronicle of their debts";
const DESK: &str = "margarethe";

/// A mandate with budgets and limits of every scope that names somebody.
fn named(mandate: Mandate) -> Mandate {
    let mut mandate = Mandate {
        user: USER.to_owned(),
        agent: AGENT.to_owned(),
        project: PROJECT.to_owned(),
        task: Some(TASK.to_owned()),
        purpose: PURPOSE.to_owned(),
        ..mandate
    };
    let day = Window::Rolling { length_ms: 86_400_000 };
    for scope in [Scope::User, Scope::Agent, Scope::Project, Scope::Vendor, Scope::Payee, Scope::Family] {
        mandate = mandate.budget(scope, crate::world::usd("0.40"), day);
        mandate = mandate.limit(LimitRule::payments(scope, 50, day));
    }
    mandate
}

/// Everything that is hashed into the tree, as text.
async fn leaves(world: &World) -> String {
    let mut text = String::new();
    let mut from = 0;
    loop {
        let entries = world.ledger.entries(from, 500).await.unwrap();
        let Some(last) = entries.last() else { return text };
        from = last.sequence + 1;
        for entry in &entries {
            text.push_str(&serde_json::to_string(entry).unwrap());
            text.push('\n');
        }
    }
}

#[tokio::test]
async fn no_leaf_of_a_whole_life_of_purchases_names_anybody_or_holds_a_digest_of_a_name() {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(RefundRule::Exact);
    let world = World::with(Setup { seller: seller.refund_terms(2_592_000, true), ..Setup::default() }).await;

    // Asked, approved with a signature, bought.
    let session = world.session_under(named(asking(&world)), None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let asked = propose(&purse, &[&found[0]], 1).await;
    assert!(matches!(asked, PlanOutcome::AwaitingApproval { .. }), "{asked:?}");
    answers(&world, 3, Answer::Approve).await;
    let bought = purse.fetch(get(&world.url("alpha")), key("the first of the debts")).await.unwrap();
    assert!(matches!(bought, Fetched::Delivered(_)), "{bought:?}");

    // Delegated, bought by the helper, paid and not delivered, given back.
    let parent = world.session_under(named(world.mandate()), None).await;
    let child = parent.mandate().await.unwrap().child("scout-of-erika");
    let child = parent.delegate(child, Default::default()).await.unwrap().handle();
    plan(&world, &child, "beta").await;
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let owed = child.fetch(get(&world.url("beta")), key("beta")).await.unwrap();
    assert!(matches!(owed, Fetched::Undelivered(_)), "{owed:?}");
    for _ in 0..4 {
        world.advance_s(120);
        world.market.send_due_refunds();
        world.market.chain().mine();
        world.payments.recover().await.unwrap();
    }
    assert!(leaves(&world).await.contains("refund"), "it came back");

    // Frozen and denied.
    for scope in [FreezeScope::agent_of(USER, AGENT), FreezeScope::wallet(world.payer()), FreezeScope::All] {
        world.payments.freeze(&scope, DESK, WHY).await.unwrap();
        let told = parent.handle().fetch(get(&world.url("gamma")), key("gamma")).await;
        assert!(matches!(told, Ok(Fetched::Quotes { .. }) | Err(FetchError::Denied(_))), "{told:?}");
    }
    assert_eq!(world.reopened(9).freezes().await.unwrap().len(), 3);

    let text = leaves(&world).await.to_lowercase();
    let agent = AgentId::derived(&[USER.as_bytes(), AGENT.as_bytes()]);
    let words = [USER, AGENT, PROJECT, TASK, PURPOSE, WHY, DESK, "scout-of-erika", "\"ada\"", "debts"];
    let mut looked_for: Vec<String> = words.map(str::to_owned).to_vec();
    looked_for.extend(["http://", "https://", "127.0.0.1", "alpha", "beta", "gamma"].map(str::to_owned));
    // What a dictionary would try.
    looked_for.push(agent.to_string());
    for name in [USER, AGENT, PROJECT, world.payer()] {
        looked_for.push(Digest::of(name.as_bytes()).to_string());
        looked_for.push(Digest::of_parts("bursar/principal/v1", &[name.as_bytes()]).to_string());
    }
    for what in ["vendor", "payee", "family"] {
        let host = world.url("alpha").split('/').nth(2).unwrap().to_owned();
        let id = BudgetId::derived(&[what.as_bytes(), USER.as_bytes(), host.as_bytes()]);
        looked_for.push(id.to_string());
    }
    for one in looked_for {
        assert!(!text.contains(&one.to_lowercase()), "`{one}` is in a leaf");
    }
    world.verify().await;
}

#[tokio::test]
async fn processes_agree_on_who_is_who() {
    let world = World::new().await;
    let desks: Vec<_> = (20..24).map(|seed| world.reopened(seed)).collect();
    let mut opening = tokio::task::JoinSet::new();
    for desk in desks.clone() {
        let mandate = named(world.mandate());
        opening.spawn(async move { desk.open_session(mandate, Default::default()).await.unwrap().session() });
    }
    let sessions: Vec<SessionId> = opening.join_all().await;
    let principals = world.ledger.links("principal/").await.unwrap();
    assert_eq!(principals.len(), 3, "a user, an agent and a project: {principals:?}");
    // One budget of the user, whoever opened it.
    let mut spent = Vec::new();
    for (desk, session) in desks.iter().zip(sessions) {
        let purse = desk.resume_session(session, Default::default()).await.unwrap().handle();
        plan(&world, &purse, "alpha").await;
        let bought = purse.fetch(get(&world.url("alpha")), key(&session.to_string())).await.unwrap();
        assert!(matches!(bought, Fetched::Delivered(_)), "{bought:?}");
        let standing = purse.standing().await.unwrap();
        let user = standing.budgets.iter().find(|budget| budget.name.starts_with("user")).unwrap();
        spent.push(user.spent.atomic());
    }
    assert_eq!(spent, [1_000, 2_000, 3_000, 4_000]);
}
