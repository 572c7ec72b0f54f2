//! `bursar clock`.

use crate::args::ClockArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::BursarError;
use bursar::payments::ClockStanding;
use std::io::Write as _;

/// Shows the clock beside the journal's time, or turns that back.
pub(crate) async fn run(args: ClockArgs) -> Result<Exit, CliError> {
    let desk = data::desk(&args.data.folder)?;
    let answer = match (&args.by, &args.reason) {
        (Some(by), Some(reason)) => {
            let turned = desk.turn_clock_back(by, reason).await;
            turned.map(|turned| {
                let (from, to, by) = (turned.from, turned.to, line(by, 80));
                (
                    format!("the journal's time was turned back from {from} to {to}, as {by} says\n"),
                    Exit::Done,
                )
            })
        }
        _ => desk.clock().await.map(|standing| (shown(standing), ends(standing))).map_err(Into::into),
    };
    desk.ledger().close().await.map_err(BursarError::from)?;
    let (text, exit) = answer.map_err(BursarError::from)?;
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

fn ends(standing: ClockStanding) -> Exit {
    if standing.is_behind() { Exit::Failed } else { Exit::Done }
}

fn shown(standing: ClockStanding) -> String {
    let now = standing.now;
    match standing.written {
        None => format!("the clock says {now}, and nothing was written yet\n"),
        Some(written) if standing.is_behind() => format!(
            "the clock says {now}, and the journal was written at {written}: nothing is bought (CLOCK_BEHIND)\n\
             if the clock is wrong, set it right; if it is right and had once been ahead:\n  \
             bursar clock --accept --by NAME --reason TEXT\n"
        ),
        Some(written) => format!("the clock says {now}, and the journal was written last at {written}\n"),
    }
}
