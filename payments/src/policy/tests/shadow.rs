//! Rules that are tried out: decided, and not enforced.

use super::*;
use Verdict::{Allow, Deny, Escalate};

const NEW_VENDOR: &str = r#"@id("mine.new-vendor") @escalate("never bought here: go on?")
    forbid (principal, action == Action::"pay", resource) when { context.first_time_vendor };"#;
const SMALL: &str = r#"@id("mine.small") forbid (principal, action == Action::"pay", resource)
    when { context.micro_usd > 5000 };"#;

#[test]
fn what_is_tried_out_is_told_and_not_enforced() {
    let policy = Policy::load(&[file("small.cedar", SMALL), file("new.cedar", NEW_VENDOR).shadow()]).unwrap();
    let cheap = pay(|facts| facts.micro_usd = 5_000);
    let weighed = policy.weigh(&cheap, &[], Enforce::Rules);
    check(&weighed.decision, Allow, &["pay.allow"], &[]);
    assert_eq!(weighed.decision, policy.decide(&cheap, &[]));
    check(&weighed.shadow.unwrap(), Escalate, &["mine.new-vendor"], &["MINE_NEW_VENDOR"]);
    // What is enforced beside it is enforced.
    let weighed = policy.weigh(&pay(|_| ()), &[], Enforce::Rules);
    check(&weighed.decision, Deny, &["mine.small"], &["MINE_SMALL"]);
    assert_eq!(weighed.shadow.unwrap().rules, ids(&["mine.new-vendor", "mine.small"]));
}

#[test]
fn with_the_floor_alone_everything_of_the_users_is_tried_out() {
    let policy = Policy::load(&[file("small.cedar", SMALL)]).unwrap();
    let weighed = policy.weigh(&pay(|_| ()), &[], Enforce::FloorOnly);
    check(&weighed.decision, Allow, &["pay.allow"], &[]);
    check(&weighed.shadow.unwrap(), Deny, &["mine.small"], &["MINE_SMALL"]);
    let weighed = policy.weigh(&pay(|facts| facts.covered = false), &[], Enforce::FloorOnly);
    check(&weighed.decision, Deny, &["pay.not-covered"], &["NOT_COVERED"]);
    assert_eq!(policy.weigh(&pay(|_| ()), &[], Enforce::Rules).shadow, None);
    assert_eq!(Policy::shipped().unwrap().weigh(&pay(|_| ()), &[], Enforce::FloorOnly).shadow, None);
}

#[test]
fn a_permit_that_is_tried_out_permits_nothing() {
    let files = [file("open.cedar", r#"@id("open") permit (principal, action, resource);"#).shadow()];
    let (policy, shipped) = (Policy::load(&files).unwrap(), Policy::shipped().unwrap());
    for case in cases::all() {
        assert_eq!(policy.decide(&case.facts, &[]), shipped.decide(&case.facts, &[]), "{}", case.says);
    }
}

#[test]
fn the_shipped_floor_cannot_be_in_shadow() {
    let error = Policy::load(&[file("pay.cedar", SMALL).shadow()]).unwrap_err();
    assert_eq!((error.code(), error.file()), ("POLICY_SHADOWED_FLOOR", Some("pay.cedar")));
}

#[test]
fn a_file_that_is_tried_out_is_pinned_as_such() {
    let digests = |file| Policy::load(&[file]).unwrap().digests();
    let (enforced, tried) = (digests(file("a.cedar", SMALL)), digests(file("a.cedar", SMALL).shadow()));
    assert_eq!(enforced.first().map(|(name, _)| name.as_str()), Some("a.cedar"));
    assert_eq!(tried.last().map(|(name, _)| name.as_str()), Some("shadow:a.cedar"));
    let both = [file("a.cedar", SMALL), file("a.cedar", NEW_VENDOR).shadow()];
    assert!(matches!(Policy::load(&both), Err(PolicyError::DuplicateFile { .. })));
}
