//! Canceling over the market's chain, whose reading of transactions is its own.

use super::super::{Finality, NetworkReader, Safeguards, X402, X402Options};
use super::{Cancellation, GAS_MIN};
use crate::purse::{Signable, VoidClearance};
use crate::rail::{Exchange, Order, Outcome, Prepared, PreparedVoid, Rail as _, RemedyError};
use crate::wallet::{LocalWallet, Wallet, WalletError};
use async_trait::async_trait;
use bursar_market::{Broken, Fault, FaultRule, ManualClock, Market, SourceDocument};
use bursar_types::{
    AssetRegistry, Digest, HttpRequest, HttpResponse, LedgerId, Limits, PaymentId, Timestamp, Transport,
    TransportError,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
const PAYER: &str = "0x90f79bf6eb2c4f870365e785982e1f101e93b906";
const TOKEN: &str = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
const NOW_S: u64 = 1_795_266_600;
/// What the market's chain asks: twice its base fee and its tip, for the least gas.
const COST: u128 = (2 * 5_000_000 + 1_000_000) * GAS_MIN as u128;

/// A chain, and every transaction that was submitted to it.
#[derive(Debug, Clone)]
struct World {
    market: Arc<Market>,
    clock: ManualClock,
    sent: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for World {
    async fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let call: Value = serde_json::from_slice(request.body()).unwrap();
        if call["method"] == "eth_sendRawTransaction" {
            self.sent.lock().unwrap().push(call["params"][0].as_str().unwrap().to_owned());
        }
        self.market.exchange(request).await.map_err(|broken| match broken {
            Broken::NoSuchHost { host } => TransportError::NotSent { host, source: "nobody".into() },
            other => TransportError::NoAnswer { host: "rpc".to_owned(), source: other.into() },
        })
    }
}

impl World {
    async fn with_coin(wei: u128) -> Self {
        let clock = ManualClock::new(NOW_S);
        let payer: bursar_market::Address = PAYER.parse().unwrap();
        let market = Market::builder()
            .documents(vec![SourceDocument::new("gas.md", "# Gas\n\nWho pays for gas.\n")])
            .clock(clock.clone())
            .chain_id(84_532)
            .token(TOKEN.parse::<bursar_market::Address>().unwrap(), "USDC", "2")
            .buyer_funds(payer, 1_000_000)
            .buyer_gas(payer, wei)
            .in_process()
            .start();
        let world = Self { market: Arc::new(market.await.unwrap()), clock, sent: Arc::default() };
        world.pass(5);
        world
    }

    fn rail(&self, fee_wei_max: Option<u128>) -> X402 {
        let network = "eip155:84532".to_owned();
        let fees = fee_wei_max.map(|most| (network.clone(), most));
        X402::new(X402Options {
            assets: Arc::new(AssetRegistry::pinned()),
            networks: vec![NetworkReader {
                network,
                rpc_urls: vec!["http://nobody.market.test".to_owned(), self.market.rpc_url().to_owned()],
                finality: Finality::Finalized,
            }],
            transport: Arc::new(self.clone()),
            payer: PAYER.to_owned(),
            quote_ttl_ms: 60_000,
        })
        .guarded_by(Safeguards { cancel_fee_wei_max: BTreeMap::from_iter(fees), ..Safeguards::default() })
    }

    async fn prepared(&self) -> Prepared {
        self.prepared_for(b"test").await
    }

    async fn prepared_for(&self, payment: &[u8]) -> Prepared {
        let url = self.market.seller(0).unwrap().document_url("gas");
        let request = http::Request::builder().uri(url).body(Bytes::new()).unwrap();
        let response = self.market.exchange(request.clone()).await.unwrap();
        let now = Timestamp::from_unix_ms(self.clock.now_s().saturating_mul(1_000));
        let rail = self.rail(None);
        let exchange = Exchange { request: &request, response: &response, received_at: now };
        let offer = rail.offers(&exchange).unwrap().remove(0);
        let (ledger, payment) = (LedgerId::derived(&[b"test"]), PaymentId::derived(&[payment]));
        let payer = PAYER.to_owned();
        rail.prepare(&Order { ledger, payment, attempt: 0, offer, payer, now, window_s_max: 300 }).unwrap()
    }

    fn pass(&self, blocks: u64) {
        for _ in 0..blocks {
            self.clock.advance_s(2);
            self.market.chain().mine();
        }
    }

    fn arm(&self, fault: Fault, method: &str) {
        self.market.chain().faults().arm(FaultRule::new(fault).path(method)).unwrap();
    }
}

fn wallet() -> LocalWallet {
    LocalWallet::from_private_key(KEY).unwrap()
}

fn cleared(prepared: &PreparedVoid) -> VoidClearance {
    VoidClearance::for_test(PAYER.to_owned(), prepared.clone())
}

#[tokio::test]
async fn an_authorization_is_canceled_once_however_often_it_is_submitted() {
    let world = World::with_coin(COST).await;
    let (rail, wallet) = (world.rail(Some(COST)), wallet());
    let prepared = world.prepared().await;
    let void = rail.prepare_void(&prepared).await.unwrap();
    // What is stored reads back as it was.
    let void: PreparedVoid = serde_json::from_str(&serde_json::to_string(&void).unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(rail.void(cleared(&void), &wallet).await, Ok(()));
    }
    let sent = world.sent.lock().unwrap().clone();
    assert!(sent.len() == 3 && sent.iter().all(|raw| *raw == sent[0]), "the same bytes: {sent:?}");
    let payer: bursar_market::Address = PAYER.parse().unwrap();
    assert_eq!(world.market.chain().transaction_count(payer), 1);
    assert_eq!(world.market.balance_of(payer), 1_000_000, "no money moved");
    // Mined in the window, and found also long after it.
    for blocks in [1, 200] {
        world.pass(blocks);
        let Outcome::DidNotMove { proof } = rail.recover(&prepared).await else { panic!("it was canceled") };
        assert!(proof.contains("was canceled in 0x"), "{proof}");
    }
    let again = rail.prepare_void(&prepared).await.unwrap_err().to_string();
    assert!(again.ends_with("says that the authorization was used or canceled"), "{again}");
}

#[tokio::test]
async fn a_cancellation_is_prepared_only_where_it_is_allowed_and_can_be_paid() {
    let network = "refused: canceling may cost";
    for (coin, most, expected) in [
        (COST, Some(COST), None),
        (
            COST,
            None,
            Some(
                "not possible: canceling on `eip155:84532` costs a fee and is not switched on; to allow"
                    .to_owned(),
            ),
        ),
        (COST, Some(COST - 1), Some(format!("{network} {COST} wei and at most {} are allowed;", COST - 1))),
        (COST - 1, Some(COST), Some(format!("{network} {COST} wei and the wallet has {};", COST - 1))),
        (0, Some(u128::MAX), Some(format!("{network} {COST} wei and the wallet has 0;"))),
    ] {
        let world = World::with_coin(coin).await;
        let found = world.rail(most).prepare_void(&world.prepared().await).await;
        let found = found.err().map(|error| error.to_string());
        let fits = match (&found, &expected) {
            (Some(found), Some(expected)) => found.starts_with(expected),
            (found, expected) => found == expected,
        };
        assert!(fits, "{coin} {most:?}: {found:?} is not {expected:?}");
    }
    let world = World::with_coin(COST).await;
    let prepared = world.prepared().await;
    for method in
        ["eth_getTransactionCount", "eth_maxPriorityFeePerGas", "eth_getBalance", "eth_getBlock", "eth_call"]
    {
        world.arm(Fault::RpcError { code: -32000, message: "overloaded".to_owned() }, method);
        let found = world.rail(Some(COST)).prepare_void(&prepared).await;
        assert!(matches!(found, Err(RemedyError::Failed(_))), "{method}: {found:?}");
        world.market.chain().faults().clear();
    }
    world.pass(60);
    let over = world.rail(Some(COST)).prepare_void(&prepared).await.unwrap_err();
    assert!(matches!(&over, RemedyError::Refused(why) if why.contains("window is over")), "{over}");
}

#[tokio::test]
async fn what_a_node_says_to_a_transaction_decides_whether_it_is_submitted_again() {
    for (said, submitted) in [
        ("already known", true),
        ("ALREADY KNOWN: the hash", true),
        // And nobody knows the transaction.
        ("nonce too low: next nonce 5, tx nonce 4", false),
        ("Known transaction", true),
        ("insufficient funds for gas * price + value", false),
        ("replacement transaction underpriced", false),
        ("max fee per gas less than block base fee", false),
        ("", false),
    ] {
        let world = World::with_coin(COST).await;
        let rail = world.rail(Some(COST));
        let void = rail.prepare_void(&world.prepared().await).await.unwrap();
        world.arm(Fault::RpcError { code: -32000, message: said.to_owned() }, "eth_sendRawTransaction");
        let found = rail.void(cleared(&void), &wallet()).await;
        match submitted {
            true => assert_eq!(found, Ok(()), "{said}"),
            false => assert!(matches!(found, Err(RemedyError::Failed(_))), "{said}: {found:?}"),
        }
        world.market.chain().faults().clear();
        // Whatever was said, the same may be submitted again.
        assert_eq!(rail.void(cleared(&void), &wallet()).await, Ok(()), "{said}");
    }
    let world = World::with_coin(COST).await;
    let rail = world.rail(Some(COST));
    let void = rail.prepare_void(&world.prepared().await).await.unwrap();
    world.arm(Fault::RpcDown, "eth_sendRawTransaction");
    let found = rail.void(cleared(&void), &wallet()).await;
    assert!(matches!(found, Err(RemedyError::Failed(_))), "{found:?}");
}

#[tokio::test]
async fn a_transaction_whose_number_another_took_was_not_submitted() {
    let world = World::with_coin(2 * COST).await;
    let rail = world.rail(Some(COST));
    let (one, two) = (world.prepared_for(b"one").await, world.prepared_for(b"two").await);
    let (first, second) = (rail.prepare_void(&one).await.unwrap(), rail.prepare_void(&two).await.unwrap());
    assert_eq!(first.terms["transaction"], second.terms["transaction"]);
    assert_eq!(rail.void(cleared(&first), &wallet()).await, Ok(()));
    world.pass(1);
    // However often it is tried.
    for _ in 0..2 {
        let found = rail.void(cleared(&second), &wallet()).await;
        let why = "another transaction has its number";
        assert!(matches!(&found, Err(RemedyError::Failed(said)) if said.contains(why)), "{found:?}");
    }
    // The first is mined, whatever is said to it now.
    world
        .arm(Fault::RpcError { code: -32000, message: "nonce too low".to_owned() }, "eth_sendRawTransaction");
    assert_eq!(rail.void(cleared(&first), &wallet()).await, Ok(()));
    world.market.chain().faults().clear();
    let again = rail.prepare_void(&two).await.unwrap();
    assert_eq!(rail.void(cleared(&again), &wallet()).await, Ok(()));
    world.pass(1);
    for prepared in [one, two] {
        assert!(matches!(rail.recover(&prepared).await, Outcome::DidNotMove { .. }));
    }
}

/// Signs what it is given, as a machine far away might: under another key, in another form, or something else.
#[derive(Debug)]
struct Odd {
    wallet: LocalWallet,
    change: fn(usize, [u8; 65]) -> [u8; 65],
    signed: Mutex<Vec<Digest>>,
}

#[async_trait]
impl Wallet for Odd {
    fn address(&self) -> &str {
        self.wallet.address()
    }

    fn can_approve_as(&self, _approver: &crate::approval::PublicKey) -> bool {
        false
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        let count = {
            let mut signed = self.signed.lock().unwrap();
            signed.push(*signable.digest());
            signed.len()
        };
        self.wallet.sign(signable).await.map(|bytes| (self.change)(count, bytes))
    }
}

#[tokio::test]
async fn nothing_is_submitted_that_the_payer_did_not_sign() {
    let world = World::with_coin(COST).await;
    let rail = world.rail(Some(COST));
    let void = rail.prepare_void(&world.prepared().await).await.unwrap();
    type Change = fn(usize, [u8; 65]) -> [u8; 65];
    let changes: [(Change, usize); 3] = [
        // The first signature is damaged: the second is never asked for.
        (
            |_, mut bytes| {
                bytes[3] ^= 1;
                bytes
            },
            1,
        ),
        (
            |_, mut bytes| {
                bytes[64] -= 27;
                bytes
            },
            1,
        ),
        (
            |count, mut bytes| {
                bytes[40] ^= u8::from(count == 2);
                bytes
            },
            2,
        ),
    ];
    for (change, asked) in changes {
        let odd = Odd { wallet: wallet(), change, signed: Mutex::default() };
        let found = rail.void(cleared(&void), &odd).await;
        assert!(matches!(found, Err(RemedyError::Failed(_))), "{found:?}");
        let signed = odd.signed.lock().unwrap();
        assert_eq!((signed.len(), signed[0]), (asked, void.signing[0]));
    }
    assert_eq!(*world.sent.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn terms_that_are_not_the_cleared_cancellation_are_not_signed() {
    let world = World::with_coin(COST).await;
    let rail = world.rail(Some(COST));
    let void = rail.prepare_void(&world.prepared().await).await.unwrap();
    type Change = fn(&mut PreparedVoid);
    let changes: [(&str, Change); 10] = [
        ("rail", |void| void.rail = "mpp".to_owned()),
        ("token", |void| void.terms["token"] = json!(PAYER)),
        ("nonce", |void| void.terms["nonce"] = json!(format!("0x{}", "1".repeat(64)))),
        ("payer", |void| void.terms["payer"] = json!(TOKEN)),
        ("name", |void| void.terms["token_name"] = json!("USD Coin")),
        ("a number that is none", |void| void.terms["gas_limit"] = json!("many")),
        ("more than terms", |void| void.terms["value"] = json!("1")),
        ("no digest", |void| void.signing.clear()),
        ("another digest", |void| void.signing[0] = Digest::of(b"a payment")),
        ("two digests", |void| void.signing.push(Digest::of(b"a payment"))),
    ];
    for (what, change) in changes {
        let mut void = void.clone();
        change(&mut void);
        let odd = Odd { wallet: wallet(), change: |_, bytes| bytes, signed: Mutex::default() };
        assert!(rail.void(cleared(&void), &odd).await.is_err(), "{what}");
        // A limit that cannot be read is met after the first signature, which moves nothing and is sent nowhere.
        let signed = odd.signed.lock().unwrap();
        assert!(signed.is_empty() || what == "a number that is none", "{what}: {signed:?}");
    }
    let other = VoidClearance::for_test(TOKEN.to_owned(), void.clone());
    assert!(rail.void(other, &wallet()).await.is_err());
    assert_eq!(*world.sent.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_transaction_is_the_call_and_nothing_else() {
    let world = World::with_coin(COST).await;
    let rail = world.rail(Some(COST));
    let prepared = world.prepared().await;
    let void = rail.prepare_void(&prepared).await.unwrap();
    let raw = cleared(&void).sign(&wallet()).await.unwrap();
    let text = hex::encode(&raw);
    let nonce = prepared.terms["nonce"].as_str().unwrap().trim_start_matches("0x");
    let call = [
        // cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)
        "5a049a70",
        "000000000000000000000000",
        PAYER.trim_start_matches("0x"),
        nonce,
    ];
    // Type 2; chain, number 0, tip, fee and gas; to the token (94 …), no value (80), 164 bytes of data (b8 a4).
    let head = format!("94{}80b8a4{}", TOKEN.trim_start_matches("0x"), call.concat());
    assert!(text.starts_with("02f9") && text.contains(&head), "{text}");
    assert_eq!(Cancellation::cleared(&void, PAYER).unwrap().digest(), Ok(void.signing[0]));
}
