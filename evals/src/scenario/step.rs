//! What happens in a scenario: steps of the agent, the sellers, the operator, the clock and of bad luck.

use super::Usd;
use bursar::types::DataLabel;
use bursar_market::FaultRule;
use serde::{Deserialize, Serialize};

/// One purchase that an agent proposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it asks the price of; the cheapest offer is cited.
    pub url: String,
    /// How many times.
    #[serde(default = "one")]
    pub count: u32,
    /// Method.
    #[serde(default = "get")]
    pub method: String,
    /// Body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Cites this quote id instead, whether it exists or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
}

/// A point at which a process dies. In a file: `before_sign`, `after_sign`, `before_present`, `after_answer`,
/// `before_commit payment.held`, `after_commit payment.signing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Point {
    /// Before the wallet signs.
    BeforeSign,
    /// After the wallet signed, before anything else happened.
    AfterSign,
    /// Before a request with a payment leaves.
    BeforePresent,
    /// After a payment was answered, before anybody has seen the answer.
    AfterAnswer,
    /// Before an entry of this kind is written.
    BeforeCommit(String),
    /// After an entry of this kind was written.
    AfterCommit(String),
}

impl TryFrom<String> for Point {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (at, kind) = text.split_once(' ').unwrap_or((&text, ""));
        match (at, kind) {
            ("before_sign", "") => Ok(Self::BeforeSign),
            ("after_sign", "") => Ok(Self::AfterSign),
            ("before_present", "") => Ok(Self::BeforePresent),
            ("after_answer", "") => Ok(Self::AfterAnswer),
            ("before_commit", kind) if !kind.is_empty() => Ok(Self::BeforeCommit(kind.to_owned())),
            ("after_commit", kind) if !kind.is_empty() => Ok(Self::AfterCommit(kind.to_owned())),
            _ => Err(format!(
                "`{text}` is no point; use before_sign, after_sign, before_present, after_answer, or before_commit and \
                 after_commit with the kind of an entry, such as `before_commit payment.held`"
            )),
        }
    }
}

impl From<Point> for String {
    fn from(point: Point) -> Self {
        match point {
            Point::BeforeSign => "before_sign".to_owned(),
            Point::AfterSign => "after_sign".to_owned(),
            Point::BeforePresent => "before_present".to_owned(),
            Point::AfterAnswer => "after_answer".to_owned(),
            Point::BeforeCommit(kind) => format!("before_commit {kind}"),
            Point::AfterCommit(kind) => format!("after_commit {kind}"),
        }
    }
}

/// A purchase, or many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// What is bought; `{n}` is the number of the repetition, from 1, and `{1..50}` counts through its range again and again.
    pub url: String,
    /// Method.
    #[serde(default = "get")]
    pub method: String,
    /// Body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
    /// Whose data it carries, where code says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataLabel>,
    /// The purchase key; every repetition has its own by default. A key without `{n}` is a retry of the same purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How often.
    #[serde(default = "one")]
    pub times: u32,
    /// All at once instead of one after the other.
    #[serde(default)]
    pub parallel: bool,
    /// Seconds between repetitions.
    #[serde(default)]
    pub every_s: u64,
    /// Which session.
    #[serde(default = "main")]
    pub session: String,
    /// Which process: each has its own handle on the one data file.
    #[serde(default = "main")]
    pub process: String,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Step {
    /// The agent fetches, and pays if it is let.
    Pay(Pay),
    /// The agent asks for prices.
    Quote {
        /// Of what.
        url: String,
        /// Whose data the request carries, where code says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<DataLabel>,
        /// Which session.
        #[serde(default = "main")]
        session: String,
    },
    /// The agent asks for prices and proposes a plan.
    Plan {
        /// What it wants to buy.
        #[serde(default)]
        items: Vec<Item>,
        /// What it says it is for.
        #[serde(default)]
        purpose: String,
        /// Which session.
        #[serde(default = "main")]
        session: String,
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// The agent takes its plans back and explores again.
    Withdraw {
        /// In which session.
        #[serde(default = "main")]
        session: String,
    },
    /// An agent runs: the suite's own, or one with the scenario's model and the tools for research.
    Agent {
        /// What it is asked.
        task: String,
        /// Which session.
        #[serde(default = "main")]
        session: String,
    },
    /// A session is opened under the scenario's mandate, with these keys of the mandate changed.
    Open {
        /// Its name.
        session: String,
        /// What is different.
        #[serde(default)]
        mandate: toml::Table,
        /// Which process opens it.
        #[serde(default = "main")]
        process: String,
    },
    /// A session delegates to a helper, under its scenario's mandate without metered items and with these keys changed.
    Delegate {
        /// The helper's session; its agent has the same name.
        session: String,
        /// Which session delegates.
        #[serde(default = "main")]
        from: String,
        /// What is different.
        #[serde(default)]
        mandate: toml::Table,
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// These steps, again and again; `{i}` is the number of the round, from 1.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
    /// A process is closed and opened again on the same data file.
    Restart {
        /// Which.
        #[serde(default = "main")]
        process: String,
    },
    /// From now on, a process dies at a point; the next step that needs it opens another on the same data file.
    Kill {
        /// Where.
        at: Point,
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// The clock moves.
    Advance {
        /// How far.
        #[serde(default)]
        seconds: u64,
    },
    /// The clock is put to a time of the day, UTC, today or tomorrow.
    Clock {
        /// `HH:MM`.
        at: String,
    },
    /// A seller asks another price from now on.
    Reprice {
        /// Which.
        seller: String,
        /// For what.
        path: String,
        /// How much.
        price: Usd,
    },
    /// A seller begins to misbehave.
    Misbehave {
        /// Which.
        seller: String,
        /// How.
        rule: FaultRule,
    },
    /// A seller behaves from now on.
    Behave {
        /// Which.
        seller: String,
    },
    /// A seller sends back the last payment it got, asked or not.
    Refund {
        /// Which.
        seller: String,
        /// How much; all of it by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Usd>,
    },
    /// The work after a purchase fails: its price is asked back.
    Claim {
        /// The purchase key.
        key: String,
        /// How much; all of it by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Usd>,
        /// Which session.
        #[serde(default = "main")]
        session: String,
    },
    /// A chain of purchases that is done or taken back as a whole.
    Saga {
        /// Its name.
        name: String,
        /// What it buys, in order.
        #[serde(default)]
        buys: Vec<String>,
        /// What happens then.
        #[serde(default)]
        then: Then,
        /// Which session.
        #[serde(default = "main")]
        session: String,
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// A seller settles an authorization that it kept.
    Settle {
        /// Which.
        seller: String,
    },
    /// Somebody who has the wallet's key sends money from it, without Bursar.
    Send {
        /// How much.
        amount: Usd,
    },
    /// Somebody changes the file of rules: processes that are opened from now on read this.
    Rules {
        /// Cedar text.
        text: String,
    },
    /// Somebody keeps a copy of the data file. The process is closed for it.
    Copy {
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// Somebody puts the copy back; there must be one. The process is closed for it.
    PutBack {
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// Somebody keeps a second data folder, with all that is in the first: from now on a process has it for its own, and the two
    /// go on apart. The process whose folder is copied is closed for it.
    Fork {
        /// Whose folder is copied.
        #[serde(default = "main")]
        process: String,
        /// The process that goes on in the copy.
        into: String,
    },
    /// A process publishes its journal, and has it cosigned where the scenario has a witness.
    Publish {
        /// Which process.
        #[serde(default = "main")]
        process: String,
    },
    /// Somebody outside is shown what a process has published, and compares it with what they were shown before.
    Show {
        /// Whose log.
        #[serde(default = "main")]
        process: String,
        /// Who reads it.
        to: String,
    },
    /// What is open is looked after once.
    Recover {
        /// By which process.
        #[serde(default = "main")]
        process: String,
    },
    /// The operator stops a session's spending.
    Freeze {
        /// Which.
        #[serde(default = "main")]
        session: String,
        /// Instead of a session: `all`, `wallet` for the buyer's, or `agent:USER/NAME`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
    /// The user takes a session's mandate back, for good.
    Revoke {
        /// Which.
        #[serde(default = "main")]
        session: String,
    },
    /// The operator lets it spend again.
    Thaw {
        /// Which.
        #[serde(default = "main")]
        session: String,
        /// Instead of a session: `all`, `wallet` for the buyer's, or `agent:USER/NAME`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
}

/// What becomes of a saga once it has bought what it wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Its last step is done.
    #[default]
    Complete,
    /// Its next step fails, so that it is taken back.
    Fail,
    /// Nothing: its worker went away.
    Nothing,
}

const fn one() -> u32 {
    1
}

fn main() -> String {
    "main".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

impl Step {
    /// Whether it needs a log that is published.
    pub(super) fn needs_log(&self) -> bool {
        match self {
            Self::Publish { .. } | Self::Show { .. } => true,
            Self::Repeat { steps, .. } => steps.iter().any(Self::needs_log),
            _ => false,
        }
    }

    /// The sellers that it names.
    pub(super) fn sellers(&self) -> Vec<&str> {
        match self {
            Self::Reprice { seller, .. }
            | Self::Misbehave { seller, .. }
            | Self::Behave { seller }
            | Self::Settle { seller }
            | Self::Refund { seller, .. } => vec![seller],
            Self::Repeat { steps, .. } => steps.iter().flat_map(Self::sellers).collect(),
            _ => Vec::new(),
        }
    }
}
