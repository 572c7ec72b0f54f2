//! Tool calls that wait for an approver.

use super::{answers, reviewing, under, waiting};
use crate::world::World;
use bursar_ledger::{SealedEvent, StreamId, Transaction};
use bursar_payments::{Answer, ApprovalAnswer, Approver, Mandate, SessionEvent, SessionHooks, SessionPurse};
use bursar_types::{
    Action, ApprovalTicket, Asked, AssetRegistry, CallId, Cause, Digest, Effect, Gate, RunId, SeededEntropy,
    Verdict,
};
use std::sync::Arc;
use tokio::sync::Barrier;

/// Asks before a letter is sent, and never lets one be burnt.
const LETTERS: &str = r#"
    @id("mine.letters")
    @escalate("may this letter be sent?")
    @reason("LETTERS: letters are put to a person")
    @advice("wait for the answer")
    forbid (principal, action == Action::"call", resource == Tool::"send_letter");

    @id("mine.no-fire")
    @reason("FIRE: nothing is burnt")
    @advice("do something else")
    forbid (principal, action == Action::"call", resource == Tool::"burn_letter");
"#;

/// The same, where letters may not be sent at all.
const NO_LETTERS: &str = r#"
    @id("mine.letters")
    @reason("LETTERS: no letters any more")
    @advice("call them instead")
    forbid (principal, action == Action::"call", resource == Tool::"send_letter");
"#;

fn call(tool: &str, call: u8, arguments: &[u8]) -> Action {
    Action {
        run: RunId::derived(&[b"run"]),
        call: CallId::derived(&[&[call]]),
        tool: tool.into(),
        effect: Effect::Write,
        arguments: Digest::of(arguments),
    }
}

const SHOWN: &str = r#"{"to":"the bank\u202e"}"#;

async fn ask(purse: &SessionPurse, action: &Action) -> Asked {
    purse.ask(action, SHOWN).await.unwrap()
}

fn code(asked: Asked) -> String {
    match asked {
        Asked::Refused(decision) => decision.reasons[0].code.to_string(),
        other => panic!("{other:?}"),
    }
}

fn waits(asked: &Asked) -> bool {
    matches!(asked, Asked::Waits { .. })
}

fn allowed(asked: &Asked) -> bool {
    matches!(asked, Asked::Allowed(decision) if decision.verdict == Verdict::Allow)
}

#[tokio::test]
async fn a_call_waits_for_a_signed_yes_across_restarts_and_the_yes_is_used_once() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    let letter = call("send_letter", 1, b"to the bank");
    assert_eq!(session.decide(&letter).await.unwrap().verdict, Verdict::Escalate);
    let Asked::Waits { approval, until } = ask(&session, &letter).await else { panic!("it waits") };
    let open = waiting(&payments).await;
    assert_eq!((open.question.id, open.question.expires_at), (approval, until));
    let shown = open.question.shown(&bursar_types::AssetRegistry::pinned(), &[]);
    assert!(shown.starts_with("Call the tool send_letter, once, which changes something:\n"), "{shown}");
    assert!(waits(&ask(&session, &letter).await), "it is asked once");
    waiting(&payments).await;
    answers(&world, 3, Answer::Approve).await;

    let later = under(&world, 4, LETTERS);
    let session = later.resume_session(session.session(), Default::default()).await.unwrap();
    assert!(allowed(&ask(&session, &letter).await));
    assert!(
        allowed(&ask(&session, &letter).await),
        "the same call, whose worker died before it could say so"
    );
    let again = call("send_letter", 2, b"to the bank");
    assert!(waits(&ask(&session, &again).await), "the same letter once more is another call");
    world.verify().await;
}

#[tokio::test]
async fn a_yes_to_one_call_is_none_to_other_arguments_or_another_tool() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    assert!(waits(&ask(&session, &call("send_letter", 1, b"to the bank")).await));
    answers(&world, 3, Answer::Approve).await;
    assert!(waits(&ask(&session, &call("send_letter", 2, b"to the press")).await));
    let other_call = ask(&session, &call("send_letter", 3, b"to the bank")).await;
    assert!(allowed(&other_call), "a model that was told to wait asks with another call: {other_call:?}");
    assert_eq!(code(ask(&session, &call("burn_letter", 1, b"to the bank")).await), "FIRE");
    world.verify().await;
}

#[tokio::test]
async fn a_no_is_a_no_and_is_not_asked_again() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    assert!(waits(&ask(&session, &call("send_letter", 1, b"to the bank")).await));
    answers(&world, 3, Answer::Deny).await;
    for number in 1..4 {
        let letter = call("send_letter", number, b"to the bank");
        assert_eq!(code(ask(&session, &letter).await), "APPROVAL_REFUSED");
    }
    assert_eq!(payments.approvals().await.unwrap(), vec![]);
    world.verify().await;
}

#[tokio::test]
async fn a_yes_lifts_only_what_had_asked_and_runs_out() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    let letter = call("send_letter", 1, b"to the bank");
    assert!(waits(&ask(&session, &letter).await));
    answers(&world, 3, Answer::Approve).await;
    // The operator let it go on under stricter rules meanwhile.
    let stricter = under(&world, 4, NO_LETTERS);
    stricter.accept_policies(session.session(), "olga").await.unwrap();
    let under_them = stricter.resume_session(session.session(), Default::default()).await.unwrap();
    assert_eq!(code(ask(&under_them, &letter).await), "LETTERS");
    world.verify().await;

    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    assert!(waits(&ask(&session, &letter).await));
    answers(&world, 3, Answer::Approve).await;
    world.advance_s(session.mandate().await.unwrap().approval_s_max + 1);
    assert!(waits(&ask(&session, &letter).await), "a yes that ran out is asked for anew");
    world.verify().await;
}

#[tokio::test]
async fn no_call_is_allowed_while_the_session_or_one_above_it_stands_still() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let parent = reviewing(&world, &payments).await;
    let mandate = parent.mandate().await.unwrap().child("scout");
    let child = parent.delegate(mandate, SessionHooks::default()).await.unwrap();
    let free = call("read_letter", 1, b"x");
    let decide = async |purse: &SessionPurse| {
        let decision = purse.decide(&free).await.unwrap();
        let code = decision.reasons.first().map(|reason| reason.code.to_string());
        (decision.verdict == Verdict::Allow, code)
    };
    let refused = |code: &str| (false, Some(code.to_owned()));
    assert_eq!((decide(&parent).await, decide(&child).await), ((true, None), (true, None)));
    parent.freeze("look first").await.unwrap();
    assert_eq!((decide(&parent).await, decide(&child).await), (refused("FROZEN"), refused("FROZEN")));
    parent.thaw("ada").await.unwrap();
    child.freeze("look first").await.unwrap();
    assert_eq!((decide(&parent).await, decide(&child).await), ((true, None), refused("FROZEN")));
    child.thaw("ada").await.unwrap();
    assert_eq!(decide(&child).await, (true, None));
    let soon = world.now().plus_ms(60_000);
    let short = Mandate { expires_at: Some(soon), ..parent.mandate().await.unwrap().child("scout") };
    let short = parent.delegate(short, SessionHooks::default()).await.unwrap();
    assert_eq!(decide(&short).await, (true, None));
    world.advance_s(61);
    assert_eq!((decide(&short).await, decide(&child).await), (refused("MANDATE_EXPIRED"), (true, None)));
    parent.revoke("ada").await.unwrap();
    let revoked = refused("MANDATE_REVOKED");
    assert_eq!((decide(&parent).await, decide(&child).await), (revoked.clone(), revoked));
    world.verify().await;
}

#[tokio::test]
async fn a_yes_from_before_a_freeze_holds_again_after_it_and_nobody_is_asked_twice() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    let letter = call("send_letter", 1, b"x");
    assert!(waits(&ask(&session, &letter).await));
    answers(&world, 3, Answer::Approve).await;
    assert!(allowed(&ask(&session, &letter).await), "the yes is used up by this call");
    session.freeze("look first").await.unwrap();
    assert_eq!(session.decide(&letter).await.unwrap().reasons[0].code, "FROZEN");
    assert_eq!(code(ask(&session, &letter).await), "FROZEN");
    session.thaw("ada").await.unwrap();
    assert_eq!(session.decide(&letter).await.unwrap().verdict, Verdict::Escalate);
    assert!(allowed(&ask(&session, &letter).await), "the same call, the same yes");
    assert_eq!(payments.approvals().await.unwrap(), vec![], "nobody was asked again");
    assert!(waits(&ask(&session, &call("send_letter", 2, b"x")).await), "another call is asked about");
    world.verify().await;
}

#[tokio::test]
async fn a_call_that_is_too_long_to_be_read_is_put_to_nobody() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    let shown = |chars: usize| "\u{e9}".repeat(chars);
    let asked = session.ask(&call("send_letter", 1, b"x"), &shown(2_001)).await.unwrap();
    assert_eq!(code(asked), "CALL_TOO_LONG");
    assert_eq!(payments.approvals().await.unwrap(), vec![]);
    let asked = session.ask(&call("send_letter", 1, b"x"), &shown(2_000)).await.unwrap();
    assert!(waits(&asked), "{asked:?}");
    let question = waiting(&payments).await.question;
    let whole = format!("{question:?}").matches('\u{e9}').count();
    assert!(whole >= 2_000, "a person reads all of it: {whole}");
    world.verify().await;
}

#[tokio::test]
async fn nobody_is_asked_while_spending_stands_still() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    session.freeze("look first").await.unwrap();
    assert_eq!(code(ask(&session, &call("send_letter", 1, b"x")).await), "FROZEN");
    assert_eq!(payments.approvals().await.unwrap(), vec![]);
}

/// Says yes to each of two questions once both were put.
#[derive(Debug)]
struct YesToBoth(Barrier);

#[async_trait::async_trait]
impl Approver for YesToBoth {
    fn name(&self) -> &'static str {
        "the person at the terminal"
    }

    async fn answer(&self, _: &ApprovalTicket) -> ApprovalAnswer {
        self.0.wait().await;
        ApprovalAnswer::Approved
    }
}

#[tokio::test]
async fn one_call_that_is_asked_about_with_two_arguments_at_once_is_allowed_once() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let approver: Option<Arc<dyn Approver>> = Some(Arc::new(YesToBoth(Barrier::new(2))));
    let hooks = SessionHooks { approver, ..SessionHooks::default() };
    let session = payments.open_session(world.mandate(), hooks).await.unwrap();
    let (bank, press) = (call("send_letter", 1, b"to the bank"), call("send_letter", 1, b"to the press"));
    let (one, other) = tokio::join!(ask(&session, &bank), ask(&session, &press));
    let (used, refused) = if allowed(&one) { (bank, other) } else { (press, one) };
    assert_eq!(code(refused), "APPROVAL_EXPIRED");
    assert!(allowed(&ask(&session, &used).await), "the session goes on, and the yes that was used stands");
    let later = under(&world, 4, LETTERS);
    let again = later.resume_session(session.session(), SessionHooks::default()).await.unwrap();
    assert!(allowed(&ask(&again, &used).await), "its records fold for another process");
    world.verify().await;
}

#[tokio::test]
async fn a_yes_that_a_call_used_ends_when_it_was_said_to() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    let letter = call("send_letter", 1, b"to the bank");
    assert!(waits(&ask(&session, &letter).await));
    answers(&world, 3, Answer::Approve).await;
    assert!(allowed(&ask(&session, &letter).await));
    world.advance_s(session.mandate().await.unwrap().approval_s_max + 1);
    assert_eq!(code(ask(&session, &letter).await), "APPROVAL_EXPIRED");
    assert!(waits(&ask(&session, &call("send_letter", 2, b"to the bank")).await), "another call asks anew");
    world.verify().await;
}

#[tokio::test]
async fn a_person_reads_arguments_to_their_end_however_they_are_escaped() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let session = reviewing(&world, &payments).await;
    // As it is shown, each is longer than a person is shown of a call.
    for (text, times) in [("\n", 700), ("\\", 1_000), ("\u{202e}", 300)] {
        let long = format!("{}END", text.repeat(times));
        let asked = session.ask(&call("send_letter", 1, b"x"), &long).await.unwrap();
        assert_eq!(code(asked), "CALL_TOO_LONG", "{text:?}");
    }
    let long = format!("{}\u{202e}END", "\\".repeat(990));
    assert!(waits(&session.ask(&call("send_letter", 1, b"x"), &long).await.unwrap()));
    let shown = waiting(&payments).await.question.shown(&AssetRegistry::pinned(), &[]);
    let whole = format!("{}\\u{{202e}}END", "\\".repeat(1_980));
    assert!(shown.ends_with(&whole), "{shown}");
    world.verify().await;
}

#[tokio::test]
async fn a_session_that_cannot_be_read_hides_no_question_of_another() {
    let world = World::new().await;
    let payments = under(&world, 2, LETTERS);
    let (broken, sound) = (reviewing(&world, &payments).await, reviewing(&world, &payments).await);
    let letter = call("send_letter", 1, b"x");
    assert!(waits(&ask(&broken, &letter).await) && waits(&ask(&sound, &letter).await));
    let open = payments.approvals().await.unwrap();
    let asked = open.iter().find(|open| open.question.session == broken.session()).unwrap();
    let cause = Cause { run: letter.run, call: letter.call };
    let event = SessionEvent::ApprovalUsed { approval: asked.question.id, cause };
    let mut transaction = Transaction::default();
    SealedEvent::new(
        StreamId::of("session", broken.session()),
        "approval.used",
        [],
        &event,
        &SeededEntropy::new(7),
    )
    .unwrap()
    .add_to(&mut transaction);
    world.ledger.commit(transaction).await.unwrap();
    assert_eq!(waiting(&payments).await.question.session, sound.session());
    answers(&world, 3, Answer::Approve).await;
    assert!(allowed(&ask(&sound, &letter).await));
}
