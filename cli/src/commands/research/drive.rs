//! Driving a run while showing it, and telling what came of it once everything is closed.

use super::ask::Asking;
use super::open::Open;
use super::outcome::{self, Asked};
use crate::args::{ApproveArg, ModelArg};
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::screen::{Amounts, JsonScreen, Notes, Screen, TextScreen};
use bursar::agent::RunError;
use bursar::types::PlanOutcome;
use bursar::{Agent, Bursar, Event, EventStream, MoneyEvent, RunReport, Session, models, tools};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;

const STOPPING: &str = "\nstopping: payments in flight go on to their end; Ctrl-C again leaves at once";

/// Who watches a run: the person at the terminal.
pub(crate) struct Watch {
    pub(crate) screen: Box<dyn Screen>,
    pub(crate) asked: Asking,
    pub(crate) interrupt: Interrupt,
    pub(crate) approve: ApproveArg,
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
pub(crate) fn agent(model: ModelArg, session: &Session) -> Result<Agent, CliError> {
    let model = match model {
        ModelArg::Extractive => models::extractive(),
    };
    Ok(Agent::builder(model).tools(tools::research(session)?).build()?)
}

/// Drives a run to its end, closes everything, and tells what came of it.
pub(crate) async fn to_the_end(
    open: Open,
    session: Session,
    run: impl Future<Output = Result<RunReport, RunError>>,
    mut watch: Watch,
) -> Result<Exit, CliError> {
    let id = session.id();
    let mut events = session.events().map(Heard::new);
    let result = drive(run, &session, events.as_mut(), &mut watch).await;
    drop(session);
    // From here on only payments in flight are waited for. What is told afterwards is read from what is durable.
    open.bursar.close().await.map_err(CliError::Afterwards)?;
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
    let asked = Asked {
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
    failure.map_or(Ok(outcome.exit), Err)
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
