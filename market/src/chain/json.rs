//! Blocks, logs and receipts as nodes write them.

use super::{
    sending::BLOCK_GAS,
    state::{Block, ChainLog, Made, State},
};
use crate::primitives::{Address, Word, keccak};
use serde_json::{Value, json};

/// `0x` and hex digits without leading zeros.
pub(super) fn quantity(number: impl Into<u128>) -> String {
    format!("{:#x}", number.into())
}

fn data(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The three bits that each address and topic sets.
fn bloom<'a>(logs: impl Iterator<Item = &'a ChainLog>) -> String {
    let mut bits = [0_u8; 256];
    let mut add = |bytes: &[u8]| {
        let hash = keccak(bytes).0;
        for pair in hash.chunks_exact(2).take(3) {
            let bit = pair.iter().fold(0_usize, |bit, byte| (bit << 8) | usize::from(*byte)) & 2047;
            if let Some(byte) = bits.get_mut(255 - bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    };
    for log in logs {
        add(log.address.bytes());
        for topic in &log.topics {
            add(&topic.0);
        }
    }
    data(&bits)
}

pub(super) fn block(block: &Block, state: &State) -> Value {
    let logs = state.logs().iter().filter(|log| log.block == block.number);
    let zero = Word::default();
    json!({
        "number": quantity(block.number),
        "hash": block.hash,
        "parentHash": block.parent,
        "timestamp": quantity(block.timestamp_s),
        "transactions": block.transactions,
        "nonce": "0x0000000000000000",
        "sha3Uncles": keccak(&[0xc0]),
        "logsBloom": bloom(logs),
        "transactionsRoot": zero,
        "stateRoot": zero,
        "receiptsRoot": zero,
        "mixHash": zero,
        "miner": Address::ZERO,
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": "0x200",
        "gasLimit": quantity(BLOCK_GAS),
        "gasUsed": quantity(gas_used(block, state)),
        "baseFeePerGas": quantity(block.base_fee),
        "uncles": [],
    })
}

/// The gas of all transactions of a block.
pub(super) fn gas_used(block: &Block, state: &State) -> u64 {
    block.transactions.iter().filter_map(|hash| state.made(*hash)).map(|made| made.gas_used).sum()
}

pub(super) fn log(log: &ChainLog, state: &State) -> Value {
    let block = state.block(log.block);
    json!({
        "address": log.address,
        "topics": log.topics,
        "data": data(&log.data),
        "blockNumber": quantity(log.block),
        "blockHash": block.map(|block| block.hash),
        "blockTimestamp": block.map(|block| quantity(block.timestamp_s)),
        "transactionHash": log.transaction,
        "transactionIndex": "0x0",
        "logIndex": quantity(log.index),
        "removed": false,
    })
}

pub(super) fn receipt(made: &Made, block: &Block, state: &State) -> Value {
    let logs: Vec<_> = state.logs().iter().filter(|log| log.transaction == made.hash).collect();
    json!({
        "transactionHash": made.hash,
        "transactionIndex": "0x0",
        "blockHash": block.hash,
        "blockNumber": quantity(block.number),
        "from": made.from,
        "to": made.to,
        "contractAddress": null,
        "cumulativeGasUsed": quantity(made.gas_used),
        "gasUsed": quantity(made.gas_used),
        "effectiveGasPrice": quantity(made.price),
        "type": "0x2",
        "status": quantity(u8::from(made.success)),
        "logsBloom": bloom(logs.iter().copied()),
        "logs": logs.iter().map(|entry| log(entry, state)).collect::<Vec<_>>(),
    })
}
