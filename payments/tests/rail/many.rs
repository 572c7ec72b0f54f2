//! Asking about many payments at once: the same outcomes as one by one, in few requests.

use crate::node::{self, Batches, Node, ORDER_BLOCK, Told, event_of, nonce_of, prepared_for, rail, word};
use bursar_payments::x402::{Finality, Safeguards};
use bursar_payments::{Outcome, Prepared, Rail as _};
use bursar_types::{Amount, AssetId};
use proptest::prelude::*;
use serde_json::json;

/// What became of each payment as one node tells it and as the other does, and whether they tell the same.
fn fates() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
    let fate = || (0..24_u8, 0..24_u8, any::<bool>());
    prop_oneof![4 => prop::collection::vec(fate(), 1..25), 1 => prop::collection::vec(fate(), 99..105)]
}

fn told(kind: u8, nonce: &str, transaction: &str) -> Told {
    let used = Told::used(nonce, ORDER_BLOCK + 5, transaction);
    match kind {
        0 | 1 => used,
        2 => Told::canceled(nonce, ORDER_BLOCK + 5, transaction),
        3 => Told::canceled(nonce, ORDER_BLOCK + 90, transaction),
        4 => Told { state: word(7), ..Told::unused() },
        5 => Told { logs: Vec::new(), ..used },
        6 => Told { receipt: json!(null), ..used },
        7 => Told { logs: vec![event_of(nonce, node::USED, ORDER_BLOCK + 5, &word(3)); 2], ..used },
        _ => Told::unused(),
    }
}

/// Ways to answer batches, and whether they tell the same of every question.
const WAYS: [Batches; 7] = [
    Batches::Backwards,
    Batches::OneError,
    Batches::TooLarge,
    Batches::Status,
    Batches::Gaps,
    Batches::Twice,
    Batches::Dropped,
];

fn payments(count: usize) -> Vec<Prepared> {
    let mut all: Vec<_> = (0..count).map(prepared_for).collect();
    if count > 2 {
        // One that cannot be read, one of a network that nobody reads, one asked about twice.
        all[0].terms["nonce"] = json!("0x12");
        all[1].terms["network"] = json!("eip155:8453");
        all[2] = all[count - 1].clone();
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn many_at_once_are_told_exactly_as_one_by_one(
        fates in fates(),
        ways in (0..WAYS.len(), 0..WAYS.len()),
        heads in (ORDER_BLOCK..ORDER_BLOCK + 200, ORDER_BLOCK..ORDER_BLOCK + 200),
        down in 0..6_u8,
        two in any::<bool>(),
    ) {
        let prepared = payments(fates.len());
        let mut nodes = [
            Node { batches: WAYS[ways.0], ..Node::unused().at(heads.0) },
            Node { batches: WAYS[ways.1], ..Node::unused().at(heads.1) },
        ];
        for (place, (prepared, (one, other, same))) in prepared.iter().zip(fates).enumerate() {
            let (nonce, transaction) = (nonce_of(prepared), word(place as u64 + 100));
            let [first, second] = &mut nodes;
            first.others.insert(nonce.clone(), told(one, &nonce, &transaction));
            second.others.insert(nonce.clone(), told(if same { one } else { other }, &nonce, &transaction));
        }
        if down < 2 {
            nodes[usize::from(down)] = nodes[usize::from(down)].clone().with("eth_chainId", "");
        }
        let limit = two.then(|| Amount::from_atomic(AssetId::micro_usd(), 1));
        let safeguards = Safeguards { two_readers_above: limit, ..Safeguards::default() };
        let rail = rail(&nodes, Finality::Finalized, safeguards);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (together, alone) = runtime.block_on(async {
            let together = rail.recover_all(&prepared).await;
            let mut alone = Vec::new();
            for prepared in &prepared {
                alone.push(rail.recover(prepared).await);
            }
            (together, alone)
        });
        prop_assert_eq!(together, alone);
    }
}

#[tokio::test]
async fn however_a_batch_is_answered_each_question_gets_its_own_answer() {
    let prepared: Vec<_> = (0..7).map(prepared_for).collect();
    for batches in WAYS {
        let mut node = Node { batches, ..Node::unused() };
        for (place, prepared) in prepared.iter().enumerate().filter(|(place, _)| place % 2 == 0) {
            let nonce = nonce_of(prepared);
            node.others.insert(nonce.clone(), Told::used(&nonce, ORDER_BLOCK + 5, &word(place as u64 + 100)));
        }
        let rail = rail(std::slice::from_ref(&node), Finality::Finalized, Safeguards::default());
        for (place, outcome) in rail.recover_all(&prepared).await.into_iter().enumerate() {
            let moved = Outcome::Moved { reference: word(place as u64 + 100), observed: true };
            let fits =
                if place % 2 == 0 { outcome == moved } else { matches!(outcome, Outcome::DidNotMove { .. }) };
            assert!(fits, "{batches:?}, payment {place}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_pass_reads_chain_and_block_once_and_states_by_the_hundred() {
    let prepared: Vec<_> = (0..250).map(prepared_for).collect();
    let mut node = Node::unused();
    for (place, prepared) in prepared.iter().enumerate().take(3) {
        let nonce = nonce_of(prepared);
        node.others.insert(nonce.clone(), Told::used(&nonce, ORDER_BLOCK + 5, &word(place as u64)));
    }
    let rail = rail(std::slice::from_ref(&node), Finality::Finalized, Safeguards::default());
    let outcomes = rail.recover_all(&prepared).await;
    assert_eq!(node.count("eth_chainId"), 1);
    assert_eq!(node.count("eth_call"), 250);
    assert_eq!(node.count("eth_getLogs"), 3);
    assert_eq!(node.count("eth_getTransactionReceipt"), 3);
    // Chain, block, three batches, the search for the window's blocks, and two for each that is used.
    let (requests, blocks) = (*node.requests.lock().unwrap(), node.count("eth_getBlockByNumber"));
    assert_eq!(requests, 1 + blocks + 3 + 2 * 3);
    assert!(blocks < 40, "the window is searched once: {blocks}");
    let moved = |outcome: &Outcome| matches!(outcome, Outcome::Moved { observed: true, .. });
    let did_not = |outcome: &Outcome| matches!(outcome, Outcome::DidNotMove { .. });
    assert!(outcomes[..3].iter().all(moved) && outcomes[3..].iter().all(did_not));
}

#[tokio::test]
async fn once_nobody_answers_nothing_more_is_asked() {
    let prepared: Vec<_> = (0..250).map(prepared_for).collect();
    // Chain and block are answered, and no batch is; alone the first question is answered.
    let node = Node { batches: Batches::Dropped, ..Node::unused() };
    let rail = rail(std::slice::from_ref(&node), Finality::Finalized, Safeguards::default());
    let outcomes = rail.recover_all(&prepared).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::DidNotMove { .. })));
    assert_eq!(*node.requests.lock().unwrap(), 2 + 1 + 250);

    let nowhere = crate::common::rail(&["http://127.0.0.1:1"], Finality::Finalized);
    for outcome in nowhere.recover_all(&prepared).await {
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_about_nothing() {
    let node = Node::unused();
    let rail = rail(std::slice::from_ref(&node), Finality::Finalized, Safeguards::default());
    assert_eq!(rail.recover_all(&[]).await, []);
    assert_eq!(*node.requests.lock().unwrap(), 0);
}
