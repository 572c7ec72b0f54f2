//! What was used is still claimable: a use is a record of its own, and no part of the payment.

use bursar::ledger::StreamId;
use bursar::memory::{UseCheck, UseEvidence, UseRecord, UsesVerified};
use bursar::payments::{ClaimReason, ClaimStanding, Obligation};
use bursar::types::{
    ManualClock, PaymentId, PlanItem, PlanOutcome, PlanProposal, Provenance, QuoteOutcome, Timestamp,
    Untrusted,
};
use bursar::{Amount, Approve, Asset, Bursar, Fetched, Mandate, PurchaseKey, Session, report};
use bursar_market::{Market, RefundRule, SellerConfig, SourceDocument, TimeSource};
use bytes::Bytes;
use std::sync::Arc;

/// Within how long its seller takes money back, in seconds.
const WINDOW_S: u64 = 3_600;
const START_S: u64 = 1_795_264_200;

/// A document bought from a seller that takes money back, on clocks that stand still.
struct Bought {
    bursar: Bursar,
    session: Session,
    payment: PaymentId,
    artifact: bursar::types::ArtifactId,
    ours: Arc<ManualClock>,
    theirs: bursar_market::ManualClock,
    _market: Market,
    _data: tempfile::TempDir,
}

async fn bought() -> Bought {
    let data = tempfile::tempdir().unwrap();
    let ours = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_S * 1_000)));
    let theirs = bursar_market::ManualClock::new(START_S);
    let builder = Bursar::builder(data.path().join("data")).play_wallet().unwrap().reach_loopback();
    let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
    let text = "# Who pays the gas?\n\nWhoever submits the authorization pays it.\n";
    let document = SourceDocument::new("gas.md", text);
    let seller = SellerConfig::new("refunder").refunds(RefundRule::NeverSends).refund_terms(WINDOW_S, true);
    let market = Market::builder()
        .documents(vec![document])
        .main_seller(false)
        .resellers(false)
        .add_seller(seller)
        .buyer_funds(address, 1_000_000)
        .clock(TimeSource::Manual(theirs.clone()))
        .start()
        .await
        .unwrap();
    let token = market.token();
    let (address, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
    let usdc = Asset::stablecoin(token.chain_id, &address, &token.symbol, token.decimals, domain, false);
    let bursar = builder
        .clock(ours.clone())
        .watch_every(None)
        .asset(usdc.clone())
        .network(market.network(), vec![market.rpc_url().to_owned()], true)
        .open()
        .await
        .unwrap();
    let half_a_dollar = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
    let mandate = Mandate::new("gas", "you").session_budget(half_a_dollar).asset(usdc.id().clone());
    let session = bursar.session("gas").mandate(mandate).approve(Approve::Rule).start().await.unwrap();

    let url = format!("{}/documents/gas", market.seller_urls()[0]);
    let request = http::Request::get(url).body(Bytes::new()).unwrap();
    let purse = session.purse();
    let QuoteOutcome::Quotes(quotes) = purse.quote(request.clone()).await.unwrap() else {
        panic!("it is not free")
    };
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let item = PlanItem { quote: quotes[0].id, count: 1, purpose: says("gas") };
    let proposal = PlanProposal::new(says("gas"), vec![item]);
    assert!(matches!(purse.propose(proposal).await.unwrap(), PlanOutcome::Approved { .. }));
    let fetched = purse.fetch(request, PurchaseKey::new("gas").unwrap()).await.unwrap();
    let Fetched::Delivered(delivery) = fetched else { panic!("{fetched:?}") };
    bursar.library().sync().await.unwrap();
    Bought {
        bursar,
        session,
        payment: delivery.payment.id,
        artifact: delivery.artifact.id,
        ours,
        theirs,
        _market: market,
        _data: data,
    }
}

impl Bought {
    async fn use_it(&self) -> UseRecord {
        let library = self.session.library();
        let found = library.recall("who pays the gas", 1).await.unwrap();
        let quote = "Whoever submits the authorization pays it.".to_owned();
        let used = UseRecord {
            artifact: self.artifact,
            session: self.session.id(),
            run: None,
            used_for: "to say who pays".into(),
            evidence: vec![UseEvidence::Quoted { citation: found[0].citation, quote }],
            at: Timestamp::from_unix_ms(START_S * 1_000),
        };
        library.record_use(used.clone()).await.unwrap();
        used
    }

    /// How many entries payment, session and accounts have: everything but the uses.
    async fn streams(&self) -> Vec<(StreamId, u64)> {
        let mut streams = self.bursar.ledger().streams("").await.unwrap();
        streams.retain(|(stream, _)| stream.as_str() != UseRecord::STREAM);
        streams
    }

    /// Asks for the money in the last second in which the seller gives it back.
    async fn claim_late(&self) -> Obligation {
        self.bursar.recover().await.unwrap();
        self.ours.advance_ms((WINDOW_S - 1) * 1_000);
        self.theirs.advance_s(WINDOW_S - 1);
        let detail = "the second half is missing";
        let claimed = self.session.claim(self.payment, None, ClaimReason::PartDelivered, detail).await;
        match claimed.unwrap() {
            ClaimStanding::Open(obligation) => *obligation,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_used_is_claimed_as_what_was_not() {
    let (used, unused) = (bought().await, bought().await);
    let before = used.streams().await;
    let record = used.use_it().await;
    assert_eq!(used.streams().await, before, "a use is written nowhere but into its own stream");

    let (left, right) = (used.claim_late().await, unused.claim_late().await);
    let told = |claimed: &Obligation| {
        let claim = claimed.claim.clone().unwrap();
        (claimed.due, claim.amount.atomic(), claim.reason, std::mem::discriminant(&claim.refund))
    };
    assert_eq!(told(&left), told(&right));
    assert_eq!(std::mem::discriminant(&left.state), std::mem::discriminant(&right.state));

    // And the use stands as it stood.
    assert_eq!(used.session.library().check_use(&record).await.unwrap(), UseCheck::Holds);
    assert_eq!(used.session.library().uses(used.artifact).await.unwrap(), [record]);
    let verified = report::verify(used.bursar.ledger()).await.unwrap();
    assert_eq!(verified.journal.problems, Vec::<String>::new());
    assert_eq!(verified.uses, UsesVerified { held: 1, erased: 0, problems: vec![] });
    let told = used.bursar.payments().await.unwrap();
    assert_eq!(told[0].uses, ["to say who pays"]);
    for world in [used, unused] {
        world.bursar.close().await.unwrap();
    }
}
