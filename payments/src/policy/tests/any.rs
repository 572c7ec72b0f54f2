//! Facts of any kind: those that the shipped rules allow, with everything in them changed.

use super::*;
use proptest::prelude::*;

pub(super) fn number() -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0..20_000_u128, 2 => 0..20_000_000_u128, 1 => any::<u128>()]
}

fn small() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20_000_u64, 1 => any::<u64>()]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![1 => Just(Phase::Explore), 3 => Just(Phase::Acquire), 1 => Just(Phase::Produce)]
}

fn who() -> impl Strategy<Value = Actor> {
    let role = prop_oneof![Just("research".to_owned()), Just("coding".to_owned()), ".{0,8}"];
    (".{0,12}", ".{0,3}", ".{0,3}", role).prop_map(|(agent, user, project, role)| Actor {
        agent,
        user,
        project,
        role,
    })
}

/// Mostly true: rules that forbid what is not so should not drown the others.
fn yes() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.9)
}

fn flags<const N: usize>() -> impl Strategy<Value = [bool; N]> {
    std::array::from_fn::<_, N, _>(|_| yes())
}

fn data() -> impl Strategy<Value = DataLabel> {
    prop_oneof![4 => Just(DataLabel::Public), 1 => Just(DataLabel::Client), 1 => Just(DataLabel::Unknown)]
}

fn gate() -> impl Strategy<Value = GateState> {
    prop_oneof![
        3 => Just(GateState::None),
        1 => Just(GateState::Notified),
        1 => Just(GateState::Tightened),
        1 => Just(GateState::Stopped)
    ]
}

fn category() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just("other".to_owned()), 2 => Just("package-metadata".to_owned()), 1 => ".{0,8}"]
}

fn spending() -> impl Strategy<Value = (Sums, Thresholds, GateState)> {
    let most = || prop::option::weighted(0.3, number());
    (number(), number(), number(), most(), most(), gate()).prop_map(
        |(session, vendor, family, max, review, gate)| {
            let sums = Sums {
                session_micro_usd: session,
                vendor_day_micro_usd: vendor,
                family_day_micro_usd: family,
            };
            (sums, Thresholds { payment_max_micro_usd: max, review_above_micro_usd: review }, gate)
        },
    )
}

fn quotes() -> impl Strategy<Value = Facts> {
    (who(), [".{0,20}", ".{0,5}"], category(), data(), gate(), phase(), flags::<6>()).prop_map(
        |(actor, [host, method], category, data, gate, phase, flags)| {
            let [secure, local, bare, vendor_listed, vendor_approved, known] = flags;
            Facts::Quote(QuoteFacts {
                actor,
                host,
                method,
                secure,
                local,
                has_body: !bare,
                vendor_listed,
                vendor_approved,
                first_time_vendor: !known,
                category,
                data,
                gate,
                phase,
            })
        },
    )
}

fn plans() -> impl Strategy<Value = Facts> {
    let approval = prop_oneof![3 => Just("rule"), 3 => Just("ask"), 1 => Just("never"), 1 => Just("\u{0}")];
    let names = || prop::collection::vec(".{0,9}", 0..4);
    let numbers = (number(), small(), prop::option::of(number()), small(), number());
    (who(), numbers, [names(), names(), names()], category(), flags::<8>(), approval, spending()).prop_map(
        |(actor, numbers, [hosts, rails, networks], category, flags, approval, (sums, thresholds, gate))| {
            let (total_micro_usd, items, ask_above_micro_usd, budget_basis_points, item_max_micro_usd) =
                numbers;
            let [vendors_listed, assets_listed, live, live_enabled, vendors_approved, known, public, once] =
                flags;
            Facts::Plan(PlanFacts {
                plan: Digest::of(actor.agent.as_bytes()),
                actor,
                total_micro_usd,
                items,
                hosts,
                categories: vec![category],
                rails,
                networks,
                vendors_listed,
                vendors_approved,
                first_time_vendor: !known,
                client_data: !public,
                recurring: !once,
                item_max_micro_usd,
                sums,
                thresholds,
                gate,
                assets_listed,
                live,
                live_enabled,
                approval: approval.into(),
                ask_above_micro_usd,
                budget_basis_points,
            })
        },
    )
}

fn payments() -> impl Strategy<Value = Facts> {
    let flow =
        prop_oneof![3 => Just("authorization".to_owned()), 1 => Just("upfront".to_owned()), 1 => ".{0,9}"];
    let approval = prop_oneof![2 => Just(ApprovedBy::Rule), 1 => Just(ApprovedBy::Mandate), 1 => Just(ApprovedBy::Person)];
    let texts = [".{0,20}", ".{0,20}", ".{0,20}"];
    let about = (category(), data(), approval, phase(), number(), small());
    (who(), texts, flow, about, flags::<15>(), spending()).prop_map(
        |(actor, texts, flow, about, flags, spent)| {
            let [host, payee, resource] = texts;
            let (category, data, approval, phase, micro_usd, budget_basis_points) = about;
            let (sums, thresholds, gate) = spent;
            let [covered, secure, vendor_listed, asset_listed, new, known, live, live_enabled, rest @ ..] =
                flags;
            let [upfront_allowed, current, get, vendor_approved, once, recurring_approved, seen] = rest;
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
                vendor_approved,
                category,
                data,
                recurring: !once,
                recurring_approved,
                client_data_approved: seen,
                approval,
                sums,
                thresholds,
                gate,
                asset_listed,
                first_time_vendor: new,
                vendor_unknown_open: !known,
                live,
                live_enabled,
                upfront_allowed,
                mandate_expired: !current,
                budget_basis_points,
            })
        },
    )
}

pub(super) fn facts() -> impl Strategy<Value = Facts> {
    let effect = prop_oneof![Just(Effect::Read), Just(Effect::Write), Just(Effect::Spend)];
    let calls = (who(), ".{0,12}", effect, phase()).prop_map(|(actor, tool, effect, phase)| {
        Facts::Call(CallFacts { arguments: Digest::of(tool.as_bytes()), actor, tool, effect, phase })
    });
    prop_oneof![1 => quotes(), 2 => plans(), 2 => payments(), 1 => calls]
}
