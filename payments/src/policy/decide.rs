//! The decision: facts in, answer out.

use super::facts::Facts;
use super::question::{Act, PerAct, Question, QuestionError, Vocabulary};
use super::rule::{NO_RULE_ALLOWS, NUMBER_TOO_LARGE, POLICY_ERROR, Rule, RuleView};
use bursar_types::{CanonicalError, Decision, Digest, Reason, Verdict, canonical_digest};
use cedar_policy::{AuthorizationError, Authorizer, PolicySet, Response};
use std::collections::BTreeMap;

/// A checked set of rules. Immutable; share it in an `Arc`.
///
/// # Example
/// ```
/// use bursar_payments::Policy;
/// let policy = Policy::shipped()?;
/// assert!(policy.rules().any(|rule| rule.id == "pay.not-covered"));
/// # Ok::<(), bursar_payments::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Policy {
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) digests: BTreeMap<String, Digest>,
    /// The text of every file of the user's, by the name that is pinned.
    pub(super) texts: BTreeMap<String, String>,
    /// The shipped rules alone.
    pub(super) floor: PerAct<Sets>,
    /// Theirs and the user's.
    pub(super) enforced: PerAct<Sets>,
    /// Those that are only tried out too.
    pub(super) all: PerAct<Sets>,
    pub(super) shadow: bool,
    pub(super) user: bool,
    pub(super) vocabulary: Vocabulary,
    pub(super) authorizer: Authorizer,
}

/// Which of the loaded rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforce {
    /// The shipped ones, and the user's that are not only tried out.
    Rules,
    /// The shipped ones alone: everything the user added is tried out.
    FloorOnly,
}

/// A decision, and what rules would have decided that are only tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// What holds.
    pub decision: Decision,
    /// What would hold if the rules were enforced that are tried out; none if there are no such rules.
    pub shadow: Option<Decision>,
}

/// The policies whose scope admits one action.
#[derive(Debug)]
pub(super) struct Sets {
    pub(super) all: PolicySet,
    /// Without the forbids: is there anything that allows it at all?
    pub(super) permits: PolicySet,
}

impl Policy {
    /// The digest of every file, sorted by name. The mandate pins these.
    #[must_use]
    pub fn digests(&self) -> Vec<(String, Digest)> {
        self.digests.iter().map(|(name, digest)| (name.clone(), *digest)).collect()
    }

    /// Whether these are the digests of its files.
    pub(crate) fn has_digests(&self, digests: &[(String, Digest)]) -> bool {
        self.digests.iter().eq(digests.iter().map(|(name, digest)| (name, digest)))
    }

    /// Every rule, sorted by id.
    pub fn rules(&self) -> impl Iterator<Item = RuleView> {
        self.rules.values().map(Rule::view)
    }

    /// Decides. Pure: the same facts, rules and approvals always give the same answer.
    ///
    /// `approved` names the rules that an approval lifts: exactly those, and only forbids with `@escalate`. Names of other
    /// rules change nothing. What cannot be evaluated is denied. Rules that are only tried out have no say.
    #[must_use]
    pub fn decide(&self, facts: &Facts, approved: &[String]) -> Decision {
        self.decide_by(&self.enforced, facts, approved)
    }

    /// Decides, and tells what rules would have decided that are only tried out. Pure.
    #[must_use]
    pub fn weigh(&self, facts: &Facts, approved: &[String], enforce: Enforce) -> Weighed {
        let (holds, tried) = match enforce {
            Enforce::Rules => (&self.enforced, self.shadow),
            Enforce::FloorOnly => (&self.floor, self.user),
        };
        Weighed {
            decision: self.decide_by(holds, facts, approved),
            shadow: tried.then(|| self.decide_by(&self.all, facts, approved)),
        }
    }

    fn decide_by(&self, sets: &PerAct<Sets>, facts: &Facts, approved: &[String]) -> Decision {
        let question = match self.vocabulary.question(facts) {
            Ok(question) => question,
            Err(error) => return unanswerable(facts, &error),
        };
        let digest = match canonical_digest(facts) {
            Ok(digest) => digest,
            Err(error) => return unwritable(facts, &error),
        };
        let (verdict, reasons, rules) = self.answer(sets.get(Act::of(facts)), &question, approved);
        Decision { verdict, reasons, rules, facts: digest }
    }

    fn answer(
        &self,
        sets: &Sets,
        question: &Question,
        approved: &[String],
    ) -> (Verdict, Vec<Reason>, Vec<String>) {
        let answer = self.ask(question, &sets.all);
        if let Some(denied) = evaluation_errors(&answer) {
            return denied;
        }
        if answer.decision() == cedar_policy::Decision::Allow {
            return (Verdict::Allow, Vec::new(), determining(&answer));
        }
        // Cedar names every satisfied forbid when it denies; those that an approval lifts are as if they were not there.
        let mut standing = Vec::new();
        let mut standing_ids = Vec::new();
        for id in determining(&answer) {
            let rule = self.rules.get(&id);
            if !(approved.contains(&id) && rule.is_some_and(Rule::escalates)) {
                standing.extend(rule);
                standing_ids.push(id);
            }
        }
        // A determining rule that is not known would be a mistake of ours: it denies like a plain forbid.
        let all_escalate =
            standing.len() == standing_ids.len() && standing.iter().all(|rule| rule.escalates());
        if !all_escalate {
            return (Verdict::Deny, standing.iter().map(|rule| rule.denial()).collect(), standing_ids);
        }
        // Would it be allowed without them?
        let without = self.ask(question, &sets.permits);
        if let Some(denied) = evaluation_errors(&without) {
            return denied;
        }
        if without.decision() != cedar_policy::Decision::Allow {
            let mut reasons: Vec<_> = standing.iter().map(|rule| rule.denial()).collect();
            reasons.push(no_rule_allows());
            return (Verdict::Deny, reasons, standing_ids);
        }
        if standing_ids.is_empty() {
            return (Verdict::Allow, Vec::new(), determining(&without));
        }
        (Verdict::Escalate, standing.iter().map(|rule| rule.question()).collect(), standing_ids)
    }

    fn ask(&self, question: &Question, policies: &PolicySet) -> Response {
        self.authorizer.is_authorized(&question.request, policies, &question.entities)
    }
}

/// The ids behind Cedar's answer, sorted.
fn determining(answer: &Response) -> Vec<String> {
    let mut ids: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
    ids.sort_unstable();
    ids
}

/// A denial, if any policy could not be evaluated: Cedar skips it, and a skipped forbid would allow.
fn evaluation_errors(answer: &Response) -> Option<(Verdict, Vec<Reason>, Vec<String>)> {
    let mut errors: Vec<(String, Reason)> = answer
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| {
            let id = error.policy_id().to_string();
            let message = format!("rule `{id}` could not be evaluated: {}", error.inner());
            (id, Reason::new(POLICY_ERROR, message, "ask the user to correct this rule"))
        })
        .collect();
    if errors.is_empty() {
        return None;
    }
    errors.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let (rules, reasons) = errors.into_iter().unzip();
    Some((Verdict::Deny, reasons, rules))
}

fn no_rule_allows() -> Reason {
    Reason::new(
        NO_RULE_ALLOWS,
        "no rule allows this",
        "do something that the rules allow, or ask the user to permit it in a policy file",
    )
}

/// Facts that rules cannot be asked about.
fn unanswerable(facts: &Facts, error: &QuestionError) -> Decision {
    let reason = match error {
        QuestionError::NumberTooLarge { .. } => too_large(error.to_string()),
        QuestionError::Cedar(cause) => Reason::new(
            POLICY_ERROR,
            format!("{error}: {cause}"),
            "do not try again with the same request; report this to the operator",
        ),
    };
    let facts = canonical_digest(facts).unwrap_or_else(|_| digest_of_debug(facts));
    Decision { verdict: Verdict::Deny, reasons: vec![reason], rules: Vec::new(), facts }
}

/// Facts that cannot be recorded exactly. Every number but one beyond 2^53 - 1 and every text can.
fn unwritable(facts: &Facts, error: &CanonicalError) -> Decision {
    let reason = match error {
        CanonicalError::Number(_) => too_large(format!("the facts cannot be recorded: {error}")),
        CanonicalError::Json(_) => Reason::new(
            POLICY_ERROR,
            format!("the facts cannot be recorded: {error}"),
            "do not try again with the same request; report this to the operator",
        ),
    };
    Decision {
        verdict: Verdict::Deny,
        reasons: vec![reason],
        rules: Vec::new(),
        facts: digest_of_debug(facts),
    }
}

fn too_large(message: String) -> Reason {
    Reason::new(NUMBER_TOO_LARGE, message, "ask for less: no budget reaches this far")
}

/// A denial names its facts too, even those without canonical bytes. In a domain of its own: it equals no other digest.
fn digest_of_debug(facts: &Facts) -> Digest {
    Digest::of_parts("bursar-policy/facts-without-canonical-bytes", &[format!("{facts:?}").as_bytes()])
}
