//! Examples that a policy file carries in its comments: facts, and what the rules are expected to say to them.
//!
//! ```text
//! // @example deny action=pay host="evil.example" micro_usd=5000000
//! ```
//!
//! An example begins with a request, plan, payment or call that the shipped rules allow, and changes what it names. The names
//! are those of the schema; lists are written with commas. `role`, `user`, `project` and `agent` are the principal's, and
//! `approved=RULE,RULE` gives what a person has approved.

use super::decide::Policy;
use super::facts::{
    Actor, ApprovedBy, CallFacts, Facts, GateState, PayFacts, PlanFacts, QuoteFacts, Sums, Thresholds,
};
use bursar_types::{DataLabel, Decision, Digest, Effect, Phase, Verdict};
use serde_json::Value;
use thiserror::Error;

/// How an example begins, after the slashes.
pub(super) const EXAMPLE: &str = "@example";

/// One example of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The line where it stands, from 1.
    pub line: usize,
    /// Its text, as written.
    pub text: String,
    /// What the rules are expected to say.
    pub verdict: Verdict,
    /// What they are asked.
    pub facts: Facts,
    /// What a person has approved.
    pub approved: Vec<String>,
}

/// An example cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct ExampleError {
    /// The line where it stands, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl Example {
    /// The examples in the comments of a policy file, in its order.
    ///
    /// # Errors
    /// [`ExampleError`], with the line, for the first that cannot be read.
    pub fn read(text: &str) -> Result<Vec<Self>, ExampleError> {
        let comments = text.lines().zip(1..).filter_map(|(line, number)| {
            let example = line.trim().strip_prefix("//")?.trim().strip_prefix(EXAMPLE)?;
            Some((number, example.trim()))
        });
        comments
            .map(|(line, text)| Self::parse(line, text).map_err(|problem| ExampleError { line, problem }))
            .collect()
    }

    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let mut words = words(text)?.into_iter();
        let verdict = match words.next().as_deref() {
            Some("allow") => Verdict::Allow,
            Some("deny") => Verdict::Deny,
            Some("escalate") => Verdict::Escalate,
            _ => return Err("an example begins with `allow`, `deny` or `escalate`".to_owned()),
        };
        let mut fields = Vec::new();
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                return Err(format!("`{word}` is no fact; write it as `name=value`"));
            };
            fields.push((name.to_owned(), value.to_owned()));
        }
        let mut take = |wanted: &str| {
            let at = fields.iter().position(|(name, _)| name == wanted)?;
            Some(fields.remove(at).1)
        };
        let action = take("action").ok_or("an example names its `action`: quote, plan, pay or call")?;
        let approved = take("approved").map(|ids| list(&ids)).unwrap_or_default();
        let mut facts = allowed(&action)?;
        for (name, value) in fields {
            set(&mut facts, &action, &name, &value)?;
        }
        let facts = serde_json::from_value(facts).map_err(|error| error.to_string())?;
        Ok(Self { line, text: text.to_owned(), verdict, facts, approved })
    }

    /// What these rules say to it.
    #[must_use]
    pub fn decide(&self, policy: &Policy) -> Decision {
        policy.decide(&self.facts, &self.approved)
    }
}

/// Words, split at spaces; in quotes a space is a letter.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()))
            }
            c => word.push(c),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Ok(words)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Sets one fact by the name that rules know it by.
fn set(facts: &mut Value, action: &str, name: &str, value: &str) -> Result<(), String> {
    let path = match name {
        "agent" | "user" | "project" | "role" => format!("/actor/{name}"),
        "session_micro_usd" | "vendor_day_micro_usd" | "family_day_micro_usd" => format!("/sums/{name}"),
        "payment_max_micro_usd" | "review_above_micro_usd" => format!("/thresholds/{name}"),
        // Rules see it beside `data`, which it follows from.
        "client_data" if action != "plan" => {
            return Err("`client_data` follows from `data`: public, client or unknown".to_owned());
        }
        name => format!("/{name}"),
    };
    // Only what rules see has a name: no parts of facts, and no paths into them.
    let known = !name.contains('/') && !["actor", "sums", "thresholds"].contains(&name);
    let Some(fact) = known.then(|| facts.pointer_mut(&path)).flatten() else {
        return Err(format!("`{name}` is no fact of `{action}`; bursar.cedarschema lists them"));
    };
    let wrong = |wanted: &str| format!("`{name}={value}`: {wanted}");
    *fact = match fact {
        Value::Bool(_) => Value::Bool(value.parse().map_err(|_| wrong("it is `true` or `false`"))?),
        // Thresholds are absent unless an example names them.
        Value::Number(_) | Value::Null => {
            let number: u64 =
                value.parse().map_err(|_| wrong("it is a whole number; money is in micro-USD"))?;
            Value::from(number)
        }
        Value::Array(_) => list(value).into(),
        _ if value.is_empty() => return Err(wrong("it is empty")),
        _ => Value::from(value),
    };
    Ok(())
}

/// Facts of an action that the shipped rules allow.
fn allowed(action: &str) -> Result<Value, String> {
    let facts = match action {
        "quote" => Facts::Quote(quote()),
        "plan" => Facts::Plan(plan()),
        "pay" => Facts::Pay(pay()),
        "call" => Facts::Call(call()),
        other => return Err(format!("`{other}` is no action; quote, plan, pay and call are")),
    };
    serde_json::to_value(facts).map_err(|error| error.to_string())
}

const HOST: &str = "api.example.com";
const NETWORK: &str = "eip155:8453";
const PRICE: u128 = 10_000;

fn actor() -> Actor {
    let [agent, user, project, role] = ["agent-1", "user-1", "default", "agent"].map(str::to_owned);
    Actor { agent, user, project, role }
}

const fn sums() -> Sums {
    Sums { session_micro_usd: PRICE, vendor_day_micro_usd: PRICE, family_day_micro_usd: PRICE }
}

fn quote() -> QuoteFacts {
    QuoteFacts {
        actor: actor(),
        host: HOST.to_owned(),
        method: "GET".to_owned(),
        secure: true,
        local: false,
        has_body: false,
        vendor_listed: true,
        vendor_approved: true,
        first_time_vendor: false,
        category: "other".to_owned(),
        data: DataLabel::Public,
        gate: GateState::None,
        phase: Phase::Explore,
    }
}

fn plan() -> PlanFacts {
    PlanFacts {
        actor: actor(),
        plan: Digest::of(b"an example"),
        total_micro_usd: PRICE,
        items: 1,
        hosts: vec![HOST.to_owned()],
        categories: vec!["other".to_owned()],
        rails: vec!["x402".to_owned()],
        networks: vec![NETWORK.to_owned()],
        vendors_listed: true,
        vendors_approved: true,
        first_time_vendor: false,
        client_data: false,
        recurring: false,
        item_max_micro_usd: PRICE,
        sums: sums(),
        thresholds: Thresholds::default(),
        gate: GateState::None,
        assets_listed: true,
        live: false,
        live_enabled: false,
        approval: "rule".into(),
        ask_above_micro_usd: None,
        budget_basis_points: 1_000,
    }
}

fn pay() -> PayFacts {
    PayFacts {
        actor: actor(),
        host: HOST.to_owned(),
        payee: "0x00000000000000000000000000000000000000aa".to_owned(),
        resource: format!("https://{HOST}/v1"),
        method: "GET".to_owned(),
        rail: "x402".to_owned(),
        flow: "authorization".to_owned(),
        network: NETWORK.to_owned(),
        asset: format!("{NETWORK}/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        micro_usd: PRICE,
        phase: Phase::Acquire,
        covered: true,
        secure: true,
        vendor_listed: true,
        vendor_approved: true,
        category: "other".to_owned(),
        data: DataLabel::Public,
        recurring: false,
        recurring_approved: false,
        client_data_approved: false,
        approval: ApprovedBy::Rule,
        sums: sums(),
        thresholds: Thresholds::default(),
        gate: GateState::None,
        asset_listed: true,
        first_time_vendor: false,
        vendor_unknown_open: false,
        live: false,
        live_enabled: false,
        upfront_allowed: false,
        mandate_expired: false,
        budget_basis_points: 1_000,
    }
}

fn call() -> CallFacts {
    CallFacts {
        actor: actor(),
        tool: "fetch".to_owned(),
        effect: Effect::Spend,
        phase: Phase::Explore,
        arguments: Digest::of(b"{}"),
    }
}
