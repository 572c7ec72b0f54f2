//! What came in, as endpoints show it.

use crate::chain::{Chain, key};
use crate::common::{NOW, PAYEE, PAYER, TOKEN};
use crate::node::{Node, ORDER_BLOCK, TRANSFER, rail, time, topic, word};
use bursar_market::Fault;
use bursar_payments::x402::{Finality, Safeguards};
use bursar_payments::{ChainEvent, Inflow, InflowQuery, Rail as _, RemedyError, Transfer};
use bursar_types::{Amount, AssetId, Timestamp};
use serde_json::{Value, json};

const OTHER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

fn asset() -> AssetId {
    AssetId::erc20(84_532, TOKEN)
}

fn query(from: Option<u64>) -> InflowQuery {
    InflowQuery { asset: asset(), from: from.map(|from| from.to_string()), since: NOW }
}

/// An event of a block, whose transaction has the same number.
fn came(from: &str, value: u64, block: u64, index: u64) -> Value {
    json!({
        "address": TOKEN, "topics": [TRANSFER, topic(from), topic(PAYER)], "data": word(value),
        "blockNumber": format!("{block:#x}"), "transactionHash": word(block), "logIndex": format!("{index:#x}"),
        "removed": false,
    })
}

fn transfer(from: &str, value: u64, block: u64, index: u64) -> Transfer {
    Transfer {
        event: ChainEvent { network: "eip155:84532".into(), transaction: word(block), index },
        from: from.into(),
        amount: Amount::from_atomic(asset(), value.into()),
        at: Timestamp::from_unix_ms(time(block) * 1_000),
    }
}

fn with(transfers: &[Value]) -> Node {
    Node { transfers: transfers.to_vec(), ..Node::unused() }
}

fn two_above(micro_usd: u128) -> Safeguards {
    let limit = Amount::from_atomic(AssetId::micro_usd(), micro_usd);
    Safeguards { two_readers_above: Some(limit), ..Safeguards::default() }
}

async fn look(nodes: &[Node], safeguards: Safeguards, from: Option<u64>) -> Result<Inflow, RemedyError> {
    rail(nodes, Finality::Finalized, safeguards).inflow(&query(from)).await
}

#[tokio::test]
async fn every_transfer_to_the_wallet_is_reported_once_and_the_next_look_goes_on_behind_it() {
    let zero = "0x0000000000000000000000000000000000000000";
    let node = with(&[
        came(PAYEE, 5, ORDER_BLOCK + 9, 1),
        came(PAYEE, 7, ORDER_BLOCK + 3, 4),
        came(zero, 6, ORDER_BLOCK + 3, 2),
        came(OTHER, 8, ORDER_BLOCK + 9, 0),
        // The wallet's own is no money that came.
        came(PAYER, 9, ORDER_BLOCK + 9, 3),
    ]);
    let all = [
        transfer(zero, 6, ORDER_BLOCK + 3, 2),
        transfer(PAYEE, 7, ORDER_BLOCK + 3, 4),
        transfer(OTHER, 8, ORDER_BLOCK + 9, 0),
        transfer(PAYEE, 5, ORDER_BLOCK + 9, 1),
    ];
    let end = ORDER_BLOCK + 101;
    for (from, expected) in [
        (None, &all[..]),
        (Some(ORDER_BLOCK + 3), &all[..]),
        (Some(ORDER_BLOCK + 4), &all[2..]),
        (Some(ORDER_BLOCK + 10), &[]),
        (Some(end), &[]),
    ] {
        let inflow = look(std::slice::from_ref(&node), Safeguards::default(), from).await.unwrap();
        assert_eq!((inflow.transfers.as_slice(), inflow.upto), (expected, end.to_string()), "{from:?}");
    }
    // A node behind the last look takes nothing back.
    let inflow = look(&[node.clone().at(ORDER_BLOCK)], Safeguards::default(), Some(end)).await.unwrap();
    assert_eq!((inflow.transfers, inflow.upto), (Vec::new(), end.to_string()));

    node.asked.lock().unwrap().clear();
    look(std::slice::from_ref(&node), Safeguards::default(), None).await.unwrap();
    let asked = node.asked.lock().unwrap().clone();
    let logs: Vec<_> = asked.iter().filter(|request| request["method"] == "eth_getLogs").collect();
    // A quarter of an hour before the moment that matters.
    assert_eq!(logs[0]["params"][0]["fromBlock"], format!("{:#x}", ORDER_BLOCK - 450));
    assert_eq!(logs[0]["params"][0]["topics"], json!([TRANSFER, null, topic(PAYER)]));
    let block = format!("{:#x}", ORDER_BLOCK + 9);
    assert_eq!(
        asked.iter().filter(|request| request["params"][0] == block).count(),
        1,
        "a block's time once"
    );
}

#[tokio::test]
async fn a_long_time_is_looked_through_in_ranges_and_in_several_looks() {
    let node = with(&[came(PAYEE, 5, ORDER_BLOCK + 150_000, 0)]).at(ORDER_BLOCK + 200_000);
    let first = look(std::slice::from_ref(&node), Safeguards::default(), Some(ORDER_BLOCK)).await.unwrap();
    assert_eq!((first.transfers.len(), first.upto), (0, (ORDER_BLOCK + 100_000).to_string()));
    assert_eq!(node.count("eth_getLogs"), 50);
    let next = look(std::slice::from_ref(&node), Safeguards::default(), Some(ORDER_BLOCK + 100_000)).await;
    let next = next.unwrap();
    assert_eq!((next.transfers.len(), next.upto), (1, (ORDER_BLOCK + 200_000).to_string()));
}

/// What all looks together show, each beginning where the last ended, and how many there were.
async fn all_looks(node: &Node) -> (Vec<Transfer>, usize) {
    let (mut from, mut all) = (ORDER_BLOCK, Vec::new());
    for looks in 1..100 {
        let inflow = look(std::slice::from_ref(node), Safeguards::default(), Some(from)).await.unwrap();
        all.extend(inflow.transfers);
        from = inflow.upto.parse().unwrap();
        if from > node.head {
            return (all, looks);
        }
    }
    panic!("no end is reached: {from}");
}

#[tokio::test]
async fn an_endpoint_that_allows_few_blocks_at_a_time_is_asked_for_few() {
    let came = [came(PAYEE, 5, ORDER_BLOCK + 1, 0), came(PAYEE, 6, ORDER_BLOCK + 3_000, 0)];
    for (most, looks_max) in [(1, 16), (10, 3), (500, 1), (1_000, 1), (1_999, 1)] {
        let node = Node { log_blocks_max: most, ..with(&came) }.at(ORDER_BLOCK + 3_000);
        let (all, looks) = all_looks(&node).await;
        assert_eq!(all, [transfer(PAYEE, 5, ORDER_BLOCK + 1, 0), transfer(PAYEE, 6, ORDER_BLOCK + 3_000, 0)]);
        assert!(looks <= looks_max, "{most}: {looks}");
    }
    let node = Node { log_blocks_max: 0, ..with(&came) };
    let found = look(&[node], Safeguards::default(), None).await;
    assert!(matches!(&found, Err(RemedyError::Failed(why)) if why.contains("too large")), "{found:?}");
}

/// As many transfers of one atom in a block.
fn dust(block: u64, count: u64) -> impl Iterator<Item = Value> {
    (0..count).map(move |index| came(OTHER, 1, block, 10 + index))
}

#[tokio::test]
async fn a_flood_of_dust_hides_nothing_that_came_before_it_or_after() {
    let (before, after) = (came(PAYEE, 5, ORDER_BLOCK + 7, 0), came(PAYEE, 6, ORDER_BLOCK + 9, 0));
    let blocks = [ORDER_BLOCK + 8, ORDER_BLOCK + 9];
    let flood = blocks.into_iter().flat_map(|block| dust(block, 3_000));
    let node = with(&flood.chain([before.clone(), after]).collect::<Vec<_>>());
    let (all, looks) = all_looks(&node).await;
    let (dust_seen, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|seen| seen.amount.atomic() == 1);
    assert_eq!(rest, [transfer(PAYEE, 5, ORDER_BLOCK + 7, 0), transfer(PAYEE, 6, ORDER_BLOCK + 9, 0)]);
    assert_eq!((dust_seen.len(), looks), (6_000, 2));

    // What one block alone holds is too much: everything before it is there, and then that is said.
    let node = with(&dust(ORDER_BLOCK + 8, 5_000).chain([before]).collect::<Vec<_>>());
    let first = look(std::slice::from_ref(&node), Safeguards::default(), Some(ORDER_BLOCK)).await.unwrap();
    assert_eq!(first.transfers, [transfer(PAYEE, 5, ORDER_BLOCK + 7, 0)]);
    assert_eq!(first.upto, (ORDER_BLOCK + 8).to_string());
    let next = look(std::slice::from_ref(&node), Safeguards::default(), Some(ORDER_BLOCK + 8)).await;
    assert!(matches!(&next, Err(RemedyError::Failed(why)) if why.contains("longer than")), "{next:?}");
}

#[tokio::test]
async fn transfers_of_nothing_are_no_money_that_came() {
    let flood = (0..3_000).map(|index| came(PAYEE, 0, ORDER_BLOCK + 3, 10 + index));
    let node = with(&flood.chain([came(PAYEE, 5, ORDER_BLOCK + 3, 0)]).collect::<Vec<_>>());
    for nodes in [vec![node.clone()], vec![node.clone(), node]] {
        let found = look(&nodes, two_above(0), None).await.unwrap();
        assert_eq!(found.transfers, [transfer(PAYEE, 5, ORDER_BLOCK + 3, 0)]);
        assert_eq!(found.upto, (ORDER_BLOCK + 101).to_string());
    }
}

#[tokio::test]
async fn an_event_that_was_not_asked_for_makes_the_look_fail() {
    let good = || came(PAYEE, 5, ORDER_BLOCK + 9, 1);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("address", |log| log["address"] = json!(OTHER)),
        ("another event", |log| log["topics"][0] = json!(word(1))),
        ("another payee", |log| log["topics"][2] = json!(topic(OTHER))),
        ("shape", |log| log["topics"] = json!([TRANSFER, topic(PAYEE)])),
        ("a sender that is no address", |log| log["topics"][1] = json!(format!("0x{}", "f".repeat(64)))),
        ("removed", |log| log["removed"] = json!(true)),
        ("no transaction", |log| log["transactionHash"] = Value::Null),
        ("no index", |log| log["logIndex"] = Value::Null),
        ("beyond counting", |log| log["data"] = json!(format!("0x01{}", "0".repeat(62)))),
        ("short", |log| log["data"] = json!("0x05")),
        ("two words", |log| log["data"] = json!(format!("0x{}", "0".repeat(128)))),
        ("a shape of its own", |log| log["topics"] = json!("x")),
    ];
    for (what, change) in changes {
        let mut log = good();
        change(&mut log);
        // From its block on: what cannot be read at all is come nearer to first.
        let found = look(&[with(&[log])], Safeguards::default(), Some(ORDER_BLOCK + 9)).await;
        assert!(matches!(found, Err(RemedyError::Failed(_))), "{what}: {found:?}");
    }
    let outside = json!({"jsonrpc": "2.0", "id": 1, "result": [came(PAYEE, 5, 3, 1)]}).to_string();
    let twice = with(&[good(), came(OTHER, 6, ORDER_BLOCK + 9, 1)]);
    let and_nothing = with(&[good(), came(OTHER, 0, ORDER_BLOCK + 9, 1)]);
    for node in [Node::unused().with("eth_getLogs", outside), twice, and_nothing, Node::failing()] {
        let found = look(std::slice::from_ref(&node), Safeguards::default(), None).await;
        assert!(matches!(found, Err(RemedyError::Failed(_))), "{found:?}");
        // A failed look goes to the next.
        let found = look(&[node, with(&[good()])], Safeguards::default(), None).await.unwrap();
        assert_eq!(found.transfers.len(), 1);
    }
}

#[tokio::test]
async fn above_the_amount_two_hosts_must_show_it_and_the_next_look_begins_before_it() {
    let (small, dear) = (came(PAYEE, 5, ORDER_BLOCK + 3, 0), came(PAYEE, 50, ORDER_BLOCK + 9, 0));
    let late = came(OTHER, 6, ORDER_BLOCK + 12, 0);
    let all = with(&[small.clone(), dear.clone(), late.clone()]);
    let without = with(&[small.clone(), late.clone()]);
    let forged = with(&[small.clone(), came(OTHER, 50, ORDER_BLOCK + 9, 0), late.clone()]);
    let end = ORDER_BLOCK + 101;
    // A quarter of an hour before the moment that matters.
    let start = ORDER_BLOCK - 450;
    let (both, first) = (&[5_u128, 50, 6][..], &[5_u128][..]);
    for (nodes, expected, upto) in [
        (vec![all.clone(), all.clone()], both, end),
        (vec![all.clone(), without.clone()], first, ORDER_BLOCK + 9),
        (vec![without.clone(), all.clone()], first, ORDER_BLOCK + 9),
        (vec![all.clone(), forged], first, ORDER_BLOCK + 9),
        // What the second has not seen is not passed over, whether or not the first shows anything there.
        (vec![all.clone(), Node::failing()], first, start),
        (vec![without.clone(), Node::failing()], &[5, 6], start),
        (vec![Node::failing(), without.clone()], &[5, 6], start),
        (vec![without.clone(), Node::failing(), all.clone()], first, ORDER_BLOCK + 9),
        (vec![without.clone(), all.clone().at(ORDER_BLOCK + 8)], &[5, 6], ORDER_BLOCK + 9),
        (vec![without.clone().at(ORDER_BLOCK + 8), all.clone()], first, ORDER_BLOCK + 9),
        (vec![without.clone(), all.clone().at(start - 5)], &[5, 6], start),
        (vec![all.clone(), Node::failing(), all.clone()], both, end),
        (vec![Node::failing(), all.clone(), all.clone()], both, end),
        (vec![all.clone(), all.clone().at(ORDER_BLOCK + 8)], first, ORDER_BLOCK + 9),
        (vec![all.clone(), all.clone().at(ORDER_BLOCK + 9)], both, ORDER_BLOCK + 10),
        // What one hides and is small enough, the other shows.
        (vec![with(&[]), with(std::slice::from_ref(&small))], first, end),
        // There is no second to ask.
        (vec![all.clone()], both, end),
    ] {
        let found = look(&nodes, two_above(49), None).await.unwrap();
        let amounts: Vec<_> = found.transfers.iter().map(|transfer| transfer.amount.atomic()).collect();
        assert_eq!((amounts.as_slice(), found.upto), (expected, upto.to_string()));
    }
}

#[tokio::test]
async fn what_cannot_be_seen_is_said_and_never_nothing() {
    let rail = rail(&[Node::unused()], Finality::Finalized, Safeguards::default());
    for asset in [
        "eip155:8453/erc20:0x036cbd53842c5426634e7929541ec2318f3dcf7e",
        "eip155:84532/slip44:60",
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:EPjF",
        "bursar:unit/usd:micro",
    ] {
        let query = InflowQuery { asset: AssetId::parse(asset).unwrap(), ..query(None) };
        let found = rail.inflow(&query).await;
        assert!(matches!(found, Err(RemedyError::Unsupported(_))), "{asset}: {found:?}");
    }
    for from in ["", "0x12", "012", "-1", "block"] {
        let found = rail.inflow(&InflowQuery { from: Some(from.to_owned()), ..query(None) }).await;
        assert!(matches!(found, Err(RemedyError::Refused(_))), "`{from}`: {found:?}");
    }
}

#[tokio::test]
async fn the_markets_chain_shows_what_came_and_only_once_it_is_final() {
    let chain = Chain::open(|market| market.finality_depth(3).log_range_max(2_000)).await;
    chain.pass(5);
    chain.market.mint(key().address(), 700);
    let sender: bursar_market::Address = PAYEE.parse().unwrap();
    chain.market.mint(sender, 90);
    chain.market.chain().transfer(sender, key().address(), 90).unwrap();
    chain.pass(2);
    let good = chain.with(&[&[]]);
    let query = InflowQuery { since: NOW, ..query(None) };
    let first = good.rail(Safeguards::default()).inflow(&query).await.unwrap();
    let amounts =
        |inflow: &Inflow| inflow.transfers.iter().map(|seen| seen.amount.atomic()).collect::<Vec<_>>();
    let seen = amounts(&first);
    assert!(seen == [1_000_000, 700] || seen == [1_000_000], "{seen:?}");
    chain.pass(10);
    let query = InflowQuery { from: Some(first.upto), ..query };
    let next = good.rail(Safeguards::default()).inflow(&query).await.unwrap();
    assert_eq!([seen, amounts(&next)].concat(), [1_000_000, 700, 90]);
    let last = next.transfers.last().unwrap();
    assert_eq!((last.from.as_str(), last.at >= NOW), (PAYEE, true));
    // One that hides it is found out by the other, and the next look begins before it.
    let hiding = chain.with(&[&[], &[Fault::RpcHidesLogs]]);
    let found = hiding.rail(two_above(0)).inflow(&query).await.unwrap();
    assert_eq!(found.transfers, []);
    let query = InflowQuery { from: Some(found.upto), ..query };
    assert_eq!(good.rail(Safeguards::default()).inflow(&query).await.unwrap(), next);
}
