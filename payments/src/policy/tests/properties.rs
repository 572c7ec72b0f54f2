//! Whatever the facts are.

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

fn number() -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0..20_000_u128, 2 => 0..20_000_000_u128, 1 => any::<u128>()]
}

fn small() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_000_u64, 1 => any::<u64>()]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![1 => Just(Phase::Explore), 3 => Just(Phase::Acquire), 1 => Just(Phase::Produce)]
}

fn who() -> impl Strategy<Value = Actor> {
    (".{0,12}", ".{0,3}", ".{0,3}", prop_oneof![Just("research".to_owned()), ".{0,8}"])
        .prop_map(|(agent, user, project, role)| Actor { agent, user, project, role })
}

/// Mostly true: rules that forbid what is not so should not drown the others.
fn yes() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.9)
}

fn facts() -> impl Strategy<Value = Facts> {
    let quotes = (who(), ".{0,20}", ".{0,5}", [yes(), yes(), yes(), yes()], phase()).prop_map(
        |(actor, host, method, [secure, local, has_body, vendor_listed], phase)| {
            Facts::Quote(QuoteFacts { actor, host, method, secure, local, has_body, vendor_listed, phase })
        },
    );
    let approval = prop_oneof![3 => Just("rule"), 3 => Just("ask"), 1 => Just("never"), 1 => Just("\u{0}")];
    let plans = (
        who(),
        (number(), small(), prop::option::of(number()), small()),
        prop::collection::vec(".{0,9}", 0..4),
        [yes(), yes(), yes(), yes()],
        approval,
    )
        .prop_map(
            |(
                actor,
                (total_micro_usd, items, ask_above_micro_usd, budget_basis_points),
                hosts,
                flags,
                approval,
            )| {
                let [vendors_listed, assets_listed, live, live_enabled] = flags;
                Facts::Plan(PlanFacts {
                    plan: Digest::of(actor.agent.as_bytes()),
                    actor,
                    total_micro_usd,
                    items,
                    hosts,
                    vendors_listed,
                    assets_listed,
                    live,
                    live_enabled,
                    approval,
                    ask_above_micro_usd,
                    budget_basis_points,
                })
            },
        );
    let flow =
        prop_oneof![3 => Just("authorization".to_owned()), 1 => Just("upfront".to_owned()), 1 => ".{0,9}"];
    let payments = (
        who(),
        [".{0,20}", ".{0,20}", ".{0,20}"],
        flow,
        (number(), small()),
        phase(),
        std::array::from_fn::<_, 11, _>(|_| yes()),
    )
        .prop_map(
            |(actor, [host, payee, resource], flow, (micro_usd, budget_basis_points), phase, flags)| {
                let [
                    covered,
                    secure,
                    vendor_listed,
                    asset_listed,
                    first_time_vendor,
                    known,
                    live,
                    live_enabled,
                    upfront_allowed,
                    current,
                    get,
                ] = flags;
                Facts::Pay(PayFacts {
                    actor,
                    host,
                    payee,
                    resource,
                    method: if get { "GET" } else { "POST" }.into(),
                    rail: "x402".into(),
                    flow,
                    network: "eip155:84532".into(),
                    asset: "eip155:84532/slip44:60".into(),
                    micro_usd,
                    phase,
                    covered,
                    secure,
                    vendor_listed,
                    asset_listed,
                    first_time_vendor,
                    vendor_unknown_open: !known,
                    live,
                    live_enabled,
                    upfront_allowed,
                    mandate_expired: !current,
                    budget_basis_points,
                })
            },
        );
    let effect = prop_oneof![Just(Effect::Read), Just(Effect::Write), Just(Effect::Spend)];
    let calls = (who(), ".{0,12}", effect, phase()).prop_map(|(actor, tool, effect, phase)| {
        Facts::Call(CallFacts { arguments: Digest::of(tool.as_bytes()), actor, tool, effect, phase })
    });
    prop_oneof![1 => quotes, 2 => plans, 2 => payments, 1 => calls]
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
    fn only_an_allow_comes_without_reasons(facts in facts()) {
        let decision = BOTH.0.decide(&facts, &[]);
        prop_assert_eq!(decision.verdict == Verdict::Allow, decision.reasons.is_empty());
        prop_assert!(decision.rules.is_sorted());
    }
}
