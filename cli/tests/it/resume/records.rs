//! The real research agent over a real market and data files: crashes, and second workers, at every record.

use async_trait::async_trait;
use bursar::agent::{PersonAnswer, Record, RecordEntry, RunError, RunOutcome, StopCause};
use bursar::ledger::Ledger;
use bursar::payments::{LocalWallet, Wallet};
use bursar::report::{PaymentReport, PaymentState};
use bursar::types::{CallId, Digest, Journal, JournalError, JournalRecord, RunId, SessionId, StoredRecord};
use bursar::{
    Agent, Approve, Asset, Bursar, Fetched, Mandate, PurchaseKey, RunReport, Session, models, tools,
};
use bursar_market::{Address, Market, SourceDocument};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Notify;

const QUESTION: &str = "When does the harbour open, and who pays the pilot?";

/// What happens once a run has so many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Nothing.
    Never,
    /// The next one cannot be written, as if the process died before.
    Dies(u64),
    /// The writer waits: what it wrote is durable, and it does not know yet.
    Parks(u64),
}

/// A ledger's journal that dies or lets its writer wait.
#[derive(Debug)]
struct Faulty {
    ledger: Ledger,
    at: At,
    parked: Notify,
    released: Notify,
}

#[async_trait]
impl Journal for Faulty {
    async fn append(
        &self,
        run: RunId,
        expected: u64,
        records: Vec<JournalRecord>,
    ) -> Result<u64, JournalError> {
        let next = expected + records.len() as u64;
        if matches!(self.at, At::Dies(at) if next > at) {
            return Err(JournalError::Store("the machine died".into()));
        }
        let length = Journal::append(&self.ledger, run, expected, records).await?;
        // It waits once: at the first record that reaches the number.
        if matches!(self.at, At::Parks(at) if expected < at && at <= next) {
            self.parked.notify_one();
            self.released.notified().await;
        }
        Ok(length)
    }

    async fn read(&self, run: RunId, from: u64) -> Result<Vec<StoredRecord>, JournalError> {
        Journal::read(&self.ledger, run, from).await
    }
}

/// A market that many buyers use, one after another.
struct Lab {
    market: Market,
    buyers: u8,
}

impl Lab {
    async fn new() -> Self {
        let texts = [
            (
                "harbour.md",
                "# Harbour hours\n\nThe harbour opens at six in the morning and closes at nine.\n",
            ),
            ("pilot.md", "# Pilots\n\nThe owner of the ship pays the pilot.\n"),
            ("bread.md", "# Bread\n\nBread is baked at five.\n"),
        ];
        let documents = texts.map(|(name, text)| SourceDocument::new(name, text)).to_vec();
        Self { market: Market::builder().documents(documents).start().await.unwrap(), buyers: 0 }
    }

    /// A buyer with a wallet and a data folder of its own.
    fn buyer(&mut self) -> Buyer<'_> {
        self.buyers += 1;
        let key = format!("{:064x}", 0xb000 + u32::from(self.buyers));
        let wallet = Arc::new(LocalWallet::from_private_key(&key).unwrap());
        let address: Address = wallet.address().parse().unwrap();
        self.market.mint(address, 1_000_000_000);
        Buyer { market: &self.market, key, wallet, address, folder: tempfile::tempdir().unwrap() }
    }
}

struct Buyer<'a> {
    market: &'a Market,
    key: String,
    wallet: Arc<LocalWallet>,
    address: Address,
    folder: tempfile::TempDir,
}

impl Buyer<'_> {
    /// Opens the data folder, as a process does when it starts.
    async fn open(&self) -> Bursar {
        let token = self.market.token();
        let name = (token.name.as_str(), token.version.as_str());
        let asset = Asset::stablecoin(
            token.chain_id,
            &token.address.to_string(),
            &token.symbol,
            token.decimals,
            name,
            false,
        );
        let mandate = Mandate::new("research", "local")
            .session_budget(bursar::Amount::from_atomic(bursar::AssetId::micro_usd(), 500_000))
            .asset(asset.id().clone());
        Bursar::builder(Path::new(self.folder.path()).join("data"))
            .wallet(self.wallet.clone())
            .reach_loopback()
            .asset(asset)
            .network(self.market.network(), vec![self.market.rpc_url().to_owned()], true)
            .discovery(self.market.discovery_url())
            .mandate(mandate)
            .open()
            .await
            .unwrap()
    }

    /// What left the wallet is what the ledger says was paid, and nothing was paid twice.
    async fn agrees(&self, bursar: &Bursar, case: At) -> Vec<PaymentReport> {
        let payments = bursar.payments().await.unwrap();
        let paid = payments.iter().filter(|payment| payment.state.is_paid());
        let paid: u128 = paid.map(|payment| payment.amount.as_ref().unwrap().atomic()).sum();
        let sent = self.market.chain().transfers();
        let sent: Vec<_> = sent.iter().filter(|transfer| transfer.from == self.address).collect();
        assert_eq!(sent.iter().map(|transfer| transfer.value).sum::<u128>(), paid, "{case:?}: {payments:#?}");
        let mut resources: Vec<_> = payments.iter().map(|payment| payment.resource.clone()).collect();
        resources.sort();
        resources.dedup();
        assert_eq!((resources.len(), sent.len()), (payments.len(), payments.len()), "{case:?}");
        payments
    }
}

fn agent(session: &Session) -> Agent {
    Agent::builder(models::extractive()).tools(tools::research(session).unwrap()).build().unwrap()
}

/// Begins a run whose journal has a fault: its end, or nothing if it was dropped where it waited.
async fn begin(bursar: &Bursar, run: RunId, at: At) -> (SessionId, Option<Result<RunReport, RunError>>) {
    let session = bursar.session("research").approve(Approve::Rule).start().await.unwrap();
    let journal = faulty(bursar, at);
    let mut context = session.run_context();
    context.journal = journal.clone();
    let agent = agent(&session);
    let ended = tokio::select! {
        biased;
        () = journal.parked.notified() => None,
        ended = agent.run_as(context, run, QUESTION) => Some(ended),
    };
    (session.id(), ended)
}

fn faulty(bursar: &Bursar, at: At) -> Arc<Faulty> {
    let (parked, released) = (Notify::new(), Notify::new());
    Arc::new(Faulty { ledger: bursar.ledger().clone(), at, parked, released })
}

/// Resumes as another process, and answers truthfully what a person is asked.
async fn resume(bursar: &Bursar, session: SessionId, run: RunId) -> RunReport {
    let session = bursar.resume(session, Approve::Rule).await.unwrap();
    let mut context = session.run_context();
    context.worker = "the second".into();
    let report = agent(&session).resume(context.clone(), run).await.unwrap();
    let RunOutcome::Stopped { cause: StopCause::WriteUnknown { call, tool } } = &report.outcome else {
        return report;
    };
    assert_eq!(tool, "propose_plan");
    let answer = PersonAnswer::happened(*call, "ada", r#"{"outcome": "approved", "reasons": []}"#);
    agent(&session).resume_with(context, run, vec![answer]).await.unwrap()
}

async fn records(bursar: &Bursar, run: RunId) -> Vec<Record> {
    let stored = Journal::read(bursar.ledger(), run, 0).await.unwrap();
    stored.iter().map(|stored| RecordEntry::decode(stored).unwrap().record).collect()
}

/// How often each turn was asked for, and each call started, from a place on.
fn begun(records: &[Record]) -> (BTreeMap<u32, u32>, BTreeMap<CallId, u32>) {
    let (mut turns, mut calls) = (BTreeMap::new(), BTreeMap::new());
    for record in records {
        match record {
            Record::ModelRequested { turn, .. } => *turns.entry(*turn).or_default() += 1,
            Record::CallStarted { call, .. } => *calls.entry(*call).or_default() += 1,
            _ => {}
        }
    }
    (turns, calls)
}

/// What was known at a crash is not begun again after it.
fn repeats_nothing(records: &[Record], known: usize, case: At) {
    let (turns, calls) = begun(&records[known..]);
    for record in &records[..known] {
        match record {
            Record::ModelReplied { turn, .. } => assert!(!turns.contains_key(turn), "{case:?}: turn {turn}"),
            Record::CallFinished { call, .. } => assert!(!calls.contains_key(call), "{case:?}: {call}"),
            _ => {}
        }
    }
}

fn run() -> RunId {
    RunId::derived(&[b"every record"])
}

/// A run without faults: its answer, how many records it has, and what it bought.
async fn calm(lab: &mut Lab) -> (String, u64, usize) {
    let buyer = lab.buyer();
    let bursar = buyer.open().await;
    let (_, report) = begin(&bursar, run(), At::Never).await;
    let answer = report.unwrap().unwrap().answer().unwrap().to_owned();
    let length = records(&bursar, run()).await.len() as u64;
    let payments = buyer.agrees(&bursar, At::Never).await;
    assert!(payments.len() > 1, "it buys: {answer}");
    bursar.close().await.unwrap();
    (answer, length, payments.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_record_gives_the_same_answer_and_pays_once() {
    let mut lab = Lab::new().await;
    let (answer, length, bought) = calm(&mut lab).await;
    for at in 1..length {
        // What was done after the last record is done again; the test below takes runs up where it was not done.
        let case = At::Dies(at);
        let buyer = lab.buyer();
        let bursar = buyer.open().await;
        let (session, ended) = begin(&bursar, run(), case).await;
        assert!(!matches!(ended, Some(Ok(_))), "{case:?}");
        let known = records(&bursar, run()).await.len();
        bursar.close().await.unwrap();

        let bursar = buyer.open().await;
        let report = resume(&bursar, session, run()).await;

        assert_eq!(report.answer(), Ok(answer.as_str()), "{case:?}");
        let records = records(&bursar, run()).await;
        repeats_nothing(&records, known, case);
        let payments = buyer.agrees(&bursar, case).await;
        assert_eq!(payments.len(), bought, "{case:?}");
        assert!(payments.iter().all(|payment| payment.state == PaymentState::Delivered), "{case:?}");
        bursar.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_over_one_data_file_one_goes_on_and_the_other_begins_at_most_what_it_had_recorded() {
    let mut lab = Lab::new().await;
    let (answer, length, bought) = calm(&mut lab).await;
    for at in 1..length {
        let case = At::Parks(at);
        let buyer = lab.buyer();
        let (first, second) = (buyer.open().await, buyer.open().await);
        let session = first.session("research").approve(Approve::Rule).start().await.unwrap();
        let journal = faulty(&first, case);
        let mut context = session.run_context();
        context.journal = journal.clone();
        let agent = agent(&session);
        let mut losing = std::pin::pin!(agent.run_as(context, run(), QUESTION));
        tokio::select! {
            biased;
            () = journal.parked.notified() => {}
            ended = &mut losing => panic!("{case:?}: {ended:?}"),
        }
        let report = resume(&second, session.id(), run()).await;
        assert_eq!(report.answer(), Ok(answer.as_str()), "{case:?}");
        let theirs = records(&second, run()).await;

        journal.released.notify_one();
        let lost = losing.await;

        assert!(
            matches!(&lost, Err(RunError::Fenced { by: Some(by), .. }) if by == "the second"),
            "{case:?}: {lost:?}"
        );
        assert_eq!(records(&second, run()).await, theirs, "{case:?}: the loser writes nothing");
        assert_eq!(buyer.agrees(&second, case).await.len(), bought, "{case:?}");
        first.close().await.unwrap();
        second.close().await.unwrap();
    }
}

impl Buyer<'_> {
    /// Runs the binary over the data folder with a configuration that says the same as [`open`](Self::open).
    fn bursar(&self, args: &[&str]) -> crate::support::Ran {
        let token = self.market.token();
        let network = self.market.network();
        let config = format!(
            r#"
            data = "data"
            discovery = ["{}"]
            [network_access]
            loopback = true
            [wallet]
            key_env = "BURSAR_KEY"
            [[network]]
            network = "{network}"
            rpc = ["{}"]
            finality = "latest"
            [[asset]]
            id = "{network}/erc20:{}"
            symbol = "{}"
            decimals = {}
            eip712 = {{ name = "{}", version = "{}" }}
            live = false
            "#,
            self.market.discovery_url(),
            self.market.rpc_url(),
            token.address,
            token.symbol,
            token.decimals,
            token.name,
            token.version
        );
        std::fs::write(self.folder.path().join("bursar.toml"), config).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bursar"));
        command.args(args).args(["--config", "bursar.toml"]).current_dir(self.folder.path());
        command.env_remove("RUST_LOG").env("BURSAR_KEY", &self.key);
        crate::support::ran(command)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_asks_a_person_about_a_plan_that_may_have_been_approved_and_goes_on_with_the_answer() {
    let mut lab = Lab::new().await;
    let buyer = lab.buyer();
    let bursar = buyer.open().await;
    begin(&bursar, run(), At::Never).await;
    let approved = |record: &Record| matches!(record, Record::CallFinished { result, .. } if result.content["outcome"] == "approved");
    let at = records(&bursar, run()).await.iter().position(approved).unwrap() as u64;
    bursar.close().await.unwrap();

    let buyer = lab.buyer();
    let bursar = buyer.open().await;
    let (session, _) = begin(&bursar, run(), At::Dies(at)).await;
    bursar.close().await.unwrap();
    // Somebody has bought from the plan meanwhile, so nobody can say whether it is the one that this call proposed.
    let bursar = buyer.open().await;
    let purse = bursar.resume(session, Approve::Rule).await.unwrap().purse();
    let url = purse.standing().await.unwrap().open_items[0].resource.clone();
    let key = PurchaseKey::new(format!("document/{}", Digest::of(url.as_bytes()))).unwrap();
    let mut request = bursar::types::HttpRequest::default();
    *request.uri_mut() = url.parse().unwrap();
    let bought = purse.fetch(request, key).await.unwrap();
    assert!(matches!(bought, Fetched::Delivered(_)), "{bought:?}");
    bursar.close().await.unwrap();
    let session = session.to_string();

    let asks = buyer.bursar(&["resume", &session]);
    assert_eq!(asks.code, 3, "{}\n{}", asks.stdout, asks.stderr);
    assert!(asks.stdout.contains("`propose_plan` was started and has no result"), "{}", asks.stdout);
    assert!(asks.stdout.contains("quote_id"), "{}", asks.stdout);
    let commands = asks.stdout.lines().filter(|line| line.trim_start().starts_with("bursar resume "));
    assert_eq!(commands.count(), 2, "{}", asks.stdout);
    let call = asks.stdout.split_once("--call ").unwrap().1.split_whitespace().next().unwrap().to_owned();

    let wrong = buyer.bursar(&["resume", &session, "--call", "cal_0", "--did-not-happen", "--by", "ada"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stdout);
    assert!(wrong.stderr.contains(&format!("{call} of `propose_plan` does")), "{}", wrong.stderr);

    let what = r#"{"outcome": "approved"}"#;
    let told = buyer.bursar(&["resume", &session, "--call", &call, "--by", "ada", "--happened", what]);
    assert_eq!(told.code, 0, "{}\n{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("brief\n") && told.stdout.contains("paid  "), "{}", told.stdout);
    let bursar = buyer.open().await;
    buyer.agrees(&bursar, At::Dies(at)).await;
    bursar.close().await.unwrap();
}
