//! Mandates with one limit less in them.

use crate::scenario::{Scenario, Step, Suite};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// A limit that mandates of a suite have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    /// A key of the mandate, such as `payment_max` or `vendors`: it is left out.
    Key(String),
    /// Every entry of `budget` or `limit` with this scope.
    Scope(String, String),
    /// The windows of budgets: they become so short that they hold nothing back.
    Window(String),
    /// A field of entries in `budget` or `limit`, such as `gross` or `only`.
    Field(String, String),
    /// How many times metered items may be bought.
    MeteredCount,
    /// What they may cost.
    MeteredCeiling,
    /// Their payee.
    MeteredPayee,
    /// What they stand for: any path of the host.
    MeteredResource,
    /// A switch that forbids while it is off: `live`, `upfront`.
    Switch(String),
    /// Who is asked.
    Approval,
}

/// Keys that say what something is, and limit nothing.
const WORDS: [&str; 8] = ["purpose", "user", "project", "role", "agent", "budget", "limit", "metered"];

impl Limit {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Key(key) => format!("mandate: {key}"),
            Self::Scope(list, scope) => format!("mandate: {list} of scope {scope}"),
            Self::Window(window) => format!("mandate: budgets over the window {window}"),
            Self::Field(list, field) => format!("mandate: {field} of a {list}"),
            Self::MeteredCount => "mandate: count of a metered item".to_owned(),
            Self::MeteredCeiling => "mandate: ceiling of a metered item".to_owned(),
            Self::MeteredPayee => "mandate: payee of a metered item".to_owned(),
            Self::MeteredResource => "mandate: resource of a metered item".to_owned(),
            Self::Switch(key) => format!("mandate: {key} switched off"),
            Self::Approval => "mandate: approval".to_owned(),
        }
    }

    /// The mandate without it.
    fn taken_out(&self, mandate: &mut Table) {
        match self {
            Self::Key(key) => drop(mandate.remove(key)),
            Self::Scope(list, scope) => {
                entries(mandate, list, |entry| text(entry, "scope") != Some(scope));
                keep_one_budget(mandate);
            }
            Self::Window(window) => {
                entries(mandate, "budget", |entry| text(entry, "window").unwrap_or("life") != window);
                keep_one_budget(mandate);
            }
            Self::Field(list, field) => each(mandate, list, |entry| drop(entry.remove(field))),
            Self::MeteredCount => {
                each(mandate, "metered", |item| drop(item.insert("count".to_owned(), 1_000_000.into())));
            }
            Self::MeteredCeiling => {
                each(mandate, "metered", |item| drop(item.insert("ceiling".to_owned(), "1000000".into())));
            }
            Self::MeteredPayee => each(mandate, "metered", |item| drop(item.remove("payee"))),
            Self::MeteredResource => each(mandate, "metered", |item| {
                let wide =
                    text(item, "resource").and_then(|url| url::Url::parse(url.trim_end_matches('*')).ok());
                let wide = wide.and_then(|url| url.join("/").ok());
                if let Some(wide) = wide {
                    item.insert("resource".to_owned(), format!("{wide}*").into());
                }
            }),
            Self::Switch(key) => drop(mandate.insert(key.clone(), true.into())),
            Self::Approval => drop(mandate.remove("approval")),
        }
    }

    /// The suite with the limit taken out of every mandate in it.
    pub(super) fn without(&self, suite: &Suite) -> Suite {
        let mut weaker = suite.clone();
        weaker.cases.retain_mut(|(_, case)| {
            let before = (case.mandate.clone(), case.steps.clone());
            self.taken_out(&mut case.mandate);
            self.steps(&mut case.steps);
            // Who never had it cannot miss it.
            before != (case.mandate.clone(), case.steps.clone())
        });
        weaker
    }

    fn steps(&self, steps: &mut [Step]) {
        for step in steps {
            match step {
                Step::Open { mandate, .. } => {
                    // A changed list of budgets must keep one, a change that has none must stay without.
                    let had = mandate.contains_key("budget");
                    if had || !matches!(self, Self::Scope(..) | Self::Window(_) | Self::Switch(_)) {
                        self.taken_out(mandate);
                    }
                }
                Step::Repeat { steps, .. } => self.steps(steps),
                _ => {}
            }
        }
    }
}

/// Every limit that some mandate of the suite has.
pub(super) fn limits(suite: &Suite) -> Vec<Limit> {
    let mut found = BTreeSet::new();
    for (_, case) in suite.cases.iter().filter(|(_, case)| case.not_run.is_none()) {
        for mandate in mandates(case) {
            of_one(mandate, &mut found);
        }
    }
    found.into_iter().collect()
}

fn mandates(case: &Scenario) -> Vec<&Table> {
    fn opened<'a>(steps: &'a [Step], found: &mut Vec<&'a Table>) {
        for step in steps {
            match step {
                Step::Open { mandate, .. } => found.push(mandate),
                Step::Repeat { steps, .. } => opened(steps, found),
                _ => {}
            }
        }
    }
    let mut found = vec![&case.mandate];
    opened(&case.steps, &mut found);
    found
}

fn of_one(mandate: &Table, found: &mut BTreeSet<Limit>) {
    for key in mandate.keys().filter(|key| !WORDS.contains(&key.as_str())) {
        match key.as_str() {
            "live" | "upfront" => {}
            "approval" => drop(found.insert(Limit::Approval)),
            key => drop(found.insert(Limit::Key(key.to_owned()))),
        }
    }
    for key in ["live", "upfront"] {
        if mandate.get(key).and_then(Value::as_bool) != Some(true) {
            found.insert(Limit::Switch(key.to_owned()));
        }
    }
    for list in ["budget", "limit"] {
        for entry in tables(mandate, list) {
            found.extend(text(entry, "scope").map(|scope| Limit::Scope(list.to_owned(), scope.to_owned())));
            if list == "budget" {
                found.insert(Limit::Window(text(entry, "window").unwrap_or("life").to_owned()));
            }
            let fields = entry.keys().filter(|key| ["gross", "only", "alert"].contains(&key.as_str()));
            found.extend(fields.map(|field| Limit::Field(list.to_owned(), field.clone())));
        }
    }
    for item in tables(mandate, "metered") {
        found.extend([Limit::MeteredCount, Limit::MeteredCeiling]);
        if item.contains_key("payee") {
            found.insert(Limit::MeteredPayee);
        }
        if text(item, "resource").is_some_and(|resource| !resource.ends_with("/*")) {
            found.insert(Limit::MeteredResource);
        }
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

fn tables<'a>(mandate: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    mandate.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}
