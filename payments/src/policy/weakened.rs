//! Rules with a check missing, for evaluations: does anything notice?

use super::decide::Policy;
use super::error::PolicyError;
use super::load::{PolicyFile, SHIPPED, Source};

/// Stands beside weakened rules, always: whatever was taken out, nothing that is worth money is planned or paid.
const WEAKENED: (&str, &str) = (
    "weakened.cedar",
    r#"
// Rules from which a check was taken out are there to be played with.
@id("weakened.live-off")
@reason("WEAKENED_RULES: a check was taken out of the shipped rules, so nothing that is worth money is paid")
@advice("ask the operator to load the rules that ship")
forbid (principal, action in [Action::"plan", Action::"pay"], resource)
when { context.live };
"#,
);

impl Policy {
    /// The files that always hold, as they ship.
    #[must_use]
    pub fn shipped_files() -> Vec<PolicyFile> {
        SHIPPED.into_iter().map(|(name, text)| PolicyFile::new(name, text)).collect()
    }

    /// Rules in which other texts stand for the shipped files, so that an evaluation can take a check out and see which
    /// scenario notices.
    ///
    /// It cannot weaken a real purse by accident: a rule of its own forbids every asset that is worth money, its files have
    /// other digests, so that a mandate that pins the shipped ones refuses it, and no configuration file leads here.
    ///
    /// # Errors
    /// [`PolicyError`], as [`Policy::load`]; [`PolicyError::NotShipped`] if `floor` has a file that does not stand for a
    /// shipped one.
    pub fn weakened(floor: &[PolicyFile], extra: &[PolicyFile]) -> Result<Self, PolicyError> {
        if let Some(other) = floor.iter().find(|file| !Self::is_shipped(&file.name)) {
            return Err(PolicyError::NotShipped { name: other.name.escape_debug().to_string() });
        }
        let floor = floor.iter().map(|file| Source::from((file.name.as_str(), file.text.as_str())));
        let own = std::iter::once(Source::from(WEAKENED));
        Self::build(floor.chain(own).chain(extra.iter().map(Source::from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar_types::Digest;

    #[test]
    fn weakened_rules_have_other_digests_and_a_rule_against_money() {
        let mut floor = Policy::shipped_files();
        let pay = floor.iter_mut().find(|file| file.name == "pay.cedar").unwrap();
        pay.text = pay.text.replace("context.mandate_expired", "context.covered");
        let weakened = Policy::weakened(&floor, &[]).unwrap();
        let shipped = Policy::shipped().unwrap();
        let of = |policy: &Policy, file: &str| {
            policy.digests().into_iter().find(|(name, _)| name == file).map(|(_, digest)| digest)
        };
        assert_ne!(of(&weakened, "pay.cedar"), of(&shipped, "pay.cedar"));
        assert_eq!(of(&weakened, "plan.cedar"), of(&shipped, "plan.cedar"));
        assert_eq!(of(&weakened, "weakened.cedar"), Some(Digest::of(WEAKENED.1.as_bytes())));
        assert!(weakened.rules().any(|rule| rule.id == "weakened.live-off"));
    }

    #[test]
    fn what_does_not_stand_for_a_shipped_file_is_refused() {
        let other = PolicyFile::new("mine.cedar", "");
        assert!(matches!(Policy::weakened(&[other], &[]), Err(PolicyError::NotShipped { .. })));
    }
}
