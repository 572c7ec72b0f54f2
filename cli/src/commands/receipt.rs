//! `bursar receipt`: the evidence of one payment.

use crate::args::ReceiptArgs;
use crate::commands::resume::begins;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line};
use bursar::BursarError;
use bursar::ledger::Ledger;
use bursar::payments::PayeeStatement;
use bursar::report::{self, Moved, Receipt, Testimony, Witness};
use bursar::types::PaymentId;
use std::fmt::Write as _;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: ReceiptArgs) -> Result<Exit, CliError> {
    let ledger = data::ledger(&args.data.folder)?;
    let found = find(&ledger, &args.payment).await;
    ledger.close().await.map_err(BursarError::from)?;
    let receipt = found?;
    let text = match args.json {
        true => serde_json::to_string(&receipt).map(|text| text + "\n").unwrap_or_default(),
        false => people(&receipt),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

async fn find(ledger: &Ledger, given: &str) -> Result<Receipt, CliError> {
    let all = report::payments(ledger).await?.into_iter().map(|payment| payment.id);
    let ids: Vec<PaymentId> = all.filter(|id| begins(&id.to_string(), given)).collect();
    let found = match ids.as_slice() {
        [only] => report::receipt(ledger, *only).await?,
        _ => None,
    };
    found.ok_or_else(|| CliError::NoPayment {
        problem: match ids.len() {
            0 => format!("no payment `{}` is journaled in this data folder", line(given, 80)),
            several => {
                format!("`{}` is the beginning of {several} payments; give more of it:", line(given, 80))
            }
        },
        others: ids.iter().map(ToString::to_string).collect(),
    })
}

fn people(receipt: &Receipt) -> String {
    let amounts = Amounts::pinned();
    let mut text = String::new();
    let mut say = |name: &str, value: String, entry: Option<u64>| {
        let entry = entry.map_or_else(String::new, |entry| format!("[{entry}]"));
        let _ = writeln!(text, "{entry:>9} {name}: {value}");
    };
    say("payment", receipt.payment.to_string(), None);
    let amount =
        receipt.amount.as_ref().map_or_else(|| "not known".to_owned(), |amount| amounts.show(amount));
    say("amount", amount, None);
    say("to", format!("{} at {}", line(&receipt.payee, 80), line(&receipt.host, 80)), None);
    say(
        "from",
        receipt.payer.as_deref().map_or_else(|| "not known".to_owned(), |payer| line(payer, 80)),
        None,
    );
    say("network", receipt.network.clone().unwrap_or_else(|| "not known".to_owned()), None);
    say("for", format!("{} {}", line(&receipt.method, 10), line(&receipt.resource, 200)), None);
    say("money", moved(receipt.moved).to_owned(), None);
    for told in &receipt.testimony {
        say(said_by(told), said(told), Some(told.entry));
    }
    say("signed offer", statement(receipt.offer.as_ref()), None);
    say("signed receipt", statement(receipt.receipt.as_ref()), None);
    say("goods", receipt.goods.map_or_else(|| "none".to_owned(), |goods| format!("SHA-256 {goods}")), None);
    for back in &receipt.refunds {
        let value = format!("{} from {} in {}", amounts.show(&back.amount), line(&back.from, 80), back.event);
        say("came back", value, Some(back.entry));
    }
    let entries: Vec<_> =
        receipt.entries.iter().map(|one| format!("{} {}", one.entry, line(&one.kind, 60))).collect();
    say("journal", entries.join(", "), None);
    text
}

const fn moved(moved: Moved) -> &'static str {
    match moved {
        Moved::No => "did not move, and that is proven",
        Moved::Held => "is set aside; nothing was signed",
        Moved::Unknown => "nobody can say whether it moved",
        Moved::Presumed => "counts as spent; nobody can say whether it moved",
        Moved::Claimed => "moved, as the payee says; the rail has not confirmed it",
        Moved::Observed => "moved, seen by the rail itself",
    }
}

const fn said_by(told: &Testimony) -> &'static str {
    match told.by {
        Witness::Payee => "the payee says",
        Witness::Rail => "the rail says",
    }
}

fn said(told: &Testimony) -> String {
    let detail = line(told.detail.as_deref().unwrap_or_default(), 200);
    match (told.moved, &told.transaction) {
        (Some(true), Some(transaction)) => format!("it moved in {}", line(transaction, 100)),
        (Some(true), None) => "it moved".to_owned(),
        (Some(false), _) => format!("it did not move: {detail}"),
        (None, _) => format!("nothing certain: {detail}"),
    }
}

fn statement(statement: Option<&PayeeStatement>) -> String {
    match statement {
        None => "not known".to_owned(),
        Some(PayeeStatement::Absent) => "none came".to_owned(),
        Some(PayeeStatement::Verified { signer, .. }) => {
            format!("verified, signed by the payee {}", line(signer, 80))
        }
        Some(PayeeStatement::Unverified { problem, .. }) => format!("NOT verified: {}", line(problem, 200)),
    }
}
