//! Endpoints that lie, lag or fail: whose word is enough, and for how much.

use crate::chain::Chain;
use crate::common::{self, NOW, PAYEE, PAYER};
use crate::node::{self, Node, ORDER_BLOCK, TRANSACTION, prepared, receipt, word};
use crate::recover::told;
use bursar_market::Fault;
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{Exchange, OfferError, Rail as _};
use bursar_types::{Amount, AssetId, AssetRegistry, Clock, ManualClock, Timestamp};
use std::sync::Arc;

/// The offer costs 2,000 of these.
fn two_above(micro_usd: u128) -> Safeguards {
    let limit = Amount::from_atomic(AssetId::micro_usd(), micro_usd);
    Safeguards { two_readers_above: Some(limit), ..Safeguards::default() }
}

fn elsewhere() -> Node {
    let mut node = Node::used();
    node.told.logs[0]["transactionHash"] = word(9).into();
    node.told.receipt["transactionHash"] = word(9).into();
    node
}

fn hiding() -> Node {
    Node::used().logs(vec![])
}

#[tokio::test]
async fn up_to_the_amount_the_first_decisive_endpoint_is_believed_unless_one_before_contradicts_it() {
    let moved = format!("moved true {TRANSACTION}");
    let cases = [
        (vec![Node::used(), Node::unused()], moved.as_str(), vec![true, false]),
        (vec![Node::unused(), Node::used()], "did not move", vec![true, false]),
        // A read that failed is no answer.
        (vec![Node::failing(), Node::used()], &moved, vec![true, true]),
        (vec![Node::failing(), Node::failing(), Node::canceled()], "did not move", vec![true, true, true]),
        (vec![Node::used().with("eth_getTransactionReceipt", ""), Node::used()], &moved, vec![true, true]),
        // Behind, and therefore asked no more.
        (vec![Node::unused().at(ORDER_BLOCK), Node::used()], &moved, vec![true, true]),
        (vec![Node::unused().at(ORDER_BLOCK), Node::unused()], "did not move", vec![true, true]),
        (
            vec![Node::unused().at(ORDER_BLOCK), Node::failing()],
            "unknown: authorization 0x",
            vec![true, true],
        ),
        (vec![hiding(), Node::used()], &moved, vec![true, true]),
        (vec![hiding(), hiding(), Node::used()], &moved, vec![true, true, true]),
        // Not behind.
        (vec![hiding(), Node::unused()], "unknown: endpoints disagree: a.test says", vec![true, true]),
        (
            vec![Node::unused().at(ORDER_BLOCK + 29), Node::used()],
            "unknown: endpoints disagree: a.test says that authorization 0x",
            vec![true, true],
        ),
        (
            vec![hiding(), Node::unused(), Node::used()],
            "unknown: endpoints disagree: a.test says",
            vec![true, true, false],
        ),
    ];
    for (nodes, expected, asked) in cases {
        for safeguards in [Safeguards::default(), two_above(2_000)] {
            let rail = node::rail(&nodes, Finality::Finalized, safeguards);
            nodes.iter().for_each(|node| node.asked.lock().unwrap().clear());
            let outcome = told(&rail.recover(&prepared()).await);
            assert!(outcome.starts_with(expected), "`{outcome}` is not `{expected}`");
            let found: Vec<_> = nodes.iter().map(|node| !node.methods().is_empty()).collect();
            assert_eq!(found, asked, "{expected}");
        }
    }
}

#[tokio::test]
async fn above_the_amount_two_must_say_the_same_and_nobody_otherwise() {
    let moved = format!("moved true {TRANSACTION}");
    let only = ", but only a.test says so, and above 0.001999 USD two endpoints of different hosts must";
    let cases = [
        (vec![Node::used(), Node::used().at(ORDER_BLOCK + 50)], moved.as_str(), ""),
        (vec![Node::unused(), Node::unused().at(ORDER_BLOCK + 50)], "did not move", ""),
        (vec![Node::canceled(), Node::canceled(), Node::canceled()], "did not move", ""),
        (vec![Node::failing(), Node::used(), Node::used()], &moved, ""),
        (vec![Node::used(), Node::failing(), Node::used()], &moved, ""),
        (vec![Node::used(), Node::unused().at(ORDER_BLOCK), Node::used()], &moved, ""),
        (vec![Node::used(), hiding(), Node::used()], &moved, ""),
        // One word is not enough.
        (vec![Node::used()], "unknown: authorization 0x", only),
        (vec![Node::unused()], "unknown: authorization 0x", only),
        (vec![Node::used(), Node::failing()], "unknown: authorization 0x", only),
        (vec![Node::used(), hiding()], "unknown: authorization 0x", only),
        (vec![Node::unused(), Node::unused().at(ORDER_BLOCK)], "unknown: authorization 0x", only),
        (
            vec![Node::unused().at(ORDER_BLOCK), Node::unused().at(ORDER_BLOCK)],
            "unknown: authorization 0x",
            "",
        ),
        (vec![Node::failing(), Node::failing()], "unknown: eth_chainId", ""),
        // A third that contradicts two makes it unknown again.
        (vec![Node::used(), Node::unused()], "unknown: endpoints disagree: a.test says", "and b.test says"),
        (vec![Node::unused(), Node::used()], "unknown: endpoints disagree: a.test says", "and b.test says"),
        (vec![Node::unused(), Node::canceled()], "unknown: endpoints disagree", ""),
        (vec![Node::used(), Node::canceled()], "unknown: endpoints disagree", ""),
        (vec![Node::used(), elsewhere()], "unknown: endpoints disagree", ""),
        (vec![Node::used(), Node::used().receipt(receipt(PAYEE, 1))], "unknown: endpoints disagree", ""),
        (
            vec![Node::unused(), Node::unused(), Node::used()],
            "unknown: endpoints disagree",
            "and c.test says",
        ),
        (vec![Node::unused(), Node::unused(), hiding()], "unknown: endpoints disagree", "and c.test says"),
        (vec![], "unknown: no endpoint", ""),
    ];
    for (nodes, expected, and) in cases {
        let rail = node::rail(&nodes, Finality::Finalized, two_above(1_999));
        let outcome = told(&rail.recover(&prepared()).await);
        assert!(
            outcome.starts_with(expected) && outcome.contains(and),
            "`{outcome}` is not `{expected}…{and}`"
        );
    }
}

#[tokio::test]
async fn an_amount_of_unknown_worth_needs_two() {
    let limit = Amount::from_atomic(AssetId::count(), u128::MAX);
    let safeguards = Safeguards { two_readers_above: Some(limit), ..Safeguards::default() };
    let rail = node::rail(&[Node::unused()], Finality::Finalized, safeguards);
    assert!(told(&rail.recover(&prepared()).await).starts_with("unknown"));
}

#[tokio::test]
async fn a_window_is_over_only_if_it_is_over_by_our_clock_too() {
    let end_s = NOW.unix_s() + 60;
    for (now_s, expected) in [
        (end_s - 1, "unknown: a.test has a block of 2026-11-21T13:13:20Z, after the window's end"),
        (end_s, "unknown: a.test has a block of"),
        (end_s + 1, "did not move"),
    ] {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_unix_ms(now_s * 1_000)));
        let safeguards = Safeguards { clock: Some(clock), ..Safeguards::default() };
        let rail = node::rail(&[Node::unused()], Finality::Finalized, safeguards.clone());
        let outcome = told(&rail.recover(&prepared()).await);
        assert!(outcome.starts_with(expected), "{now_s}: {outcome}");
        // What was used was used, whatever time it is.
        let rail = node::rail(&[Node::used()], Finality::Finalized, safeguards);
        assert!(told(&rail.recover(&prepared()).await).starts_with("moved"));
    }
}

fn readers(urls: &[&str], micro_usd: u128) -> X402 {
    X402::new(X402Options {
        assets: Arc::new(AssetRegistry::pinned()),
        networks: vec![NetworkReader {
            network: "eip155:84532".to_owned(),
            rpc_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            finality: Finality::Finalized,
        }],
        transport: Arc::new(node::Nodes(Vec::new())),
        payer: PAYER.to_owned(),
        quote_ttl_ms: 60_000,
    })
    .guarded_by(two_above(micro_usd))
}

#[test]
fn an_offer_above_the_amount_is_payable_only_where_two_hosts_read_the_network() {
    let response = common::v2(include_str!("fixtures/choice.json"));
    let exchange = Exchange { request: &common::ask("/paid/choice"), response: &response, received_at: NOW };
    let few: [&[&str]; 5] = [
        &["https://a.test"],
        &["https://a.test", "https://a.test"],
        &["https://a.test/one", "https://a.test:8545/two"],
        &["https://a.test", "https://A.test./"],
        &["http://127.0.0.1:8545", "http://127.0.0.1:8545/x"],
    ];
    let enough: [&[&str]; 3] = [
        &["https://a.test", "https://b.test"],
        &["https://a.test", "https://a.test", "https://b.test"],
        &["http://127.0.0.1:8545", "http://127.0.0.1:8546"],
    ];
    let cases = few.iter().map(|urls| (urls, false)).chain(enough.iter().map(|urls| (urls, true)));
    for (urls, two) in cases {
        let offers = readers(urls, 2_000).offers(&exchange).unwrap();
        let blocked = |offer: &bursar_payments::Offer| offer.quote.blocked.clone();
        assert_eq!(blocked(&offers[0]), None, "{urls:?}: 2,000 is not above it");
        let dear = blocked(&offers[1]);
        assert_eq!(dear.as_ref().map(|reason| reason.code.as_ref()), (!two).then_some("NEEDS_TWO_READERS"));
        if let Some(reason) = dear {
            assert_eq!(
                reason.to_string(),
                "0.02 USDC is more than 0.002 USD, above which two RPC endpoints must agree, and `eip155:84532` has fewer \
                 (NEEDS_TWO_READERS); \
                 configure a second RPC endpoint of another host for the network, or buy something cheaper"
            );
        }
        // What was offered before the amount was set is not signed for after.
        let order = common::order(common::offer());
        let prepared = readers(urls, 1_999).prepare(&order);
        assert_eq!(matches!(prepared, Err(OfferError::NotPayable(_))), !two, "{urls:?}");
    }
}

/// What became of the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Used,
    Canceled,
    Over,
    Open,
}

async fn chain(truth: Truth) -> Chain {
    let chain = Chain::open(|market| market.finality_depth(2)).await;
    chain.pass(5);
    match truth {
        Truth::Used => chain.settle(&prepared()),
        Truth::Canceled => chain.cancel(&prepared()),
        Truth::Over | Truth::Open => {}
    }
    // The window is 30 blocks.
    chain.pass(if truth == Truth::Open { 10 } else { 50 });
    chain
}

#[tokio::test]
async fn faulty_endpoints_of_a_real_chain_make_outcomes_unknown_and_never_wrong() {
    const DOWN: &[Fault] = &[Fault::RpcDown];
    const HIDES: &[Fault] = &[Fault::RpcHidesLogs];
    const SAYS_UNUSED: &[Fault] = &[Fault::RpcLiesAuthorizationState { used: false }];
    const SAYS_USED: &[Fault] = &[Fault::RpcLiesAuthorizationState { used: true }];
    const BEHIND: &[Fault] = &[Fault::RpcLag { blocks: 50 }];
    const WRONG_CHAIN: &[Fault] = &[Fault::RpcWrongChain { chain_id: 1 }];
    const BROKEN: [&[Fault]; 4] = [DOWN, WRONG_CHAIN, &[Fault::Rpc500], &[Fault::RpcGarbage]];
    const GOOD: &[Fault] = &[];
    let (moved, not, unknown) = ("moved true 0x", "did not move: ", "unknown: ");
    // What happened, what the endpoints do, what one reader gives, what two give.
    let mut cases: Vec<(Truth, Vec<&[Fault]>, &str, &str)> = vec![
        (Truth::Used, vec![GOOD, GOOD], moved, moved),
        (Truth::Canceled, vec![GOOD, GOOD], not, not),
        (Truth::Over, vec![GOOD, GOOD], not, not),
        (Truth::Open, vec![GOOD, GOOD], unknown, unknown),
        // Behind: as before the settlement.
        (Truth::Used, vec![BEHIND, GOOD], moved, unknown),
        (Truth::Used, vec![GOOD, BEHIND], moved, unknown),
        (Truth::Used, vec![GOOD, BEHIND, GOOD], moved, moved),
        (Truth::Over, vec![BEHIND, GOOD, GOOD], not, not),
        (Truth::Canceled, vec![BEHIND, BEHIND, BEHIND], unknown, unknown),
        // One that hides events has seen the state, and does not say which it was.
        (Truth::Used, vec![HIDES], unknown, unknown),
        (Truth::Used, vec![HIDES, GOOD], moved, unknown),
        (Truth::Used, vec![HIDES, GOOD, GOOD], moved, moved),
        (Truth::Canceled, vec![GOOD, HIDES, GOOD], not, not),
        (Truth::Used, vec![HIDES, SAYS_UNUSED], unknown, unknown),
        (Truth::Over, vec![HIDES, GOOD], not, not),
        // A lie costs one payment where one reader is enough, and nothing where two are needed.
        (Truth::Used, vec![SAYS_UNUSED, GOOD], not, unknown),
        (Truth::Used, vec![GOOD, SAYS_UNUSED], moved, unknown),
        (Truth::Used, vec![SAYS_UNUSED, GOOD, GOOD], not, unknown),
        (Truth::Canceled, vec![SAYS_UNUSED, GOOD], not, unknown),
        // "Used" without an event is no answer, and stands against "unused".
        (Truth::Over, vec![SAYS_USED, GOOD], unknown, unknown),
        (Truth::Over, vec![GOOD, SAYS_USED], not, unknown),
        (Truth::Open, vec![SAYS_USED, GOOD], unknown, unknown),
    ];
    for broken in BROKEN {
        cases.push((Truth::Used, vec![broken, GOOD], moved, unknown));
        cases.push((Truth::Used, vec![broken, GOOD, GOOD], moved, moved));
        cases.push((Truth::Over, vec![GOOD, broken, GOOD], not, not));
        cases.push((Truth::Used, vec![broken, broken, broken], unknown, unknown));
    }
    for (truth, faults, one, two) in cases {
        let chain = chain(truth).await.with(&faults);
        for (safeguards, expected) in [(Safeguards::default(), one), (two_above(1), two)] {
            let rail = chain.rail(safeguards);
            let outcome = told(&rail.recover(&prepared()).await);
            assert!(outcome.starts_with(expected), "{truth:?} {faults:?}: `{outcome}` is not `{expected}`");
            let together = rail.recover_all(&[prepared(), prepared()]).await;
            assert!(
                together.iter().all(|other| told(other) == outcome),
                "{truth:?} {faults:?}: {together:?}"
            );
        }
    }
}
