//! What spending is grouped and sifted by.

use super::{AdoptedOutflow, Purchase};
use bursar_types::{SessionId, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What spending is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendKey {
    /// The session that paid.
    Session,
    /// The agent's name.
    Agent,
    /// The user.
    User,
    /// The project.
    Project,
    /// The customer on whose behalf.
    Client,
    /// Host and payee, as observed.
    Vendor,
    /// The category in which the mandate puts the host.
    Category,
    /// The rail.
    Rail,
    /// CAIP-2 network.
    Network,
    /// The day in UTC: when money moved, else when it was set aside.
    Day,
}

impl SpendKey {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Session,
        Self::Agent,
        Self::User,
        Self::Project,
        Self::Client,
        Self::Vendor,
        Self::Category,
        Self::Rail,
        Self::Network,
        Self::Day,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Project => "project",
            Self::Client => "client",
            Self::Vendor => "vendor",
            Self::Category => "category",
            Self::Rail => "rail",
            Self::Network => "network",
            Self::Day => "day",
        }
    }

    /// What it is of a purchase.
    #[must_use]
    pub fn of(self, purchase: &Purchase) -> GroupValue {
        let whose = purchase.whose.as_ref();
        let known = |value: Option<&String>| value.cloned().map_or(GroupValue::Erased, GroupValue::Is);
        match self {
            Self::Session => known(purchase.payment.session.map(|id| id.to_string()).as_ref()),
            Self::Agent => known(whose.map(|whose| &whose.agent)),
            Self::User => known(whose.map(|whose| &whose.user)),
            Self::Project => known(whose.map(|whose| &whose.project)),
            Self::Client => match whose {
                Some(whose) => whose.client.clone().map_or(GroupValue::Unset, GroupValue::Is),
                None => GroupValue::Erased,
            },
            Self::Vendor => match (purchase.payment.host.as_str(), purchase.payment.payee.as_str()) {
                ("", _) => GroupValue::Erased,
                (host, payee) => GroupValue::Is(format!("{host} {payee}")),
            },
            Self::Category => known(purchase.category.as_ref()),
            Self::Rail => known(purchase.rail.as_ref()),
            Self::Network => known(purchase.network.as_ref()),
            Self::Day => GroupValue::Is(day_of(purchase.booked_at())),
        }
    }

    /// What it is of money that a person took into the journal.
    #[must_use]
    pub fn of_adopted(self, adopted: &AdoptedOutflow) -> GroupValue {
        match self {
            Self::Network => GroupValue::Is(adopted.amount.asset().network().to_owned()),
            Self::Day => GroupValue::Is(day_of(adopted.at)),
            _ => GroupValue::Adopted,
        }
    }
}

/// The day of a moment in UTC.
fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

impl FromStr for SpendKey {
    type Err = ParseSpendKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|key| key.as_str() == text).ok_or(ParseSpendKeyError)
    }
}

/// The text is the name of no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "spending is grouped by session, agent, user, project, client, vendor, category, rail, network or day"
)]
pub struct ParseSpendKeyError;

impl fmt::Display for SpendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a group has in common. As JSON: text, `null`, or `{"erased":true}` and `{"adopted":true}`, so that no name can pass for either. As
/// text, `(none)`, `(erased)` and `(adopted)`, and a name that begins with a bracket or a quote stands in quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupValue {
    /// This.
    Is(String),
    /// The mandate names none.
    Unset,
    /// What said it was erased or cannot be read: nobody knows any more.
    Erased,
    /// It left the wallet without the journal: nobody knows for whom, and a person took it in.
    Adopted,
}

impl fmt::Display for GroupValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(text) if text.starts_with(['(', '"']) => write!(f, "\"{text}\""),
            Self::Is(text) => f.write_str(text),
            Self::Unset => f.write_str("(none)"),
            Self::Erased => f.write_str("(erased)"),
            Self::Adopted => f.write_str("(adopted)"),
        }
    }
}

impl Serialize for GroupValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(text) => serializer.serialize_str(text),
            Self::Unset => serializer.serialize_none(),
            Self::Erased => serializer.collect_map([("erased", true)]),
            Self::Adopted => serializer.collect_map([("adopted", true)]),
        }
    }
}

/// Which purchases are meant. An empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpendFilter {
    /// Only this session.
    pub session: Option<SessionId>,
    /// Booked at this moment or later.
    pub from: Option<Timestamp>,
    /// Booked before this moment.
    pub until: Option<Timestamp>,
    /// Only those of which each of these is this. A vendor is meant by its host, or by host and payee. What was erased is
    /// nothing that can be asked for.
    pub only: Vec<(SpendKey, String)>,
}

impl SpendFilter {
    /// Whether a purchase is meant.
    #[must_use]
    pub fn means(&self, purchase: &Purchase) -> bool {
        let at = purchase.booked_at();
        let is = |(key, wanted): &(SpendKey, String)| match key {
            SpendKey::Vendor if purchase.payment.host == *wanted => !wanted.is_empty(),
            key => key.of(purchase) == GroupValue::Is(wanted.clone()),
        };
        self.session.is_none_or(|session| purchase.payment.session == Some(session))
            && self.from.is_none_or(|from| at >= from)
            && self.until.is_none_or(|until| at < until)
            && self.only.iter().all(is)
    }

    /// Whether money that a person took into the journal is meant: not where a session, or anything that nobody knows of it, is asked for.
    #[must_use]
    pub fn means_adopted(&self, adopted: &AdoptedOutflow) -> bool {
        let is =
            |(key, wanted): &(SpendKey, String)| key.of_adopted(adopted) == GroupValue::Is(wanted.clone());
        self.session.is_none()
            && self.from.is_none_or(|from| adopted.at >= from)
            && self.until.is_none_or(|until| adopted.at < until)
            && self.only.iter().all(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_passes_for_none_or_for_what_was_erased() {
        let names = ["(none)", "(erased)", "(adopted)", "\"(none)\"", "\"", "", "Acme", "Acme (none)"];
        let is = names.map(|name| GroupValue::Is(name.to_owned()).to_string());
        let others =
            [GroupValue::Unset, GroupValue::Erased, GroupValue::Adopted].map(|value| value.to_string());
        let all: std::collections::BTreeSet<_> = is.iter().chain(&others).collect();
        assert_eq!(all.len(), names.len() + others.len(), "{all:?}");
    }
}
