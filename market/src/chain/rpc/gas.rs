//! What a transaction would take and cost.

use super::{
    args::{Failure, address, bytes},
    view::View,
};
use crate::{
    chain::{
        Token, json,
        sending::{BLOCK_GAS, CancelCall, TIP, execute},
    },
    primitives::Uint,
};
use serde_json::{Value, json};

/// How many blocks of fees are told at once.
const HISTORY_MAX: u64 = 1_024;

/// `eth_estimateGas`: what the call takes at the newest block, if it would do anything.
pub(super) fn estimate(view: &View<'_>, token: &Token, params: &[Value]) -> Result<Value, Failure> {
    let call = params.first().ok_or_else(|| Failure::params("missing the call"))?;
    let input = call.get("input").or_else(|| call.get("data")).and_then(Value::as_str);
    let input = bytes(input.unwrap_or("0x"))?;
    let to = address(call.get("to"))?;
    let value = match call.get("value") {
        None | Some(Value::Null) => Uint::default(),
        Some(value) => Uint::from(quantity(value)?),
    };
    let cancel = CancelCall::read(token, &input);
    let execution = execute(view.state, token, (to, value, &input), cancel.as_ref());
    match execution.effect {
        Ok(_) => Ok(json::quantity(execution.gas).into()),
        Err(None) => Err(Failure::new(3, "execution reverted")),
        Err(Some(revert)) => Err(Failure::new(3, format!("execution reverted: {revert}"))),
    }
}

/// `eth_feeHistory`: the fees of so many blocks up to one, and of the one after it.
pub(super) fn fee_history(view: &View<'_>, params: &[Value]) -> Result<Value, Failure> {
    let count = params.first().ok_or_else(|| Failure::params("missing the number of blocks"))?;
    let count = u64::try_from(quantity(count)?).unwrap_or(u64::MAX).min(HISTORY_MAX);
    let newest = view.known(params.get(1))?;
    let first = newest.saturating_add(1).saturating_sub(count);
    let blocks: Vec<_> =
        (first..=newest).filter_map(|number| view.state.block(number)).filter(|_| count > 0).collect();
    let after = view.state.block(newest.saturating_add(1)).filter(|block| block.number <= view.head);
    let after = after.map_or_else(|| view.state.base_fee(), |block| block.base_fee);
    let fees = blocks.iter().map(|block| block.base_fee).chain([after]);
    let ratio = |used: u64| as_f64(used) / as_f64(BLOCK_GAS);
    let mut history = json!({
        "oldestBlock": json::quantity(first),
        "baseFeePerGas": fees.map(json::quantity).collect::<Vec<_>>(),
        "gasUsedRatio": blocks.iter().map(|block| ratio(json::gas_used(block, view.state))).collect::<Vec<_>>(),
    });
    if let (Some(fields), Some(percentiles)) =
        (history.as_object_mut(), params.get(2).and_then(Value::as_array))
    {
        let tips = vec![json::quantity(TIP); percentiles.len()];
        fields.insert("reward".to_owned(), json!(vec![tips; blocks.len()]));
    }
    Ok(history)
}

/// The gas of a block, which is far below 2^32.
fn as_f64(gas: u64) -> f64 {
    u32::try_from(gas).map_or(f64::MAX, f64::from)
}

/// A number: hex digits without leading zeros, or, as some clients write it, a JSON number.
fn quantity(value: &Value) -> Result<u128, Failure> {
    let refuse = || Failure::params("invalid argument: not a quantity");
    let Some(text) = value.as_str() else { return value.as_u64().map(u128::from).ok_or_else(refuse) };
    let digits = text.strip_prefix("0x").ok_or_else(refuse)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) || digits.starts_with('+') {
        return Err(refuse());
    }
    u128::from_str_radix(digits, 16).map_err(|_| refuse())
}
