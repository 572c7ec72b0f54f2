//! Mandates with one limit less in them.

use crate::scenario::{Scenario, Step, Suite};
use toml::{Table, Value};

/// A limit that a mandate can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// A key of the mandate, such as `payment_max` or `vendors`: it is left out.
    Key(&'static str),
    /// Every entry of `budget` or `limit` with this scope.
    Scope(&'static str, &'static str),
    /// Budgets over this window.
    Window(&'static str),
    /// How long this window of budgets and limits is: a second is left of it.
    Length(&'static str),
    /// A field of entries in `budget` or `limit`, such as `gross` or `only`.
    Field(&'static str, &'static str),
    /// Limits that count this: `payments` or `sessions`.
    Counted(&'static str),
    /// A field of metered items: what it says instead allows more.
    Metered(&'static str),
    /// A switch that forbids while it is off.
    Switch(&'static str),
    /// When the mandate ends.
    End,
}

/// Everything that limits a session, in the words of `[mandate]`. One that no scenario has counts as one that nobody misses.
pub(super) const LIMITS: [Limit; 59] = [
    Limit::Key("approval"),
    Limit::Key("ask_above"),
    Limit::Key("assets"),
    Limit::Key("payment_max"),
    Limit::Key("pinned"),
    Limit::Key("plan_s_max"),
    Limit::Key("review_above"),
    Limit::Key("signed_approvals"),
    Limit::Key("vendors"),
    Limit::Key("window_s_max"),
    Limit::End,
    Limit::Switch("live"),
    Limit::Switch("upfront"),
    Limit::Switch("shadow"),
    Limit::Metered("ceiling"),
    Limit::Metered("count"),
    Limit::Metered("method"),
    Limit::Metered("payee"),
    Limit::Metered("resource"),
    Limit::Scope("budget", "agent"),
    Limit::Scope("budget", "all"),
    Limit::Scope("budget", "category"),
    Limit::Scope("budget", "family"),
    Limit::Scope("budget", "payee"),
    Limit::Scope("budget", "project"),
    Limit::Scope("budget", "rail"),
    Limit::Scope("budget", "session"),
    Limit::Scope("budget", "unknown_vendors"),
    Limit::Scope("budget", "user"),
    Limit::Scope("budget", "vendor"),
    Limit::Window("life"),
    Limit::Window("minute"),
    Limit::Window("hour"),
    Limit::Window("day"),
    Limit::Window("month"),
    Limit::Window("open"),
    Limit::Length("life"),
    Limit::Length("minute"),
    Limit::Length("hour"),
    Limit::Length("day"),
    Limit::Length("month"),
    Limit::Field("budget", "alert"),
    Limit::Field("budget", "gates"),
    Limit::Field("budget", "gross"),
    Limit::Field("budget", "only"),
    Limit::Field("limit", "only"),
    Limit::Scope("limit", "agent"),
    Limit::Scope("limit", "all"),
    Limit::Scope("limit", "category"),
    Limit::Scope("limit", "family"),
    Limit::Scope("limit", "payee"),
    Limit::Scope("limit", "project"),
    Limit::Scope("limit", "rail"),
    Limit::Scope("limit", "session"),
    Limit::Scope("limit", "unknown_vendors"),
    Limit::Scope("limit", "user"),
    Limit::Scope("limit", "vendor"),
    Limit::Counted("payments"),
    Limit::Counted("sessions"),
];

impl Limit {
    pub(super) fn name(self) -> String {
        match self {
            Self::Key(key) => format!("mandate: {key}"),
            Self::Scope(list, scope) => format!("mandate: {list} of scope {scope}"),
            Self::Window(window) => format!("mandate: budgets over the window {window}"),
            Self::Length(window) => format!("mandate: length of the window {window}"),
            Self::Field(list, field) => format!("mandate: {field} of a {list}"),
            Self::Counted(what) => format!("mandate: limits on {what}"),
            Self::Metered(field) => format!("mandate: {field} of a metered item"),
            Self::Switch(key) => format!("mandate: {key} switched off"),
            Self::End => "mandate: its end".to_owned(),
        }
    }

    /// The mandate without it.
    fn taken_out(self, mandate: &mut Table) {
        match self {
            Self::Key(key) => {
                mandate.remove(key);
                // Who is named to sign is asked to.
                if key == "signed_approvals" {
                    mandate.remove("approvers");
                }
            }
            Self::Scope(list, scope) => entries(mandate, list, |entry| text(entry, "scope") != Some(scope)),
            Self::Window(window) => {
                entries(mandate, "budget", |entry| text(entry, "window").unwrap_or("life") != window);
            }
            Self::Counted(what) => entries(mandate, "limit", |entry| !entry.contains_key(what)),
            Self::Length(window) => {
                for list in ["budget", "limit"] {
                    each(mandate, list, |entry| {
                        if text(entry, "window").unwrap_or("life") == window {
                            entry.insert("window".to_owned(), 1.into());
                        }
                    });
                }
            }
            Self::Field(list, field) => each(mandate, list, |entry| drop(entry.remove(field))),
            Self::Metered(field) => each(mandate, "metered", |item| wider(item, field)),
            Self::Switch(key) => drop(mandate.insert(key.to_owned(), true.into())),
            Self::End => {}
        }
        if matches!(self, Self::Scope("budget", _) | Self::Window(_)) {
            keep_one_budget(mandate);
        }
    }

    /// The suite with the limit taken out of every mandate in it.
    pub(super) fn without(self, suite: &Suite) -> Suite {
        let mut weaker = suite.clone();
        weaker.cases.retain_mut(|(_, case)| {
            let before = case.clone();
            self.taken_out(&mut case.mandate);
            self.steps(&mut case.steps);
            if self == Self::End {
                case.expires_s = None;
            }
            // Who never had it cannot miss it.
            before != *case
        });
        weaker
    }

    fn steps(self, steps: &mut [Step]) {
        for step in steps {
            match step {
                Step::Open { mandate, .. } | Step::Delegate { mandate, .. } => {
                    // A changed list of budgets must keep one, a change that has none must stay without.
                    let had = mandate.contains_key("budget");
                    if had || !matches!(self, Self::Scope("budget", _) | Self::Window(_) | Self::Switch(_)) {
                        self.taken_out(mandate);
                    }
                }
                Step::Repeat { steps, .. } => self.steps(steps),
                _ => {}
            }
        }
    }
}

/// A metered item with more room in one field.
fn wider(item: &mut Table, field: &str) {
    let value = match field {
        "count" => Some(1_000_000.into()),
        "ceiling" => Some("1000000".into()),
        "resource" => {
            let url = text(item, "resource").and_then(|url| url::Url::parse(url.trim_end_matches('*')).ok());
            url.and_then(|url| url.join("/").ok()).map(|root| format!("{root}*").into())
        }
        // What is bought is bought with GET then, and from whoever the seller says.
        _ => return drop(item.remove(field)),
    };
    if let Some(value) = value {
        item.insert(field.to_owned(), value);
    }
}

/// A mandate without any budget is refused: a huge one stands for none.
fn keep_one_budget(mandate: &mut Table) {
    let Some(Value::Array(budgets)) = mandate.get_mut("budget") else { return };
    if budgets.is_empty() {
        let huge = [("scope", "all"), ("limit", "1000000000")];
        budgets
            .push(Value::Table(huge.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect()));
    }
}

fn entries(mandate: &mut Table, list: &str, keep: impl Fn(&Table) -> bool) {
    if let Some(Value::Array(all)) = mandate.get_mut(list) {
        all.retain(|entry| entry.as_table().is_none_or(&keep));
    }
}

fn each(mandate: &mut Table, list: &str, change: impl Fn(&mut Table)) {
    if let Some(Value::Array(all)) = mandate.get_mut(list) {
        all.iter_mut().filter_map(Value::as_table_mut).for_each(change);
    }
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

/// Whether a case's own mandates pin rules: then every change of them is noticed, whatever it was.
pub(super) fn pins(case: &Scenario) -> bool {
    fn opened(steps: &[Step]) -> bool {
        steps.iter().any(|step| match step {
            Step::Open { mandate, .. } | Step::Delegate { mandate, .. } => mandate.contains_key("pinned"),
            Step::Repeat { steps, .. } => opened(steps),
            _ => false,
        })
    }
    case.mandate.contains_key("pinned") || opened(&case.steps)
}
