//! Every small saga with every crash: sagas of up to six steps, a failure at each step, a crash before, after and in the
//! middle of each durable write and each effect, and a second failure while they are taken back. FM2-01, FM2-06, FM2-07.

use crate::pure_world::{Cut, PureWorld, Trouble, at_once};
use bursar_payments::{
    OnFailure, SagaDriver, SagaEnd, SagaError, SagaEvent, SagaId, SagaPhase, SagaReport, SagaState,
    StepFailure, StepTerms, Undo, UndoState,
};
use bursar_types::{Digest, PaymentId, PurchaseKey, SessionId, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// More lives than any saga of these worlds needs: whatever has not ended by then hangs.
const LIVES: u32 = 40;

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has no effects.
    Free,
    /// It has an effect and a compensation.
    Effect,
    /// The same, and it may run again.
    Repeatable,
    /// It buys.
    Paid,
}

/// What goes wrong in the saga itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// This step fails; an odd one after it had its effect.
    At(usize),
    /// Every step is done, and what they were for fails.
    AfterAll,
    /// Nothing.
    Never,
}

/// Who goes on after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The same program, by the saga's name.
    Resumes,
    /// Recovery in another process, from the journal alone.
    Recovers,
}

#[derive(Debug, Clone)]
struct Scenario {
    kinds: Vec<Kind>,
    failure: Failure,
    trouble: Trouble,
    next: Next,
}

fn name(at: usize) -> String {
    format!("step {at}")
}

fn terms(saga: SagaId, at: usize, kind: Kind) -> StepTerms {
    let undo = || Undo::by("undo", json!({ "step": at }));
    match kind {
        Kind::Free => StepTerms::Free { undo: Undo::nothing() },
        Kind::Effect => StepTerms::Free { undo: undo() },
        Kind::Repeatable => StepTerms::Free { undo: undo().may_run_again() },
        Kind::Paid => StepTerms::Paid {
            payment: PaymentId::derived(&[&[u8::try_from(at).unwrap()]]),
            key: PurchaseKey::new(format!("{saga}/{at}")).unwrap(),
            request: Digest::of(name(at).as_bytes()),
            on_failure: OnFailure::AskBack,
        },
    }
}

fn id() -> SagaId {
    SagaId::derived(&[b"small world"])
}

fn opened() -> SagaEvent {
    SagaEvent::Opened {
        session: SessionId::derived(&[b"small world"]),
        name: "small world".to_owned(),
        owner: "ada".to_owned(),
        deadline: Timestamp::from_unix_ms(DAY_MS),
    }
}

/// The program: its steps, then the end that its caller gives it.
fn program(world: &PureWorld, scenario: &Scenario) -> Result<SagaReport, SagaError> {
    at_once(async {
        let mut saga = SagaDriver::open(world.clone(), id(), opened()).await?;
        for (at, kind) in scenario.kinds.iter().copied().enumerate() {
            let fails = scenario.failure == Failure::At(at);
            let ran = saga
                .step(&name(at), terms(id(), at, kind), || async {
                    if fails && at % 2 == 0 {
                        return Err(StepFailure::without_effects("it fails"));
                    }
                    world.effect(&name(at), kind != Kind::Effect)?;
                    if fails { Err(StepFailure::new("it fails after its effect")) } else { Ok(at) }
                })
                .await;
            match ran {
                Ok(gave) => assert_eq!(gave, at, "a step gives what it gave"),
                Err(SagaError::Unwinds(report)) => return Ok(*report),
                Err(_) if world.is_dead() => return Err(SagaError::Fenced),
                // Also a write that failed without the process dying: the failure is reported, as a program would.
                Err(error) => return saga.unwind(&error.to_string()).await,
            }
        }
        match scenario.failure {
            Failure::Never => match saga.complete().await {
                // It may be written or not: asked again, it says so.
                Err(SagaError::Ledger(_)) if !world.is_dead() => saga.complete().await,
                ended => ended,
            },
            // The failure is reported five times.
            Failure::AfterAll | Failure::At(_) => {
                let mut report = saga.unwind("the analysis failed").await?;
                for _ in 0..4 {
                    report = saga.unwind("the analysis failed").await?;
                }
                Ok(report)
            }
        }
    })
}

fn recovery(world: &PureWorld) -> Result<SagaReport, SagaError> {
    at_once(async {
        match SagaDriver::take_up(world.clone(), id()).await? {
            Some(mut saga) => saga.go_on().await,
            // It died before the saga was opened: there is nothing to take up, so the program is started again.
            None => Err(SagaError::Name),
        }
    })
}

/// Lives a saga to its end.
fn live(scenario: &Scenario) -> (PureWorld, SagaReport) {
    let world = PureWorld::new(scenario.trouble.clone());
    let mut ran = program(&world, scenario);
    for _ in 0..LIVES {
        if let Ok(report) = &ran
            && matches!(report.end, SagaEnd::Completed | SagaEnd::Compensated | SagaEnd::Parked)
        {
            return (world, ran.unwrap());
        }
        world.reborn(HOUR_MS);
        ran = match scenario.next {
            Next::Resumes => program(&world, scenario),
            Next::Recovers => match recovery(&world) {
                Err(SagaError::Name) => program(&world, scenario),
                found => found,
            },
        };
    }
    panic!("it hangs: {scenario:?}\n{:?}\n{:#?}", ran, world.events());
}

fn check(scenario: &Scenario, as_kept: bool) -> PureWorld {
    let (world, report) = live(scenario);
    let events = world.events();
    let state = replayed(&events, as_kept);
    assert_eq!(SagaReport::of(&state), report, "{scenario:?}: replay gives another saga");
    let failed = scenario.failure != Failure::Never;
    let completed = report.end == SagaEnd::Completed;
    assert!(!(failed && completed), "{scenario:?}: done after a failure");
    let mut begun = Vec::new();
    for event in &events {
        if let SagaEvent::UndoStarted { step, .. } = event
            && begun.last() != Some(step)
        {
            begun.push(step.clone());
        }
    }
    let mut backwards: Vec<_> = state.steps.iter().map(|step| step.name.clone()).collect();
    backwards.reverse();
    backwards.retain(|step| begun.contains(step));
    assert_eq!(begun, backwards, "{scenario:?}: not taken back in reverse, or one twice");
    for (at, kind) in scenario.kinds.iter().copied().enumerate() {
        let step = name(at);
        let effects = world.effects(&step);
        assert!(effects <= 1, "{scenario:?}: `{step}` had its effect {effects} times");
        let undone = world.undone(&step);
        assert!(undone.len() <= 1, "{scenario:?}: `{step}` was taken back under {undone:?}");
        if completed {
            assert_eq!((effects, undone.len()), (1, 0), "{scenario:?}: `{step}` of a completed saga");
        } else if effects == 1 && kind != Kind::Free {
            let known = &state.step(&step).expect("a step with an effect was recorded").undo;
            let over = matches!(known, UndoState::Over(_)) && undone.len() == 1;
            let parked = matches!(known, UndoState::Parked { .. });
            assert!(over || parked, "{scenario:?}: `{step}` is lost from sight: {known:?}");
        }
    }
    let parked = state.parked().count();
    assert_eq!(report.end == SagaEnd::Parked, parked > 0, "{scenario:?}: {report}");
    assert_eq!(report.at_risk().count(), parked, "{scenario:?}");
    assert!(!matches!(state.phase, SagaPhase::Unwinding { .. } | SagaPhase::Running));
    world
}

/// Folds the events, on request as they are kept.
fn replayed(events: &[SagaEvent], as_kept: bool) -> SagaState {
    let mut state = None;
    for event in events.iter().cloned() {
        let event = match as_kept {
            true => serde_json::from_slice(&serde_json::to_vec(&event).unwrap()).unwrap(),
            false => event,
        };
        state = Some(SagaState::apply(id(), state, event).unwrap());
    }
    state.unwrap()
}

/// Every chain of one and of two steps, and of the longer ones those that begin with each kind and go on in turn.
fn chains() -> Vec<Vec<Kind>> {
    const KINDS: [Kind; 4] = [Kind::Free, Kind::Effect, Kind::Repeatable, Kind::Paid];
    let mut chains: Vec<Vec<Kind>> = KINDS.iter().map(|kind| vec![*kind]).collect();
    for first in KINDS {
        chains.extend(KINDS.iter().map(|second| vec![first, *second]));
    }
    for length in 3..=6 {
        for first in 0..KINDS.len() {
            chains.push((0..length).map(|at| KINDS[(first + at) % KINDS.len()]).collect());
        }
    }
    chains
}

/// How the second failure goes: what else is in the way while the saga is taken back.
fn second(first: (usize, Cut), steps: usize) -> Vec<Trouble> {
    let cuts = |more: &[(usize, Cut)]| [first].into_iter().chain(more.iter().copied()).collect::<Vec<_>>();
    let last = name(steps - 1);
    vec![
        Trouble { cuts: cuts(&[]), ..Trouble::default() },
        Trouble { cuts: cuts(&[(first.0 + 2, Cut::After)]), ..Trouble::default() },
        Trouble { cuts: cuts(&[]), fails_once: Some(last.clone()), ..Trouble::default() },
        Trouble { cuts: cuts(&[(first.0 + 1, Cut::Before)]), fails_always: Some(last), ..Trouble::default() },
    ]
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is part of what the test says")]
fn every_small_saga_ends_done_taken_back_or_parked_whatever_crashes() {
    let (mut lived, mut seen) = (0_u32, BTreeSet::new());
    let mut try_one = |scenario: Scenario| {
        let world = check(&scenario, lived % 8 == 0);
        lived += 1;
        let kinds: Vec<_> = scenario.kinds.iter().map(|kind| *kind as u8).collect();
        seen.insert((kinds, world.trace()));
        world.cuts_left() == 0
    };
    for (number, kinds) in chains().into_iter().enumerate() {
        let failures = (0..kinds.len()).map(Failure::At).chain([Failure::AfterAll, Failure::Never]);
        for (which, failure) in failures.enumerate() {
            let next = if (number + which) % 2 == 0 { Next::Resumes } else { Next::Recovers };
            let scenario = |trouble| Scenario { kinds: kinds.clone(), failure, trouble, next };
            try_one(scenario(Trouble::default()));
            for point in 0.. {
                let mut reached = false;
                for (turn, cut) in [Cut::Before, Cut::After, Cut::Torn].into_iter().enumerate() {
                    // A single step meets every second failure at every point, a chain each of them in turn.
                    for (at, trouble) in second((point, cut), kinds.len()).into_iter().enumerate() {
                        if kinds.len() == 1 || at == (point + which + turn) % 4 {
                            reached |= try_one(scenario(trouble));
                        }
                    }
                }
                if !reached {
                    break;
                }
            }
        }
    }
    println!("{lived} small worlds lived, {} of them different", seen.len());
    assert!(seen.len() >= 5_000, "only {} different interleavings", seen.len());
}
