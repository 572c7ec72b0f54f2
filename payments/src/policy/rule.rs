//! One rule beside its Cedar text: what its annotations say.

use super::error::PolicyError;
use bursar_types::Reason;
use std::borrow::Cow;

/// The engine's own codes; no rule may use them.
pub(super) const POLICY_ERROR: &str = "POLICY_ERROR";
pub(super) const NUMBER_TOO_LARGE: &str = "NUMBER_TOO_LARGE";
pub(super) const NO_RULE_ALLOWS: &str = "NO_RULE_ALLOWS";
const RESERVED: [&str; 3] = [POLICY_ERROR, NUMBER_TOO_LARGE, NO_RULE_ALLOWS];

const ID_LENGTH_MAX: usize = 96;

/// What a rule does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleEffect {
    /// It allows, unless a forbid applies too.
    Permit,
    /// It denies, or asks a person if it carries `@escalate`.
    Forbid,
}

/// Which rules hold under which others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// Always holds.
    Floor,
    /// Added by the user.
    User,
    /// Added by the user to be tried out.
    Shadow,
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) tier: Tier,
}

/// One loaded rule, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    /// Its `@id`.
    pub id: String,
    /// Permit or forbid.
    pub effect: RuleEffect,
    /// The file it is in.
    pub file: String,
    /// The line where it starts, from 1.
    pub line: usize,
    /// Whether it is only tried out: decided and recorded, and not enforced.
    pub shadow: bool,
    /// What the person is asked, if an approval can lift it.
    pub escalate: Option<String>,
    /// The code of the reason it gives; none for a permit.
    pub code: Option<String>,
    /// The comment above it; empty if there is none.
    pub doc: String,
}

/// One loaded rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) effect: RuleEffect,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) tier: Tier,
    pub(super) doc: String,
    code: String,
    message: Option<String>,
    advice: Option<String>,
    escalate: Option<String>,
}

impl Rule {
    /// Reads a rule's annotations.
    pub(super) fn read<'a>(
        place: Place<'_>,
        id: &str,
        effect: RuleEffect,
        doc: String,
        annotations: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PolicyError> {
        if !is_id(id) {
            let (file, line) = (place.file.to_owned(), place.line);
            return Err(PolicyError::BadId { file, line, rule: id.escape_debug().to_string() });
        }
        let mut rule = Self {
            id: id.to_owned(),
            effect,
            file: place.file.to_owned(),
            line: place.line,
            tier: place.tier,
            doc,
            code: code_of(id),
            message: None,
            advice: None,
            escalate: None,
        };
        // Cedar keeps them in a map of its own; sorted, the same mistakes give the same error.
        let mut annotations: Vec<_> = annotations.filter(|(name, _)| *name != "id").collect();
        annotations.sort_unstable();
        for (name, text) in annotations {
            rule.annotate(name, text.trim())?;
        }
        if RESERVED.contains(&rule.code.as_str()) {
            return Err(rule.bad_reason(&rule.code));
        }
        Ok(rule)
    }

    fn annotate(&mut self, name: &str, text: &str) -> Result<(), PolicyError> {
        let (file, line, rule) = (self.file.clone(), self.line, self.id.clone());
        match name {
            "escalate" if self.effect == RuleEffect::Permit => {
                Err(PolicyError::EscalateOnPermit { file, line, rule })
            }
            "escalate" | "reason" | "advice" if text.is_empty() => {
                Err(PolicyError::EmptyAnnotation { file, line, rule, annotation: name.to_owned() })
            }
            "escalate" => {
                self.escalate = Some(text.to_owned());
                Ok(())
            }
            "advice" => {
                self.advice = Some(text.to_owned());
                Ok(())
            }
            "reason" => {
                let (code, sentence) = match text.split_once(':') {
                    Some((code, sentence)) => (code.trim(), Some(sentence.trim())),
                    None => (text, None),
                };
                if !is_code(code) || sentence.is_some_and(str::is_empty) {
                    return Err(self.bad_reason(code));
                }
                self.code = code.to_owned();
                self.message = sentence.map(str::to_owned);
                Ok(())
            }
            _ => Err(PolicyError::UnknownAnnotation { file, line, rule, annotation: name.to_owned() }),
        }
    }

    fn bad_reason(&self, code: &str) -> PolicyError {
        PolicyError::BadReason {
            file: self.file.clone(),
            line: self.line,
            rule: self.id.clone(),
            code: code.escape_debug().to_string(),
        }
    }

    /// Whether an approval can lift it.
    pub(super) const fn escalates(&self) -> bool {
        self.escalate.is_some()
    }

    /// The reason it gives when a person is asked.
    pub(super) fn question(&self) -> Reason {
        let question = self.escalate.clone().or_else(|| self.message.clone());
        self.reason_with(question, self.advice.clone())
    }

    /// The reason it gives when the answer is no. That an approval could lift this rule alone is no help then.
    pub(super) fn denial(&self) -> Reason {
        if self.escalates() {
            let message = self.message.clone().or_else(|| self.escalate.clone());
            self.reason_with(
                message,
                Some("see the other reasons first: an approval alone does not lift them".into()),
            )
        } else {
            self.reason_with(self.message.clone(), self.advice.clone())
        }
    }

    fn reason_with(&self, message: Option<String>, next_step: Option<String>) -> Reason {
        Reason {
            code: Cow::Owned(self.code.clone()),
            message: message.unwrap_or_else(|| format!("rule `{}` in `{}` forbids it", self.id, self.file)),
            next_step: next_step
                .unwrap_or_else(|| format!("do something else, or ask the user about rule `{}`", self.id)),
        }
    }

    pub(super) fn view(&self) -> RuleView {
        RuleView {
            id: self.id.clone(),
            effect: self.effect,
            file: self.file.clone(),
            line: self.line,
            shadow: self.tier == Tier::Shadow,
            escalate: self.escalate.clone(),
            code: (self.effect == RuleEffect::Forbid).then(|| self.code.clone()),
            doc: self.doc.clone(),
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=ID_LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_code(code: &str) -> bool {
    code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// `mine.no-shell` gives `MINE_NO_SHELL`.
fn code_of(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
