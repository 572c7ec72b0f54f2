//! `bursar audit explain`: everything that the journal tells about one payment or refusal.

use crate::args::TraceArgs;
use crate::commands::resume::begins;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::BursarError;
use bursar::ledger::Ledger;
use bursar::report::{self, Denied, Trace};
use bursar::types::PaymentId;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn explain(args: TraceArgs) -> Result<Exit, CliError> {
    let ledger = data::ledger(&args.data.folder)?;
    let text = told(&ledger, &args).await;
    ledger.close().await.map_err(BursarError::from)?;
    let _ = write!(anstream::stdout().lock(), "{}", text?);
    Ok(Exit::Done)
}

async fn told(ledger: &Ledger, args: &TraceArgs) -> Result<String, CliError> {
    if let Some(session) = &args.denied {
        return list(ledger, session.as_deref(), args.json).await;
    }
    let about = args.about.as_deref().unwrap_or_default();
    let trace = find(ledger, about).await?.ok_or_else(|| unknown(about))?;
    match &args.html {
        Some(path) => {
            let failed = |source| CliError::File { doing: "write", path: path.clone(), source };
            std::fs::write(path, trace.html()).map_err(failed)?;
            Ok(format!("written to {}\n", path.display()))
        }
        None if args.json => json(&trace),
        None => Ok(trace.text()),
    }
}

async fn find(ledger: &Ledger, about: &str) -> Result<Option<Trace>, CliError> {
    if let Ok(entry) = about.parse::<u64>()
        && let Some(found) = report::trace_refusal(ledger, entry).await?
    {
        return Ok(Some(found));
    }
    let held = report::payments(ledger).await?.into_iter().map(|payment| payment.id);
    let refused = report::denied(ledger, None).await?.into_iter().filter_map(|denied| denied.payment);
    let ids: BTreeSet<PaymentId> = held.chain(refused).filter(|id| begins(&id.to_string(), about)).collect();
    match ids.iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [only] => Ok(report::trace(ledger, **only).await?),
        several => Err(CliError::NoPayment {
            problem: format!(
                "`{}` is the beginning of {} payments; give more of it:",
                line(about, 80),
                several.len()
            ),
            others: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

async fn list(ledger: &Ledger, session: Option<&str>, as_json: bool) -> Result<String, CliError> {
    let mut all = report::denied(ledger, None).await?;
    all.retain(|denied| session.is_none_or(|given| begins(&denied.session.to_string(), given)));
    if as_json {
        return all.iter().map(json).collect();
    }
    if all.is_empty() {
        return Ok("nothing was refused\n".to_owned());
    }
    let mut text = String::new();
    for Denied { entry, at, what, codes, .. } in &all {
        let what = what.as_deref().unwrap_or("erased, not re-checkable");
        let _ = writeln!(text, "[{entry}] {at}  {}: {}", line(what, 120), codes.join(", "));
    }
    Ok(text)
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::File {
        doing: "write",
        path: "-".into(),
        source: error.into(),
    })?;
    Ok(format!("{text}\n"))
}

fn unknown(given: &str) -> CliError {
    CliError::NoPayment {
        problem: format!(
            "no payment and no refusal `{}` is journaled in this data folder; --denied lists refusals",
            line(given, 80)
        ),
        others: Vec::new(),
    }
}
