//! What was erased is in no file any more, and everything else goes on: proofs, amounts, recovery, new purchases.

use bursar::erase::{EraseScope, erase, would_erase};
use bursar::ledger::{LinkWrite, Transaction};
use bursar::memory::Library;
use bursar::payments::{FreezeScope, Payments};
use bursar::proof::leaf_hash;
use bursar::report::{self, PaymentState};
use bursar::types::{
    FetchError, ManualClock, PaymentId, PlanItem, PlanOutcome, PlanProposal, Provenance, QuoteOutcome,
    Timestamp, Untrusted,
};
use bursar::{Amount, Approve, Asset, Bursar, Fetched, Mandate, PurchaseKey, Session};
use bursar_market::{Fault, Market, SellerConfig, SourceDocument, TimeSource};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const START_S: u64 = 1_795_264_200;
const DAY_S: u64 = 86_400;
const USER: &str = "erika.mustermann";
/// Words that stand in one thing each: what was bought, why, for whom, under which key, and on a free page.
const SECRETS: [&str; 6] = ["zyxquorum", "qwertzuiop", USER, "acme-merger", "keyed-jabberwock", "freeflumph"];

struct World {
    market: Market,
    usdc: Asset,
    ours: Arc<ManualClock>,
    theirs: bursar_market::ManualClock,
    data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let ours = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_S * 1_000)));
        let theirs = bursar_market::ManualClock::new(START_S);
        let builder = Bursar::builder(data.path().join("data")).play_wallet().unwrap();
        let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
        let documents = ["alpha", "beta"].map(|name| {
            SourceDocument::new(
                format!("{name}.md"),
                format!("# {name}\n\nThe {name} of the zyxquorum is here.\n"),
            )
        });
        let market = Market::builder()
            .main_seller(false)
            .resellers(false)
            .add_seller(SellerConfig::new("Docs").documents(documents.to_vec()))
            .buyer_funds(address, 1_000_000)
            .clock(TimeSource::Manual(theirs.clone()))
            .start()
            .await
            .unwrap();
        let token = market.token();
        let (contract, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
        let usdc = Asset::stablecoin(token.chain_id, &contract, &token.symbol, token.decimals, domain, false);
        Self { market, usdc, ours, theirs, data }
    }

    async fn open(&self, kept: Option<Duration>) -> Bursar {
        let builder = Bursar::builder(self.data.path().join("data")).play_wallet().unwrap().reach_loopback();
        let builder = builder.clock(self.ours.clone()).watch_every(None).asset(self.usdc.clone()).network(
            self.market.network(),
            vec![self.market.rpc_url().to_owned()],
            true,
        );
        let builder = match kept {
            Some(age) => builder.keep_payloads(age),
            None => builder,
        };
        builder.open().await.unwrap()
    }

    async fn session(&self, bursar: &Bursar) -> Session {
        let half_a_dollar = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
        let mandate =
            Mandate::new("reading", USER).session_budget(half_a_dollar).asset(self.usdc.id().clone());
        let mandate = Mandate { project: "acme-merger".to_owned(), ..mandate };
        let session = bursar.session("about qwertzuiop").mandate(mandate).approve(Approve::Rule);
        session.start().await.unwrap()
    }

    fn url(&self, name: &str) -> String {
        self.market.seller(0).unwrap().document_url(name)
    }

    async fn buy(&self, session: &Session, name: &str) -> Fetched {
        self.try_to_buy(session, name).await.unwrap()
    }

    async fn plan(&self, session: &Session, name: &str) -> PlanOutcome {
        let (purse, get) = (session.purse(), http::Request::get(self.url(name)).body(Bytes::new()).unwrap());
        let QuoteOutcome::Quotes(quotes) = purse.quote(get).await.unwrap() else { panic!("it is free") };
        let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
        let item = PlanItem { quote: quotes[0].id, count: 1, purpose: says("qwertzuiop") };
        let plan = PlanProposal::new(says("the qwertzuiop"), vec![item]);
        purse.propose(plan).await.unwrap()
    }

    async fn try_to_buy(&self, session: &Session, name: &str) -> Result<Fetched, FetchError> {
        assert!(matches!(self.plan(session, name).await, PlanOutcome::Approved { .. }));
        let get = http::Request::get(self.url(name)).body(Bytes::new()).unwrap();
        session.purse().fetch(get, PurchaseKey::new("keyed-jabberwock").unwrap()).await
    }

    /// Buys a document and sees it confirmed.
    async fn bought(&self, bursar: &Bursar, session: &Session, name: &str) -> PaymentId {
        let fetched = self.buy(session, name).await;
        let Fetched::Delivered(delivery) = fetched else { panic!("{fetched:?}") };
        self.market.chain().mine();
        bursar.recover().await.unwrap();
        bursar.library().sync().await.unwrap();
        delivery.payment.id
    }

    fn advance_s(&self, seconds: u64) {
        self.ours.advance_ms(seconds * 1_000);
        self.theirs.advance_s(seconds);
    }

    /// Which of the words stand in any file of the data folder.
    fn holds(&self, words: &[&'static str]) -> Vec<&'static str> {
        words.iter().copied().filter(|word| holds(self.data.path(), word)).collect()
    }
}

fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|found| {
        let path = found.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()),
        }
    })
}

async fn end(desk: &Payments, session: &Session) {
    desk.revoke(session.id(), "erika").await.unwrap();
}

#[tokio::test]
async fn what_was_erased_of_a_user_is_in_no_file_and_everything_else_goes_on() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let session = world.session(&bursar).await;
    let payment = world.bought(&bursar, &session, "alpha").await;
    let page = "# Free\n\nThe freeflumph costs nothing.\n";
    bursar.library().add_free("http://free.example/", Some("text/markdown"), page.into()).await.unwrap();
    assert_eq!(world.holds(&SECRETS), SECRETS.to_vec(), "they lie somewhere before, or this shows nothing");
    let before = bursar.ledger().head().await.unwrap();
    let proof = bursar.ledger().prove_inclusion(3, before.size).await.unwrap().unwrap();
    end(bursar.desk(), &session).await;

    let scope = EraseScope::User(USER.to_owned());
    let would = bursar.would_erase(&scope).await.unwrap();
    assert_eq!(world.holds(&["zyxquorum"]), ["zyxquorum"], "a dry run changes nothing");
    let erased = bursar.erase(&scope).await.unwrap();
    assert_eq!(erased, would);
    assert_eq!(
        (erased.payments.as_slice(), erased.sessions.as_slice()),
        (&[payment][..], &[session.id()][..])
    );
    assert!(erased.forgotten && erased.kept.is_empty(), "{erased:?}");
    assert_eq!(world.holds(&SECRETS), Vec::<&str>::new(), "while it is open");
    assert_eq!(
        bursar.ledger().links("principal/").await.unwrap().len(),
        1,
        "only the wallet has a pseudonym"
    );

    let verified = report::verify(bursar.ledger()).await.unwrap();
    assert_eq!(verified.journal.problems, Vec::<String>::new());
    assert_eq!(verified.journal.payloads_erased, erased.payloads);
    proof.inclusion.check(&leaf_hash(&proof.leaf), before.size, &before.hash()).unwrap();
    let now = bursar.ledger().head().await.unwrap();
    let grown = bursar.ledger().prove_consistency(before.size, now.size).await.unwrap().unwrap();
    grown.check((before.size, &before.hash()), (now.size, &now.hash())).unwrap();

    let payments = bursar.payments().await.unwrap();
    assert_eq!(payments[0].state, PaymentState::Erased { paid: true });
    assert_eq!(payments[0].session, Some(session.id()));
    assert!(payments[0].amount.is_some() && payments[0].micro_usd.is_some(), "{payments:?}");
    assert!(payments[0].resource.is_empty() && !payments[0].state.is_open());
    assert_eq!(bursar.sessions().await.unwrap(), vec![]);
    assert_eq!(bursar.obligations().await.unwrap(), vec![]);
    assert!(bursar.resume(session.id(), Approve::Rule).await.is_err());
    bursar.close().await.unwrap();
    assert_eq!(world.holds(&SECRETS), Vec::<&str>::new(), "after it was closed");

    // Opened again, bought again: nothing here knows that it was bought before.
    let bursar = world.open(None).await;
    assert!(bursar.recovered().is_quiet());
    let again = world.session(&bursar).await;
    world.bought(&bursar, &again, "alpha").await;
    assert_eq!(bursar.payments().await.unwrap().len(), 2);
    assert_eq!(bursar.library().list().await.unwrap().len(), 1);
    assert_eq!(report::verify(bursar.ledger()).await.unwrap().journal.problems, Vec::<String>::new());
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_is_open_is_kept_and_the_reasons_are_said() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let session = world.session(&bursar).await;
    let bought = world.bought(&bursar, &session, "alpha").await;
    // Payments are listed by time.
    world.advance_s(1);
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let owed = world.buy(&session, "beta").await;
    let Fetched::Undelivered(owed) = owed else { panic!("{owed:?}") };

    let scope = EraseScope::User(USER.to_owned());
    let live = bursar.erase(&scope).await.unwrap();
    assert_eq!((live.payments.as_slice(), live.sessions.len()), (&[bought][..], 0));
    let kept: Vec<_> = live.kept.iter().map(|kept| kept.what.clone()).collect();
    assert_eq!(kept, [owed.payment.id.to_string(), session.id().to_string()], "{live:?}");
    assert!(!live.forgotten);
    // The key stays used up: what was paid under it once is not paid again because the record is gone.
    let again = world.try_to_buy(&session, "alpha").await.unwrap_err();
    assert_eq!(again.reasons()[0].code, "PURCHASE_ERASED", "{again}");
    let ended = {
        end(bursar.desk(), &session).await;
        bursar.erase(&scope).await.unwrap()
    };
    let whys: Vec<_> = ended.kept.iter().map(|kept| kept.why.as_str()).collect();
    assert_eq!(
        whys,
        ["the payee still owes something for it: see `bursar obligations`", "a payment of it is open"]
    );

    let payments = bursar.payments().await.unwrap();
    assert_eq!(payments[0].state, PaymentState::Erased { paid: true });
    assert!(matches!(payments[1].state, PaymentState::Undelivered { .. }), "{payments:?}");
    assert!(payments[1].resource.contains("beta"));
    assert_eq!(bursar.sessions().await.unwrap().len(), 1);
    assert_eq!(bursar.obligations().await.unwrap().len(), 1);
    bursar.recover().await.unwrap();
    assert_eq!(report::verify(bursar.ledger()).await.unwrap().journal.problems, Vec::<String>::new());
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_a_crash_left_half_erased_is_finished_by_whoever_opens_it_next() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let session = world.session(&bursar).await;
    let payment = world.bought(&bursar, &session, "alpha").await;
    let ledger = bursar.ledger().clone();
    // As a crash between the two leaves it: the ledger has erased, the library here has not.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Library::open(elsewhere.path().join("library.sqlite"), ledger.clone()).await.unwrap();
    let scope = EraseScope::Payment(payment);
    let erased = erase(&ledger, &other, &scope, Timestamp::from_unix_ms(START_S * 1_000)).await.unwrap();
    assert_eq!(erased.payments, [payment]);
    let named = ledger.stream(&bursar::ledger::StreamId::erasures(), 0).await.unwrap();
    let first = named[0].body["payloads"][0].as_str().unwrap().to_owned();
    let cut_off = LinkWrite { key: "erasing".to_owned(), expected: None, value: Some(first) };
    ledger.commit(Transaction { links: vec![cut_off], ..Transaction::default() }).await.unwrap();
    bursar.close().await.unwrap();
    assert_eq!(world.holds(&["zyxquorum"]), ["zyxquorum"]);

    let bursar = world.open(None).await;
    assert_eq!(world.holds(&["zyxquorum"]), Vec::<&str>::new());
    assert_eq!(bursar.ledger().link("erasing").await.unwrap(), None);
    assert_eq!(bursar.library().recall("zyxquorum", 5).await.unwrap(), vec![]);
    assert_eq!(bursar.library().list().await.unwrap(), vec![]);
    assert_eq!(bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_is_older_than_the_configuration_keeps_goes_when_it_is_opened() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let old = world.session(&bursar).await;
    let first = world.bought(&bursar, &old, "alpha").await;
    end(bursar.desk(), &old).await;
    bursar.close().await.unwrap();
    world.advance_s(60 * DAY_S);
    let bursar = world.open(Some(Duration::from_secs(90 * DAY_S))).await;
    let young = world.session(&bursar).await;
    world.bought(&bursar, &young, "beta").await;
    assert!(bursar.payments().await.unwrap().iter().all(|payment| payment.state == PaymentState::Delivered));
    bursar.close().await.unwrap();

    world.advance_s(60 * DAY_S);
    let bursar = world.open(Some(Duration::from_secs(90 * DAY_S))).await;
    let states: Vec<_> =
        bursar.payments().await.unwrap().into_iter().map(|one| (one.id == first, one.state)).collect();
    assert_eq!(states, [(true, PaymentState::Erased { paid: true }), (false, PaymentState::Delivered)]);
    let sessions: Vec<_> = bursar.sessions().await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(sessions, [young.id()]);
    let now = Timestamp::from_unix_ms((START_S + 120 * DAY_S) * 1_000);
    let rest = would_erase(bursar.ledger(), &EraseScope::OlderThan(now), now).await.unwrap();
    assert_eq!(rest.payments.len(), 1, "{rest:?}");
    assert_eq!(bursar.ledger().verify().await.unwrap().problems, Vec::<String>::new());
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_frozen_agent_is_not_forgotten_and_goes_on_under_no_other_pseudonym() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let session = world.session(&bursar).await;
    world.bought(&bursar, &session, "alpha").await;
    end(bursar.desk(), &session).await;
    let agent = FreezeScope::agent_of(USER, "agent");
    bursar.desk().freeze(&agent, "erika", "it was talked into something").await.unwrap();

    let scope = EraseScope::User(USER.to_owned());
    let erased = bursar.erase(&scope).await.unwrap();
    assert!(!erased.forgotten, "{erased:?}");
    assert!(erased.kept.iter().any(|kept| kept.why.contains("its agent is frozen")), "{erased:?}");
    let again = world.session(&bursar).await;
    let refused = world.plan(&again, "beta").await;
    assert!(matches!(refused, PlanOutcome::Refused { .. }), "{refused:?}");
    end(bursar.desk(), &again).await;

    bursar.desk().thaw(&agent, "erika", "it was looked into").await.unwrap();
    let erased = bursar.erase(&scope).await.unwrap();
    assert!(erased.forgotten && erased.kept.is_empty(), "{erased:?}");
    assert_eq!(world.holds(&[USER]), Vec::<&str>::new());
    bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_was_taken_away_without_being_erased_is_missed() {
    let world = World::new().await;
    let bursar = world.open(None).await;
    let session = world.session(&bursar).await;
    let payment = world.bought(&bursar, &session, "alpha").await;
    let ledger = bursar.ledger();
    assert_eq!(report::verify(ledger).await.unwrap().journal.problems, Vec::<String>::new());
    // Without the link, whoever asks for it in another session pays again.
    for (key, value) in ledger.links("bought/").await.unwrap() {
        let gone = LinkWrite { key, expected: Some(value), value: None };
        ledger.commit(Transaction { links: vec![gone], ..Transaction::default() }).await.unwrap();
    }
    let problems = report::verify(ledger).await.unwrap().journal.problems;
    let missed = format!("payment {payment} is bought by its entries and is not in the list of what is");
    assert!(problems.len() == 1 && problems[0].starts_with(&missed), "{problems:?}");
    bursar.close().await.unwrap();
}
