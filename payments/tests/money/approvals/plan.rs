//! Plans that wait for an approver.

use super::{answers, asking, mallory, signed, under, waiting};
use crate::world::{World, get, key, proposal, propose, quotes};
use bursar_payments::{
    Answer, ApprovalAnswer, ApproveWith, ApproverKey, MandateError, OpenError, SessionHooks,
};
use bursar_types::{FetchError, Fetched, Phase, PlanOutcome};
use std::sync::Arc;

#[tokio::test]
async fn a_signed_yes_from_another_process_lets_a_plan_be_bought_after_a_restart() {
    let world = World::new().await;
    let session = world.session_under(asking(&world), None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let outcome = propose(&purse, &[&found[0]], 1).await;
    let PlanOutcome::AwaitingApproval { plan, ticket } = outcome else { panic!("{outcome:?}") };
    assert_eq!(ticket.action, waiting(&world.payments).await.question.digest().unwrap());
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    drop((purse, session));
    answers(&world, 2, Answer::Approve).await;

    let later = world.reopened(3);
    let purse = later.resume_session(ticket.session, Default::default()).await.unwrap().handle();
    let standing = purse.standing().await.unwrap();
    assert_eq!((standing.phase, standing.open_items[0].plan), (Phase::Acquire, plan.id));
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    assert_eq!((world.outflow(), later.approvals().await.unwrap()), (1_000, vec![]));
    world.verify().await;
}

#[tokio::test]
async fn the_same_purchases_are_asked_about_once_and_a_no_is_remembered() {
    let world = World::new().await;
    let purse = world.session_under(asking(&world), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let PlanOutcome::AwaitingApproval { ticket, plan } = propose(&purse, &[&found[0]], 1).await else {
            panic!("not asked")
        };
        tickets.push((ticket.id, plan.id));
    }
    assert!(tickets.iter().all(|ticket| *ticket == tickets[0]), "{tickets:?}");
    answers(&world, 2, Answer::Deny).await;
    for _ in 0..2 {
        let outcome = propose(&purse, &[&found[0]], 1).await;
        let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(decision.reasons[0].code, "APPROVAL_REFUSED");
    }
    let more = propose(&purse, &[&found[0]], 2).await;
    assert!(
        matches!(more, PlanOutcome::AwaitingApproval { .. }),
        "another plan is another question: {more:?}"
    );
}

#[tokio::test]
async fn an_unsigned_yes_counts_only_where_no_approver_is_pinned() {
    let world = World::new().await;
    let open = world.mandate().approval(bursar_payments::PlanApproval::Ask);
    for (mandate, name, approved) in [
        (open.clone(), "the person at the terminal", true),
        (asking(&world), "the person at the terminal", false),
        (open.clone(), "agent", false),
        (bursar_payments::Mandate { role: "research".into(), ..open }, " Research", false),
    ] {
        let approver = Arc::new(ApproveWith::new(name, |_| ApprovalAnswer::Approved));
        let purse = world.session_under(mandate, Some(approver)).await.handle();
        let found = quotes(&purse, &world.url("alpha")).await;
        let outcome = propose(&purse, &[&found[0]], 1).await;
        assert_eq!(matches!(outcome, PlanOutcome::Approved { .. }), approved, "{name}: {outcome:?}");
        assert_eq!(matches!(outcome, PlanOutcome::AwaitingApproval { .. }), !approved, "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn code_that_holds_an_approvers_key_answers_with_its_signature() {
    let world = World::new().await;
    for (who, approved) in [(super::ada(), true), (mallory(), false)] {
        let desk = world.reopened(9);
        let now = world.now();
        let hooks = SessionHooks {
            approver: Some(Arc::new(Signs { key: who, desk, now })),
            ..SessionHooks::default()
        };
        let purse = world.payments.open_session(asking(&world), hooks).await.unwrap().handle();
        let found = quotes(&purse, &world.url("alpha")).await;
        let outcome = propose(&purse, &[&found[0]], 1).await;
        assert_eq!(matches!(outcome, PlanOutcome::Approved { .. }), approved, "{outcome:?}");
    }
}

/// Looks the question up and signs a yes.
#[derive(Debug)]
struct Signs {
    key: ApproverKey,
    desk: bursar_payments::Payments,
    now: bursar_types::Timestamp,
}

#[async_trait::async_trait]
impl bursar_payments::Approver for Signs {
    fn name(&self) -> &'static str {
        "code"
    }

    async fn answer(&self, ticket: &bursar_types::ApprovalTicket) -> ApprovalAnswer {
        let open = self.desk.approvals().await.unwrap();
        let asked = open.into_iter().find(|open| open.question.id == ticket.id).unwrap();
        ApprovalAnswer::Signed(Box::new(signed(&asked.question, Answer::Approve, self.now, &self.key)))
    }
}

#[tokio::test]
async fn a_rule_that_asks_only_now_asks_anew_after_a_yes() {
    let world = World::new().await;
    let session = world.session_under(asking(&world), None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    assert!(matches!(propose(&purse, &[&found[0]], 1).await, PlanOutcome::AwaitingApproval { .. }));
    answers(&world, 2, Answer::Approve).await;
    let stricter = under(
        &world,
        3,
        r#"@id("mine.big") @escalate("so much?") @reason("BIG: so much") @advice("wait")
           forbid (principal, action == Action::"plan", resource) when { context.total_micro_usd > 10 };"#,
    );
    stricter.accept_policies(session.session(), "ada").await.unwrap();
    let purse = stricter.resume_session(session.session(), Default::default()).await.unwrap().handle();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    let again = waiting(&stricter).await;
    assert_eq!(again.question.rules, ["mine.big", "plan.ask"]);
    let said = signed(&again.question, Answer::Approve, world.now(), &super::ada());
    stricter.answer_approval(&said).await.unwrap();
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
}

#[tokio::test]
async fn a_rule_that_forbids_by_now_is_not_lifted_by_a_yes() {
    let world = World::new().await;
    let session = world.session_under(asking(&world), None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    assert!(matches!(propose(&purse, &[&found[0]], 1).await, PlanOutcome::AwaitingApproval { .. }));
    answers(&world, 2, Answer::Approve).await;
    let stricter = under(
        &world,
        3,
        r#"@id("mine.none") @reason("NONE: no plans today") @advice("go on")
           forbid (principal, action == Action::"plan", resource);"#,
    );
    stricter.accept_policies(session.session(), "ada").await.unwrap();
    let purse = stricter.resume_session(session.session(), Default::default()).await.unwrap().handle();
    for _ in 0..2 {
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    }
    assert_eq!((world.outflow(), stricter.approvals().await.unwrap()), (0, vec![]));
}

#[tokio::test]
async fn a_yes_ends_when_its_question_does() {
    let world = World::new().await;
    let mandate = bursar_payments::Mandate { approval_s_max: 60, ..asking(&world) };
    let purse = world.session_under(mandate, None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    assert!(matches!(propose(&purse, &[&found[0]], 1).await, PlanOutcome::AwaitingApproval { .. }));
    answers(&world, 2, Answer::Approve).await;
    world.advance_s(60);
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Quotes { .. }), "{fetched:?}");
    assert_eq!(world.outflow(), 0);
}

#[tokio::test]
async fn nobody_can_be_asked_without_end() {
    let world = World::new().await;
    let purse = world.session_under(asking(&world), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    for count in 1..=16 {
        let outcome = propose(&purse, &[&found[0]], count).await;
        assert!(matches!(outcome, PlanOutcome::AwaitingApproval { .. }), "{count}: {outcome:?}");
    }
    let outcome = propose(&purse, &[&found[0]], 17).await;
    let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(decision.reasons[0].code, "APPROVALS_FULL");
}

#[tokio::test]
async fn nobody_who_asks_can_be_an_approver() {
    let world = World::new().await;
    let wallet: [u8; 32] = hex::decode(crate::world::KEY).unwrap().try_into().unwrap();
    for (name, key, says) in [
        ("agent", super::ada(), "is the agent itself"),
        ("AGENT ", super::ada(), "is the agent itself"),
        ("ada", ApproverKey::from_secret(&wallet), "holds its wallet's key"),
    ] {
        let mandate = world.mandate().approver(name, key.public());
        let refused = world.payments.open_session(mandate, Default::default()).await;
        let Err(OpenError::Mandate(error @ MandateError::ApproverIsAgent(_))) = refused else {
            panic!("{name}: {refused:?}")
        };
        assert!(error.to_string().contains(says), "{error}");
    }
    let twice = world.mandate().approver("ada", super::ada().public()).approver("bob", super::ada().public());
    assert!(matches!(twice.check(), Err(MandateError::ApproverTwice(_))));
    let nobody = bursar_payments::Mandate { signed_approvals: true, ..world.mandate() };
    assert!(matches!(nobody.check(), Err(MandateError::NoApprover)));
}

#[tokio::test]
async fn a_mandate_that_expired_is_neither_planned_nor_bought_under() {
    let world = World::new().await;
    let expires_at = Some(world.now().plus_ms(100_000));
    let mandate = bursar_payments::Mandate { expires_at, ..world.mandate() };
    let purse = world.session_under(mandate, None).await.handle();
    crate::world::plan(&world, &purse, "alpha").await;
    let found = quotes(&purse, &world.url("beta")).await;
    world.advance_s(100);
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await;
    let Err(FetchError::Denied(decision)) = fetched else { panic!("{fetched:?}") };
    assert_eq!(decision.reasons[0].code, "MANDATE_EXPIRED");
    let outcome = propose(&purse, &[&found[0]], 1).await;
    let PlanOutcome::Refused { decision, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(decision.reasons[0].code, "MANDATE_EXPIRED");
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn what_became_of_a_proposal_is_told_and_uses_its_yes_once() {
    let world = World::new().await;
    let session = world.session_under(asking(&world), None).await;
    let purse = session.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let (one, two) = (proposal(&[&found[0]], 1), proposal(&[&found[0]], 2));
    assert_eq!(purse.proposed(one.clone()).await.unwrap(), None, "it was not proposed yet");
    let PlanOutcome::AwaitingApproval { ticket, .. } = propose(&purse, &[&found[0]], 1).await else {
        panic!("not asked")
    };
    for _ in 0..2 {
        let waits = purse.proposed(one.clone()).await.unwrap();
        assert!(
            matches!(&waits, Some(PlanOutcome::AwaitingApproval { ticket: found, .. }) if found.id == ticket.id),
            "{waits:?}"
        );
    }
    assert_eq!(purse.proposed(two).await.unwrap(), None, "another count is another proposal");

    answers(&world, 2, Answer::Approve).await;
    drop((purse, session));
    let purse = world.reopened(3).resume_session(ticket.session, Default::default()).await.unwrap().handle();
    // Its quotes may be old by now: what was approved is the plan.
    world.advance_s(20 * 60);
    for _ in 0..2 {
        let approved = purse.proposed(one.clone()).await.unwrap();
        assert!(
            matches!(&approved, Some(PlanOutcome::Approved { approved_by, .. }) if approved_by == "ada"),
            "{approved:?}"
        );
    }
    assert_eq!(purse.standing().await.unwrap().open_items[0].left, 1, "it was approved once");
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    assert_eq!(purse.proposed(one).await.unwrap(), None, "it was used");
    assert_eq!(world.outflow(), 1_000);
}
