//! Driving a run while showing it, and telling what came of it once everything is closed.

use super::ask::Asking;
use super::open::Open;
use super::outcome::{self, Asked, AwaitedAnswer};
use crate::args::{ApproveArg, ModelArgs};
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::model;
use crate::screen::{Amounts, JsonScreen, Notes, Screen, TextScreen};
use bursar::agent::{OnQuestion, PersonAnswer, RunError, RunOutcome, StopCause, ToolSet};
use bursar::types::{ApprovalId, PlanOutcome, RunId, Timestamp};
use bursar::{Agent, Bursar, BursarError, Event, EventStream, MoneyEvent, RunReport, Session, tools};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// How often an answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const STOPPING: &str = "\nstopping: payments in flight go on to their end; Ctrl-C again leaves at once";

/// Who watches a run: the person at the terminal.
pub(crate) struct Watch {
    pub(crate) screen: Box<dyn Screen>,
    pub(crate) asked: Asking,
    pub(crate) interrupt: Interrupt,
    pub(crate) approve: ApproveArg,
    /// How long an answer is waited for, with [`ApproveArg::Wait`]; `None` as long as its question counts.
    pub(crate) wait: Option<Duration>,
}

/// What a run is to do.
pub(crate) enum Work {
    /// A new question.
    Ask(String),
    /// A run goes on, first with what a person says of its calls.
    Resume(RunId, Vec<PersonAnswer>),
}

/// Begins to listen for Ctrl-C.
pub(crate) fn interrupt() -> Interrupt {
    Interrupt::watch(Notes, STOPPING)
}

/// The screen that was asked for.
pub(crate) fn screen(json: bool, bursar: &Bursar) -> Box<dyn Screen> {
    if json {
        Box::new(JsonScreen)
    } else {
        Box::new(TextScreen::new(Amounts::new(bursar.registry().clone())))
    }
}

/// The research agent: the same for a session whenever it is put together.
pub(crate) async fn agent(model: &ModelArgs, open: &Open, session: &Session) -> Result<Agent, CliError> {
    let model = model::model(model, open.model.as_ref()).await?;
    // The models that come with Bursar read no instructions.
    let reads = model.model.descriptor().provider != "builtin";
    let builder = model.agent().tools(all_tools(open, session).await?);
    let prompt = tools::prompt("research").filter(|_| reads).transpose();
    let prompt = prompt.map_err(|error| CliError::Model { problem: error.to_string() })?;
    let builder = match &prompt {
        Some(prompt) => builder.prompt(prompt),
        None => builder,
    };
    Ok(builder.build()?)
}

/// The tools of a research agent, and those of the MCP servers and APIs that the configuration declares. One that cannot be used is
/// told, and the run goes on without it.
async fn all_tools(open: &Open, session: &Session) -> Result<ToolSet, CliError> {
    let tools = tools::research(session)?;
    #[cfg(feature = "mcp")]
    let tools = {
        let mut all = tools;
        for (name, connected) in open.bursar.mcp_servers().await {
            match connected {
                Ok(server) => {
                    for changed in server.changed() {
                        let tool = crate::screen::line(&changed.name, 60);
                        Notes.say(format!(
                            "note: `{tool}` of the MCP server {name} changed since it was accepted, and is not used; `bursar servers` says more"
                        ));
                    }
                    all = all
                        .merged(server.tools().map_err(tools::ResearchError::from)?)
                        .map_err(tools::ResearchError::from)?;
                }
                Err(error) => Notes.say(format!("note: goes on without an MCP server: {error}")),
            }
        }
        all
    };
    #[cfg(feature = "openapi")]
    let tools = {
        let mut all = tools;
        for (name, opened) in open.bursar.apis() {
            match opened {
                Ok(api) => {
                    all = all
                        .merged(api.tools().map_err(tools::ResearchError::from)?)
                        .map_err(tools::ResearchError::from)?;
                }
                Err(error) => Notes.say(format!("note: goes on without the API {name}: {error}")),
            }
        }
        all
    };
    #[cfg(not(any(feature = "mcp", feature = "openapi")))]
    let _ = open;
    Ok(tools)
}

/// Drives a run to its end, closes everything, and tells what came of it.
pub(crate) async fn to_the_end(
    open: Open,
    session: Session,
    agent: Agent,
    work: Work,
    mut watch: Watch,
) -> Result<Exit, CliError> {
    let id = session.id();
    let signed = session.mandate().await.is_ok_and(|mandate| mandate.needs_signature());
    let mut events = session.events().map(Heard::new);
    let result = drive_on(&open, &session, &agent, work, events.as_mut(), &mut watch).await;
    drop(session);
    // From here on only payments in flight are waited for. What is told afterwards is read from what is durable.
    let alarm = match open.bursar.close().await {
        Ok(()) => None,
        // The data file is closed, and what was done can be told.
        Err(alarm @ BursarError::Alarm(_)) => Some(CliError::Bursar(alarm)),
        Err(error) => return Err(CliError::Afterwards(error)),
    };
    drain(events.as_mut(), &mut *watch.screen).await;
    let goes_on = match &result {
        Ok(report) => report.can_go_on(),
        Err(error) => !matches!(error, RunError::Fenced { .. }),
    };
    let command = open.go_on(id);
    let (report, failure) = match result {
        Ok(report) => (Some(report), None),
        Err(source) => (None, Some(CliError::Run { source, go_on: command.clone() })),
    };
    let question = report.as_ref().and_then(|report| waits_for(&report.outcome));
    let asked = Asked {
        question: question.map(|(approval, until)| AwaitedAnswer {
            approval,
            until,
            answer_with: match signed {
                true => open.answer(approval),
                false => format!("{command} --approve ask"),
            },
            signed,
        }),
        session: id,
        wanted: events.map(|heard| heard.wanted).unwrap_or_default(),
        approve: watch.approve,
        interrupted: watch.interrupt.came(),
        go_on: goes_on.then_some(command),
    };
    let outcome = outcome::gather(&open, asked, report).await?;
    watch.screen.end(&outcome);
    if let Some((market, _)) = open.market {
        market.market.stop().await;
    }
    failure.or(alarm).map_or(Ok(outcome.exit), Err)
}

/// Drives a run, and goes on with it after each answer that was waited for.
async fn drive_on(
    open: &Open,
    session: &Session,
    agent: &Agent,
    work: Work,
    mut events: Option<&mut Heard>,
    watch: &mut Watch,
) -> Result<RunReport, RunError> {
    let mut context = session.run_context();
    context.on_question = OnQuestion::Pause;
    let began = context.clone();
    let first = async {
        match work {
            Work::Ask(question) => agent.run(began, &question).await,
            Work::Resume(run, answers) => agent.resume_with(began, run, answers).await,
        }
    };
    let mut report = drive(first, session, events.as_deref_mut(), watch).await?;
    while let Some((approval, until)) = waits_for(&report.outcome) {
        if watch.approve != ApproveArg::Wait || !answered(open, approval, until, watch).await {
            break;
        }
        let goes_on = agent.resume(context.clone(), report.run);
        report = drive(goes_on, session, events.as_deref_mut(), watch).await?;
    }
    Ok(report)
}

/// The question that a run waits for, and until when it counts.
const fn waits_for(outcome: &RunOutcome) -> Option<(ApprovalId, Timestamp)> {
    match outcome {
        RunOutcome::Stopped { cause: StopCause::AwaitingApproval { approval, until, .. } } => {
            Some((*approval, *until))
        }
        RunOutcome::Stopped { .. } | RunOutcome::Answered { .. } => None,
    }
}

/// Waits for the answer to a question. False if it did not come in time, or if nobody waits any more.
async fn answered(open: &Open, approval: ApprovalId, until: Timestamp, watch: &Watch) -> bool {
    let command = open.answer(approval);
    Notes.say(format!("waiting for an answer to question {approval} until {until}: `{command}`"));
    let over = async {
        match watch.wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    let mut over = pin!(over);
    loop {
        let pending = open.bursar.desk().approvals().await;
        let pending = pending
            .map(|waits| waits.iter().any(|waits| waits.question.id == approval && waits.given_by.is_none()));
        match pending {
            // It was answered, or counts no longer: the run finds out which.
            Ok(false) => return true,
            Ok(true) => {}
            Err(error) => {
                Notes.say(format!("note: the answers cannot be read: {error}"));
                return false;
            }
        }
        tokio::select! {
            biased;
            () = watch.interrupt.wait() => return false,
            () = &mut over => return false,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A session's events, and what its plans were to buy.
struct Heard {
    stream: EventStream,
    wanted: BTreeSet<String>,
}

impl Heard {
    const fn new(stream: EventStream) -> Self {
        Self { stream, wanted: BTreeSet::new() }
    }
}

/// Drives a run and shows what happens.
async fn drive(
    run: impl Future<Output = Result<RunReport, RunError>>,
    session: &Session,
    mut events: Option<&mut Heard>,
    watch: &mut Watch,
) -> Result<RunReport, RunError> {
    let Watch { screen, asked, interrupt, .. } = watch;
    let mut run = pin!(run);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            Some(event) = next(events.as_deref_mut()) => screen.event(&event),
            Some(question) = asked.next() => question.put(interrupt).await,
            () = interrupt.wait(), if !told => {
                told = true;
                session.cancel();
            }
            done = &mut run => {
                drain(events, &mut **screen).await;
                return done;
            }
        }
    }
}

async fn next(events: Option<&mut Heard>) -> Option<Event> {
    let heard = events?;
    let event = heard.stream.recv().await?;
    if let Event::Money(MoneyEvent::PlanDecided { outcome: PlanOutcome::Approved { plan, .. } }) = &event {
        heard.wanted.extend(plan.items.iter().map(|item| item.resource.clone()));
    }
    Some(event)
}

/// Shows what has happened, and waits for nothing.
async fn drain(mut events: Option<&mut Heard>, screen: &mut dyn Screen) {
    loop {
        let mut waiting = pin!(next(events.as_deref_mut()));
        let ready = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match waiting.as_mut().poll(cx) {
                std::task::Poll::Ready(event) => event,
                std::task::Poll::Pending => None,
            })
        });
        match tokio::task::unconstrained(ready).await {
            Some(event) => screen.event(&event),
            None => return,
        }
    }
}
