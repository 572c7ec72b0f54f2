//! `bursar research`: a question, answered from sources that are bought.

mod ask;
mod drive;
mod open;
mod outcome;

pub(crate) use ask::asking;
pub(crate) use drive::{Watch, Work, agent, interrupt, screen, to_the_end};
pub(crate) use open::{data_of, in_a_box, in_a_box_as, with_config, with_config_as};
pub(crate) use outcome::{AwaitedAnswer, Bought, Chain, Outcome, Source, Waiting};

use crate::args::{ApproveArg, ResearchArgs, default_budget};
use crate::exit::{CliError, Exit};
use crate::market_box;
use crate::screen::Notes;
use bursar::Mandate;
use bursar::types::{Amount, SessionId};
use open::Open;
use std::time::Duration;

/// What a run begins with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) session: SessionId,
    /// Whether it was begun before.
    pub(crate) resumed: bool,
    pub(crate) question: String,
    /// What sells here, in words.
    pub(crate) place: String,
    pub(crate) budget: Option<Amount>,
    pub(crate) approve: ApproveArg,
}

/// Runs the command.
pub(crate) async fn run(args: ResearchArgs) -> Result<Exit, CliError> {
    let interrupt = interrupt();
    let open = match &args.config {
        Some(config) => with_config(config).await?,
        None => in_a_box(args.data.as_deref(), args.sources.as_deref()).await?,
    };
    let open = open.asking(&args.model);
    note_unfinished(&open, &args.question).await?;
    let (approve, asked) = asking(args.approve);
    let mut builder = open.bursar.session(&args.question).approve(approve);
    let budget = args.budget.clone().unwrap_or_else(default_budget);
    if let Some(token) = &open.token {
        let mandate = Mandate::new(&args.question, "local").session_budget(budget.clone());
        builder = builder.mandate(mandate.asset(token.clone()));
    }
    let session = builder.start().await?;
    if open.market.is_some() {
        market_box::remember(&open.data, session.id(), args.sources.as_deref())?;
    }
    let mut screen = screen(args.json, &open.bursar);
    screen.begin(&Setting {
        session: session.id(),
        resumed: false,
        question: args.question.clone(),
        place: open.place.clone(),
        budget: open.token.as_ref().map(|_| budget),
        approve: args.approve,
    });
    let agent = agent(&args.model, &open, &session).await?;
    let wait = args.wait.map(Duration::from_secs);
    let watch = Watch { screen, asked, interrupt, approve: args.approve, wait };
    to_the_end(open, session, agent, Work::Ask(args.question), watch).await
}

/// Says so if the same was asked before and did not come to its end: going on is cheaper than beginning anew.
async fn note_unfinished(open: &Open, question: &str) -> Result<(), CliError> {
    for session in open.bursar.sessions().await? {
        if session.runs.iter().any(|run| run.question == question && run.can_go_on()) {
            let command = open.go_on(session.id);
            Notes.say(format!("note: this was asked before and not finished; `{command}` goes on with that"));
        }
    }
    Ok(())
}
