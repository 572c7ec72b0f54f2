//! From `.cedar` files to a checked set of rules.

use super::decide::{Policy, Sets};
use super::error::PolicyError;
use super::examples::EXAMPLE;
use super::question::{PerAct, Vocabulary};
use super::rule::{Place, Rule, RuleEffect, Tier};
use bursar_types::Digest;
use cedar_policy::{
    ActionConstraint, Authorizer, Effect, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet, Schema,
    ValidationMode, Validator,
};
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

/// Rules that hold where somebody asks for them by name.
pub(super) const OPTIONAL: [(&str, &str); 5] = [
    ("bursar:approved-vendors", include_str!("../../policies/optional/approved-vendors.cedar")),
    ("bursar:no-client-data", include_str!("../../policies/optional/no-client-data.cedar")),
    ("bursar:rails", include_str!("../../policies/optional/rails.cedar")),
    ("bursar:review", include_str!("../../policies/optional/review.cedar")),
    ("bursar:roles", include_str!("../../policies/optional/roles.cedar")),
];

/// What the names of shipped optional rules begin with.
const BUNDLED: &str = "bursar:";
/// What stands before the name of a file that is only tried out, where digests are pinned.
pub(super) const SHADOW: &str = "shadow:";

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name, as the mandate pins it and errors show it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether it is only tried out: decided and recorded, and not enforced.
    pub shadow: bool,
}

impl PolicyFile {
    /// A file of the user's.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), shadow: false }
    }

    /// The same, only tried out.
    #[must_use]
    pub fn shadow(self) -> Self {
        Self { shadow: true, ..self }
    }

    /// Whether a name means rules that are shipped and hold where they are asked for.
    #[must_use]
    pub fn is_bundled(name: &str) -> bool {
        name.starts_with(BUNDLED)
    }

    /// Rules that are shipped and hold where they are asked for, such as `bursar:approved-vendors`.
    ///
    /// # Errors
    /// [`PolicyError::NotShipped`].
    pub fn bundled(name: &str) -> Result<Self, PolicyError> {
        let found = OPTIONAL.iter().find(|(known, _)| *known == name);
        let (name, text) =
            found.ok_or_else(|| PolicyError::NotShipped { name: name.escape_debug().to_string() })?;
        Ok(Self::new(*name, *text))
    }

    /// The names that [`PolicyFile::bundled`] knows.
    pub fn bundled_names() -> impl Iterator<Item = &'static str> {
        OPTIONAL.iter().map(|(name, _)| *name)
    }
}

/// A text with its name and what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    tier: Tier,
}

impl<'a> From<(&'a str, &'a str)> for Source<'a> {
    fn from((name, text): (&'a str, &'a str)) -> Self {
        let shipped = SHIPPED.iter().any(|(known, _)| *known == name);
        Self { name, text, tier: if shipped { Tier::Floor } else { Tier::User } }
    }
}

impl<'a> From<&'a PolicyFile> for Source<'a> {
    fn from(file: &'a PolicyFile) -> Self {
        let tier = if file.shadow { Tier::Shadow } else { Tier::User };
        Self { name: &file.name, text: &file.text, tier }
    }
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
    /// [`PolicyError`] names the file, the line, the rule and the next step. Nothing is loaded then.
    pub fn load(extra: &[PolicyFile]) -> Result<Self, PolicyError> {
        if let Some(file) = extra.iter().find(|file| file.shadow && is_shipped(&file.name)) {
            return Err(PolicyError::ShadowedFloor { file: file.name.clone() });
        }
        Self::build(SHIPPED.into_iter().map(Source::from).chain(extra.iter().map(Source::from)))
    }

    /// Whether a name is one of the files that always hold.
    #[must_use]
    pub fn is_shipped(file: &str) -> bool {
        is_shipped(file)
    }

    /// The text of a file that always holds, such as `pay.cedar`.
    #[must_use]
    pub fn shipped_file(name: &str) -> Option<&'static str> {
        SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// The schema that every rule is checked against: what rules can be about.
    #[must_use]
    pub const fn schema() -> &'static str {
        SCHEMA
    }

    /// Checks and joins files.
    pub(super) fn build<'a, S: Into<Source<'a>>>(
        files: impl Iterator<Item = S>,
    ) -> Result<Self, PolicyError> {
        let vocabulary = Vocabulary::new()?;
        let mut digests = BTreeMap::new();
        let mut texts = BTreeMap::new();
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let mut policies = Vec::new();
        for file in files.map(Into::into) {
            let (name, plain) = (pinned_name(&file), pinned_name(&Source { tier: Tier::User, ..file }));
            let other = pinned_name(&Source { tier: Tier::Shadow, ..file });
            if digests.contains_key(&plain) || digests.contains_key(&other) {
                return Err(PolicyError::DuplicateFile { file: file.name.to_owned() });
            }
            if file.tier != Tier::Floor {
                texts.insert(name.clone(), file.text.to_owned());
            }
            digests.insert(name, Digest::of(file.text.as_bytes()));
            for (rule, policy) in read_file(file)? {
                if let Some(other) = rules.get(&rule.id) {
                    let other = other.file.clone();
                    return Err(PolicyError::DuplicateId {
                        other,
                        file: rule.file,
                        line: rule.line,
                        rule: rule.id,
                    });
                }
                policies.push((rule.tier, policy));
                rules.insert(rule.id.clone(), rule);
            }
        }
        let validator = validator()?;
        for (_, policy) in &policies {
            let text = rules.get(AsRef::<str>::as_ref(policy.id()));
            validate(&validator, text, policy)?;
        }
        let of = |tiers: &[Tier]| sets(&vocabulary, &policies, tiers);
        let shadow = policies.iter().any(|(tier, _)| *tier == Tier::Shadow);
        Ok(Self {
            floor: of(&[Tier::Floor])?,
            enforced: of(&[Tier::Floor, Tier::User])?,
            all: of(&[Tier::Floor, Tier::User, Tier::Shadow])?,
            shadow,
            user: policies.iter().any(|(tier, _)| *tier != Tier::Floor),
            rules,
            digests,
            texts,
            vocabulary,
            authorizer: Authorizer::new(),
        })
    }
}

fn is_shipped(name: &str) -> bool {
    SHIPPED.iter().any(|(known, _)| *known == name)
}

/// A file that is tried out and one that is enforced are not the same.
fn pinned_name(file: &Source<'_>) -> String {
    match file.tier {
        Tier::Floor | Tier::User => file.name.to_owned(),
        Tier::Shadow => format!("{SHADOW}{}", file.name),
    }
}

/// The policies of some tiers, split by action: fewer to walk through for each question, and the same answer, since a policy
/// whose scope names other actions is never satisfied and never errs.
fn sets(
    vocabulary: &Vocabulary,
    policies: &[(Tier, CedarPolicy)],
    tiers: &[Tier],
) -> Result<PerAct<Sets>, PolicyError> {
    PerAct::try_new(|act| {
        let action = vocabulary.action(act);
        let of_tiers = policies.iter().filter(|(tier, _)| tiers.contains(tier)).map(|(_, policy)| policy);
        let about: Vec<_> = of_tiers.filter(|policy| is_about(policy, action)).collect();
        Ok(Sets {
            all: set(about.iter().copied())?,
            permits: set(about.iter().copied().filter(|policy| policy.effect() == Effect::Permit))?,
        })
    })
}

/// Brackets that may stand in each other. Cedar's parser calls itself for each, and a stack that ends takes the process with it.
const DEPTH_MAX: usize = 32;

/// The line on which brackets stand too deep in each other, from 1. Those in texts and comments count too: no rule needs so many.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let at = text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    });
    at.map(|at| line_at(text, at))
}

/// The rules of one file, in its order.
fn read_file(file: Source<'_>) -> Result<Vec<(Rule, CedarPolicy)>, PolicyError> {
    let (name, text) = (file.name.to_owned(), file.text);
    if let Some(line) = too_deep(text) {
        let problem = format!("more than {DEPTH_MAX} brackets stand in each other").into();
        return Err(PolicyError::Parse { file: name, line, problem });
    }
    let parsed = PolicySet::from_str(text).map_err(|errors| {
        let line = line_of(&errors, text).unwrap_or(1);
        PolicyError::Parse { file: name.clone(), line, problem: Box::new(errors) }
    })?;
    if let Some(template) = parsed.templates().next() {
        let rule = template.annotation("id").unwrap_or("without @id").escape_debug().to_string();
        let line = line_at(text, text.find(&template.to_cedar()).unwrap_or(0));
        return Err(PolicyError::Template { file: name, line, rule });
    }
    let mut found: Vec<_> = parsed
        .policies()
        .map(|policy| (policy.to_cedar().and_then(|source| text.find(&source)).unwrap_or(0), policy))
        .collect();
    found.sort_by_key(|(start, _)| *start);
    if found.is_empty() {
        return Err(PolicyError::Empty { file: name });
    }
    let mut rules = Vec::with_capacity(found.len());
    for (start, policy) in found {
        let line = line_at(text, start);
        let Some(id) = policy.annotation("id") else {
            return Err(PolicyError::MissingId { file: name, line });
        };
        let effect = match policy.effect() {
            Effect::Permit => RuleEffect::Permit,
            Effect::Forbid => RuleEffect::Forbid,
        };
        let place = Place { file: file.name, line, tier: file.tier };
        let rule = Rule::read(place, id, effect, comment_above(text, start), policy.annotations())?;
        let policy = policy.new_id(PolicyId::new(&rule.id));
        rules.push((rule, policy));
    }
    Ok(rules)
}

fn validator() -> Result<Validator, PolicyError> {
    let schema = Schema::from_cedarschema_str(SCHEMA);
    schema.map(|(schema, _)| Validator::new(schema)).map_err(|error| PolicyError::Schema(Box::new(error)))
}

/// Strict validation; a doubt (a rule that can never apply, a string that mixes scripts) counts as an error too: a forbid
/// that silently never applies is worse than a file that is not loaded.
fn validate(validator: &Validator, rule: Option<&Rule>, policy: &CedarPolicy) -> Result<(), PolicyError> {
    let result = validator.validate(&set([policy].into_iter())?, ValidationMode::Strict);
    let error = result.validation_errors().next().map(|error| boxed(error.clone()));
    let doubt = || result.validation_warnings().next().map(|doubt| boxed(doubt.clone()));
    match error.or_else(doubt) {
        None => Ok(()),
        Some(problem) => Err(PolicyError::Invalid {
            file: rule.map(|rule| rule.file.clone()).unwrap_or_default(),
            line: rule.map_or(1, |rule| rule.line),
            rule: policy.id().to_string(),
            problem,
        }),
    }
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

/// The line that a Cedar error points at.
fn line_of(error: &dyn miette::Diagnostic, text: &str) -> Option<usize> {
    let label = error.labels()?.next()?;
    Some(line_at(text, label.offset()))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count().saturating_add(1)
}

/// The `//` lines directly above a position, without their slashes and without examples.
fn comment_above(text: &str, start: usize) -> String {
    let above = text.get(..start).unwrap_or_default();
    let lines = above.lines().rev().map_while(|line| line.trim().strip_prefix("//")).map(str::trim);
    let mut lines: Vec<_> = lines.filter(|line| !line.starts_with(EXAMPLE)).collect();
    lines.reverse();
    lines.join("\n").trim().to_owned()
}
