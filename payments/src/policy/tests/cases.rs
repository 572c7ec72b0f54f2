//! Facts and what the shipped rules say to them. Each refusal stands beside the neighbour that passes.

use super::*;
use Verdict::{Allow, Deny, Escalate};

/// A sentence, the facts, the verdict, the determining rules and the codes of the reasons.
pub(super) struct Case {
    pub(super) says: &'static str,
    pub(super) facts: Facts,
    pub(super) verdict: Verdict,
    pub(super) rules: &'static [&'static str],
    pub(super) codes: &'static [&'static str],
}

const fn case(
    says: &'static str,
    facts: Facts,
    verdict: Verdict,
    rules: &'static [&'static str],
    codes: &'static [&'static str],
) -> Case {
    Case { says, facts, verdict, rules, codes }
}

pub(super) fn all() -> Vec<Case> {
    [quotes(), plans(), payments(), calls()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn quotes() -> Vec<Case> {
    vec![
        case("a price may be asked over TLS", quote(|_| ()), Allow, &["quote.allow"], &[]),
        case("a price may be asked of this machine", quote(|f| f.local = true), Allow, &["quote.allow"], &[]),
        case("a price may be asked in every phase", quote(|f| f.phase = Phase::Produce), Allow, &["quote.allow"], &[]),
        case("nothing is asked in the clear", quote(|f| f.secure = false), Deny, &["quote.insecure"], &["INSECURE_HOST"]),
        case("a host the mandate does not list is not asked", quote(|f| f.vendor_listed = false), Deny, &["quote.vendor-unlisted"], &["VENDOR_NOT_LISTED"]),
        case("every reason is given", quote(|f| { f.secure = false; f.vendor_listed = false }), Deny, &["quote.insecure", "quote.vendor-unlisted"], &["INSECURE_HOST", "VENDOR_NOT_LISTED"]),
    ]
}

#[rustfmt::skip]
fn plans() -> Vec<Case> {
    vec![
        case("a plan passes by rule", plan(|_| ()), Allow, &["plan.allow"], &[]),
        case("a mandate that asks escalates", plan(|f| f.approval = "ask".into()), Escalate, &["plan.ask"], &["PLAN_NEEDS_APPROVAL"]),
        case("a plan at the threshold passes", plan(|f| f.total_micro_usd = 50_000), Allow, &["plan.allow"], &[]),
        case("a plan above the threshold escalates", plan(|f| f.total_micro_usd = 50_001), Escalate, &["plan.above-threshold"], &["PLAN_ABOVE_THRESHOLD"]),
        case("without a threshold a large plan passes", plan(|f| { f.total_micro_usd = 50_001; f.ask_above_micro_usd = None }), Allow, &["plan.allow"], &[]),
        case("a threshold of nothing asks about anything", plan(|f| { f.total_micro_usd = 1; f.ask_above_micro_usd = Some(0) }), Escalate, &["plan.above-threshold"], &["PLAN_ABOVE_THRESHOLD"]),
        case("two escalations are asked together", plan(|f| { f.approval = "ask".into(); f.total_micro_usd = 50_001 }), Escalate, &["plan.above-threshold", "plan.ask"], &["PLAN_ABOVE_THRESHOLD", "PLAN_NEEDS_APPROVAL"]),
        case("a dry run buys nothing", plan(|f| f.approval = "never".into()), Deny, &["plan.never"], &["PLANS_SWITCHED_OFF"]),
        case("an unknown word counts as never", plan(|f| f.approval = "RULE".into()), Deny, &["plan.never"], &["PLANS_SWITCHED_OFF"]),
        case("a vendor that is not listed spoils the plan", plan(|f| f.vendors_listed = false), Deny, &["plan.vendor-unlisted"], &["VENDOR_NOT_LISTED"]),
        case("an asset that is not named spoils the plan", plan(|f| f.assets_listed = false), Deny, &["plan.asset-unlisted"], &["ASSET_NOT_LISTED"]),
        case("real money waits for the switch", plan(|f| f.live = true), Deny, &["plan.live-off"], &["LIVE_SWITCHED_OFF"]),
        case("real money passes with the switch", plan(|f| { f.live = true; f.live_enabled = true }), Allow, &["plan.allow"], &[]),
        case("the switch alone changes nothing", plan(|f| f.live_enabled = true), Allow, &["plan.allow"], &[]),
        case("a plan may take the whole budget", plan(|f| f.budget_basis_points = 10_000), Allow, &["plan.allow"], &[]),
        case("a plan may not pass the budget", plan(|f| f.budget_basis_points = 10_001), Deny, &["plan.over-budget"], &["BUDGET_EXCEEDED"]),
        case("a plan at the cap on single payments passes", plan(|f| f.thresholds.payment_max_micro_usd = Some(20_000)), Allow, &["plan.allow"], &[]),
        case("a plan with an item above the cap on single payments is refused", plan(|f| f.thresholds.payment_max_micro_usd = Some(19_999)), Deny, &["plan.over-payment-max"], &["PER_PAYMENT_CAP"]),
        case("a day's spending at the review threshold passes", plan(|f| f.thresholds.review_above_micro_usd = Some(40_000)), Allow, &["plan.allow"], &[]),
        case("a plan that brings the day above the review threshold escalates", plan(|f| f.thresholds.review_above_micro_usd = Some(39_999)), Escalate, &["plan.review-threshold"], &["REVIEW_THRESHOLD"]),
        case("a plan that renews itself escalates", plan(|f| f.recurring = true), Escalate, &["plan.recurring"], &["RECURRING_COMMITMENT"]),
        case("a denial beats a question", plan(|f| { f.approval = "ask".into(); f.vendors_listed = false }), Deny, &["plan.ask", "plan.vendor-unlisted"], &["PLAN_NEEDS_APPROVAL", "VENDOR_NOT_LISTED"]),
    ]
}

#[rustfmt::skip]
fn payments() -> Vec<Case> {
    vec![
        case("what is covered is paid", pay(|_| ()), Allow, &["pay.allow"], &[]),
        case("what is not covered is not paid", pay(|f| f.covered = false), Deny, &["pay.not-covered"], &["NOT_COVERED"]),
        case("exploring pays nothing", pay(|f| f.phase = Phase::Explore), Deny, &["pay.outside-acquire"], &["OUTSIDE_ACQUIRE"]),
        case("producing pays nothing", pay(|f| f.phase = Phase::Produce), Deny, &["pay.outside-acquire"], &["OUTSIDE_ACQUIRE"]),
        case("nothing is paid in the clear", pay(|f| f.secure = false), Deny, &["pay.insecure"], &["INSECURE_HOST"]),
        case("a vendor that is not listed is not paid", pay(|f| f.vendor_listed = false), Deny, &["pay.vendor-unlisted"], &["VENDOR_NOT_LISTED"]),
        case("an asset that is not named is not spent", pay(|f| f.asset_listed = false), Deny, &["pay.asset-unlisted"], &["ASSET_NOT_LISTED"]),
        case("real money waits for the switch", pay(|f| f.live = true), Deny, &["pay.live-off"], &["LIVE_SWITCHED_OFF"]),
        case("real money moves with the switch", pay(|f| { f.live = true; f.live_enabled = true }), Allow, &["pay.allow"], &[]),
        case("money does not move before the goods", pay(|f| f.flow = "upfront".into()), Deny, &["pay.flow"], &["FLOW_NOT_ALLOWED"]),
        case("money does not go into escrow", pay(|f| f.flow = "escrow".into()), Deny, &["pay.flow"], &["FLOW_NOT_ALLOWED"]),
        case("money moves first where the mandate allows it", pay(|f| { f.flow = "upfront".into(); f.upfront_allowed = true }), Allow, &["pay.allow"], &[]),
        case("escrow is used where the mandate allows it", pay(|f| { f.flow = "escrow".into(); f.upfront_allowed = true }), Allow, &["pay.allow"], &[]),
        case("an unknown flow is never paid", pay(|f| { f.flow = "barter".into(); f.upfront_allowed = true }), Deny, &["pay.flow"], &["FLOW_NOT_ALLOWED"]),
        case("an expired mandate pays nothing", pay(|f| f.mandate_expired = true), Deny, &["pay.mandate-expired"], &["MANDATE_EXPIRED"]),
        case("an open question with a vendor comes first", pay(|f| f.vendor_unknown_open = true), Deny, &["pay.vendor-unknown-open"], &["VENDOR_OUTCOME_UNKNOWN"]),
        case("a known vendor is paid like a new one", pay(|f| f.first_time_vendor = false), Allow, &["pay.allow"], &[]),
        case("a payment may take the whole budget", pay(|f| f.budget_basis_points = 10_000), Allow, &["pay.allow"], &[]),
        case("a payment may not pass the budget", pay(|f| f.budget_basis_points = 10_001), Deny, &["pay.over-budget"], &["BUDGET_EXCEEDED"]),
        case("a payment at the cap on single payments is made", pay(|f| f.thresholds.payment_max_micro_usd = Some(10_000)), Allow, &["pay.allow"], &[]),
        case("a payment above the cap on single payments is not made", pay(|f| f.thresholds.payment_max_micro_usd = Some(9_999)), Deny, &["pay.over-payment-max"], &["PER_PAYMENT_CAP"]),
        case("a day's spending at the review threshold is not asked about", pay(|f| f.thresholds.review_above_micro_usd = Some(10_000)), Allow, &["pay.allow"], &[]),
        case("small payments that add up are asked about", pay(|f| { f.sums.family_day_micro_usd = 50_001; f.thresholds.review_above_micro_usd = Some(50_000) }), Escalate, &["pay.review-threshold"], &["REVIEW_THRESHOLD"]),
        case("what a person approved is not asked about again", pay(|f| { f.approval = ApprovedBy::Person; f.thresholds.review_above_micro_usd = Some(1) }), Allow, &["pay.allow"], &[]),
        case("what the mandate itself approves is not asked about", pay(|f| { f.approval = ApprovedBy::Mandate; f.thresholds.review_above_micro_usd = Some(1) }), Allow, &["pay.allow"], &[]),
        case("a trial that becomes a subscription is not paid", pay(|f| f.recurring = true), Deny, &["pay.recurring-not-approved"], &["RECURRING_NOT_IN_PLAN"]),
        case("a subscription that was approved is paid", pay(|f| { f.recurring = true; f.recurring_approved = true }), Allow, &["pay.allow"], &[]),
        case("every reason is given", pay(|f| { f.covered = false; f.mandate_expired = true }), Deny, &["pay.mandate-expired", "pay.not-covered"], &["MANDATE_EXPIRED", "NOT_COVERED"]),
    ]
}

#[rustfmt::skip]
fn calls() -> Vec<Case> {
    vec![
        case("a tool that may spend is called", call(|_| ()), Allow, &["call.spend"], &[]),
        case("a tool that reads is called", call(|f| f.effect = Effect::Read), Allow, &["call.read"], &[]),
        case("a tool that writes is called", call(|f| f.effect = Effect::Write), Allow, &["call.write"], &[]),
        case("tools are called in every phase", call(|f| f.phase = Phase::Produce), Allow, &["call.spend"], &[]),
    ]
}
