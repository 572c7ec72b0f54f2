//! Asking a vendor for money back.

use crate::chain::Chain;
use crate::common::{self, NOW};
use async_trait::async_trait;
use bursar_market::{Fault, RefundRule, SellerConfig, SourceDocument};
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{ClaimReason, Exchange, Offer, Rail as _, RefundAnswer, RefundRequest, RemedyError};
use bursar_types::{Amount, AssetRegistry, HttpRequest, HttpResponse, Limits, Transport, TransportError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TRANSACTION: &str = "0x5ad1331906f0e63262a554bb5c58df2a98ed321a4446eb895711b7dc1dfb0747";

/// A vendor that answers every claim in one way; `None` breaks the connection.
#[derive(Debug, Clone)]
struct Vendor {
    answer: Option<(u16, String)>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

#[async_trait]
impl Transport for Vendor {
    async fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let claim = serde_json::from_slice(request.body()).unwrap();
        self.asked.lock().unwrap().push((format!("{} {}", request.method(), request.uri()), claim));
        match &self.answer {
            Some((status, body)) => {
                Ok(http::Response::builder().status(*status).body(body.clone().into()).unwrap())
            }
            None => Err(TransportError::NoAnswer { host: "vendor".to_owned(), source: "it broke".into() }),
        }
    }
}

impl Vendor {
    fn answering(status: u16, body: impl ToString) -> Self {
        Self { answer: Some((status, body.to_string())), asked: Arc::default() }
    }

    fn rail(&self) -> X402 {
        X402::new(X402Options {
            assets: Arc::new(AssetRegistry::pinned()),
            networks: vec![NetworkReader {
                network: "eip155:84532".to_owned(),
                rpc_urls: vec!["http://127.0.0.1:1".to_owned()],
                finality: Finality::Finalized,
            }],
            transport: Arc::new(self.clone()),
            payer: common::PAYER.to_owned(),
            quote_ttl_ms: 60_000,
        })
    }
}

fn offer(extensions: &Value) -> Offer {
    let demand = json!({
        "x402Version": 2, "extensions": extensions,
        "accepts": [{
            "scheme": "exact", "network": "eip155:84532", "amount": "2000", "asset": common::TOKEN,
            "payTo": common::PAYEE, "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"},
        }],
    });
    common::offers("/x", &common::v2(&demand.to_string())).unwrap().remove(0)
}

fn extension(info: Value) -> Value {
    json!({"refund": {"info": info, "schema": {}}})
}

fn refunds() -> Value {
    extension(json!({"url": format!("{}/refunds", common::SELLER), "withinSeconds": 60, "partial": true}))
}

fn request(extensions: &Value, atomic: u128) -> RefundRequest {
    let offer = offer(extensions);
    RefundRequest {
        id: "0123456789abcdef".to_owned(),
        prepared: common::offline().prepare(&common::order(offer.clone())).unwrap(),
        amount: Amount::from_atomic(offer.quote.price.asset().clone(), atomic),
        offer,
        reference: TRANSACTION.to_owned(),
        reason: ClaimReason::PartDelivered,
        detail: "half of it\u{1b}".to_owned(),
    }
}

fn told(answer: &Result<RefundAnswer, RemedyError>) -> String {
    match answer {
        Ok(RefundAnswer::Accepted { amount: None }) => "accepted".to_owned(),
        Ok(RefundAnswer::Accepted { amount: Some(amount) }) => format!("accepted {}", amount.atomic()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_claim_names_the_payment_and_is_the_same_each_time() {
    let vendor = Vendor::answering(200, json!({"status": "accepted", "id": "0123456789abcdef"}));
    let request = request(&refunds(), 1_500);
    // As recovery writes it.
    let noted = RefundRequest { reference: format!("{TRANSACTION} (a note)"), ..request.clone() };
    for request in [&request, &noted] {
        assert_eq!(told(&vendor.rail().request_refund(request).await), "accepted");
    }
    let asked = vendor.asked.lock().unwrap();
    let claim = json!({
        "id": "0123456789abcdef", "network": "eip155:84532", "asset": common::TOKEN, "payer": common::PAYER,
        "payee": common::PAYEE, "nonce": request.prepared.terms["nonce"], "transaction": TRANSACTION,
        "amount": "1500", "paid": "2000", "resource": format!("{}/x", common::SELLER), "reason": "partial",
        "detail": "half of it\u{1b}",
    });
    assert_eq!(*asked, vec![(format!("POST {}/refunds", common::SELLER), claim); 2]);
}

#[tokio::test]
async fn an_answer_is_a_promise_a_refusal_or_nothing_yet() {
    let id = "0123456789abcdef";
    let accepted = |amount: Value| json!({"status": "accepted", "id": id, "amount": amount});
    let refused = json!({"status": "refused", "reason": "\u{1b}[2Jno"});
    let failed = |code: u16| format!("failed: the vendor answered {code} to the claim, and ");
    let no = r"refused: the vendor says `\u{1b}[2Jno`";
    let cases = [
        (200, accepted(json!("1500")), "accepted 1500".to_owned()),
        (200, accepted(json!("700")), "accepted 700".to_owned()),
        (202, accepted(Value::Null), "accepted".to_owned()),
        (200, accepted(json!("1501")), failed(200)),
        (200, accepted(json!("0")), failed(200)),
        (200, accepted(json!("-1")), failed(200)),
        (200, accepted(json!(1500)), failed(200)),
        (200, json!({"status": "accepted", "id": "another"}), failed(200)),
        (200, refused.clone(), no.to_owned()),
        (404, refused.clone(), no.to_owned()),
        (409, refused.clone(), no.to_owned()),
        (409, json!("what?"), "refused: the vendor answered 409".to_owned()),
        (409, accepted(json!("1500")), "refused: the vendor answered 409".to_owned()),
        (410, json!({"status": "refused"}), "refused: the vendor gives no reason".to_owned()),
        (422, json!({"status": "refused", "reason": 7}), "refused: the vendor gives no reason".to_owned()),
        (404, json!("not found"), failed(404)),
        (400, accepted(json!("1500")), failed(400)),
        (200, json!({}), failed(200)),
        (200, json!({"status": "maybe"}), failed(200)),
        (200, json!([1]), failed(200)),
        (307, refused.clone(), failed(307)),
        (500, refused, failed(500)),
        (503, accepted(json!("1500")), failed(503)),
    ];
    for (status, body, expected) in cases {
        let vendor = Vendor::answering(status, &body);
        let told = told(&vendor.rail().request_refund(&request(&refunds(), 1_500)).await);
        assert!(told.starts_with(&expected), "{status} {body}: `{told}` is not `{expected}`");
        assert_eq!(vendor.asked.lock().unwrap().len(), 1, "asked once");
    }
    let long = json!({"status": "refused", "reason": "x".repeat(9_000)});
    let told_long = told(&Vendor::answering(200, long).rail().request_refund(&request(&refunds(), 1)).await);
    assert!(told_long.len() < 300, "{told_long}");
    let broken = Vendor { answer: None, asked: Arc::default() };
    let answer = broken.rail().request_refund(&request(&refunds(), 1)).await;
    assert_eq!(told(&answer), "failed: no answer from vendor: it broke");
}

#[tokio::test]
async fn what_no_vendor_could_grant_is_not_asked() {
    let info = |url: &str| extension(json!({"url": url, "withinSeconds": 1, "partial": true}));
    let offers = [
        json!({}),
        json!({"refund": null}),
        json!({"refund": {"info": null}}),
        extension(json!({})),
        extension(json!([])),
        extension(json!({"url": 7})),
        info("/refunds"),
        info("https://127.0.0.1:46817/refunds"),
        info("http://127.0.0.1:46818/refunds"),
        info("http://127.0.0.1/refunds"),
        info("http://localhost:46817/refunds"),
        info("http://me@127.0.0.1:46817/refunds"),
        info("file:///refunds"),
    ];
    let vendor = Vendor::answering(200, json!({"status": "accepted"}));
    for offer in offers {
        let answer = vendor.rail().request_refund(&request(&offer, 1)).await;
        assert!(matches!(answer, Err(RemedyError::Unsupported(_))), "{offer}: {answer:?}");
    }
    let whole = extension(json!({"url": format!("{}/refunds", common::SELLER), "partial": false}));
    let answer = vendor.rail().request_refund(&request(&whole, 1)).await;
    assert!(matches!(answer, Err(RemedyError::Unsupported(_))), "{answer:?}");
    type Change = fn(&mut RefundRequest);
    let changes: [(&str, Change); 8] = [
        ("more than was paid", |request| request.amount = with(&request.amount, 2_001)),
        ("nothing", |request| request.amount = with(&request.amount, 0)),
        ("another asset", |request| {
            request.amount = Amount::from_atomic(bursar_types::AssetId::micro_usd(), 1);
        }),
        ("no name", |request| request.id = String::new()),
        ("a name that is a path", |request| request.id = "../x".to_owned()),
        ("no transaction", |request| request.reference = "0x12".to_owned()),
        ("terms of another rail", |request| request.prepared.rail = "mpp".to_owned()),
        ("an offer of another payee", |request| request.offer.quote.payee = common::TOKEN.to_owned()),
    ];
    for (what, change) in changes {
        let mut request = request(&refunds(), 1_500);
        change(&mut request);
        let answer = vendor.rail().request_refund(&request).await;
        assert!(matches!(answer, Err(RemedyError::Refused(_))), "{what}: {answer:?}");
    }
    assert_eq!(*vendor.asked.lock().unwrap(), []);
}

fn with(amount: &Amount, atomic: u128) -> Amount {
    Amount::from_atomic(amount.asset().clone(), atomic)
}

/// Buys from a seller of the market, and asks it for the money back.
async fn claimed(rule: RefundRule, fault: Option<Fault>, times: usize) -> (Vec<String>, i128) {
    let chain = Chain::open(|market| {
        let texts = vec![SourceDocument::new("gas.md", "# Gas\n\nWho pays.\n")];
        let seller = SellerConfig::new("Shop").documents(texts).refunds(rule);
        market.main_seller(false).resellers(false).add_seller(seller)
    })
    .await
    .with(&[&[]]);
    let seller = chain.market.seller(0).unwrap();
    if let Some(fault) = fault {
        seller.faults().arm(bursar_market::FaultRule::new(fault).times(1)).unwrap();
    }
    let ask = http::Request::builder().uri(seller.document_url("gas")).body(bytes::Bytes::new()).unwrap();
    let response = chain.market.exchange(ask.clone()).await.unwrap();
    let rail = chain.rail(Safeguards::default());
    let offer =
        rail.offers(&Exchange { request: &ask, response: &response, received_at: NOW }).unwrap().remove(0);
    let prepared = rail.prepare(&common::order(offer.clone())).unwrap();
    chain.settle(&prepared);
    chain.pass(5);
    let bursar_payments::Outcome::Moved { reference, .. } = rail.recover(&prepared).await else {
        panic!("it was settled");
    };
    let before = chain.market.balance_of(crate::chain::key().address());
    let request = RefundRequest {
        id: "0123456789abcdef".to_owned(),
        prepared,
        amount: offer.quote.price.clone(),
        offer,
        reference,
        reason: ClaimReason::NotDelivered,
        detail: String::new(),
    };
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(told(&rail.request_refund(&request).await));
    }
    let after = chain.market.balance_of(crate::chain::key().address());
    (answers, i128::try_from(after).unwrap() - i128::try_from(before).unwrap())
}

#[tokio::test]
async fn sellers_of_the_market_are_asked_and_a_repeated_claim_is_one() {
    let (answers, back) = claimed(RefundRule::Exact, None, 3).await;
    assert!(back > 0 && answers == vec![format!("accepted {back}"); 3], "{answers:?} {back}");
    // The answer is lost; the same claim again is answered from what was decided.
    let (answers, back) = claimed(RefundRule::Exact, Some(Fault::RefundAnswerLost), 2).await;
    assert!(answers[0].starts_with("failed: "), "{answers:?}");
    assert_eq!(answers[1], format!("accepted {back}"));
    let (answers, _) = claimed(RefundRule::Fails { times: 1 }, None, 2).await;
    assert!(answers[0].starts_with("failed: the vendor answered 500"), "{answers:?}");
    assert!(answers[1].starts_with("accepted "), "{answers:?}");
    let (answers, back) = claimed(RefundRule::Refuses { reason: "never".to_owned() }, None, 1).await;
    assert_eq!((answers[0].as_str(), back), ("refused: the vendor says `never`", 0));
    let (answers, back) = claimed(RefundRule::None, None, 1).await;
    assert_eq!((answers[0].as_str(), back), ("not possible: the vendor offers no refunds", 0));
    let (answers, back) = claimed(RefundRule::NeverSends, None, 1).await;
    assert!(answers[0].starts_with("accepted ") && back == 0, "{answers:?} {back}");
}
