//! Answers that must count for nothing.

use super::{ada, answers, asking, mallory, signed, waiting};
use crate::world::{World, get, key, propose, quotes};
use bursar_ledger::{SealedEvent, StreamId, Transaction};
use bursar_payments::{
    Answer, ApprovalAction, ApprovalError, GivenBy, Payments, Question, SessionEvent, Signature,
    SignedAnswer, Statement,
};
use bursar_types::{ApprovalId, Fetched, LedgerId, PlanOutcome, Purse, SeededEntropy};

/// A session of its own with a plan that waits.
async fn asked(world: &World) -> (Purse, Question) {
    let purse = world.session_under(asking(world), None).await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let outcome = propose(&purse, &[&found[0]], 1).await;
    let PlanOutcome::AwaitingApproval { ticket, .. } = outcome else { panic!("{outcome:?}") };
    let open = world.payments.approvals().await.unwrap();
    let asked = open.into_iter().find(|open| open.question.id == ticket.id).unwrap();
    (purse, asked.question)
}

fn code(answered: Result<(), ApprovalError>) -> &'static str {
    answered.map_err(|error| error.code()).unwrap_err()
}

type Forge = fn(&World, &Question, &Question) -> SignedAnswer;

fn statement(question: &Question, world: &World) -> Statement {
    Statement::on(question, Answer::Approve, world.now(), None).unwrap()
}

#[tokio::test]
async fn an_answer_that_is_not_this_approvers_to_this_question_counts_for_nothing() {
    let world = World::new().await;
    let (_, other) = asked(&world).await;
    let forgeries: [(&str, &str, Forge); 12] = [
        ("of another key", "APPROVER_UNKNOWN", |world, question, _| {
            signed(question, Answer::Approve, world.now(), &mallory())
        }),
        ("of another key, in the approver's name", "APPROVAL_SIGNATURE", |world, question, _| SignedAnswer {
            key: ada().public(),
            ..signed(question, Answer::Approve, world.now(), &mallory())
        }),
        ("a no turned into a yes", "APPROVAL_SIGNATURE", |world, question, _| {
            let mut no = signed(question, Answer::Deny, world.now(), &ada());
            no.statement.answer = Answer::Approve;
            no
        }),
        ("longer than it was signed for", "APPROVAL_SIGNATURE", |world, question, _| {
            let mut yes = signed(question, Answer::Approve, world.now(), &ada());
            yes.statement.expires_at = yes.statement.expires_at.plus_ms(1);
            yes
        }),
        ("no signature at all", "APPROVAL_SIGNATURE", |world, question, _| SignedAnswer {
            signature: Signature::parse(&"00".repeat(64)).unwrap(),
            ..signed(question, Answer::Approve, world.now(), &ada())
        }),
        ("to another ledger's question", "APPROVAL_MISMATCH", |world, question, _| {
            let ledger = LedgerId::derived(&[b"other"]);
            Statement { ledger, ..statement(question, world) }.sign(&ada()).unwrap()
        }),
        ("to another session's question", "APPROVAL_MISMATCH", |world, question, other| {
            Statement { session: other.session, ..statement(question, world) }.sign(&ada()).unwrap()
        }),
        ("to the same plan of another session", "APPROVAL_MISMATCH", |world, question, other| {
            Statement { question: question.id, ..statement(other, world) }.sign(&ada()).unwrap()
        }),
        ("to another action", "APPROVAL_MISMATCH", |world, question, _| {
            let mut dearer = question.clone();
            if let ApprovalAction::Plan(plan) = &mut dearer.action {
                plan.items[0].count = 2;
            }
            Statement { question: question.id, ..statement(&dearer, world) }.sign(&ada()).unwrap()
        }),
        ("to other rules", "APPROVAL_MISMATCH", |world, question, _| {
            let fewer = Question { rules: vec![], ..question.clone() };
            statement(&fewer, world).sign(&ada()).unwrap()
        }),
        ("that ran out", "APPROVAL_EXPIRED", |world, question, _| {
            Statement { expires_at: world.now(), ..statement(question, world) }.sign(&ada()).unwrap()
        }),
        ("to a question that nobody asked", "APPROVAL_UNKNOWN", |world, question, _| {
            let question =
                Statement { question: ApprovalId::derived(&[b"none"]), ..statement(question, world) };
            question.sign(&ada()).unwrap()
        }),
    ];
    let (purse, question) = asked(&world).await;
    for (name, expected, forge) in forgeries {
        let answer = forge(&world, &question, &other);
        assert_eq!(code(world.payments.answer_approval(&answer).await), expected, "{name}");
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert!(matches!(fetched, Fetched::Quotes { .. }), "{name}: {fetched:?}");
    }
    assert_eq!(world.authorizations(), 0);
    let refusals = world.ledger.stream(&StreamId::of("refusals", question.session), 0).await.unwrap();
    let rejected = refusals.iter().filter(|entry| entry.kind == "approval.rejected").count();
    assert_eq!(rejected, 10, "every answer to a known question of this ledger is in the journal");
    world.verify().await;
}

#[tokio::test]
async fn an_answer_counts_once_and_none_follows_a_no() {
    let world = World::new().await;
    for first in [Answer::Approve, Answer::Deny] {
        let (purse, question) = asked(&world).await;
        let said = signed(&question, first, world.now(), &ada());
        world.payments.answer_approval(&said).await.unwrap();
        for next in [Answer::Approve, Answer::Deny] {
            let again = signed(&question, next, world.now(), &ada());
            assert_eq!(code(world.payments.answer_approval(&again).await), "APPROVAL_ANSWERED");
        }
        assert_eq!(code(world.payments.answer_approval(&said).await), "APPROVAL_ANSWERED");
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert_eq!(matches!(fetched, Fetched::Delivered(_)), first == Answer::Approve, "{fetched:?}");
    }
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn of_two_answers_at_once_from_two_processes_one_counts() {
    let world = World::new().await;
    for round in 0..4_u64 {
        let (_, question) = asked(&world).await;
        let desks: [Payments; 2] = [world.reopened(100 + round), world.reopened(200 + round)];
        let answers =
            [Answer::Approve, Answer::Deny].map(|said| signed(&question, said, world.now(), &ada()));
        let (yes, no) =
            tokio::join!(desks[0].answer_approval(&answers[0]), desks[1].answer_approval(&answers[1]));
        assert!(yes.is_ok() != no.is_ok(), "{yes:?} {no:?}");
        let lost = if yes.is_ok() { no } else { yes };
        assert_eq!(code(lost), "APPROVAL_ANSWERED");
    }
}

#[tokio::test]
async fn an_answer_after_the_question_ran_out_counts_for_nothing() {
    let world = World::new().await;
    let (_, question) = asked(&world).await;
    let said = signed(&question, Answer::Approve, world.now(), &ada());
    world.advance_s(3_600);
    assert_eq!(code(world.payments.answer_approval(&said).await), "APPROVAL_EXPIRED");
    assert_eq!(world.payments.approvals().await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_yes_written_into_the_file_without_a_signature_buys_nothing() {
    let world = World::new().await;
    let own = SignedAnswer {
        key: ada().public(),
        ..signed(&asked(&world).await.1, Answer::Approve, world.now(), &mallory())
    };
    let foreign = signed(&asked(&world).await.1, Answer::Approve, world.now(), &ada());
    let no = |question: &Question| signed(question, Answer::Deny, world.now(), &ada());
    for index in 0..4 {
        let (purse, question) = asked(&world).await;
        let name = "ada".to_owned();
        let by = match index {
            0 => GivenBy::InProcess { name },
            1 => GivenBy::Signed { name, answer: Box::new(own.clone()) },
            2 => GivenBy::Signed { name, answer: Box::new(foreign.clone()) },
            _ => GivenBy::Signed { name, answer: Box::new(no(&question)) },
        };
        let event =
            SessionEvent::ApprovalGiven { approval: question.id, by, expires_at: question.expires_at };
        let mut transaction = Transaction::default();
        let stream = StreamId::of("session", question.session);
        SealedEvent::new(stream, "approval.given", [], &event, &SeededEntropy::new(77))
            .unwrap()
            .add_to(&mut transaction);
        world.ledger.commit(transaction).await.unwrap();
        let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        assert!(matches!(fetched, Fetched::Quotes { .. }), "{index}: {fetched:?}");
    }
    assert_eq!(world.authorizations(), 0);
}

#[tokio::test]
async fn an_answer_reads_back_from_the_form_in_which_it_is_sent() {
    let world = World::new().await;
    let (_, question) = asked(&world).await;
    let said = answers(&world, 2, Answer::Approve).await;
    let text = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<SignedAnswer>(&text).unwrap(), said);
    assert!(serde_json::from_str::<SignedAnswer>(&text.replacen('{', "{\"approved\":true,", 1)).is_err());
    assert_eq!(waiting(&world.payments).await.question, question);
}
