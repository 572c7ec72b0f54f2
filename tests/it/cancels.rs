//! A research run that is cancelled at every record: real purse, real market, real data file.

use async_trait::async_trait;
use bursar::agent::{Cancel, Record, RunOutcome, StopCause, read_run};
use bursar::payments::Meaning;
use bursar::types::{Effect, Journal, JournalError, JournalRecord, RunId, StoredRecord};
use bursar::{Agent, Amount, Approve, Asset, Bursar, Mandate, Session, models, tools};
use bursar_market::{Market, SourceDocument};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const QUESTION: &str = "Who may pay the gas for a USDC transfer?";
/// Far more than a run takes; only one that hangs would reach it.
const LONG: Duration = Duration::from_secs(60);

fn id() -> RunId {
    RunId::derived(&[b"cancels"])
}

/// Cancels a run once it has so many records.
#[derive(Debug)]
struct CancelsAt {
    inner: Arc<dyn Journal>,
    at: u64,
    cancel: Cancel,
}

#[async_trait]
impl Journal for CancelsAt {
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
        let length = self.inner.append(run, expected, records).await?;
        if length >= self.at {
            self.cancel.cancel();
        }
        Ok(length)
    }
    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError> {
        self.inner.read(run, from).await
    }
}

/// A market of two documents, and an agent's session beside it.
struct Desk {
    market: Market,
    bursar: Bursar,
    session: Session,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = Bursar::builder(folder.path()).play_wallet().unwrap().reach_loopback();
        let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
        let documents = vec![
            SourceDocument::new(
                "gas.md",
                "# Gas of a USDC transfer\n\nThe submitter pays the gas for a USDC transfer with authorization. \
                 Anybody may be the submitter, so the payer needs no gas at all.\n",
            ),
            SourceDocument::new(
                "fees.md",
                "# Fees\n\nA USDC transfer costs gas, which whoever submits the transfer may pay.\n",
            ),
        ];
        let market = Market::builder().documents(documents).buyer_funds(address, 1_000_000_000);
        let market = market.start().await.unwrap();
        let token = market.token();
        let (address, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
        let usdc = Asset::stablecoin(token.chain_id, &address, &token.symbol, token.decimals, domain, false);
        let bursar = builder
            .watch_every(None)
            .asset(usdc.clone())
            .network(market.network(), vec![market.rpc_url().to_owned()], true)
            .discovery(market.discovery_url())
            .open()
            .await
            .unwrap();
        let budget = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
        let mandate = Mandate::new("research", "ada").session_budget(budget).asset(usdc.id().clone());
        let session = bursar.session(QUESTION).mandate(mandate).approve(Approve::Rule).start().await.unwrap();
        Self { market, bursar, session, _folder: folder }
    }

    fn agent(&self) -> Agent {
        let tools = tools::research(&self.session).unwrap();
        Agent::builder(models::extractive()).tools(tools).build().unwrap()
    }

    /// Runs until it ends, or until it has so many records and what was begun then is over.
    async fn run(&self, at: u64) -> RunOutcome {
        let mut context = self.session.run_context();
        // The session's own is for good.
        context.cancel = Cancel::new();
        let (inner, cancel) = (context.journal.clone(), context.cancel.clone());
        context.journal = Arc::new(CancelsAt { inner, at, cancel });
        let run = tokio::time::timeout(LONG, self.agent().run_as(context, id(), QUESTION)).await;
        run.unwrap().unwrap().outcome
    }

    async fn records(&self) -> Vec<Record> {
        let (_, entries) = read_run(self.bursar.ledger(), id()).await.unwrap();
        entries.into_iter().map(|entry| entry.record).collect()
    }

    async fn spent(&self) -> (u128, u128) {
        let standing = self.session.purse().standing().await.unwrap();
        (standing.budgets[0].spent.atomic(), standing.budgets[0].held.atomic())
    }

    /// How many authorizations left this machine, over all sellers.
    fn authorizations(&self) -> usize {
        self.market.sellers().iter().map(|seller| seller.log().nonces.len()).sum()
    }

    async fn sound(self) {
        assert_eq!(self.bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
        assert_eq!(Meaning::of(self.bursar.ledger()).await.unwrap().problems, Vec::<String>::new());
        self.bursar.close().await.unwrap();
        self.market.stop().await;
    }
}

/// The effects of the tools that were begun.
fn begun(records: &[Record]) -> BTreeSet<&'static str> {
    let mut tools = std::collections::BTreeMap::new();
    let mut begun = BTreeSet::new();
    let mut calls = Vec::new();
    for record in records {
        match record {
            Record::Started { tools: known, .. } => tools.clone_from(known),
            Record::ModelReplied { reply, .. } => {
                calls.extend(reply.calls.iter().map(|call| call.tool.clone()));
            }
            Record::CallStarted { .. } => {
                let last = calls.last().and_then(|tool| tools.get(tool));
                begun.extend(last.map(|effect| match effect {
                    Effect::Read => "read",
                    Effect::Write => "write",
                    Effect::Spend => "spend",
                }));
            }
            _ => {}
        }
    }
    begun
}

#[tokio::test]
async fn research_that_is_cancelled_at_any_record_pays_once_and_goes_on_to_its_answer() {
    let whole = Desk::new().await;
    let RunOutcome::Answered { answer } = whole.run(u64::MAX).await else { panic!("it has no answer") };
    let (records, price) = (whole.records().await, whole.spent().await);
    let signed = whole.authorizations();
    assert!(begun(&records).is_superset(&BTreeSet::from(["read", "spend"])), "{:?}", begun(&records));
    assert!(signed > 0 && price.0 > 0 && price.1 == 0, "{signed} {price:?}");
    whole.sound().await;
    for at in 1..=u64::try_from(records.len()).unwrap() {
        let desk = Desk::new().await;
        match desk.run(at).await {
            RunOutcome::Answered { .. } => {}
            RunOutcome::Stopped { cause } => {
                assert_eq!(cause, StopCause::Cancelled, "record {at}");
                // What was begun is over: nothing waits for an answer of the chain or of a seller.
                assert_eq!(desk.spent().await.1, 0, "record {at}");
                let agent = desk.agent();
                let resumed = agent.resume(desk.session.run_context(), id());
                let report = tokio::time::timeout(LONG, resumed).await.expect("it never hangs").unwrap();
                assert_eq!(report.answer(), Ok(answer.text.as_str()), "record {at}");
            }
        }
        assert_eq!((desk.spent().await, desk.authorizations()), (price, signed), "record {at}");
        desk.sound().await;
    }
}
