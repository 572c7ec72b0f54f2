//! An agent whose purse is in another process: the same API over a Unix socket, and nothing else to be had there.

use bursar::payments::{Answer, ApproverKey, Statement};
use bursar::types::{
    Action, Asked, CallId, Cause, Clock as _, Effect, ModelCharge, ModelCost, ModelHold, PlanItem,
    PlanOutcome, PlanProposal, Provenance, QuoteOutcome, RunId, Untrusted, Verdict, canonical_digest,
};
use bursar::{
    Amount, Approve, Asset, Bursar, Fetched, Mandate, PurchaseKey, Purse, PurseServer, PurseSocket,
    RemoteError, RemoteSession, Session,
};
use bursar_market::{Fault, FaultRule, Market, SellerConfig, SourceDocument};
use bytes::Bytes;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Asks before a letter is sent.
const LETTERS: &str = r#"
    @id("mine.letters")
    @escalate("may this letter be sent?")
    @reason("LETTERS: letters are put to a person")
    @advice("wait for the answer")
    forbid (principal, action == Action::"call", resource == Tool::"send_letter");
"#;

fn ada() -> ApproverKey {
    ApproverKey::from_secret(&[1; 32])
}

/// A market, and a purse that is served beside it.
struct House {
    market: Market,
    bursar: Bursar,
    session: Session,
    folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder =
            Bursar::builder(folder.path().join("secret-data")).play_wallet().unwrap().reach_loopback();
        let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
        let documents =
            ["alpha", "beta"].map(|name| SourceDocument::new(format!("{name}.md"), format!("# {name}\n")));
        let market = Market::builder()
            .main_seller(false)
            .resellers(false)
            .add_seller(SellerConfig::new("Docs").documents(documents.to_vec()))
            .buyer_funds(address, 1_000_000)
            .start()
            .await
            .unwrap();
        let token = market.token();
        let (address, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
        let usdc = Asset::stablecoin(token.chain_id, &address, &token.symbol, token.decimals, domain, false);
        let bursar = builder
            .policy("mine.cedar", LETTERS)
            .watch_every(None)
            .asset(usdc.clone())
            .network(market.network(), vec![market.rpc_url().to_owned()], true)
            .open()
            .await
            .unwrap();
        let budget = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
        let mandate = Mandate::new("reading", "ada").session_budget(budget).asset(usdc.id().clone());
        let mandate = mandate.approver("ada", ada().public());
        let session =
            bursar.session("reading").mandate(mandate).approve(Approve::Rule).start().await.unwrap();
        Self { market, bursar, session, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("purse.sock")
    }

    async fn served(&self) -> PurseServer {
        self.session.serve(PurseSocket::new(self.path())).await.unwrap()
    }

    fn url(&self, document: &str) -> String {
        self.market.seller(0).unwrap().document_url(document)
    }

    fn authorizations(&self) -> usize {
        self.market.seller(0).unwrap().log().nonces.len()
    }
}

fn get(url: &str) -> http::Request<Bytes> {
    http::Request::get(url).body(Bytes::new()).unwrap()
}

fn key(name: &str) -> PurchaseKey {
    PurchaseKey::new(name).unwrap()
}

async fn plan(purse: &Purse, url: &str) {
    let QuoteOutcome::Quotes(quotes) = purse.quote(get(url)).await.unwrap() else { panic!("it is free") };
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let item = PlanItem { quote: quotes[0].id, count: 1, purpose: says("to read") };
    let outcome = purse.propose(PlanProposal::new(says("reading"), vec![item])).await.unwrap();
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_agent_in_another_process_buys_like_any_other() {
    let house = House::new().await;
    let server = house.served().await;
    let mode = std::fs::metadata(server.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let remote = RemoteSession::connect(house.path()).await.unwrap();
    assert_eq!(remote.session(), house.session.id());
    let purse = remote.purse();
    let url = house.url("alpha");
    let unplanned = purse.fetch(get(&url), key("alpha")).await.unwrap();
    assert!(matches!(unplanned, Fetched::Quotes { .. }), "{unplanned:?}");
    plan(&purse, &url).await;
    assert_eq!(purse.standing().await.unwrap().open_items.len(), 1);
    let cause = Cause { run: RunId::derived(&[b"run"]), call: CallId::derived(&[b"call"]) };
    let fetched = purse.caused_by(cause).fetch(get(&url), key("alpha")).await.unwrap();
    let Fetched::Delivered(bought) = fetched else { panic!("{fetched:?}") };
    assert!(String::from_utf8_lossy(&bought.body).contains("# alpha"));
    // Reconnected, or in the purse's own process: the same purchase.
    for purse in [RemoteSession::connect(house.path()).await.unwrap().purse(), house.session.purse()] {
        let again = purse.fetch(get(&url), key("alpha")).await.unwrap();
        let Fetched::Owned(owned) = again else { panic!("{again:?}") };
        assert_eq!((owned.payment.id, &owned.body), (bought.payment.id, &bought.body));
    }
    assert_eq!(purse.standing().await.unwrap(), house.session.purse().standing().await.unwrap());
    assert_eq!(house.authorizations(), 1);
    // The journal says which call of the agent it was, though its run is journaled elsewhere.
    let ledger = bursar::report::open_ledger(house.folder.path().join("secret-data")).unwrap();
    let trace = bursar::report::trace(&ledger, bought.payment.id).await.unwrap().unwrap().text();
    let said = format!("tool call: {} of run {}, as the caller said", cause.call, cause.run);
    assert!(trace.contains(&said), "{trace}");
    // Refusals keep their codes.
    let refused = purse.fetch(get("http://169.254.169.254/latest"), key("metadata")).await.unwrap_err();
    assert_eq!(refused.reasons()[0].code, "EGRESS_BLOCKED");
    // The agent's side holds the socket's path, and nothing of what lies behind it.
    let held = format!("{remote:?} {purse:?} {refused:?}");
    assert!(!held.contains("secret-data") && !held.contains("ledger"), "{held}");
    drop(server);
    house.bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_payment_with_it() {
    let house = House::new().await;
    let _server = house.served().await;
    let purse = RemoteSession::connect(house.path()).await.unwrap().purse();
    let url = house.url("alpha");
    plan(&purse, &url).await;
    let slow = FaultRule::from(Fault::SlowBody { ms: 300 }).times(1);
    house.market.seller(0).unwrap().faults().arm(slow).unwrap();
    let first = tokio::spawn({
        let (purse, request) = (purse.clone(), get(&url));
        async move { purse.fetch(request, key("alpha")).await }
    });
    while house.authorizations() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let joined = purse.fetch(get(&url), key("alpha")).await.unwrap();
    assert!(matches!(joined, Fetched::Owned(_) | Fetched::Delivered(_)), "{joined:?}");
    assert_eq!(house.authorizations(), 1);
}

#[tokio::test]
async fn a_purse_that_goes_away_leaves_an_honest_answer() {
    let house = House::new().await;
    let server = house.served().await;
    let remote = RemoteSession::connect(house.path()).await.unwrap();
    drop(server);
    while house.path().exists() {
        tokio::task::yield_now().await;
    }
    let error = remote.purse().fetch(get(&house.url("alpha")), key("alpha")).await.unwrap_err();
    assert_eq!(error.reasons()[0].code, "NETWORK");
    assert!(matches!(RemoteSession::connect(house.path()).await, Err(RemoteError::Socket { .. })));
    // A socket that a dead process left is taken over; one that is served is not, and a file is left alone.
    drop(std::os::unix::net::UnixListener::bind(house.path()).unwrap());
    let _server = house.served().await;
    let second = house.session.serve(PurseSocket::new(house.path())).await;
    assert!(matches!(second, Err(RemoteError::InUse { .. })), "{second:?}");
    let file = house.folder.path().join("a-file");
    std::fs::write(&file, "mine").unwrap();
    assert!(house.session.serve(PurseSocket::new(&file)).await.is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn only_users_that_are_let_in_are_talked_to() {
    let house = House::new().await;
    let me =
        std::fs::metadata(house.folder.path()).map(|folder| std::os::unix::fs::MetadataExt::uid(&folder));
    let me = me.unwrap();
    let socket = PurseSocket::new(house.path()).group().let_in(me + 1);
    let server = house.session.serve(socket).await.unwrap();
    assert_eq!(std::fs::metadata(server.path()).unwrap().permissions().mode() & 0o777, 0o660);
    let refused = RemoteSession::connect(house.path()).await;
    assert!(matches!(&refused, Err(RemoteError::Refused(why)) if why.contains("not let in")), "{refused:?}");
    drop(server);
    let other = house.folder.path().join("other.sock");
    let _server = house.session.serve(PurseSocket::new(&other).let_in(me).let_in(me + 1)).await.unwrap();
    assert!(RemoteSession::connect(&other).await.is_ok());
}

fn letter(call: u8, text: &str) -> (Action, String) {
    let arguments = json!({ "text": text });
    let action = Action {
        run: RunId::derived(&[b"run"]),
        call: CallId::derived(&[&[call]]),
        tool: "send_letter".into(),
        effect: Effect::Write,
        arguments: canonical_digest(&arguments).unwrap(),
    };
    (action, arguments.to_string())
}

#[tokio::test]
async fn a_call_of_a_tool_is_put_to_a_person_from_another_process_and_allowed_once() {
    let house = House::new().await;
    let _server = house.served().await;
    let gate = RemoteSession::connect(house.path()).await.unwrap().gate();
    let (action, shown) = letter(1, "to the bank");
    assert_eq!(gate.decide(&action).await.unwrap().verdict, Verdict::Escalate);
    let Asked::Waits { approval, .. } = gate.ask(&action, &shown).await.unwrap() else { panic!("it waits") };
    let desk = house.bursar.desk();
    let open = desk.approvals().await.unwrap();
    assert_eq!((open.len(), open[0].question.id), (1, approval));
    assert!(matches!(gate.ask(&action, &shown).await.unwrap(), Asked::Waits { .. }));
    // What a person is shown has to be what the action names.
    let (other, _) = letter(2, "to the bank");
    for wrong in [r#"{"text":"to my aunt"}"#, "to the bank", ""] {
        assert!(gate.ask(&other, wrong).await.is_err(), "{wrong}");
    }
    assert_eq!(desk.approvals().await.unwrap().len(), 1, "nobody was asked about it");
    let question = &open[0].question;
    let statement = Statement::on(question, Answer::Approve, bursar::SystemClock.now(), None).unwrap();
    desk.answer_approval(&statement.sign(&ada()).unwrap()).await.unwrap();
    let allowed = gate.ask(&action, &shown).await.unwrap();
    assert!(
        matches!(&allowed, Asked::Allowed(decision) if decision.verdict == Verdict::Allow),
        "{allowed:?}"
    );
    let (again, shown) = letter(3, "to the bank");
    assert!(matches!(gate.ask(&again, &shown).await.unwrap(), Asked::Waits { .. }), "once is once");
    house.session.freeze("look first").await.unwrap();
    let refused = gate.decide(&action).await.unwrap();
    assert_eq!((refused.verdict, refused.reasons[0].code.as_ref()), (Verdict::Deny, "FROZEN"));
    let Asked::Refused(refused) = gate.ask(&again, &shown).await.unwrap() else { panic!("it is frozen") };
    assert_eq!(refused.reasons[0].code, "FROZEN");
    house.bursar.close().await.unwrap();
}

#[tokio::test]
async fn a_person_is_shown_what_the_action_names_and_no_field_beside_it() {
    let house = House::new().await;
    let _server = house.served().await;
    let gate = RemoteSession::connect(house.path()).await.unwrap().gate();
    let (action, _) = letter(1, "to the bank");
    let twice = r#"{"text": "to my aunt", "text": "to the bank"}"#;
    assert!(matches!(gate.ask(&action, twice).await.unwrap(), Asked::Waits { .. }));
    let open = house.bursar.desk().approvals().await.unwrap();
    let shown = open[0].question.shown(&bursar::types::AssetRegistry::pinned(), &[]);
    assert!(shown.ends_with(r#"{"text":"to the bank"}"#) && !shown.contains("aunt"), "{shown}");
    house.bursar.close().await.unwrap();
}

#[tokio::test]
async fn what_the_model_of_another_process_costs_counts_here_and_its_word_has_bounds() {
    let house = House::new().await;
    let server = house.served().await;
    let meter = RemoteSession::connect(house.path()).await.unwrap().meter();
    let micro = |atomic| Amount::from_atomic(Asset::micro_usd().id().clone(), atomic);
    let charge = |turn, most| {
        let run = RunId::derived(&[b"run"]);
        ModelCharge { run, turn, attempt: 0, model: "large".into(), most: micro(most) }
    };
    let books = async || {
        let standing = house.session.purse().standing().await.unwrap();
        (standing.budgets[0].spent.atomic(), standing.budgets[0].held.atomic())
    };
    let first = charge(0, 40_000);
    for _ in 0..2 {
        assert_eq!(meter.hold(&first).await.unwrap(), ModelHold::Held);
        assert_eq!(books().await, (0, 40_000));
    }
    let ModelHold::Refused(refused) = meter.hold(&charge(1, 460_001)).await.unwrap() else {
        panic!("too much")
    };
    assert_eq!(refused.reasons[0].code, "MODEL_OVER_BUDGET");
    assert_eq!(meter.settle(&first, &ModelCost::Known(micro(7))).await.unwrap(), micro(7));
    assert_eq!(meter.settle(&first, &ModelCost::Unknown).await.unwrap(), micro(7), "the first word stands");
    assert_eq!(books().await, (7, 0));
    // It cannot use up by a word what it could not spend, whatever it says that it had set aside.
    assert_eq!(meter.hold(&charge(2, 1_000)).await.unwrap(), ModelHold::Held);
    let booked = meter.settle(&charge(2, 9_000_000), &ModelCost::Known(micro(9_000_000))).await.unwrap();
    assert_eq!((booked, books().await), (micro(1_000), (1_007, 0)));
    for (turn, cost, booked) in [(3, ModelCost::Unknown, 500), (4, ModelCost::Nothing, 0)] {
        assert_eq!(meter.hold(&charge(turn, 500)).await.unwrap(), ModelHold::Held);
        assert_eq!(meter.settle(&charge(turn, 500), &cost).await.unwrap(), micro(booked));
    }
    // Nor what belongs to another session of the same purse's process.
    let beside = house.session.delegate(house.session.mandate().await.unwrap().child("scout"), Approve::Rule);
    let beside = beside.await.unwrap().run_context().meter.unwrap();
    assert_eq!(beside.hold(&charge(5, 2_000)).await.unwrap(), ModelHold::Held);
    assert_eq!(meter.settle(&charge(5, 2_000), &ModelCost::Nothing).await.unwrap(), micro(0));
    assert_eq!(books().await, (1_507, 2_000));
    drop(server);
    while house.path().exists() {
        tokio::task::yield_now().await;
    }
    assert!(meter.hold(&charge(6, 1)).await.is_err(), "nobody is there");
    house.bursar.close().await.unwrap();
}

/// Sends frames as they are, and gives the answers until the purse hangs up.
async fn talk(house: &House, frames: &[Vec<u8>]) -> Vec<Value> {
    let mut stream = UnixStream::connect(house.path()).await.unwrap();
    let mut answers = Vec::new();
    for frame in frames {
        // The purse may have hung up; what it said is there to be read.
        let _ = stream.write_all(frame).await;
        let Ok(length) = stream.read_u32().await else { break };
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(serde_json::from_slice(&answer).unwrap());
    }
    answers
}

fn frame(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

#[tokio::test]
async fn what_is_no_call_is_refused_and_changes_nothing() {
    let house = House::new().await;
    let _server = house.served().await;
    let url = house.url("alpha");
    plan(&house.session.purse(), &url).await;
    let before = house.session.purse().standing().await.unwrap();
    let hello = frame(&json!({"protocol": 1}));
    for bad in [
        u32::MAX.to_be_bytes().to_vec(),
        frame(&json!({"protocol": 2})),
        frame(&json!({"protocol": 1, "mandate": {"budget": "1000000"}})),
        frame(&json!("hello")),
        [&4_u32.to_be_bytes()[..], b"\xff\xfe\x00\x01"].concat(),
    ] {
        let answers = talk(&house, &[bad]).await;
        assert!(answers[0].get("refused").is_some(), "{answers:?}");
    }
    let request = json!({"method": "GET", "url": url, "headers": [], "body": "", "client_data": false});
    for bad in [
        json!({"set_mandate": {"budget": "1000000"}}),
        json!({"approve": {"plan": "any"}}),
        json!({"standing": {}, "freeze": {}}),
        json!({"fetch": {"request": request, "key": "k", "mandate": {}}}),
        json!({"fetch": {"request": {"method": "GET"}, "key": "k"}}),
        json!({"fetch": {"request": request, "key": ""}}),
        json!({"propose": {"proposal": {"purpose": "mine", "items": [], "budget": "1"}}}),
    ] {
        let answers = talk(&house, &[hello.clone(), frame(&bad)]).await;
        assert!(answers[1].pointer("/failed/request").is_some(), "{bad}: {answers:?}");
    }
    // Asked for and not begun, or begun under another payment's name: nothing is bought.
    let fetch = frame(&json!({"fetch": {"request": request, "key": "k"}}));
    let named = talk(&house, &[hello.clone(), fetch.clone()]).await;
    assert!(named[1].pointer("/named/payment").is_some(), "{named:?}");
    let other = frame(&json!({"payment": bursar::types::PaymentId::derived(&[b"other"])}));
    let answers = talk(&house, &[hello, fetch, other]).await;
    assert!(answers[2].pointer("/failed/request").is_some(), "{answers:?}");
    assert_eq!(house.session.purse().standing().await.unwrap(), before);
    assert_eq!(house.authorizations(), 0);
}
