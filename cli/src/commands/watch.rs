//! `bursar watch`: looks after what is open, and prints what changes.

use super::research;
use crate::args::{DEFAULT_DATA, WatchArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::market_box::{self, Sources};
use crate::screen::{Amounts, Notes, line, short, vendor};
use bursar::payments::{Observer, Recovered};
use bursar::report;
use bursar::types::{Clock as _, FetchError};
use bursar::{BursarBuilder, BursarError, MoneyEvent, SystemClock};
use bursar_market::{MarketError, StateFileError};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const STOPPING: &str = "\nstopping: what was found is kept; Ctrl-C again leaves at once";

/// How often is looked for what `[retention]` keeps no longer.
const EXPIRY: Duration = Duration::from_secs(3_600);

/// Puts what recovery tells where the screen hears it.
#[derive(Debug)]
struct Tap(mpsc::UnboundedSender<MoneyEvent>);

impl Observer for Tap {
    fn event(&self, event: &MoneyEvent) {
        // Nobody listening is no fault of the payment's.
        let _ = self.0.send(event.clone());
    }
}

/// Runs the command.
pub(crate) async fn run(args: WatchArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, STOPPING);
    let (sender, mut events) = mpsc::unbounded_channel();
    // Opening takes up what is open, so whoever watches is there before.
    let watched = |builder: BursarBuilder| builder.watch_every(None).observer(Arc::new(Tap(sender)));
    let open = match &args.config {
        Some(config) => {
            data::existing(&research::data_of(config)?)?;
            research::with_config_as(config, watched).await?
        }
        None => {
            let folder = data::existing(args.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA)))?;
            let sources = sources_of(&folder).await?;
            let opened = research::in_a_box_as(args.data.as_deref(), sources.folder(), watched).await;
            opened.map_err(|error| match error {
                CliError::Market(MarketError::State(StateFileError::Locked { .. })) => {
                    CliError::Elsewhere { path: folder }
                }
                error => error,
            })?
        }
    };
    let screen = Changes { json: args.json, amounts: Amounts::new(open.bursar.registry().clone()) };
    let mut found = open.bursar.recovered();
    if args.once {
        // What a pass saw move may still be owed: only the next one looks at that.
        if found.paid > 0 && found.is_quiet() {
            found = open.bursar.recover().await?;
        }
    } else {
        let (failed, mut failures) = mpsc::unbounded_channel();
        let every = Duration::from_secs(args.every);
        open.bursar.watch(Some(every), move |pass: &Result<Recovered, FetchError>| {
            if let Err(error) = pass {
                let _ = failed.send(bursar::types::causes(error));
            }
        });
        if !args.json {
            Notes.say(format!("looking after what is open every {} s; Ctrl-C stops it", args.every));
        }
        // Opening looked already.
        let mut expiry = tokio::time::interval_at(tokio::time::Instant::now() + EXPIRY, EXPIRY);
        loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => screen.put(&event),
                Some(problem) = failures.recv() => Notes.say(format!("note: could not look: {problem}")),
                _ = expiry.tick() => {
                    if let Err(error) = open.bursar.erase_expired().await {
                        Notes.say(format!("note: what has expired could not be erased: {error}"));
                    }
                }
                () = interrupt.wait() => break,
            }
        }
    }
    open.bursar.close().await.map_err(CliError::Afterwards)?;
    while let Ok(event) = events.try_recv() {
        screen.put(&event);
    }
    if let Some((market, _)) = open.market {
        market.market.stop().await;
    }
    if !args.once {
        return Ok(Exit::Done);
    }
    let exit = if is_quiet(found) { Exit::Done } else { Exit::Open };
    screen.end(found, exit);
    Ok(exit)
}

/// The sources that the market in a box of a folder sells: where something is open, else where something was bought last.
async fn sources_of(folder: &Path) -> Result<Sources, CliError> {
    let ledger = data::ledger(folder)?;
    let mut sessions = report::sessions(&ledger).await?;
    ledger.close().await.map_err(BursarError::from)?;
    sessions.sort_by_key(|session| (session.open, session.at));
    for session in sessions.iter().rev() {
        if let Some(sources) = market_box::remembered(folder, session.id)? {
            return Ok(sources);
        }
    }
    market_box::any(folder)?.ok_or_else(|| CliError::NoBox { path: folder.to_owned() })
}

/// Prints changes to stdout.
struct Changes {
    json: bool,
    amounts: Amounts,
}

impl Changes {
    fn put(&self, event: &MoneyEvent) {
        let text = if self.json {
            serde_json::to_string(event).ok()
        } else {
            self.told(event).map(|text| format!("{}  {text}", SystemClock.now()))
        };
        if let Some(text) = text {
            put(&text);
        }
    }

    /// A change in words; `None` for what recovery never tells.
    fn told(&self, event: &MoneyEvent) -> Option<String> {
        let what = |payment: &bursar::types::PaymentView| {
            format!(
                "{} to {} for {}",
                self.amounts.show(&payment.amount),
                vendor(&payment.host, &payment.payee),
                line(&payment.resource, 120)
            )
        };
        Some(match event {
            MoneyEvent::Paid { payment } => format!("paid      {}", what(payment)),
            MoneyEvent::Observed { payment } => {
                let receipt = payment.receipt.as_ref().map_or("", |receipt| &receipt.reference);
                format!("observed  {} on chain: {}", short(&line(receipt, 100)), what(payment))
            }
            MoneyEvent::NotPaid { payment, proof } => {
                format!("not paid  {payment}: nothing moved: {}", line(proof, 300))
            }
            MoneyEvent::Unknown { payment, problem } => {
                format!("unknown   whether {} moved: {}", what(payment), line(problem, 300))
            }
            MoneyEvent::Delivered { payment, artifact } => {
                format!("got       {} ({}): {}", artifact.id, bytes(artifact.size_bytes), what(payment))
            }
            MoneyEvent::Undelivered { payment, problem } => {
                format!("owed      {}: {}", what(payment), line(problem, 300))
            }
            MoneyEvent::Claimed { payment, amount, problem } => {
                format!(
                    "claimed   {} of {}: {}",
                    self.amounts.show(amount),
                    what(payment),
                    line(problem, 300)
                )
            }
            MoneyEvent::RemedyFailed { payment, problem } => {
                format!("failed    a remedy for {}: {}", what(payment), line(problem, 300))
            }
            MoneyEvent::Refunded { payment, amount } => {
                format!("refunded  {} of {}", self.amounts.show(amount), what(payment))
            }
            MoneyEvent::Parked { payment, problem, owner, due } => format!(
                "parked    with {} until {due}: {}: {}",
                line(owner, 40),
                what(payment),
                line(problem, 300)
            ),
            _ => return None,
        })
    }

    /// What is left, after the one look.
    fn end(&self, found: Recovered, exit: Exit) {
        if self.json {
            put(&json!({ "cli": "pass", "found": found, "quiet": is_quiet(found), "exit": exit.code() })
                .to_string());
        } else if !is_quiet(found) {
            Notes.say(format!("still open: {}; `bursar obligations` lists it", left(found)));
        }
        if !self.json && found.model_open > 0 {
            let count = found.model_open;
            let tries = if count == 1 { "try of a model is" } else { "tries of models are" };
            Notes.say(format!(
                "{count} {tries} not settled, and the most it may cost stays set aside: go on with the run (`bursar resume`)"
            ));
        }
    }
}

/// Whether everything is over or with a person: payments, and the sagas that they are steps of.
const fn is_quiet(found: Recovered) -> bool {
    let sagas = found.sagas;
    found.is_quiet() && sagas.running == 0 && sagas.unwinding == 0 && sagas.busy == 0 && sagas.failed == 0
}

/// What keeps a pass from being quiet, in words.
fn left(found: Recovered) -> String {
    let counts = [
        (found.unknown, "not known to have moved"),
        (found.owed, "paid and owed"),
        (found.claimed, "asked back"),
        (found.busy, "in other hands"),
        (found.failed, "not readable now"),
        (found.sagas.running, "of running sagas"),
        (found.sagas.unwinding, "of sagas that are being taken back"),
        (found.sagas.busy, "of sagas in other hands"),
        (found.sagas.failed, "of sagas not readable now"),
    ];
    let parts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn bytes(count: u64) -> String {
    format!("{count} bytes")
}

/// Prints to stdout. A reader that went away is no fault of the payments'.
fn put(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}
