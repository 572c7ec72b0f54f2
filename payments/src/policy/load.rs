//! From `.cedar` files to a checked set of rules.

use super::decide::{Policy, Sets};
use super::error::PolicyError;
use super::question::{PerAct, Vocabulary};
use super::rule::{Rule, RuleEffect};
use bursar_types::Digest;
use cedar_policy::{
    ActionConstraint, Authorizer, Effect, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet, Schema,
    ValidationMode, Validator,
};
use miette::Diagnostic as _;
use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr as _;

/// What rules can be about.
pub(super) const SCHEMA: &str = include_str!("../../policies/bursar.cedarschema");

/// The files that always hold.
pub(super) const SHIPPED: [(&str, &str); 4] = [
    ("call.cedar", include_str!("../../policies/call.cedar")),
    ("pay.cedar", include_str!("../../policies/pay.cedar")),
    ("plan.cedar", include_str!("../../policies/plan.cedar")),
    ("quote.cedar", include_str!("../../policies/quote.cedar")),
];

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name, as the mandate pins it and errors show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Policy {
    /// The rules that ship with Bursar, and no others.
    ///
    /// # Errors
    /// [`PolicyError`] if they were changed into something that cannot be loaded.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::load(&[])
    }

    /// The shipped rules and the user's. Both kinds of rule may be added; a shipped forbid holds whatever is added.
    ///
    /// # Errors
    /// [`PolicyError`] names the file, the rule and the next step. Nothing is loaded then.
    pub fn load(extra: &[PolicyFile]) -> Result<Self, PolicyError> {
        let extra = extra.iter().map(|file| (file.name.as_str(), file.text.as_str()));
        Self::build(SHIPPED.into_iter().chain(extra))
    }

    /// Checks and joins files.
    pub(super) fn build<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let vocabulary = Vocabulary::new()?;
        let mut digests = BTreeMap::new();
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let mut policies = Vec::new();
        for (file, text) in files {
            if digests.insert(file.to_owned(), Digest::of(text.as_bytes())).is_some() {
                return Err(PolicyError::DuplicateFile { file: file.to_owned() });
            }
            for (rule, policy) in read_file(file, text)? {
                if let Some(other) = rules.get(&rule.id) {
                    let (other, file) = (other.file.clone(), file.to_owned());
                    return Err(PolicyError::DuplicateId { other, file, rule: rule.id });
                }
                rules.insert(rule.id.clone(), rule);
                policies.push(policy);
            }
        }
        validate(&rules, &policies)?;
        // Fewer policies to walk through for each question, and the same answer: a policy whose scope names other actions
        // is never satisfied, and never errs, since its scope is looked at first.
        let sets = PerAct::try_new(|act| {
            let action = vocabulary.action(act);
            let about = || policies.iter().filter(|policy| is_about(policy, action));
            Ok(Sets {
                all: set(about())?,
                permits: set(about().filter(|policy| policy.effect() == Effect::Permit))?,
            })
        })?;
        Ok(Self { rules, digests, sets, vocabulary, authorizer: Authorizer::new() })
    }
}

/// The rules of one file, in its order.
fn read_file(file: &str, text: &str) -> Result<Vec<(Rule, CedarPolicy)>, PolicyError> {
    let parsed = PolicySet::from_str(text).map_err(|errors| {
        let offset = errors.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        PolicyError::Parse { file: file.to_owned(), line: line_at(text, offset), problem: Box::new(errors) }
    })?;
    if let Some(template) = parsed.templates().next() {
        let rule = template.annotation("id").unwrap_or("without @id").escape_debug().to_string();
        return Err(PolicyError::Template { file: file.to_owned(), rule });
    }
    let mut rules = Vec::new();
    for policy in parsed.policies() {
        let start = policy.to_cedar().and_then(|source| text.find(&source)).unwrap_or(0);
        let Some(id) = policy.annotation("id") else {
            return Err(PolicyError::MissingId { file: file.to_owned(), line: line_at(text, start) });
        };
        let effect = match policy.effect() {
            Effect::Permit => RuleEffect::Permit,
            Effect::Forbid => RuleEffect::Forbid,
        };
        let rule = Rule::read(file, id, effect, comment_above(text, start), policy.annotations())?;
        let policy = policy.new_id(PolicyId::new(&rule.id));
        rules.push((rule, policy));
    }
    Ok(rules)
}

/// Strict validation; a doubt (a rule that can never apply, a string that mixes scripts) counts as an error too: a forbid
/// that silently never applies is worse than a file that is not loaded.
fn validate(rules: &BTreeMap<String, Rule>, policies: &[CedarPolicy]) -> Result<(), PolicyError> {
    let (schema, _) =
        Schema::from_cedarschema_str(SCHEMA).map_err(|error| PolicyError::Schema(Box::new(error)))?;
    let validator = Validator::new(schema);
    for policy in policies {
        let result = validator.validate(&set([policy].into_iter())?, ValidationMode::Strict);
        let error = result.validation_errors().next().map(|error| boxed(error.clone()));
        let doubt = || result.validation_warnings().next().map(|doubt| boxed(doubt.clone()));
        if let Some(problem) = error.or_else(doubt) {
            return Err(invalid(rules, policy.id(), problem));
        }
    }
    Ok(())
}

fn invalid(
    rules: &BTreeMap<String, Rule>,
    id: &PolicyId,
    problem: Box<dyn Error + Send + Sync>,
) -> PolicyError {
    let id: &str = id.as_ref();
    let file = rules.get(id).map(|rule| rule.file.clone()).unwrap_or_default();
    PolicyError::Invalid { file, rule: id.to_owned(), problem }
}

fn boxed(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
    Box::new(error)
}

fn set<'a>(policies: impl Iterator<Item = &'a CedarPolicy>) -> Result<PolicySet, PolicyError> {
    // Ids were checked to be unique, so this cannot fail; if it does, nothing is loaded.
    PolicySet::from_policies(policies.cloned()).map_err(|error| PolicyError::Schema(Box::new(error)))
}

/// Whether a policy's scope admits an action. The schema has no groups of actions, so `in` is `==` here.
fn is_about(policy: &CedarPolicy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.contains(action),
        ActionConstraint::Eq(only) => only == *action,
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count().saturating_add(1)
}

/// The `//` lines directly above a position, without their slashes.
fn comment_above(text: &str, start: usize) -> String {
    let above = text.get(..start).unwrap_or_default();
    let mut lines: Vec<_> =
        above.lines().rev().map_while(|line| line.trim().strip_prefix("//")).map(str::trim).collect();
    lines.reverse();
    lines.join("\n")
}
