//! What spending is grouped and sifted by.

use super::Purchase;
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
            Self::Day => GroupValue::Is(purchase.booked_at().to_string().chars().take(10).collect()),
        }
    }
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

/// What a group has in common. As JSON: text, `null`, or `{"erased":true}`, so that no name can pass for either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupValue {
    /// This.
    Is(String),
    /// The mandate names none.
    Unset,
    /// What said it was erased or cannot be read: nobody knows any more.
    Erased,
}

impl fmt::Display for GroupValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is(text) => text,
            Self::Unset => "(none)",
            Self::Erased => "(erased)",
        })
    }
}

impl Serialize for GroupValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(text) => serializer.serialize_str(text),
            Self::Unset => serializer.serialize_none(),
            Self::Erased => serializer.collect_map([("erased", true)]),
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
}
