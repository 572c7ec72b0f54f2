//! What cannot be evaluated is denied.

use super::*;
use bursar_types::canonical_digest;

/// Overflows for every amount above one micro-USD.
const OVERFLOW: &str = "context.micro_usd * 9223372036854775807 > 0";

#[test]
fn a_rule_that_cannot_be_evaluated_denies_whatever_its_effect() {
    for effect in ["permit", "forbid", r#"@escalate("sure?") forbid"#] {
        let policy = with(&format!(
            r#"@id("mine.overflow") {effect} (principal, action == Action::"pay", resource) when {{ {OVERFLOW} }};"#
        ));
        for approved in [ids(&[]), ids(&["mine.overflow"])] {
            let decision = policy.decide(&pay(|facts| facts.micro_usd = 2), &approved);
            check(&decision, Verdict::Deny, &["mine.overflow"], &["POLICY_ERROR"]);
        }
        // It asks about payments only: nothing else is touched.
        check(&policy.decide(&quote(|_| ()), &[]), Verdict::Allow, &["quote.allow"], &[]);
    }
}

#[test]
fn the_same_rule_decides_where_it_can_be_evaluated() {
    let policy = with(&format!(
        r#"@id("mine.overflow") forbid (principal, action == Action::"pay", resource) when {{ {OVERFLOW} }};"#
    ));
    let decision = policy.decide(&pay(|facts| facts.micro_usd = 1), &[]);
    check(&decision, Verdict::Deny, &["mine.overflow"], &["MINE_OVERFLOW"]);
    check(&policy.decide(&pay(|facts| facts.micro_usd = 0), &[]), Verdict::Allow, &["pay.allow"], &[]);
}

#[test]
fn a_rule_about_an_entity_that_is_not_there_denies() {
    let policy = with(
        r#"@id("mine.ghost") forbid (principal, action == Action::"call", resource)
           when { Agent::"ghost".user == User::"u1" };"#,
    );
    check(&policy.decide(&call(|_| ()), &[]), Verdict::Deny, &["mine.ghost"], &["POLICY_ERROR"]);
}

#[test]
fn several_errors_are_told_in_the_order_of_their_rules() {
    let policy = with(&format!(
        r#"@id("mine.b") forbid (principal, action == Action::"pay", resource) when {{ {OVERFLOW} }};
           @id("mine.a") permit (principal, action == Action::"pay", resource) when {{ {OVERFLOW} }};"#
    ));
    let decision = policy.decide(&pay(|_| ()), &[]);
    check(&decision, Verdict::Deny, &["mine.a", "mine.b"], &["POLICY_ERROR", "POLICY_ERROR"]);
    assert!(decision.reasons[0].message.contains("`mine.a`"), "{decision}");
}

#[test]
fn numbers_that_do_not_fit_deny() {
    const LONG_MAX: u128 = i64::MAX as u128;
    // The largest number that the record of the decision can hold exactly.
    const SAFE_MAX: u128 = 9_007_199_254_740_991;
    let policy = with(r#"@id("mine.everything") permit (principal, action, resource);"#);
    let mut digests = Vec::new();
    for number in
        [SAFE_MAX + 1, LONG_MAX, LONG_MAX + 1, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX]
    {
        let small = u64::try_from(number).unwrap_or(u64::MAX);
        for facts in [
            pay(|facts| facts.micro_usd = number),
            pay(|facts| facts.budget_basis_points = small),
            plan(|facts| facts.total_micro_usd = number),
            plan(|facts| facts.ask_above_micro_usd = Some(number)),
            plan(|facts| facts.items = small),
        ] {
            let decision = policy.decide(&facts, &[]);
            check(&decision, Verdict::Deny, &[], &["NUMBER_TOO_LARGE"]);
            assert!(canonical_digest(&facts).is_err());
            digests.push((decision.facts, facts));
        }
    }
    for (index, (digest, facts)) in digests.iter().enumerate() {
        for (other, others) in &digests[index + 1..] {
            assert_eq!(digest == other, facts == others, "different facts have different digests");
        }
    }
    let decision = policy.decide(&pay(|facts| facts.micro_usd = SAFE_MAX), &[]);
    assert_eq!(decision.verdict, Verdict::Allow, "{decision}");
}

#[test]
fn nothing_is_allowed_without_a_rule() {
    let policy = Policy::build(std::iter::empty::<(&str, &str)>()).unwrap();
    for case in cases::all() {
        check(&policy.decide(&case.facts, &[]), Verdict::Deny, &[], &["NO_RULE_ALLOWS"]);
    }
}

#[test]
fn names_are_compared_as_they_are() {
    // Quotes, escapes and separators in hostile names reach no other entity.
    let policy = with(
        r#"@id("mine.no-shell") forbid (principal, action == Action::"call", resource == Tool::"shell");
           @id("mine.one-vendor") forbid (principal, action == Action::"pay", resource)
           when { resource.host == "evil.example" };
           @id("mine.role") forbid (principal in Role::"guest", action == Action::"call", resource);
           @id("mine.user") forbid (principal, action == Action::"call", resource) when { principal.user == User::"u2" };"#,
    );
    let rows = [
        (call(|f| f.tool = "shell".into()), &["mine.no-shell"][..]),
        (call(|f| f.tool = "shell\"".into()), &["call.spend"]),
        (call(|f| f.tool = "Tool::\"shell\"".into()), &["call.spend"]),
        (call(|f| f.tool = "SHELL".into()), &["call.spend"]),
        (call(|f| f.actor.role = "guest".into()), &["mine.role"]),
        (call(|f| f.actor.agent = "guest".into()), &["call.spend"]),
        (call(|f| f.actor.user = "u2".into()), &["mine.user"]),
        (call(|f| f.actor.agent = String::new()), &["call.spend"]),
        (pay(|f| f.host = "evil.example".into()), &["mine.one-vendor"]),
        (pay(|f| f.host = "evil.example\u{0}".into()), &["pay.allow"]),
    ];
    for (facts, rules) in rows {
        assert_eq!(policy.decide(&facts, &[]).rules, ids(rules), "{facts:?}");
    }
}
