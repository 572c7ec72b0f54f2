//! The decision once more, slowly and literally: one set of all policies for all actions, and policies removed from it.

use super::*;
use crate::policy::load::SHIPPED;
use crate::policy::question::Vocabulary;
use cedar_policy::{Authorizer, PolicyId, PolicySet};

/// Every policy of every file under its `@id`.
pub(super) struct Reference(PolicySet);

impl Reference {
    pub(super) fn new(extra: &[PolicyFile]) -> Self {
        let mut all = PolicySet::new();
        let texts = SHIPPED.iter().map(|(_, text)| *text).chain(extra.iter().map(|file| file.text.as_str()));
        for text in texts {
            for policy in text.parse::<PolicySet>().unwrap().policies() {
                let id = PolicyId::new(policy.annotation("id").unwrap());
                all.add(policy.new_id(id)).unwrap();
            }
        }
        Self(all)
    }

    fn without(&self, dropped: &[String]) -> PolicySet {
        PolicySet::from_policies(
            self.0.policies().filter(|policy| !dropped.contains(&policy.id().to_string())).cloned(),
        )
        .unwrap()
    }

    fn escalates(&self, id: &str) -> bool {
        self.0.annotation(&PolicyId::new(id), "escalate").is_some()
    }

    /// Verdict and determining rules; none if the facts cannot be asked about at all.
    pub(super) fn decide(&self, facts: &Facts, approved: &[String]) -> Option<(Verdict, Vec<String>)> {
        let question = Vocabulary::new().unwrap().question(facts).ok()?;
        bursar_types::canonical_digest(facts).ok()?;
        let ask = |policies: &PolicySet| {
            let answer = Authorizer::new().is_authorized(&question.request, policies, &question.entities);
            let mut errors: Vec<_> =
                answer.diagnostics().errors().map(|error| policy_of(error).to_string()).collect();
            let mut reason: Vec<_> = answer.diagnostics().reason().map(ToString::to_string).collect();
            errors.sort();
            reason.sort();
            (answer.decision() == cedar_policy::Decision::Allow, reason, errors)
        };
        let (_, _, errors) = ask(&self.0);
        if !errors.is_empty() {
            return Some((Verdict::Deny, errors));
        }
        let dropped: Vec<_> = approved.iter().filter(|id| self.escalates(id)).cloned().collect();
        let (allowed, determining, _) = ask(&self.without(&dropped));
        if allowed {
            return Some((Verdict::Allow, determining));
        }
        let mut without = dropped;
        without.extend(determining.iter().cloned());
        let liftable = !determining.is_empty()
            && determining.iter().all(|id| self.escalates(id))
            && ask(&self.without(&without)).0;
        Some((if liftable { Verdict::Escalate } else { Verdict::Deny }, determining))
    }
}

fn policy_of(error: &cedar_policy::AuthorizationError) -> &PolicyId {
    let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id()
}
