//! The files that ship.

use super::reference::Reference;
use super::*;
use crate::policy::load::{SCHEMA, SHIPPED};
use crate::policy::question::Vocabulary;
use bursar_types::canonical_digest;
use cedar_policy::{Entities, PolicySet, Request, Schema};
use std::str::FromStr as _;

const PERMIT_EVERYTHING: &str = r#"@id("mine.everything") permit (principal, action, resource);"#;

#[test]
fn the_shipped_rules_say_what_the_table_says() {
    let policy = Policy::shipped().unwrap();
    for case in cases::all() {
        let decision = policy.decide(&case.facts, &[]);
        assert_eq!(
            (decision.verdict, decision.rules.clone(), codes(&decision)),
            (case.verdict, ids(case.rules), case.codes.to_vec()),
            "{}: {decision}",
            case.says
        );
        assert_eq!(decision.facts, canonical_digest(&case.facts).unwrap(), "{}", case.says);
    }
}

#[test]
fn every_shipped_rule_decides_some_case_alone() {
    let cases = cases::all();
    for rule in Policy::shipped().unwrap().rules() {
        let alone = cases.iter().find(|case| case.rules == [rule.id.as_str()]);
        let verdict = alone.map(|case| case.verdict);
        let expected = match (rule.effect, &rule.escalate) {
            (RuleEffect::Permit, _) => Verdict::Allow,
            (RuleEffect::Forbid, Some(_)) => Verdict::Escalate,
            (RuleEffect::Forbid, None) => Verdict::Deny,
        };
        assert_eq!(verdict, Some(expected), "rule `{}` decides no case alone", rule.id);
    }
}

/// The shipped files and one that permits everything, without one rule.
fn open_without(removed: &str) -> Policy {
    let files: Vec<(&str, String)> = SHIPPED
        .into_iter()
        .chain([("mine.cedar", PERMIT_EVERYTHING)])
        .map(|(name, text)| {
            let rest = PolicySet::from_str(text)
                .unwrap()
                .policies()
                .filter(|policy| policy.annotation("id") != Some(removed))
                .map(|policy| policy.to_cedar().unwrap())
                .collect::<Vec<_>>()
                .join("\n");
            (name, rest)
        })
        .collect();
    Policy::build(files.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
}

#[test]
fn a_user_that_permits_everything_lifts_no_shipped_forbid() {
    let policy = with(PERMIT_EVERYTHING);
    for case in cases::all() {
        assert_eq!(policy.decide(&case.facts, &[]).verdict, case.verdict, "{}", case.says);
    }
}

#[test]
fn without_any_one_shipped_forbid_something_more_is_allowed() {
    let cases = cases::all();
    for rule in Policy::shipped().unwrap().rules().filter(|rule| rule.effect == RuleEffect::Forbid) {
        let policy = open_without(&rule.id);
        let opened = cases.iter().any(|case| {
            case.verdict != Verdict::Allow && policy.decide(&case.facts, &[]).verdict == Verdict::Allow
        });
        assert!(opened, "no case notices that rule `{}` is gone", rule.id);
    }
}

#[test]
fn without_any_one_shipped_permit_something_is_no_longer_allowed() {
    let cases = cases::all();
    for rule in Policy::shipped().unwrap().rules().filter(|rule| rule.effect == RuleEffect::Permit) {
        let policy = open_without(&rule.id);
        let noticed = cases.iter().any(|case| !policy.decide(&case.facts, &[]).rules.contains(&rule.id));
        assert!(noticed && !policy.rules().any(|other| other.id == rule.id));
        // The permit-everything file stands in for it; without that file nothing allows the case.
        let alone = cases.iter().find(|case| case.rules == [rule.id.as_str()]).unwrap();
        let files = SHIPPED.iter().filter(|(name, _)| !rule.file.starts_with(name)).copied();
        check(
            &Policy::build(files).unwrap().decide(&alone.facts, &[]),
            Verdict::Deny,
            &[],
            &["NO_RULE_ALLOWS"],
        );
    }
}

#[test]
fn the_split_sets_answer_like_one_set_of_everything() {
    let extra = [
        vec![],
        vec![file("open.cedar", PERMIT_EVERYTHING)],
        vec![file(
            "mine.cedar",
            r#"@id("mine.overflow") forbid (principal, action == Action::"pay", resource)
               when { context.micro_usd * 9223372036854775807 > 0 };
               @id("mine.both") @escalate("sure?") forbid (principal, action in [Action::"plan", Action::"call"], resource)
               when { principal in Role::"research" };"#,
        )],
    ];
    let approvals = [
        ids(&[]),
        ids(&["plan.ask"]),
        ids(&["plan.ask", "plan.above-threshold", "mine.both"]),
        ids(&["pay.not-covered"]),
    ];
    for files in extra {
        let (policy, reference) = (Policy::load(&files).unwrap(), Reference::new(&files));
        for case in cases::all() {
            for approved in &approvals {
                let decision = policy.decide(&case.facts, approved);
                let expected = reference.decide(&case.facts, approved).unwrap();
                assert_eq!((decision.verdict, decision.rules), expected, "{} {approved:?}", case.says);
            }
        }
    }
}

#[test]
fn every_question_fits_the_schema() {
    let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    assert_eq!(warnings.count(), 0);
    assert!(schema.action_groups().next().is_none(), "the split by action assumes that there are no groups");
    let vocabulary = Vocabulary::new().unwrap();
    for case in cases::all() {
        let question = vocabulary.question(&case.facts).unwrap();
        Entities::from_entities(question.entities, Some(&schema)).unwrap();
        let request = question.request;
        Request::new(
            request.principal().unwrap().clone(),
            request.action().unwrap().clone(),
            request.resource().unwrap().clone(),
            request.context().unwrap().clone(),
            Some(&schema),
        )
        .unwrap();
    }
}

#[test]
fn every_shipped_rule_says_what_it_is_for() {
    let policy = Policy::shipped().unwrap();
    for rule in policy.rules() {
        assert!(
            !rule.doc.is_empty() && rule.id.starts_with(rule.file.trim_end_matches("cedar")),
            "{}",
            rule.id
        );
    }
    for case in cases::all() {
        for reason in policy.decide(&case.facts, &[]).reasons {
            // The texts that stand in where a rule says nothing.
            assert!(!reason.message.contains("forbids it"), "{}: {reason}", case.says);
            assert!(!reason.next_step.contains("about rule"), "{}: {reason}", case.says);
        }
    }
    let insecure = policy.rules().find(|rule| rule.id == "quote.insecure").unwrap();
    assert_eq!(
        insecure.doc,
        "Over plain HTTP anyone on the way can read the request and change the terms of the quote."
    );
    let flow = policy.rules().find(|rule| rule.id == "pay.flow").unwrap();
    assert_eq!(flow.doc.lines().count(), 2);
}

#[test]
fn the_codes_of_the_shipped_rules_are_stable() {
    let policy = Policy::shipped().unwrap();
    let codes: Vec<_> = policy.rules().filter_map(|rule| Some((rule.id, rule.code?))).collect();
    let expected = [
        ("pay.asset-unlisted", "ASSET_NOT_LISTED"),
        ("pay.flow", "FLOW_NOT_ALLOWED"),
        ("pay.insecure", "INSECURE_HOST"),
        ("pay.live-off", "LIVE_SWITCHED_OFF"),
        ("pay.mandate-expired", "MANDATE_EXPIRED"),
        ("pay.not-covered", "NOT_COVERED"),
        ("pay.outside-acquire", "OUTSIDE_ACQUIRE"),
        ("pay.over-budget", "BUDGET_EXCEEDED"),
        ("pay.over-payment-max", "PER_PAYMENT_CAP"),
        ("pay.recurring-not-approved", "RECURRING_NOT_IN_PLAN"),
        ("pay.review-threshold", "REVIEW_THRESHOLD"),
        ("pay.vendor-unknown-open", "VENDOR_OUTCOME_UNKNOWN"),
        ("pay.vendor-unlisted", "VENDOR_NOT_LISTED"),
        ("plan.above-threshold", "PLAN_ABOVE_THRESHOLD"),
        ("plan.ask", "PLAN_NEEDS_APPROVAL"),
        ("plan.asset-unlisted", "ASSET_NOT_LISTED"),
        ("plan.live-off", "LIVE_SWITCHED_OFF"),
        ("plan.never", "PLANS_SWITCHED_OFF"),
        ("plan.over-budget", "BUDGET_EXCEEDED"),
        ("plan.over-payment-max", "PER_PAYMENT_CAP"),
        ("plan.recurring", "RECURRING_COMMITMENT"),
        ("plan.review-threshold", "REVIEW_THRESHOLD"),
        ("plan.vendor-unlisted", "VENDOR_NOT_LISTED"),
        ("quote.insecure", "INSECURE_HOST"),
        ("quote.vendor-unlisted", "VENDOR_NOT_LISTED"),
    ]
    .map(|(id, code)| (id.to_owned(), code.to_owned()));
    assert_eq!(codes, expected);
}
