//! Cutting a mandate from another: it may only become narrower.

use super::{BudgetRule, LimitRule, Mandate, MeteredItem, Scope, matches_host, window_key};
use bursar_types::Amount;
use thiserror::Error;

/// A mandate would allow what the one it is cut from does not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct Widened {
    /// Which field, such as `vendors` or `budget[1].limit`.
    pub field: String,
    /// What is wider, and what to give instead.
    pub problem: &'static str,
}

fn wider(field: impl Into<String>, problem: &'static str) -> Result<(), Widened> {
    Err(Widened { field: field.into(), problem })
}

/// Whether a cap is the same or lower; a missing one is none at all.
fn at_most(child: Option<&Amount>, parent: Option<&Amount>) -> bool {
    match (child, parent) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(child), Some(parent)) => matches!(child.at_most(parent), Ok(true)),
    }
}

/// Whether one vendor pattern names no host that the other does not.
fn covers(parent: &str, child: &str) -> bool {
    match (parent.strip_prefix("*."), child.strip_prefix("*.")) {
        (Some(domain), Some(child)) => {
            child == domain || child.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        }
        (None, Some(_)) => false,
        (_, None) => matches_host(parent, child),
    }
}

impl Mandate {
    /// The mandate of a helper: the same, for another agent, without the standing purchases. Narrow it further before it is
    /// given away; what its parent's budgets and limits say holds for it in any case.
    ///
    /// # Example
    /// ```
    /// # use bursar_payments::Mandate;
    /// # use bursar_types::{Amount, Asset, AssetRegistry};
    /// # let usdc = AssetRegistry::pinned().iter().find(|a| a.symbol() == "USDC").unwrap().id().clone();
    /// # let usd = |text| Amount::parse_decimal(&Asset::micro_usd(), text);
    /// # let parent = Mandate::new("research", "ada").session_budget(usd("0.50")?).asset(usdc);
    /// let child = parent.child("scout").cap_session(usd("0.10")?);
    /// child.narrower_than(&parent)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn child(&self, agent: impl Into<String>) -> Self {
        Self { agent: agent.into(), session: None, metered: Vec::new(), ..self.clone() }
    }

    /// Lowers every budget of scope session to at most `limit`; adds one for life if there is none.
    #[must_use]
    pub fn cap_session(mut self, limit: Amount) -> Self {
        let mut found = false;
        for rule in self.budgets.iter_mut().filter(|rule| rule.scope == Scope::Session) {
            found = true;
            if !at_most(Some(&rule.limit), Some(&limit)) {
                rule.limit = limit.clone();
            }
        }
        match found {
            true => self,
            false => self.session_budget(limit),
        }
    }

    /// Whether it allows nothing that `parent` does not.
    ///
    /// Budgets and limits that it leaves out hold all the same, since a purchase under it counts in its parent's. Roles and
    /// categories are what rules go by, so they must be the parent's.
    ///
    /// # Errors
    /// [`Widened`], naming the first field that is wider.
    pub fn narrower_than(&self, parent: &Self) -> Result<(), Widened> {
        // Every field by name: one that is added must be thought about here.
        let Self {
            purpose: _,
            user,
            project,
            client,
            agent: _,
            role,
            task,
            // Which session it is bound to is said when it is opened.
            session: _,
            budgets: _,
            limits: _,
            categories,
            vendors,
            assets,
            approval,
            ask_above,
            payment_max,
            review_above,
            approvers,
            signed_approvals,
            approval_s_max,
            expires_at,
            live,
            upfront,
            window_s_max,
            plan_s_max,
            metered,
            policies,
            shadow,
        } = self;
        for (field, same) in [
            ("user", *user == parent.user),
            ("project", *project == parent.project),
            ("client", *client == parent.client),
            ("role", *role == parent.role),
            ("category", *categories == parent.categories),
            ("approvers", *approvers == parent.approvers),
            ("task", parent.task.is_none() || *task == parent.task),
        ] {
            if !same {
                return wider(field, "it must be the one of the mandate it is cut from");
            }
        }
        self.budgets_within(parent)?;
        self.limits_within(parent)?;
        let listed = |vendor: &String| parent.vendors.iter().any(|known| covers(known, vendor));
        if !parent.vendors.is_empty() && (vendors.is_empty() || !vendors.iter().all(listed)) {
            return wider("vendors", "it names a vendor that the mandate it is cut from does not");
        }
        if !assets.iter().all(|asset| parent.assets.contains(asset)) {
            return wider("assets", "it names an asset that the mandate it is cut from does not");
        }
        if parent.approval.strictest(*approval) != *approval {
            return wider("approval", "it asks less than the mandate it is cut from");
        }
        for (field, child, parent) in [
            ("ask_above", ask_above, &parent.ask_above),
            ("payment_max", payment_max, &parent.payment_max),
            ("review_above", review_above, &parent.review_above),
        ] {
            if !at_most(child.as_ref(), parent.as_ref()) {
                return wider(field, "it is above that of the mandate it is cut from");
            }
        }
        if parent.expires_at.is_some_and(|end| expires_at.is_none_or(|at| at > end)) {
            return wider("expires_at", "it lives longer than the mandate it is cut from");
        }
        for (field, more) in [
            ("live", *live && !parent.live),
            ("upfront", *upfront && !parent.upfront),
            ("window_s_max", *window_s_max > parent.window_s_max),
            ("plan_s_max", *plan_s_max > parent.plan_s_max),
            ("signed_approvals", parent.signed_approvals && !signed_approvals),
            ("approval_s_max", *approval_s_max > parent.approval_s_max),
        ] {
            if more {
                return wider(field, "it allows more than the mandate it is cut from");
            }
        }
        if !parent.policies.iter().all(|pinned| policies.contains(pinned)) {
            return wider("policies", "it does not pin what the mandate it is cut from pins");
        }
        if *shadow && !parent.shadow {
            return wider("shadow", "it does not enforce what the mandate it is cut from enforces");
        }
        metered.iter().try_for_each(|item| metered_within(item, parent))
    }

    fn budgets_within(&self, parent: &Self) -> Result<(), Widened> {
        for (index, rule) in self.budgets.iter().enumerate() {
            let same = |known: &&BudgetRule| {
                (known.scope, &known.only, window_key(known.window), known.gross)
                    == (rule.scope, &rule.only, window_key(rule.window), rule.gross)
            };
            let Some(known) = parent.budgets.iter().find(same) else { continue };
            let own = self.is_own(rule.scope, parent);
            if own && !at_most(Some(&rule.cap()), Some(&known.cap())) {
                return wider(
                    format!("budget[{index}].limit"),
                    "it is above that of the mandate it is cut from",
                );
            }
            if !own && rule.cap() != known.cap() {
                let problem =
                    "a budget that is shared keeps its limit; leave it out, since it holds in any case";
                return wider(format!("budget[{index}].limit"), problem);
            }
            if !own && (rule.gates, rule.alert) != (known.gates, known.alert) {
                let problem = "a budget that is shared keeps its gates and alerts; leave it out, since it holds in any case";
                return wider(format!("budget[{index}].gates"), problem);
            }
        }
        Ok(())
    }

    fn limits_within(&self, parent: &Self) -> Result<(), Widened> {
        for (index, rule) in self.limits.iter().enumerate() {
            let same = |known: &&LimitRule| {
                (known.counts, known.scope, &known.only, window_key(known.window))
                    == (rule.counts, rule.scope, &rule.only, window_key(rule.window))
            };
            let Some(known) = parent.limits.iter().find(same) else { continue };
            let own = self.is_own(rule.scope, parent);
            if own && rule.most > known.most {
                return wider(format!("limit[{index}]"), "it is above that of the mandate it is cut from");
            }
            if !own && rule.most != known.most {
                let problem =
                    "a limit that is shared keeps its number; leave it out, since it holds in any case";
                return wider(format!("limit[{index}]"), problem);
            }
        }
        Ok(())
    }

    /// Whether a budget of this scope is another one than the parent's, though it has the same rule.
    fn is_own(&self, scope: Scope, parent: &Self) -> bool {
        match scope {
            Scope::Session => true,
            Scope::Agent => self.agent != parent.agent,
            _ => false,
        }
    }
}

fn metered_within(item: &MeteredItem, parent: &Mandate) -> Result<(), Widened> {
    let field = |part: &str| format!("metered `{}`{part}", item.name);
    let Some(known) = parent.metered.iter().find(|known| known.name == item.name) else {
        return wider(field(""), "the mandate it is cut from has no such item");
    };
    let within = match known.resource.strip_suffix('*') {
        Some(prefix) => item.resource.starts_with(prefix),
        None => item.resource == known.resource,
    };
    if !within {
        return wider(field(".resource"), "it reaches further than the item it is cut from");
    }
    if (&item.method, &item.payee, &item.asset) != (&known.method, &known.payee, &known.asset) {
        return wider(field(""), "method, payee and asset must be those of the item it is cut from");
    }
    if !at_most(Some(&item.ceiling), Some(&known.ceiling)) || item.count > known.count {
        return wider(field(""), "ceiling or count is above that of the item it is cut from");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mandate::PlanApproval;
    use bursar_ledger::Window;
    use bursar_types::{Asset, AssetId, Digest, Timestamp};

    fn usd(text: &str) -> Amount {
        Amount::parse_decimal(&Asset::micro_usd(), text).unwrap()
    }

    fn token(n: u8) -> AssetId {
        AssetId::erc20(1, &format!("0x{n:040}"))
    }

    fn item() -> MeteredItem {
        MeteredItem {
            name: "docs".to_owned(),
            resource: "https://api.example/v1/*".to_owned(),
            method: "GET".to_owned(),
            payee: "0xaa".to_owned(),
            asset: token(1),
            ceiling: Amount::from_atomic(token(1), 1_000),
            count: 10,
        }
    }

    fn parent() -> Mandate {
        let day = Window::Rolling { length_ms: 86_400_000 };
        let mut mandate = Mandate::new("p", "ada")
            .session_budget(usd("1.00"))
            .budget(Scope::User, usd("5.00"), day)
            .budget(Scope::Agent, usd("2.00"), day)
            .limit(LimitRule::payments(Scope::Session, 10, day))
            .limit(LimitRule::payments(Scope::Vendor, 5, day))
            .asset(token(1))
            .metered(item());
        mandate.vendors = vec!["*.example".to_owned(), "one.test".to_owned()];
        mandate.ask_above = Some(usd("0.50"));
        mandate.expires_at = Some(Timestamp::from_unix_ms(1_000));
        mandate.policies = vec![("mine.cedar".to_owned(), Digest::of(b"mine"))];
        mandate
    }

    type Change = fn(&mut Mandate);

    #[test]
    fn what_is_cut_off_is_narrower() {
        let changes: [Change; 12] = [
            |_| {},
            |m| m.budgets[0].limit = usd("0.10"),
            |m| m.budgets.retain(|rule| rule.scope == Scope::Session),
            |m| m.budgets[2].limit = usd("0.10"),
            |m| m.limits[0].most = 1,
            |m| m.limits.clear(),
            |m| {
                m.vendors =
                    vec!["api.example".to_owned(), "*.api.example".to_owned(), "one.test:8443".to_owned()]
            },
            |m| m.approval = PlanApproval::Ask,
            |m| m.ask_above = Some(usd("0.01")),
            |m| m.expires_at = Some(Timestamp::from_unix_ms(999)),
            |m| m.policies.push(("more.cedar".to_owned(), Digest::of(b"more"))),
            |m| {
                let resource = "https://api.example/v1/a".to_owned();
                m.metered.push(MeteredItem { resource, count: 1, ..item() });
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut child = parent().child("scout");
            change(&mut child);
            assert_eq!(child.narrower_than(&parent()), Ok(()), "change {index}");
        }
    }

    #[test]
    fn whatever_is_wider_is_named() {
        let changes: [(&str, Change); 23] = [
            ("user", |m| m.user = "eve".to_owned()),
            ("project", |m| m.project = "other".to_owned()),
            ("client", |m| m.client = Some("other".to_owned())),
            ("role", |m| m.role = "admin".to_owned()),
            ("category", |m| *m = m.clone().category("weather", &["evil.test"])),
            ("budget[0].limit", |m| m.budgets[0].limit = usd("1.01")),
            ("budget[1].limit", |m| m.budgets[1].limit = usd("6.00")),
            ("budget[1].limit", |m| m.budgets[1].limit = usd("4.00")),
            ("budget[2].limit", |m| m.budgets[2].limit = usd("2.01")),
            ("limit[0]", |m| m.limits[0].most = 11),
            ("limit[1]", |m| m.limits[1].most = 4),
            ("vendors", |m| m.vendors.clear()),
            ("vendors", |m| m.vendors = vec!["*.one.test".to_owned()]),
            ("vendors", |m| m.vendors = vec!["evilexample".to_owned()]),
            ("assets", |m| m.assets.push(token(2))),
            ("ask_above", |m| m.ask_above = None),
            ("ask_above", |m| m.ask_above = Some(usd("0.51"))),
            ("expires_at", |m| m.expires_at = None),
            ("expires_at", |m| m.expires_at = Some(Timestamp::from_unix_ms(1_001))),
            ("live", |m| m.live = true),
            ("upfront", |m| m.upfront = true),
            ("window_s_max", |m| m.window_s_max = 61),
            ("policies", |m| m.policies.clear()),
        ];
        for (field, change) in changes {
            let mut child = parent().child("scout");
            change(&mut child);
            assert_eq!(child.narrower_than(&parent()).unwrap_err().field, field);
        }
        let asks = parent().approval(PlanApproval::Ask);
        assert_eq!(parent().child("scout").narrower_than(&asks).unwrap_err().field, "approval");
    }

    #[test]
    fn a_standing_purchase_is_cut_from_one_of_the_same_name() {
        let usual = item();
        for (wide, field) in [
            (MeteredItem { name: "more".to_owned(), ..usual.clone() }, "metered `more`"),
            (
                MeteredItem { resource: "https://api.example/*".to_owned(), ..usual.clone() },
                "metered `docs`.resource",
            ),
            (MeteredItem { payee: "0xbb".to_owned(), ..usual.clone() }, "metered `docs`"),
            (MeteredItem { method: "POST".to_owned(), ..usual.clone() }, "metered `docs`"),
            (MeteredItem { count: 11, ..usual.clone() }, "metered `docs`"),
            (
                MeteredItem { ceiling: Amount::from_atomic(token(1), 1_001), ..usual.clone() },
                "metered `docs`",
            ),
        ] {
            let child = parent().child("scout").metered(wide);
            assert_eq!(child.narrower_than(&parent()).unwrap_err().field, field);
        }
    }
}
