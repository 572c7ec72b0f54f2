//! The optional rules, by the examples that their own files carry; and how examples are read.

use super::*;
use crate::policy::load::OPTIONAL;
use Verdict::{Allow, Deny, Escalate};

#[test]
fn every_optional_file_does_what_its_examples_say() {
    for (name, text) in OPTIONAL {
        let policy = Policy::load(&[PolicyFile::bundled(name).unwrap()]).unwrap();
        let examples = Example::read(text).unwrap();
        for example in &examples {
            let decision = example.decide(&policy);
            assert_eq!(decision.verdict, example.verdict, "{name}, line {}: {decision}", example.line);
        }
        // Every example of a file is its own: without the file each would be allowed.
        let shipped = Policy::shipped().unwrap();
        assert!(examples.iter().all(|example| example.decide(&shipped).verdict == Allow), "{name}");
    }
}

#[test]
fn every_optional_rule_has_an_example_that_only_it_refuses() {
    for (name, text) in OPTIONAL {
        let policy = Policy::load(&[PolicyFile::bundled(name).unwrap()]).unwrap();
        let examples = Example::read(text).unwrap();
        for rule in policy.rules().filter(|rule| rule.file == name) {
            let alone = |example: &Example| example.decide(&policy).rules == [rule.id.as_str()];
            let refused = examples.iter().filter(|example| example.verdict != Allow).any(alone);
            assert!(refused, "no example is refused by rule `{}` alone", rule.id);
            assert!(rule.effect == RuleEffect::Forbid && !rule.doc.is_empty(), "{}", rule.id);
            assert!(!rule.doc.contains("@example"), "{}", rule.doc);
        }
    }
}

#[test]
fn all_optional_files_hold_together() {
    let files: Vec<_> = PolicyFile::bundled_names().map(|name| PolicyFile::bundled(name).unwrap()).collect();
    let policy = Policy::load(&files).unwrap();
    let error = PolicyFile::bundled("bursar:no-such").unwrap_err();
    assert_eq!((error.code(), error.file()), ("POLICY_NOT_SHIPPED", None));
    assert_eq!(policy.digests().len(), SHIPPED_FILES + files.len());
}

const SHIPPED_FILES: usize = 4;

#[test]
fn an_example_changes_what_the_shipped_rules_allow() {
    let text = r#"
        // @example deny action=pay covered=false
        //   @example  escalate action=plan approval=ask  role="data entry" hosts=a.example,b.example
        // @example allow action=plan approval=ask approved=plan.ask
        // no @example allow
        // @example deny action=pay payment_max_micro_usd=9999
    "#;
    let policy = Policy::shipped().unwrap();
    let examples = Example::read(text).unwrap();
    assert_eq!(examples.iter().map(|example| example.line).collect::<Vec<_>>(), [2, 3, 4, 6]);
    assert_eq!(
        examples.iter().map(|example| example.verdict).collect::<Vec<_>>(),
        [Deny, Escalate, Allow, Deny]
    );
    for example in &examples {
        assert_eq!(example.decide(&policy).verdict, example.verdict, "{}", example.text);
    }
    let Facts::Plan(facts) = &examples[1].facts else { panic!("{examples:?}") };
    assert_eq!((facts.actor.role.as_str(), facts.hosts.len()), ("data entry", 2));
}

#[test]
fn an_example_that_means_nothing_is_refused_with_its_line() {
    for (example, says) in [
        ("", "begins with"),
        ("maybe action=pay", "begins with"),
        ("deny host=a.example", "names its `action`"),
        ("deny action=refund", "`refund` is no action"),
        ("deny action=pay mood=good", "`mood` is no fact of `pay`"),
        ("deny action=pay sums=1", "`sums` is no fact of `pay`"),
        ("deny action=pay actor/role=x", "is no fact of `pay`"),
        ("deny action=pay micro_usd=0.50", "whole number"),
        ("deny action=pay micro_usd=-1", "whole number"),
        ("deny action=pay covered=yes", "`true` or `false`"),
        ("deny action=pay client_data=true", "follows from `data`"),
        ("deny action=pay data=secret", "unknown variant"),
        ("deny action=pay host=", "it is empty"),
        ("deny action=pay host=\"a.example", "not closed"),
        ("deny action=pay covered", "is no fact"),
    ] {
        let error = Example::read(&format!("\n// @example {example}")).unwrap_err();
        assert!(error.line == 2 && error.to_string().contains(says), "{example}: {error}");
    }
}
