//! Whatever the facts are.

use super::any::facts;
use super::reference::Reference;
use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

const EXTRA: &str = r#"
    @id("mine.overflow") forbid (principal, action == Action::"pay", resource)
    when { context.micro_usd * 1000000000000 > 9000000000000000000 };
    @id("mine.new-vendor") @escalate("never bought here: go on?") forbid (principal, action == Action::"pay", resource)
    when { context.first_time_vendor };
    @id("mine.role") @escalate("sure?") forbid (principal, action in [Action::"plan", Action::"call"], resource)
    unless { principal in Role::"research" };
    @id("mine.everything") permit (principal, action, resource) unless { principal.user == User::"" };
"#;

static BOTH: LazyLock<(Policy, Policy, Reference)> = LazyLock::new(|| {
    let files = [file("mine.cedar", EXTRA)];
    (Policy::load(&files).unwrap(), Policy::load(&files).unwrap(), Reference::new(&files))
});

/// The same with every optional rule beside them.
static NARROWER: LazyLock<Policy> = LazyLock::new(|| {
    let optional = PolicyFile::bundled_names().map(|name| PolicyFile::bundled(name).unwrap());
    Policy::load(&optional.chain([file("mine.cedar", EXTRA)]).collect::<Vec<_>>()).unwrap()
});

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Deny => 0,
        Verdict::Escalate => 1,
        Verdict::Allow => 2,
    }
}

fn approved() -> impl Strategy<Value = Vec<String>> {
    let id = prop::sample::select(vec![
        "plan.ask",
        "plan.above-threshold",
        "mine.new-vendor",
        "mine.role",
        "mine.overflow",
        "pay.not-covered",
        "pay.allow",
        "",
    ]);
    prop::collection::vec(id.prop_map(str::to_owned), 0..5)
}

proptest! {
    #[test]
    fn facts_are_read_back_as_they_were_written(facts in facts()) {
        // What has no canonical bytes is denied, and journaled as text.
        if let Ok(written) = bursar_types::canonical_bytes(&facts) {
            prop_assert_eq!(serde_json::from_slice::<Facts>(&written).unwrap(), facts);
        }
    }

    #[test]
    fn the_answer_depends_on_its_inputs_alone(facts in facts(), approved in approved()) {
        let (policy, again, reference) = &*BOTH;
        let decision = policy.decide(&facts, &approved);
        prop_assert_eq!(&decision, &policy.decide(&facts, &approved));
        prop_assert_eq!(&decision, &again.decide(&facts, &approved));
        match reference.decide(&facts, &approved) {
            Some(expected) => prop_assert_eq!((decision.verdict, decision.rules), expected),
            None => prop_assert_eq!(codes(&decision), ["NUMBER_TOO_LARGE"]),
        }
    }

    #[test]
    fn an_approval_lifts_questions_only(facts in facts(), approved in approved()) {
        let (policy, _, _) = &*BOTH;
        let (before, after) = (policy.decide(&facts, &[]), policy.decide(&facts, &approved));
        match before.verdict {
            Verdict::Allow => prop_assert_eq!(before, after),
            Verdict::Deny => prop_assert_eq!(after.verdict, Verdict::Deny),
            Verdict::Escalate => {
                let left: Vec<_> = before.rules.iter().filter(|id| !approved.contains(id)).cloned().collect();
                if left.is_empty() {
                    prop_assert_eq!(after.verdict, Verdict::Allow);
                } else {
                    prop_assert_eq!((after.verdict, after.rules), (Verdict::Escalate, left));
                }
            }
        }
    }

    #[test]
    fn more_forbids_only_narrow(facts in facts(), approved in approved()) {
        let (policy, narrower) = (&BOTH.0, &*NARROWER);
        let (before, after) = (policy.decide(&facts, &approved), narrower.decide(&facts, &approved));
        prop_assert!(rank(after.verdict) <= rank(before.verdict), "{} became {}", before, after);
    }

    #[test]
    fn only_an_allow_comes_without_reasons(facts in facts()) {
        let decision = BOTH.0.decide(&facts, &[]);
        prop_assert_eq!(decision.verdict == Verdict::Allow, decision.reasons.is_empty());
        prop_assert!(decision.rules.is_sorted());
    }
}
