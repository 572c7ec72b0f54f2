//! `bursar reconcile`: the journal against the chain or a statement.

use crate::args::ReconcileArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, csv, line, short};
use bursar::Config;
use bursar::payments::OutflowLook;
use bursar::reconcile::{Here, Item, List, Reconciler, Reconciliation, Statement, There};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The lists in the order in which they are shown, with what they are called.
const LISTS: [(List, &str); 4] = [
    (List::Different, "different"),
    (List::MissingHere, "missing here"),
    (List::MissingThere, "missing there"),
    (List::Matched, "matched"),
];

/// Runs the command.
pub(crate) async fn run(args: ReconcileArgs) -> Result<Exit, CliError> {
    let reconciler = reconciler(&args)?;
    let amounts = Amounts::new(reconciler.registry().clone());
    if let (true, Some(by), Some(reason)) = (args.accept, &args.by, &args.reason) {
        return accept(&args, &reconciler, &amounts, (by, reason)).await;
    }
    let found = match &args.statement {
        Some(file) => {
            let text = read(file)?;
            let statement = Statement::parse(&text, reconciler.registry())
                .map_err(|source| CliError::Statement { path: file.clone(), source })?;
            reconciler.statement(&statement).await?
        }
        None => {
            let look = if args.all { OutflowLook::All } else { OutflowLook::New };
            reconciler.chain(look).await?
        }
    };
    let exit = exit(&found);
    let text = match (args.json, args.csv) {
        (true, _) => as_json(&found, exit),
        (false, true) => as_csv(&found),
        (false, false) => people(&found, &amounts, args.statement.is_some()),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

/// Who compares, with all that is known of the folder.
fn reconciler(args: &ReconcileArgs) -> Result<Reconciler, CliError> {
    let reconciler = match &args.config {
        Some(path) => {
            let config = Config::read(path)?;
            let base = path.parent().unwrap_or(Path::new("."));
            data::existing(&base.join(&config.data))?;
            Reconciler::configured(&config, base)
        }
        None => {
            let reconciler = Reconciler::of(data::existing(&args.data.folder)?);
            reconciler.assets(Amounts::pinned().registry()).read_at(&args.rpc)
        }
    };
    Ok(match &args.wallet {
        Some(address) => reconciler.wallet(address),
        None => reconciler,
    })
}

fn read(file: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let done = match file == Path::new("-") {
        true => std::io::stdin().lock().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(file).map(|read| text = read),
    };
    done.map_err(|source| CliError::File { doing: "read", path: file.to_owned(), source })?;
    Ok(text)
}

const fn exit_of(agrees: bool, whole: bool) -> Exit {
    match (agrees, whole) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Open,
        (true, true) => Exit::Done,
    }
}

fn exit(found: &Reconciliation) -> Exit {
    exit_of(found.agrees(), found.unread.is_empty())
}

/// Takes in what is missing here.
async fn accept(
    args: &ReconcileArgs,
    reconciler: &Reconciler,
    amounts: &Amounts,
    (by, reason): (&str, &str),
) -> Result<Exit, CliError> {
    let accepted = reconciler.accept(by, reason).await?;
    let mut text = String::new();
    for one in &accepted {
        if args.json {
            let _ = writeln!(text, "{}", json!({"reconcile": "accepted", "accepted": one, "by": by}));
            continue;
        }
        for taken in &one.adopted {
            let (amount, to) = (amounts.show(&taken.unknown()), short(&line(&taken.sent.to, 80)));
            let tx = line(&taken.sent.event.transaction, 100);
            let _ = writeln!(text, "taken in: {amount} to {to} in {tx}, as {} says", line(by, 80));
        }
        if one.adopted.is_empty() {
            let _ = writeln!(text, "nothing is missing here");
        }
        if one.lifted {
            let _ = writeln!(text, "spending goes on");
        }
    }
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

fn people(found: &Reconciliation, amounts: &Amounts, statement: bool) -> String {
    let mut text = String::new();
    for (list, name) in LISTS {
        let count = found.count(list);
        let _ = writeln!(text, "{name}: {count}");
        for item in found.items.iter().filter(|item| item.list == list) {
            let _ = writeln!(text, "  {}", item_line(item, amounts));
            if !item.why.is_empty() && list != List::Matched {
                let _ = writeln!(text, "      {}", line(&item.why.join("; "), 200));
            }
        }
    }
    if found.foreign > 0 {
        let _ = writeln!(text, "{} payments of others from the shared wallet are left out", found.foreign);
    }
    for (asset, problem) in &found.unread {
        let _ = writeln!(text, "not compared: {asset}: {}", line(problem, 300));
    }
    if !statement && found.count(List::MissingHere) > 0 {
        text.push_str(
            "all spending stands still; once it is clear what happened, `bursar reconcile --accept --by NAME --reason TEXT` takes it in\n",
        );
    }
    text
}

fn item_line(item: &Item, amounts: &Amounts) -> String {
    let here = item.here.as_ref().map(|here| {
        let (amount, payee) = (amounts.show(&here.amount), short(&line(&here.payee, 80)));
        format!("{} {amount} to {payee} ({})", here.payment, here.at)
    });
    let there = item.there.as_ref().map(|there| {
        let place = there.line.map(|number| format!("line {number}: ")).unwrap_or_default();
        let to = there.payee.as_deref().map(|payee| format!(" to {}", short(&line(payee, 80))));
        let tx = there.tx.as_deref().map(|tx| format!(" in {}", short(&line(tx, 100))));
        let open = if there.confirmed == Some(false) { ", not final yet" } else { "" };
        let amount = amounts.show(&there.amount);
        format!(
            "{place}{amount}{}{} ({}){open}",
            to.unwrap_or_default(),
            tx.unwrap_or_default(),
            line(&there.date, 40)
        )
    });
    [here, there].into_iter().flatten().collect::<Vec<_>>().join("  |  ")
}

fn as_json(found: &Reconciliation, exit: Exit) -> String {
    let mut text = String::new();
    for item in &found.items {
        let _ = writeln!(
            text,
            "{}",
            json!({"reconcile": item.list, "here": item.here, "there": item.there, "why": item.why})
        );
    }
    let counts: serde_json::Map<String, serde_json::Value> =
        LISTS.iter().map(|(list, _)| (list.as_str().to_owned(), json!(found.count(*list)))).collect();
    let end = json!({
        "reconcile": "end", "counts": counts, "foreign": found.foreign, "looked": found.looked, "unread": found.unread,
        "exit": exit.code(),
    });
    let _ = writeln!(text, "{end}");
    text
}

fn as_csv(found: &Reconciliation) -> String {
    let mut text = csv::line([
        "list",
        "payment",
        "here_time",
        "here_atomic",
        "here_asset",
        "here_payee",
        "here_tx",
        "there_line",
        "there_date",
        "there_atomic",
        "there_asset",
        "there_payee",
        "there_tx",
        "why",
    ]);
    for item in &found.items {
        let here = |field: fn(&Here) -> String| item.here.as_ref().map(field).unwrap_or_default();
        let there = |field: fn(&There) -> String| item.there.as_ref().map(field).unwrap_or_default();
        let fields = [
            item.list.as_str().to_owned(),
            here(|here| here.payment.to_string()),
            here(|here| here.at.to_string()),
            here(|here| here.amount.atomic().to_string()),
            here(|here| here.amount.asset().to_string()),
            here(|here| here.payee.clone()),
            here(|here| here.reference.clone().unwrap_or_default()),
            there(|there| there.line.map(|line| line.to_string()).unwrap_or_default()),
            there(|there| there.date.clone()),
            there(|there| there.amount.atomic().to_string()),
            there(|there| there.amount.asset().to_string()),
            there(|there| there.payee.clone().unwrap_or_default()),
            there(|there| there.tx.clone().unwrap_or_default()),
            item.why.join("; "),
        ];
        text.push_str(&csv::line(fields));
    }
    text
}
