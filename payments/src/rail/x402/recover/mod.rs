//! What the chain says about authorizations.
//!
//! All reads of one endpoint are at one block: the latest finalized, or on a chain of this machine the latest. The token's
//! `authorizationState` is true once the authorization was used *or* canceled; its events tell which. False at a block whose
//! time is past `validBefore` proves that it can never be used: later blocks are later still. Everything else is unknown.
//!
//! Endpoints are asked in their order. Used, canceled and over are decisive: the first endpoint that says one of them is
//! believed, unless one asked before contradicts it. A read that failed, and "not used yet", leave the question to the
//! next. Above the worth that [`Safeguards::two_readers_above`](super::Safeguards) sets all endpoints are asked, two of
//! different hosts must say the same, and none may contradict. An endpoint that is behind contradicts nobody.
//!
//! Many payments are asked about in one pass: chain and block are read once for each endpoint, the states come in batches, and
//! events are looked for only where a state is true. One payment is a pass of one.

mod case;
mod events;
mod reading;

use super::node::Node;
use super::{NetworkReader, X402};
use crate::rail::{Outcome, Prepared};
use case::Case;
use reading::Reading;
use std::collections::BTreeSet;

/// Asks about each; the outcomes are in the order of the questions.
pub(super) async fn recover_all(rail: &X402, prepared: &[Prepared]) -> Vec<Outcome> {
    let mut cases: Vec<_> = prepared.iter().map(|prepared| Case::of(rail, prepared)).collect();
    let networks: BTreeSet<_> = cases.iter().flatten().map(|case| case.network.clone()).collect();
    for network in networks {
        let Some(reader) = rail.reader(&network) else { continue };
        let of_network = cases.iter_mut().flatten().filter(|case| case.network == network);
        ask(rail, reader, &mut of_network.collect::<Vec<_>>()).await;
    }
    let outcome = |case: Result<Case, String>| match case {
        Ok(case) => case.outcome(),
        Err(problem) => Outcome::Unknown { problem },
    };
    cases.into_iter().map(outcome).collect()
}

/// Asks the endpoints of a network, each about what is still open.
async fn ask(rail: &X402, reader: &NetworkReader, cases: &mut [&mut Case]) {
    for url in &reader.rpc_urls {
        let mut open: Vec<&mut Case> =
            cases.iter_mut().map(|case| &mut **case).filter(|case| case.is_open()).collect();
        let Some(chain_id) = open.first().map(|case| case.transfer.chain_id) else { return };
        match Node::open(rail.rpc(url), reader.finality, chain_id).await {
            Ok(mut node) => read(rail, &mut node, &mut open).await,
            Err(problem) => open.iter_mut().for_each(|case| case.failed(problem.clone())),
        }
    }
}

/// Reads what one endpoint says about each.
async fn read(rail: &X402, node: &mut Node<'_>, cases: &mut [&mut Case]) {
    let questions = cases.iter().map(|case| (case.transfer.token, case.transfer.from, case.transfer.nonce));
    let states = node.rpc.authorization_states(questions.collect::<Vec<_>>(), node.head).await;
    for (case, state) in cases.iter_mut().zip(states) {
        let transfer = &case.transfer;
        let (block, time_s) = (node.head, node.time_s);
        let reading = match state {
            Err(error) => Err(String::from(error)),
            Ok(true) => Ok(match events::used_or_canceled(node, transfer).await {
                Ok(reading) => reading,
                Err(problem) => Reading::Spent { block, problem },
            }),
            Ok(false) if time_s <= transfer.valid_before => Ok(Reading::Live { block, time_s }),
            Ok(false) => match rail.safeguards.clock.as_ref().map(|clock| clock.now().unix_s()) {
                Some(now_s) if now_s <= transfer.valid_before => Err(format!(
                    "{} has a block of {}, after the window's end, and by our clock the window is open",
                    node.rpc.host(),
                    reading::at(time_s)
                )),
                _ => Ok(Reading::Expired { block, time_s }),
            },
        };
        match reading {
            Ok(reading) => case.said(&node.rpc, reading),
            Err(problem) => case.failed(problem),
        }
    }
}
