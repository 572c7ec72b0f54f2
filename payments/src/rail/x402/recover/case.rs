//! One payment in a pass: what was said about it so far, and what that comes to.

use super::super::X402;
use super::super::rpc::Rpc;
use super::super::terms::{Terms, Transfer};
use super::reading::Reading;
use crate::rail::{Outcome, Prepared};
use bursar_types::{Amount, AssetId};

/// One payment, and what the endpoints said about it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) network: String,
    pub(super) transfer: Transfer,
    /// The worth above which two must say the same, for a person; `None` if one suffices.
    needs_two: Option<String>,
    said: Vec<Statement>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Statement {
    /// Whose word it is.
    witness: String,
    /// As it is shown.
    host: String,
    reading: Reading,
}

impl Case {
    pub(super) fn of(rail: &X402, prepared: &Prepared) -> Result<Self, String> {
        let terms = Terms::of(prepared)?;
        let transfer = terms.transfer()?;
        match rail.reader(&terms.network) {
            None => return Err(format!("no reader is configured for `{}`", terms.network)),
            Some(reader) if reader.rpc_urls.is_empty() => {
                return Err(format!("no endpoint is configured for `{}`", terms.network));
            }
            Some(_) => {}
        }
        let asset = AssetId::erc20(transfer.chain_id, &terms.token);
        let amount = Amount::from_atomic(asset, transfer.value);
        let needs_two = rail.two_readers_for(&amount).map(|limit| rail.shown_amount(limit));
        Ok(Self { network: terms.network, transfer, needs_two, said: Vec::new(), problems: Vec::new() })
    }

    /// Whether another endpoint can still tell something. Above the amount every one is asked.
    pub(super) fn is_open(&self) -> bool {
        self.contradiction().is_none() && (self.needs_two.is_some() || self.decided().is_none())
    }

    pub(super) fn said(&mut self, rpc: &Rpc<'_>, reading: Reading) {
        self.said.push(Statement { witness: rpc.witness(), host: rpc.host(), reading });
    }

    pub(super) fn failed(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// What all this comes to.
    pub(super) fn outcome(&self) -> Outcome {
        if let Some((one, other)) = self.contradiction() {
            let says = |statement: &Statement| {
                format!("{} says that {}", statement.host, statement.reading.sentence(&self.transfer))
            };
            return Outcome::Unknown {
                problem: format!("endpoints disagree: {}, and {}", says(one), says(other)),
            };
        }
        match self.decided() {
            Some(reading) => reading.outcome(&self.transfer),
            None => Outcome::Unknown { problem: self.undecided() },
        }
    }

    fn contradiction(&self) -> Option<(&Statement, &Statement)> {
        self.said.iter().enumerate().find_map(|(index, one)| {
            let others = self.said.iter().skip(index.saturating_add(1));
            others.into_iter().find(|other| one.reading.contradicts(&other.reading)).map(|other| (one, other))
        })
    }

    fn decided(&self) -> Option<&Reading> {
        let mut decisive = self.said.iter().filter(|statement| statement.reading.is_decisive());
        let enough = |one: &&Statement| {
            let seconds =
                |other: &Statement| other.witness != one.witness && other.reading.says_the_same(&one.reading);
            self.needs_two.is_none() || self.said.iter().any(seconds)
        };
        decisive.find(enough).map(|statement| &statement.reading)
    }

    /// Why nothing is known: what was said, why it is not enough, and what else went wrong.
    fn undecided(&self) -> String {
        let decisive = self.said.iter().find(|statement| statement.reading.is_decisive());
        let mut parts = Vec::new();
        match (decisive, &self.needs_two) {
            (Some(statement), Some(limit)) => parts.push(format!(
                "{}, but only {} says so, and above {limit} two endpoints of different hosts must",
                statement.reading.sentence(&self.transfer),
                statement.host
            )),
            _ => {
                let newest = self.said.iter().max_by_key(|statement| statement.reading.block());
                parts.extend(newest.map(|statement| statement.reading.sentence(&self.transfer)));
            }
        }
        parts.extend(self.problems.iter().cloned());
        parts.join("; ")
    }
}
