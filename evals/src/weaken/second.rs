//! Rules that say a second time what something before them has said.
//!
//! Taken out alone, nothing changes: what stands before them refuses as well. That does not make them useless, and does not make
//! them noticed. So each is tried with what stands before it out too: a case that holds without the first line, and fails without
//! both, has noticed the second. Where the first line is code, no rules can take it out: those are named with the reason.

/// What stands before a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Other rules, or conditions of permits: names of cuts.
    Rules(&'static [&'static str]),
    /// Code that cannot be left out by changing rules.
    Code(&'static str),
}

const ONE_RAIL: &str = "no rail but x402 is there, so that nothing can be offered on another";

/// The rules that are second lines, with what stands before them.
const SECOND: [(&str, First); 11] = [
    ("quote.insecure", First::Rules(&["quote.allow: its condition"])),
    ("pay.insecure", First::Rules(&["quote.allow: its condition", "quote.insecure"])),
    ("plan.vendor-unlisted", First::Rules(&["quote.vendor-unlisted"])),
    ("pay.vendor-unlisted", First::Rules(&["quote.vendor-unlisted", "plan.vendor-unlisted"])),
    ("pay.asset-unlisted", First::Rules(&["plan.asset-unlisted"])),
    ("plan.never", First::Rules(&["plan.allow: its condition"])),
    (
        "rails.pay: only if [\"eip155:8453\", \"eip155:84532\"].contains(context.network)",
        First::Code(ONE_RAIL),
    ),
    (
        "rails.plan: only if [\"eip155:8453\", \"eip155:84532\"].containsAll(context.networks)",
        First::Code(ONE_RAIL),
    ),
    (
        "pay.not-covered",
        First::Code(
            "only what an item of an approved plan covers is put to the rules at all (`cover` in purse/decide.rs), so that the \
             fact they see is always true",
        ),
    ),
    (
        "pay.outside-acquire",
        First::Code(
            "a session that has an item which covers the payment acquires, by what a phase is (`phase` in session.rs)",
        ),
    ),
    (
        "pay.mandate-expired",
        First::Code(
            "a mandate that has ended stops its sessions at the same moment of the same clock, before rules are asked (`stopped` \
             in purse/lineage.rs)",
        ),
    ),
];

/// What stands before a rule, if it is a second line.
pub(super) fn before(rule: &str) -> Option<First> {
    SECOND.iter().find(|(known, _)| *known == rule).map(|(_, first)| *first)
}

#[cfg(test)]
mod tests {
    use super::super::cut::cuts;
    use super::*;
    use bursar::payments::{Policy, PolicyFile};

    #[test]
    fn every_rule_that_is_named_is_there() {
        let bundled = PolicyFile::bundled_names().filter_map(|name| PolicyFile::bundled(name).ok());
        let files: Vec<_> = Policy::shipped_files().into_iter().chain(bundled).collect();
        let names: Vec<_> = files.iter().flat_map(|file| cuts(&file.text)).map(|cut| cut.name).collect();
        for (rule, first) in SECOND {
            assert!(names.iter().any(|name| name == rule), "{rule}");
            if let First::Rules(first) = first {
                for rule in first {
                    assert!(names.iter().any(|name| name == rule), "{rule}");
                }
            }
        }
    }
}
