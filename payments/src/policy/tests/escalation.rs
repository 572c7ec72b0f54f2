//! What a person may lift, and what nobody may.

use super::*;
use Verdict::{Allow, Deny, Escalate};

/// Approved rules; then the verdict, its rules and its codes.
type Row = (&'static [&'static str], Verdict, &'static [&'static str], &'static [&'static str]);

/// Asked about twice: by the mandate, and for its size.
fn large_asked() -> Facts {
    plan(|facts| {
        facts.approval = "ask".into();
        facts.total_micro_usd = 50_001;
    })
}

#[test]
fn approving_one_question_asks_the_other() {
    let policy = Policy::shipped().unwrap();
    let facts = large_asked();
    let rows: &[Row] = &[
        (
            &[],
            Escalate,
            &["plan.above-threshold", "plan.ask"],
            &["PLAN_ABOVE_THRESHOLD", "PLAN_NEEDS_APPROVAL"],
        ),
        (&["plan.ask"], Escalate, &["plan.above-threshold"], &["PLAN_ABOVE_THRESHOLD"]),
        (&["plan.above-threshold"], Escalate, &["plan.ask"], &["PLAN_NEEDS_APPROVAL"]),
        (&["plan.ask", "plan.above-threshold"], Allow, &["plan.allow"], &[]),
        (
            &["plan.ask", "plan.ask", "no.such-rule"],
            Escalate,
            &["plan.above-threshold"],
            &["PLAN_ABOVE_THRESHOLD"],
        ),
    ];
    for (approved, verdict, rules, codes) in rows {
        check(&policy.decide(&facts, &ids(approved)), *verdict, rules, codes);
    }
}

#[test]
fn an_approval_of_everything_lifts_no_plain_forbid() {
    let policy = Policy::shipped().unwrap();
    let everything: Vec<_> = policy.rules().map(|rule| rule.id).collect();
    for case in cases::all() {
        let decision = policy.decide(&case.facts, &everything);
        match case.verdict {
            Allow => assert_eq!(decision, policy.decide(&case.facts, &[]), "{}", case.says),
            Escalate => assert_eq!(decision.verdict, Allow, "{}", case.says),
            Deny => assert_eq!(decision.verdict, Deny, "{}", case.says),
        }
    }
}

#[test]
fn a_plain_forbid_beside_an_approved_one_denies_alone() {
    let facts = plan(|facts| {
        facts.approval = "ask".into();
        facts.live = true;
    });
    let policy = Policy::shipped().unwrap();
    check(
        &policy.decide(&facts, &[]),
        Deny,
        &["plan.ask", "plan.live-off"],
        &["PLAN_NEEDS_APPROVAL", "LIVE_SWITCHED_OFF"],
    );
    check(&policy.decide(&facts, &ids(&["plan.ask"])), Deny, &["plan.live-off"], &["LIVE_SWITCHED_OFF"]);
}

#[test]
fn a_new_question_asks_again() {
    let policy = Policy::shipped().unwrap();
    let approved = ids(&["plan.ask"]);
    let asked = plan(|facts| facts.approval = "ask".into());
    check(&policy.decide(&asked, &approved), Allow, &["plan.allow"], &[]);
    check(
        &policy.decide(&large_asked(), &approved),
        Escalate,
        &["plan.above-threshold"],
        &["PLAN_ABOVE_THRESHOLD"],
    );
}

#[test]
fn an_approval_does_not_stand_in_for_a_permit() {
    // Only the user's file: nothing permits a payment, and one rule would ask about it.
    let text = r#"@id("mine.ask") @escalate("pay?") forbid (principal, action == Action::"pay", resource);"#;
    let policy = Policy::build([("mine.cedar", text)].into_iter()).unwrap();
    let facts = pay(|_| ());
    check(&policy.decide(&facts, &[]), Deny, &["mine.ask"], &["MINE_ASK", "NO_RULE_ALLOWS"]);
    check(&policy.decide(&facts, &ids(&["mine.ask"])), Deny, &[], &["NO_RULE_ALLOWS"]);
}

#[test]
fn a_question_is_put_in_the_words_of_its_rule() {
    let policy = with(
        r#"@id("mine.new-vendor") @escalate("never bought here: go on?") @advice("wait")
           forbid (principal, action == Action::"pay", resource) when { context.first_time_vendor };"#,
    );
    let decision = policy.decide(&pay(|_| ()), &[]);
    check(&decision, Escalate, &["mine.new-vendor"], &["MINE_NEW_VENDOR"]);
    assert_eq!(decision.to_string(), "needs approval: never bought here: go on? (MINE_NEW_VENDOR); wait");
    // Beside a plain forbid it is no question any more, and waiting would be bad advice.
    let decision = policy.decide(&pay(|facts| facts.mandate_expired = true), &[]);
    check(
        &decision,
        Deny,
        &["mine.new-vendor", "pay.mandate-expired"],
        &["MINE_NEW_VENDOR", "MANDATE_EXPIRED"],
    );
    assert_ne!(decision.reasons[0].next_step, "wait");
}

#[test]
fn an_escalation_lists_the_reasons_in_the_order_of_its_rules() {
    let decision = Policy::shipped().unwrap().decide(&large_asked(), &[]);
    assert_eq!(decision.rules.len(), decision.reasons.len());
    assert!(decision.rules.is_sorted());
}
