//! `bursar audit erase`: payloads of what is finished go, for ever.

use crate::args::EraseArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::erase::{EraseScope, Erased, erase as erased, would_erase};
use bursar::ledger::{Ledger, StreamId};
use bursar::memory::Library;
use bursar::types::{Clock as _, SessionId, Timestamp};
use bursar::{BursarError, SystemClock};
use std::fmt::Write as _;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn erase(args: EraseArgs) -> Result<Exit, CliError> {
    let folder = data::existing(&args.data.folder)?;
    if let (Some(session), Some(by), false) = (args.what.session, &args.end, args.dry_run) {
        let desk = data::desk(&args.data.folder)?;
        // Nothing is left to end of one that was erased, as by a run of this that was cut off.
        if !is_erased(desk.ledger(), session).await? {
            desk.revoke(session, by).await.map_err(BursarError::from)?;
        }
        desk.ledger().close().await.map_err(BursarError::from)?;
    }
    let ledger = data::ledger(&args.data.folder)?;
    let now = SystemClock.now();
    let scope = scope(&args, now);
    let told = if args.dry_run {
        would_erase(&ledger, &scope, now).await?
    } else {
        let library = Library::open(folder.join("library.sqlite"), ledger.clone()).await;
        erased(&ledger, &library.map_err(BursarError::from)?, &scope, now).await?
    };
    ledger.close().await.map_err(BursarError::from)?;
    let text = if args.json { json(&told) } else { text(&told, args.dry_run) };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

async fn is_erased(ledger: &Ledger, session: SessionId) -> Result<bool, CliError> {
    let found = ledger.stream_with_payloads(&StreamId::of("session", session), 0).await;
    let found = found.map_err(BursarError::from)?;
    Ok(found.first().is_some_and(|(entry, payload)| entry.detail().is_some() && payload.is_none()))
}

fn scope(args: &EraseArgs, now: Timestamp) -> EraseScope {
    let what = &args.what;
    match (what.payment, what.session, &what.user) {
        (Some(payment), _, _) => EraseScope::Payment(payment),
        (None, Some(session), _) => EraseScope::Session(session),
        (None, None, Some(user)) => EraseScope::User(user.clone()),
        (None, None, None) => {
            let age_ms = what.older_than.unwrap_or(u64::MAX);
            EraseScope::OlderThan(Timestamp::from_unix_ms(now.unix_ms().saturating_sub(age_ms)))
        }
    }
}

fn json(told: &Erased) -> String {
    serde_json::to_string(told).map(|text| text + "\n").unwrap_or_default()
}

fn text(told: &Erased, dry_run: bool) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let verb = if dry_run { "would erase" } else { "erased" };
    let parts = [
        count(told.payments.len(), "payment"),
        count(told.sessions.len(), "session"),
        count(told.runs.len(), "run"),
    ];
    let mut text = format!("{verb} {} payloads: {}\n", told.payloads, parts.join(", "));
    let ids = told.payments.iter().map(ToString::to_string);
    let ids = ids.chain(told.sessions.iter().map(ToString::to_string));
    for id in ids.chain(told.runs.iter().map(ToString::to_string)) {
        let _ = writeln!(text, "  {id}");
    }
    if told.forgotten {
        text.push_str("nothing in the tree leads to the name any more\n");
    }
    for kept in &told.kept {
        let _ = writeln!(text, "kept {}: {}", line(&kept.what, 80), kept.why);
    }
    text
}
