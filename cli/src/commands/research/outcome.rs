//! What a run came to, read from what is durable.

use super::open::Open;
use crate::args::ApproveArg;
use crate::exit::{CliError, Exit};
use crate::market_box;
use bursar::RunReport;
use bursar::agent::{Arguments, Run, RunOutcome, StopCause, read_run};
use bursar::ledger::Verification;
use bursar::memory::{OwnedArtifact, SourceId};
use bursar::report::{self, PaymentReport, SessionReport};
use bursar::tools::Brief;
use bursar::types::{Amount, ApprovalId, ArtifactId, CallId, ReceiptView, SessionId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) brief: Option<Brief>,
    /// Why there is no answer.
    pub(crate) stopped: Option<String>,
    pub(crate) sources: Vec<Source>,
    pub(crate) uses: Vec<Used>,
    pub(crate) session: SessionReport,
    /// Of this session.
    pub(crate) payments: Vec<PaymentReport>,
    /// What is not over: of this session, and of earlier ones that bought what this one wanted.
    pub(crate) open: Vec<PaymentReport>,
    pub(crate) verification: Verification,
    pub(crate) chain: Option<Chain>,
    pub(crate) approve: ApproveArg,
    pub(crate) interrupted: bool,
    /// The command that goes on with the run; `None` once it has ended.
    pub(crate) go_on: Option<String>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) asked: Option<AwaitedAnswer>,
    pub(crate) exit: Exit,
}

/// A call that was started and has no result, of which a person has to say what came.
#[derive(Debug, Serialize)]
pub(crate) struct Waiting {
    pub(crate) call: CallId,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
}

/// A question that the run waits for.
#[derive(Debug, Serialize)]
pub(crate) struct AwaitedAnswer {
    pub(crate) approval: ApprovalId,
    /// After this moment no answer counts.
    pub(crate) until: Timestamp,
    /// The command that answers it.
    pub(crate) answer_with: String,
    /// Whether it is answered elsewhere, with a signature, and not by whoever goes on.
    #[serde(skip)]
    pub(crate) signed: bool,
}

impl Waiting {
    /// What a run waits for.
    pub(crate) fn of(run: &Run) -> Option<Self> {
        let open = run.open_write()?;
        let arguments = match &open.arguments {
            Arguments::Parsed { value } => value.clone(),
            Arguments::Malformed { text, .. } => Value::String(text.clone()),
        };
        Some(Self { call: open.id, tool: open.tool.clone(), arguments })
    }
}

/// A citation, with what its source cost.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    pub(crate) number: u32,
    pub(crate) title: String,
    pub(crate) heading: String,
    pub(crate) quote: String,
    pub(crate) url: String,
    pub(crate) artifact: SourceId,
    /// `None` for what is free.
    pub(crate) bought: Option<Bought>,
}

/// What something cost.
#[derive(Debug, Serialize)]
pub(crate) struct Bought {
    /// Whether this session bought it.
    pub(crate) now: bool,
    pub(crate) at: Timestamp,
    pub(crate) amount: Option<Amount>,
    pub(crate) receipt: Option<ReceiptView>,
}

/// What something bought was used for.
#[derive(Debug, Serialize)]
pub(crate) struct Used {
    pub(crate) artifact: ArtifactId,
    pub(crate) title: String,
    /// What this session paid for it; `None` if it was owned.
    pub(crate) amount: Option<Amount>,
    /// `None` if it was bought and not used.
    pub(crate) used_for: Option<String>,
}

/// What left the wallet on the chain, beside what the ledger says was paid, over all sessions.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) left: Amount,
    pub(crate) booked: Amount,
}

impl Chain {
    pub(crate) fn agrees(&self) -> bool {
        self.left == self.booked
    }
}

/// Which run's outcome is asked for.
pub(super) struct Asked {
    pub(super) session: SessionId,
    /// What its plans were to buy.
    pub(super) wanted: BTreeSet<String>,
    pub(super) approve: ApproveArg,
    pub(super) interrupted: bool,
    pub(super) go_on: Option<String>,
    pub(super) question: Option<AwaitedAnswer>,
}

/// Reads the closed data folder again.
pub(super) async fn gather(
    open: &Open,
    asked: Asked,
    report: Option<RunReport>,
) -> Result<Outcome, CliError> {
    let waits = report.as_ref().is_some_and(|report| {
        matches!(report.outcome, RunOutcome::Stopped { cause: StopCause::WriteUnknown { .. } })
    });
    let read = async {
        let ledger = report::open_ledger(&open.data)?;
        let payments = report::payments(&ledger).await?;
        let sessions = report::sessions(&ledger).await?;
        let verification = report::verify(&ledger).await?.journal;
        let waiting = match waits.then_some(report.as_ref()).flatten() {
            Some(report) => read_run(&ledger, report.run).await.ok().and_then(|(run, _)| Waiting::of(&run)),
            None => None,
        };
        ledger.close().await?;
        Ok((payments, sessions, verification, waiting))
    };
    let (all, sessions, verification, waiting) = read.await.map_err(CliError::Afterwards)?;
    let Asked { session, wanted, approve, interrupted, go_on, question: asked } = asked;
    let session = sessions
        .into_iter()
        .find(|known| known.id == session)
        .ok_or_else(|| CliError::NoSession(session.to_string()))?;
    let owned = open.bursar.library().list().await.unwrap_or_default();
    let brief = report
        .as_ref()
        .and_then(RunReport::details)
        .and_then(|details| serde_json::from_value::<Brief>(details.clone()).ok());
    // A model that ends without the finishing tool still answers, though without citations.
    let brief = brief.or_else(|| {
        let answer = report.as_ref()?.answer().ok()?.to_owned();
        Some(Brief { answer, citations: Vec::new(), uses: Vec::new() })
    });
    let stopped = match report.map(|report| report.outcome) {
        Some(RunOutcome::Stopped { cause }) => Some(cause.to_string()),
        Some(RunOutcome::Answered { .. }) => None,
        None => Some("the run broke off".to_owned()),
    };
    let sources = brief.iter().flat_map(|brief| &brief.citations).map(|citation| Source {
        number: citation.number,
        title: citation.title.clone(),
        heading: citation.heading.clone(),
        quote: citation.quote.clone(),
        url: citation.url.clone(),
        artifact: citation.artifact,
        bought: bought(citation.artifact, &all, session.id),
    });
    let sources: Vec<_> = sources.collect();
    let uses = used(brief.as_ref(), &all, &owned, session.id);
    let payments: Vec<_> =
        all.iter().filter(|payment| payment.session == Some(session.id)).cloned().collect();
    let met =
        |payment: &&PaymentReport| payment.session == Some(session.id) || wanted.contains(&payment.resource);
    let unfinished: Vec<_> =
        all.iter().filter(|payment| payment.state.is_open()).filter(met).cloned().collect();
    let chain = open.market.as_ref().map(|(market, buyer)| {
        let asset = market_box::asset(&market.market);
        let transfers = market.market.chain().transfers();
        let left = transfers.iter().filter(|transfer| transfer.from == *buyer).map(|transfer| transfer.value);
        let paid = all
            .iter()
            .filter(|payment| payment.state.is_paid())
            .filter_map(|payment| payment.amount.as_ref());
        let paid = paid.filter(|amount| amount.asset() == asset.id()).map(Amount::atomic);
        let sum = |amounts: &mut dyn Iterator<Item = u128>| {
            Amount::from_atomic(asset.id().clone(), amounts.fold(0_u128, u128::saturating_add))
        };
        Chain { left: sum(&mut { left }), booked: sum(&mut { paid }) }
    });
    let proven = verification.problems.is_empty() && chain.as_ref().is_none_or(Chain::agrees);
    let exit = if interrupted {
        Exit::Interrupted
    } else if !unfinished.is_empty() || waiting.is_some() || asked.is_some() {
        Exit::Open
    } else if !proven || brief.is_none() {
        Exit::Failed
    } else {
        Exit::Done
    };
    Ok(Outcome {
        brief,
        stopped,
        sources,
        uses,
        session,
        payments,
        open: unfinished,
        verification,
        chain,
        approve,
        interrupted,
        go_on,
        waiting,
        asked,
        exit,
    })
}

fn bought(source: SourceId, all: &[PaymentReport], session: SessionId) -> Option<Bought> {
    let SourceId::Artifact(id) = source else { return None };
    let payment =
        all.iter().find(|payment| payment.artifact.as_ref().is_some_and(|artifact| artifact.id == id))?;
    Some(Bought {
        now: payment.session == Some(session),
        at: payment.at,
        amount: payment.amount.clone(),
        receipt: payment.receipt.clone(),
    })
}

/// What the answer uses, then what was bought now and is not used.
fn used(
    brief: Option<&Brief>,
    all: &[PaymentReport],
    owned: &[OwnedArtifact],
    session: SessionId,
) -> Vec<Used> {
    let now: Vec<_> = all
        .iter()
        .filter(|payment| payment.session == Some(session))
        .filter_map(|payment| Some((payment.artifact.as_ref()?.id, payment.amount.clone())))
        .collect();
    let title = |id: ArtifactId| {
        let known = owned.iter().find(|owned| owned.record.artifact.id == id);
        known.map_or_else(|| id.to_string(), |owned| owned.title.clone())
    };
    let amount =
        |id: ArtifactId| now.iter().find(|(known, _)| *known == id).and_then(|(_, amount)| amount.clone());
    let mut uses: Vec<Used> = Vec::new();
    for used in brief.iter().flat_map(|brief| &brief.uses) {
        let id = used.artifact;
        uses.push(Used {
            artifact: id,
            title: title(id),
            amount: amount(id),
            used_for: Some(used.used_for.clone()),
        });
    }
    // In the order of the citations, so that a reader finds them; what is not cited comes after.
    let cited = |id: ArtifactId| {
        let citations = brief.iter().flat_map(|brief| &brief.citations);
        let own = citations.filter(|citation| citation.artifact == SourceId::Artifact(id));
        own.map(|citation| citation.number).min().unwrap_or(u32::MAX)
    };
    uses.sort_by_key(|used| cited(used.artifact));
    for (id, amount) in &now {
        if uses.iter().all(|used| used.artifact != *id) {
            uses.push(Used { artifact: *id, title: title(*id), amount: amount.clone(), used_for: None });
        }
    }
    uses
}
