//! What can go wrong at the other side, for each kind of request.

use crate::dice::Dice;
use crate::network::SECOND_READER;
use crate::stage::Seam;
use bursar_market::{Fault, Malformation};

/// A fault that fits a request. `readers` is how many endpoints read the chain: only of two may one lie about what was
/// used, for nothing helps against the one there is.
pub(crate) fn fault_for(dice: &mut Dice, seam: &Seam, readers: usize) -> Option<Fault> {
    let Seam::Send { host, what, paid } = seam else { return None };
    Some(match () {
        () if what == "eth_getLogs" && dice.chance(300) => Fault::RpcHidesLogs,
        () if host.starts_with("rpc") => rpc(dice, readers > 1 && host == SECOND_READER),
        () if what.ends_with("/refunds") => match dice.below(2) {
            0 => Fault::Refund500Before,
            _ => Fault::RefundAnswerLost,
        },
        () if *paid => paid_fault(dice),
        () => quote(dice),
    })
}

fn rpc(dice: &mut Dice, may_lie: bool) -> Fault {
    match dice.below(if may_lie { 10 } else { 8 }) {
        0 => Fault::RpcDown,
        1 => Fault::Rpc500,
        2 => Fault::RpcError { code: -32_000, message: "try later".to_owned() },
        3 => Fault::RpcGarbage,
        4 => Fault::RpcLag { blocks: dice.within(1, 30) },
        5 => Fault::RpcLiesAuthorizationState { used: true },
        6 => Fault::RpcHidesLogs,
        7 => Fault::RpcWrongChain { chain_id: 1 },
        _ => Fault::RpcLiesAuthorizationState { used: false },
    }
}

fn quote(dice: &mut Dice) -> Fault {
    const KINDS: [Malformation; 9] = [
        Malformation::BadBase64,
        Malformation::NotJson,
        Malformation::WrongTypes,
        Malformation::UnknownScheme,
        Malformation::UnknownAsset,
        Malformation::UnknownNetwork,
        Malformation::AmountAsNumber,
        Malformation::EmptyAccepts,
        Malformation::Missing,
    ];
    match dice.below(4) {
        0 => {
            let amounts = ["-1", "1e6", "", "01", "999999999999999999999999999999999999999999"];
            let amount = dice.pick(&amounts).copied().unwrap_or_default().to_owned();
            Fault::QuotedAmount { amount }
        }
        1 => Fault::Redirect { to: "https://elsewhere.market.test/".to_owned(), only_paid: false },
        _ => Fault::MalformedQuote { kind: dice.pick(&KINDS).copied().unwrap_or(Malformation::Missing) },
    }
}

fn paid_fault(dice: &mut Dice) -> Fault {
    match dice.below(24) {
        0 => Fault::NeverSettle402,
        1 => Fault::DropBeforeSettle,
        2 => Fault::Error500BeforeSettle,
        3 => Fault::LyingReceipt,
        4 => Fault::SettleThen402,
        5 => Fault::SettleThen500,
        6 => Fault::SettleThenDrop,
        7 => Fault::HalfBody,
        8 => Fault::WrongContent { body: None },
        9 => Fault::EmptyBody,
        10 => Fault::NoReceipt,
        11 => Fault::GarbledReceipt,
        12 => Fault::ForeignReceipt,
        13 => Fault::Verify500,
        14 => Fault::VerifyRefuses { reason: "because".to_owned() },
        15 => Fault::SettleAnswerLost,
        16 => Fault::SettleLostBefore,
        17 => Fault::Settle500After,
        18 => Fault::Settle500Before,
        19 => Fault::SettlementPending,
        20 => Fault::SettlementPendingForever,
        21 => Fault::SettleLies,
        22 => match dice.below(2) {
            0 => Fault::Surge { percent: 150 },
            _ => Fault::SwapPayee { to: None },
        },
        _ => Fault::Redirect { to: "https://elsewhere.market.test/".to_owned(), only_paid: true },
    }
}
