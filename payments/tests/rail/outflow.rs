//! What left the wallet, as endpoints show it.

use crate::chain::{Chain, key};
use crate::common::{self, NOW, PAYEE, TOKEN};
use crate::node::{prepared, prepared_for};
use bursar_market::{Address, Fault};
use bursar_payments::x402::Safeguards;
use bursar_payments::{Outflow, OutflowQuery, Outgoing, Rail as _, RemedyError};
use bursar_types::{AssetId, LedgerId, PaymentId};

const STRANGER: &str = "0x00000000000000000000000000000000000000aa";

async fn look(chain: &Chain, from: Option<u64>) -> Result<Outflow, RemedyError> {
    let query = OutflowQuery { asset: AssetId::erc20(84_532, TOKEN), from, since: NOW };
    chain.rail(Safeguards::default()).outflow(&query).await
}

fn told(outflow: &Outflow) -> Vec<(String, u128, bool, bool)> {
    let each = |one: &Outgoing| {
        let to = if one.to == PAYEE { "payee" } else { "stranger" };
        (to.to_owned(), one.amount.atomic(), one.handle.is_some(), one.confirmed)
    };
    outflow.sent.iter().map(each).collect()
}

#[tokio::test]
async fn what_left_is_reported_with_its_authorization_and_what_is_not_final_is_said_to_be_so() {
    let chain = Chain::open(|builder| builder.finality_depth(3)).await.with(&[&[]]);
    let stranger: Address = STRANGER.parse().unwrap();
    let own = key().address();
    let first = prepared();
    chain.settle(&first);
    chain.market.chain().transfer(own, stranger, 5).unwrap();
    // Nothing, and to itself: no money that left.
    chain.market.chain().transfer(own, stranger, 0).unwrap();
    chain.market.chain().transfer(own, own, 9).unwrap();
    chain.market.chain().mint(own, 1).unwrap();
    chain.pass(5);
    chain.settle(&prepared_for(1));

    let outflow = look(&chain, None).await.unwrap();
    let (payee, stranger) = ("payee".to_owned(), "stranger".to_owned());
    let all = [(payee.clone(), 2_000, true, true), (stranger, 5, false, true), (payee, 2_000, true, false)];
    assert_eq!(told(&outflow), all);
    assert!(outflow.whole);
    let nonce = first.terms["nonce"].as_str().unwrap();
    assert_eq!(outflow.sent[0].handle.as_deref(), Some(nonce));
    let rail = common::offline();
    let (ledger, payment) = (LedgerId::derived(&[b"test"]), PaymentId::derived(&[b"test"]));
    assert_eq!(rail.handle(ledger, payment, 0).as_deref(), Some(nonce));
    for other in [
        rail.handle(ledger, payment, 1),
        rail.handle(ledger, PaymentId::derived(&[b"other"]), 0),
        rail.handle(LedgerId::derived(&[b"other"]), payment, 0),
    ] {
        assert_ne!(other.as_deref(), Some(nonce));
    }
    assert!(rail.is_handle_of(ledger, nonce) && !rail.is_handle_of(LedgerId::derived(&[b"other"]), nonce));
    assert!(!rail.is_handle_of(ledger, "0x01") && !rail.is_handle_of(ledger, ""));

    // The next look goes on behind what is final, and sees the rest again.
    let next = look(&chain, Some(outflow.upto)).await.unwrap();
    assert_eq!(told(&next), all[2..]);
    assert_eq!(next.from, outflow.upto);
    chain.pass(4);
    let next = look(&chain, Some(outflow.upto)).await.unwrap();
    assert_eq!(told(&next), [("payee".to_owned(), 2_000, true, true)]);
    let last = look(&chain, Some(next.upto)).await.unwrap();
    assert_eq!((told(&last), last.whole), (vec![], true));
}

#[tokio::test]
async fn a_node_that_allows_short_ranges_only_is_asked_for_shorter_ones() {
    let chain = Chain::open(|builder| builder.log_range_max(10)).await.with(&[&[]]);
    chain.settle(&prepared());
    chain.pass(20);
    chain.settle(&prepared_for(1));
    let outflow = look(&chain, None).await.unwrap();
    assert_eq!((outflow.sent.len(), outflow.whole), (2, true));
}

#[tokio::test]
async fn a_failed_read_is_never_nothing_left() {
    let chain = Chain::open(|builder| builder).await;
    chain.settle(&prepared());
    chain.pass(50);
    let wrong = Fault::RpcWrongChain { chain_id: 1 };
    for faults in [Fault::RpcDown, Fault::Rpc500, Fault::RpcGarbage, wrong] {
        let failed = look(&chain.with(&[std::slice::from_ref(&faults)]), None).await;
        assert!(matches!(failed, Err(RemedyError::Failed(_))), "{faults:?}: {failed:?}");
    }
    // One that is behind what was read already says nothing about it.
    let behind = look(&chain.with(&[&[Fault::RpcLag { blocks: 20 }]]), Some(45)).await;
    assert!(matches!(behind, Err(RemedyError::Failed(_))), "{behind:?}");
    // One of two that answers suffices, and what either shows is reported.
    for faults in
        [[&[Fault::RpcDown][..], &[]], [&[Fault::RpcHidesLogs][..], &[]], [&[], &[Fault::RpcHidesLogs]]]
    {
        let outflow = look(&chain.with(&faults), None).await.unwrap();
        assert_eq!(outflow.sent.len(), 1, "{faults:?}");
    }
    let other = OutflowQuery { asset: AssetId::micro_usd(), from: None, since: NOW };
    let unseen = chain.with(&[&[]]).rail(Safeguards::default()).outflow(&other).await;
    assert!(matches!(unseen, Err(RemedyError::Unsupported(_))), "{unseen:?}");
}
