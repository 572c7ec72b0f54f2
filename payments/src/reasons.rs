//! Why something was refused: stable codes, a sentence for the person, and a next step for the agent.

use crate::mandate::Scope;
use crate::purse::Part;
use bursar_types::{Amount, GateLevel, Reason, Timestamp};

/// The rules in force are not those that were pinned.
pub(crate) const POLICY_CHANGED: &str = "POLICY_CHANGED";

pub(crate) fn changed(code: &'static str, what: &str, approved: &str, found: &str) -> Reason {
    Reason::new(
        code,
        format!("the {what} is `{found}` now, and `{approved}` was approved"),
        "ask for quotes again and propose a new plan if the new terms are wanted",
    )
}

pub(crate) fn price_rose(ceiling: &Amount, price: &Amount) -> Reason {
    Reason::new(
        "PRICE_ROSE",
        format!(
            "the price is {} atomic units now, and at most {} were approved",
            price.atomic(),
            ceiling.atomic()
        ),
        "ask for quotes again and propose a new plan if it is still worth it",
    )
}

pub(crate) fn above_ceiling(ceiling: &Amount, cost: Option<&Amount>) -> Reason {
    let cost = cost.map_or_else(|| "an unknown amount".to_owned(), |cost| cost.atomic().to_string());
    Reason::new(
        "PRICE_ABOVE_CEILING",
        format!(
            "it costs {cost} micro-USD, and the request may cost {} at most; nothing was paid",
            ceiling.atomic()
        ),
        "ask again with a higher ceiling if it is worth it, or go on without it",
    )
}

pub(crate) fn quote_expired(at: Timestamp) -> Reason {
    Reason::new("QUOTE_EXPIRED", format!("the quote expired at {at}"), "ask for quotes again")
}

pub(crate) fn not_in_plan() -> Reason {
    Reason::new(
        "NOT_IN_PLAN",
        "no approved plan lists this purchase",
        "propose a plan that cites one of these quotes, and fetch again when it is approved",
    )
}

pub(crate) fn dry_run() -> Reason {
    Reason::new(
        "PLANS_SWITCHED_OFF",
        "this is a dry run: nothing is bought, not even under plans approved before",
        "report what the purchase would cost, and go on without it",
    )
}

pub(crate) fn item_consumed() -> Reason {
    Reason::new(
        "ITEM_CONSUMED",
        "the plan's item for this purchase has been used up",
        "propose a new plan if it is needed again",
    )
}

pub(crate) fn attempts_exhausted(signed: usize) -> Reason {
    Reason::new(
        "ATTEMPTS_EXHAUSTED",
        format!("the vendor was shown {signed} authorizations for this purchase and took none of them"),
        "buy from another vendor, or go on without it",
    )
}

pub(crate) fn plan_expired(at: Timestamp) -> Reason {
    Reason::new("PLAN_EXPIRED", format!("the plan could be bought until {at}"), "propose a new plan")
}

pub(crate) fn budget_exceeded(name: &str, left: &str, asked: &str) -> Reason {
    Reason::new(
        "BUDGET_EXCEEDED",
        format!("{asked} is more than the {left} left in budget `{name}`"),
        "choose something cheaper, or go on with what is there",
    )
}

/// The most that a turn of the model may cost does not fit.
pub(crate) fn model_over_budget(name: &str, left: &str, asked: &str) -> Reason {
    Reason::new(
        "MODEL_OVER_BUDGET",
        format!("a turn of the model may cost {asked}, and {left} are left in budget `{name}`"),
        "give the agent a cheaper model or a smaller limit on what a turn may write, or ask for more budget",
    )
}

/// A cap on how often was reached: velocity, a loop, or too much under way at once.
pub(crate) fn limit_reached(part: Part, name: &str, limit: &str, asked: &str) -> Reason {
    match part {
        Part::UnknownVendors => Reason::new(
            "UNKNOWN_VENDOR_POOL",
            format!(
                "{asked} is more than what is left of the budget that all vendors share which the mandate does not name"
            ),
            "buy from a vendor that the mandate names, or ask the user to add this one",
        ),
        Part::Open => Reason::new(
            "OPEN_HOLDS_EXCEEDED",
            format!("no more than {limit} may be under way at once ({name})"),
            "wait until a payment under way is settled, and fetch again",
        ),
        Part::Payments(Scope::Family) => Reason::new(
            "LOOP_DETECTED",
            format!("{limit} purchases of the same kind were made from this vendor already ({name})"),
            "stop buying this; use what was bought, or go on without it",
        ),
        _ => Reason::new(
            "VELOCITY_EXCEEDED",
            format!("no more than {limit} are allowed: {name}"),
            "wait until the window has passed, or go on without it",
        ),
    }
}

pub(crate) fn sessions_exceeded(name: &str, limit: &str) -> Reason {
    Reason::new(
        "SESSIONS_EXCEEDED",
        format!("no more than {limit} sessions may begin: {name}"),
        "go on in a session that is open, or wait until the window has passed",
    )
}

pub(crate) fn gate_undelivered(name: &str, level: GateLevel) -> Reason {
    Reason::new(
        "GATE_UNDELIVERED",
        format!("the payment would take budget `{name}` to its gate `{level}`, and nobody took the alert"),
        "buy something smaller, or wait until alerts are delivered again",
    )
}

pub(crate) fn mandate_expired() -> Reason {
    Reason::new(
        "MANDATE_EXPIRED",
        "the mandate, or the one it was cut from, has expired",
        "ask the user for a new mandate",
    )
}

pub(crate) fn mandate_revoked() -> Reason {
    Reason::new(
        "MANDATE_REVOKED",
        "the mandate, or the one it was cut from, was revoked",
        "stop buying; ask the user for a new mandate if it is still needed",
    )
}

pub(crate) fn budget_changed(name: &str) -> Reason {
    Reason::new(
        "BUDGET_CHANGED",
        format!("budget `{name}` exists already with another limit than this mandate gives it"),
        "use the limit it was opened with, or buy from another vendor",
    )
}

pub(crate) fn contended() -> Reason {
    Reason::new(
        "CONTENDED",
        "the session changed three times while this was decided",
        "try again; nothing was paid",
    )
}

pub(crate) fn frozen() -> Reason {
    Reason::new("FROZEN", "spending is frozen", "wait until a person lifts the freeze")
}

pub(crate) fn clock_behind(now: Timestamp, written: Timestamp) -> Reason {
    Reason::new(
        "CLOCK_BEHIND",
        format!(
            "the clock says {now}, and the journal was written at {written}: what has run out could count again"
        ),
        "buy nothing; an operator sets the clock right, or runs `bursar clock` if it is right and had once been ahead",
    )
}

pub(crate) fn outflow_unknown() -> Reason {
    Reason::new(
        "OUTFLOW_UNKNOWN",
        "money left the wallet that the journal does not know: the data file is an old copy, or somebody else uses the key",
        "buy nothing; an operator runs `bursar reconcile`, which shows what is missing and takes it into the journal",
    )
}

pub(crate) fn outflow_unread(problem: &str) -> Reason {
    Reason::new(
        "OUTFLOW_UNREAD",
        format!(
            "the chain could not be read, so it is not known whether the journal knows all that left the wallet: {problem}"
        ),
        "go on with what is free or owned, and try again later; an operator looks at the RPC endpoints",
    )
}

pub(crate) fn paid_unrecorded() -> Reason {
    Reason::new(
        "PAID_UNRECORDED",
        "this very purchase was paid in a part of the journal that was lost; what it was paid for was not kept",
        "do not buy it again under this key; an operator finds the transaction with `bursar reconcile --all`",
    )
}

pub(crate) fn policy_changed(file: &str) -> Reason {
    Reason::new(
        POLICY_CHANGED,
        format!("policy file `{file}` is not the one this session was opened under"),
        "pay nothing; ask the operator to put the file back, or to accept the new rules for this session",
    )
}

pub(crate) fn given_up() -> Reason {
    Reason::new(
        "GIVEN_UP",
        "this purchase was given up, and nothing is paid under its key any more",
        "ask under another key if it is needed after all",
    )
}

pub(crate) fn phase_changed() -> Reason {
    Reason::new(
        "PHASE_CHANGED",
        "the session no longer acquires: no approved plan is open",
        "propose a new plan if the purchase is still needed",
    )
}

pub(crate) fn unknown_quote() -> Reason {
    Reason::new(
        "UNKNOWN_QUOTE",
        "the plan cites a quote that this session never received",
        "ask for quotes and cite the ids they come with",
    )
}

pub(crate) fn bad_plan(problem: &str) -> Reason {
    Reason::new(
        "BAD_PLAN",
        problem.to_owned(),
        "propose a plan with 1 to 64 items, each with a count from 1 to 1000",
    )
}

pub(crate) fn approval_refused(by: &str) -> Reason {
    Reason::new("APPROVAL_REFUSED", format!("{by} said no"), "go on without it, or propose a smaller plan")
}

pub(crate) fn live_off() -> Reason {
    Reason::new(
        "LIVE_SWITCHED_OFF",
        "this would spend real money, and live payments are switched off",
        "choose an offer on a test network, or ask the operator to switch live payments on",
    )
}

pub(crate) fn approval_mismatch(what: &str, approved: &str, found: &str) -> Reason {
    Reason::new(
        "APPROVAL_MISMATCH",
        format!("the {what} is `{found}` now, and `{approved}` was approved; the approval is void"),
        "fetch again to have the new terms put to the approver, or go on without it",
    )
}

pub(crate) fn approval_unsigned() -> Reason {
    Reason::new(
        "APPROVAL_UNSIGNED",
        "the mandate wants a yes to be signed by an approver, and this one is not",
        "wait for the signed answer",
    )
}

pub(crate) fn too_many_questions(most: usize) -> Reason {
    Reason::new(
        "APPROVALS_FULL",
        format!("{most} questions of this session wait for an answer already"),
        "wait for the answers, or go on without it",
    )
}

pub(crate) fn call_too_long() -> Reason {
    Reason::new(
        "CALL_TOO_LONG",
        "a person is asked about this call, and its arguments are too long to be shown whole",
        "call again with less than 2,000 characters of arguments, or put what is long into a file",
    )
}

pub(crate) fn approval_expired() -> Reason {
    Reason::new(
        "APPROVAL_EXPIRED",
        "the answer came too late, or is used up",
        "ask anew: propose the plan again, or make another call",
    )
}

pub(crate) fn egress_blocked(what: &str) -> Reason {
    Reason::new(
        "EGRESS_BLOCKED",
        what.to_owned(),
        "use a source on the public internet; a person can allow this machine in the configuration",
    )
}

pub(crate) fn mixed_script(name: &str, label: &str) -> Reason {
    Reason::new(
        "HOST_MIXED_SCRIPT",
        format!("`{name}` reads `{}` and mixes letters of different scripts", label.escape_debug()),
        "use the host's own name, from a source that you trust",
    )
}

pub(crate) fn confusable(name: &str, meant: &str) -> Reason {
    Reason::new(
        "HOST_CONFUSABLE",
        format!("`{name}` looks like `{meant}` and is another host"),
        "use the host that was listed or planned, spelled as it is there",
    )
}

pub(crate) fn cross_origin(from: &str, to: &str) -> Reason {
    Reason::new(
        "CROSS_ORIGIN_402",
        format!("`{from}` redirects to `{to}`; no payment and no price is carried over to another origin"),
        "if you want what is there, ask for that address itself: it is another vendor",
    )
}

pub(crate) fn tls_required(to: &str) -> Reason {
    Reason::new(
        "TLS_REQUIRED",
        format!("the vendor redirects to `{to}`, where the connection would not be encrypted"),
        "use an https address, or another vendor",
    )
}

pub(crate) fn too_many_redirects(most: usize) -> Reason {
    Reason::new(
        "TOO_MANY_REDIRECTS",
        format!("the vendor redirects more than {most} times"),
        "use another address or vendor",
    )
}

pub(crate) fn challenge_too_large(what: &str) -> Reason {
    Reason::new(
        "CHALLENGE_TOO_LARGE",
        format!("the demand for payment is larger than is read: {what}"),
        "use another vendor",
    )
}

pub(crate) fn challenge_ambiguous(what: &str) -> Reason {
    Reason::new(
        "CHALLENGE_AMBIGUOUS",
        format!("the demand for payment can be read in two ways: {what}"),
        "use another vendor, or tell this one",
    )
}

pub(crate) fn terms_unreadable(what: &str) -> Reason {
    Reason::new("TERMS_UNREADABLE", what.to_owned(), "buy the same from another vendor, or go on without it")
}

pub(crate) fn repeat_402() -> Reason {
    Reason::new(
        "REPEAT_402_AFTER_PAY",
        "the vendor was shown a payment for this purchase and asks to be paid again",
        "do not pay again: the purchase is settled by what the chain shows; fetch it again under the same key later",
    )
}

pub(crate) fn window_clamped(asked_s: u64, given_s: u64) -> Reason {
    Reason::new(
        "WINDOW_CLAMPED",
        format!("the vendor wants {asked_s} s to settle, and the authorization lives {given_s} s"),
        "nothing to do: the mandate's window holds",
    )
}

pub(crate) fn purchase_erased() -> Reason {
    Reason::new(
        "PURCHASE_ERASED",
        "the purchase under this key is over, and its record was erased; nothing is paid under the key again",
        "use another key if it has to be bought anew",
    )
}

pub(crate) fn in_flight() -> Reason {
    Reason::new(
        "IN_FLIGHT",
        "another worker is making this very purchase",
        "fetch again in a moment; it will not be paid twice",
    )
}
