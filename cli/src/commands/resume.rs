//! `bursar resume`: goes on with a session from its last record.

use super::research::{self, Setting, Waiting, Watch, Work};
use crate::args::{ApproveArg, ResumeArgs};
use crate::data;
use crate::exit::{CliError, Exit};
use crate::market_box;
use crate::screen::{Notes, line};
use bursar::BursarError;
use bursar::agent::{PersonAnswer, read_run};
use bursar::payments::PlanApproval;
use bursar::report::{self, RunBrief, SessionReport};
use bursar::types::CallId;
use bursar_market::{MarketError, StateFileError};
use std::path::Path;
use std::time::Duration;

/// What is gone on with.
struct Chosen {
    session: SessionReport,
    run: RunBrief,
    /// How many other runs of the session can go on.
    others: usize,
    waiting: Option<Waiting>,
}

/// Runs the command.
pub(crate) async fn run(args: ResumeArgs) -> Result<Exit, CliError> {
    let interrupt = research::interrupt();
    let folder = match &args.config {
        Some(config) => research::data_of(config)?,
        None => data::folder(args.data.as_deref())?,
    };
    let chosen = choose(&folder, &args.session).await?;
    let answers = answer(&args, &chosen)?.into_iter().collect();
    let open = match &args.config {
        Some(config) => research::with_config(config).await?,
        None => {
            let Some(sources) = market_box::remembered(&folder, chosen.session.id)? else {
                let problem = format!(
                    "session {} was begun with a configuration; name it with --config",
                    chosen.session.id
                );
                return Err(CliError::NotResumed { problem, others: Vec::new() });
            };
            let opened = research::in_a_box(args.data.as_deref(), sources.folder()).await;
            opened.map_err(|error| match error {
                CliError::Market(MarketError::State(StateFileError::Locked { .. })) => {
                    CliError::Elsewhere { path: folder.clone() }
                }
                error => error,
            })?
        }
    };
    let open = open.asking(&args.model);
    if chosen.others > 0 {
        Notes.say(
            "note: another run of this session is not finished; the same command goes on with it afterwards",
        );
    }
    let Chosen { session: known, run, .. } = chosen;
    let approve = who_is_asked(args.approve, &known);
    let (approver, asked) = research::asking(approve);
    let session = open.bursar.resume(known.id, approver).await?;
    let mut screen = research::screen(args.json, &open.bursar);
    screen.begin(&Setting {
        session: known.id,
        resumed: true,
        question: run.question,
        place: open.place.clone(),
        budget: known.budget,
        approve,
    });
    let agent = research::agent(&args.model, &open, &session).await?;
    let wait = args.wait.map(Duration::from_secs);
    let watch = Watch { screen, asked, interrupt, approve, wait };
    research::to_the_end(open, session, agent, Work::Resume(run.run, answers), watch).await
}

/// Who is asked from here on. It only narrows; and where answers are signed, nobody at a terminal is asked for one without.
fn who_is_asked(given: Option<ApproveArg>, known: &SessionReport) -> ApproveArg {
    let strictest = known.approval.strictest(given.map_or(known.approval, PlanApproval::from));
    match (strictest, given) {
        (PlanApproval::Never, _) => ApproveArg::Never,
        (_, Some(ApproveArg::Wait)) => ApproveArg::Wait,
        // What the mandate asks about is asked about whoever sits here.
        (PlanApproval::Ask, None | Some(ApproveArg::Auto)) if known.signed_approvals => ApproveArg::Auto,
        (strictest, _) => ApproveArg::from(strictest),
    }
}

/// Finds the session and its run: the oldest that can go on, else the last one, which gives its answer again.
async fn choose(folder: &Path, given: &str) -> Result<Chosen, CliError> {
    let ledger = data::ledger(folder)?;
    let mut sessions = report::sessions(&ledger).await?;
    let found: Vec<usize> = sessions
        .iter()
        .enumerate()
        .filter(|(_, session)| begins(&session.id.to_string(), given))
        .map(|(index, _)| index)
        .collect();
    let session = match found.as_slice() {
        [] => return Err(unknown(given, &sessions)),
        [only] => sessions.swap_remove(*only),
        several => {
            let others = several.iter().filter_map(|index| sessions.get(*index)).map(told).collect();
            let problem = format!(
                "`{}` is the beginning of {} sessions; give more of it:",
                line(given, 80),
                several.len()
            );
            return Err(CliError::NotResumed { problem, others });
        }
    };
    let unfinished = session.runs.iter().filter(|run| run.can_go_on());
    let others = unfinished.clone().count().saturating_sub(1);
    let Some(run) = unfinished.clone().next().or(session.runs.last()).cloned() else {
        let problem = format!("session {} has no run to go on with", session.id);
        return Err(CliError::NotResumed { problem, others: Vec::new() });
    };
    let go_on = |source| CliError::Run { source, go_on: format!("bursar resume {}", session.id) };
    let (state, _) = read_run(&ledger, run.run).await.map_err(go_on)?;
    ledger.close().await.map_err(BursarError::from)?;
    Ok(Chosen { waiting: Waiting::of(&state), session, run, others })
}

/// Whether an id begins as given, with its kind or without.
pub(crate) fn begins(id: &str, given: &str) -> bool {
    let digits = id.split_once('_').map_or(id, |(_, digits)| digits);
    !given.is_empty() && (id.starts_with(given) || digits.starts_with(given))
}

fn unknown(given: &str, sessions: &[SessionReport]) -> CliError {
    let unfinished = sessions.iter().filter(|session| session.runs.iter().any(RunBrief::can_go_on));
    let others: Vec<_> = unfinished.map(told).collect();
    let what = if others.is_empty() { ", and none that is not finished" } else { "; these can go on:" };
    let problem = format!("there is no session `{}` in this data folder{what}", line(given, 80));
    CliError::NotResumed { problem, others }
}

fn told(session: &SessionReport) -> String {
    let stopped = session.runs.iter().filter(|run| run.can_go_on()).find_map(|run| run.stopped.as_ref());
    let why = stopped.map_or_else(String::new, |why| format!(": {}", line(&why.to_string(), 120)));
    format!("{}  {}{why}", session.id, line(&session.purpose, 60))
}

/// What the person says, if anything, of the call that the run waits with.
fn answer(args: &ResumeArgs, chosen: &Chosen) -> Result<Option<PersonAnswer>, CliError> {
    let (Some(given), Some(by)) = (&args.call, &args.by) else { return Ok(None) };
    let waits = |waiting: &&Waiting| begins(&waiting.call.to_string(), given);
    let Some(Waiting { call, .. }) = chosen.waiting.as_ref().filter(waits) else {
        let problem = format!("call `{}` does not wait for a person", line(given, 80));
        let others = chosen
            .waiting
            .iter()
            .map(|waiting| format!("{} of `{}` does", waiting.call, line(&waiting.tool, 80)));
        return Err(CliError::NotResumed { problem, others: others.collect() });
    };
    Ok(Some(said(*call, by, args)))
}

fn said(call: CallId, by: &str, args: &ResumeArgs) -> PersonAnswer {
    let answer = match &args.happened {
        Some(outcome) => PersonAnswer::happened(call, by, outcome),
        None => PersonAnswer::did_not_happen(call, by),
    };
    match &args.note {
        Some(note) => answer.note(note),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_the_beginning_of_its_id() {
        for given in ["ses_12ab", "ses_1", "12", "12ab"] {
            assert!(begins("ses_12ab", given), "{given}");
        }
        for given in ["", "ab", "ses_2", "ses_12abc"] {
            assert!(!begins("ses_12ab", given), "{given}");
        }
    }
}
