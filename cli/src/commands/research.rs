//! `bursar research`: a question, answered from sources that are bought.

mod ask;
mod outcome;

use outcome::Asked;
pub(crate) use outcome::{Bought, Chain, Outcome, Source};

use crate::args::{ApproveArg, ModelArg, ResearchArgs, default_budget};
use crate::data;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::market_box::{self, MarketBox};
use crate::screen::{Amounts, JsonScreen, Notes, Screen, TextScreen};
use ask::{Asking, asking};
use bursar::agent::RunError;
use bursar::types::{Amount, PlanOutcome, SessionId};
use bursar::{Agent, Bursar, Event, EventStream, Mandate, MoneyEvent, RunReport, Session, models, tools};
use bursar_market::Address;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;

const STOPPING: &str = "\nstopping: payments in flight go on to their end; Ctrl-C again leaves at once";

/// What a run begins with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) session: SessionId,
    pub(crate) question: String,
    /// What sells here, in words.
    pub(crate) place: String,
    pub(crate) budget: Option<Amount>,
    pub(crate) approve: ApproveArg,
}

/// Everything a run needs, open.
struct Open {
    bursar: Bursar,
    data: PathBuf,
    market: Option<(MarketBox, Address)>,
    mandate: Option<Mandate>,
    place: String,
}

/// Runs the command.
pub(crate) async fn run(args: ResearchArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::watch(Notes, STOPPING);
    let open = match &args.config {
        Some(config) => with_config(config).await?,
        None => in_a_box(&args).await?,
    };
    let (approve, mut asked) = asking(args.approve);
    let mut builder = open.bursar.session(&args.question).approve(approve);
    if let Some(mandate) = open.mandate.clone() {
        builder = builder.mandate(mandate);
    }
    let session = builder.start().await?;
    let amounts = Amounts::new(open.bursar.registry().clone());
    let mut screen: Box<dyn Screen> =
        if args.json { Box::new(JsonScreen) } else { Box::new(TextScreen::new(amounts)) };
    screen.begin(&Setting {
        session: session.id(),
        question: args.question.clone(),
        place: open.place.clone(),
        budget: open.mandate.as_ref().map(|_| budget(&args)),
        approve: args.approve,
    });
    let id = session.id();
    let mut events = session.events().map(Heard::new);
    let result = drive(&args, &session, events.as_mut(), &mut asked, &interrupt, &mut *screen).await;
    drop(session);
    // From here on only payments in flight are waited for. What is told afterwards is read from what is durable.
    open.bursar.close().await.map_err(CliError::Afterwards)?;
    drain(events.as_mut(), &mut *screen).await;
    let (report, failure) = match result? {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(error)),
    };
    let wanted = events.map(|heard| heard.wanted).unwrap_or_default();
    let asked = Asked { session: id, wanted, approve: args.approve, interrupted: interrupt.came() };
    let outcome = outcome::gather(&open, asked, report).await?;
    screen.end(&outcome);
    if let Some((market, _)) = open.market {
        market.market.stop().await;
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(outcome.exit),
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

/// Runs the agent and shows what happens. The outer error is one before the run, the inner one its own.
async fn drive(
    args: &ResearchArgs,
    session: &Session,
    mut events: Option<&mut Heard>,
    asked: &mut Asking,
    interrupt: &Interrupt,
    screen: &mut dyn Screen,
) -> Result<Result<RunReport, RunError>, CliError> {
    let model = match args.model {
        ModelArg::Extractive => models::extractive(),
    };
    let agent = Agent::builder(model).tools(tools::research(session)?).build()?;
    let mut run = pin!(agent.run(session.run_context(), &args.question));
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
                drain(events, screen).await;
                return Ok(done);
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

fn budget(args: &ResearchArgs) -> Amount {
    args.budget.clone().unwrap_or_else(default_budget)
}

/// Starts the market in a box, and opens the data folder beside it.
async fn in_a_box(args: &ResearchArgs) -> Result<Open, CliError> {
    // Sources are looked at before anything is made, so that a wrong folder leaves nothing behind.
    if let Some(folder) = &args.sources {
        bursar_market::Library::read(folder).map_err(bursar_market::MarketError::from)?;
    }
    let data = data::folder(args.data.as_deref())?;
    let builder = Bursar::builder(&data).play_wallet()?;
    let address = builder.address().unwrap_or_default().to_owned();
    let buyer: Address = address.parse().map_err(|_| CliError::Address(address))?;
    let market = MarketBox::start(&data, args.sources.as_deref(), buyer).await?;
    if market.moved {
        Notes.say("note: the ports this market had before are taken, so it has other addresses now; what was bought at the old ones is still owned");
    }
    for skipped in market.market.skipped() {
        Notes.say(format!("note: left out `{}`: it {}", skipped.path, skipped.reason));
    }
    let token = market_box::asset(&market.market);
    let bursar = builder
        .asset(token.clone())
        .network(market.market.network(), vec![market.market.rpc_url().to_owned()], true)
        .discovery(market.market.discovery_url())
        .open()
        .await?;
    let mandate =
        Mandate::new(&args.question, "local").session_budget(budget(args)).asset(token.id().clone());
    let place = format!(
        "{} documents from {} sellers on this machine, for play money ({})",
        market.market.sellers().first().map_or(0, |seller| seller.documents().count()),
        market.market.sellers().len(),
        market.market.network()
    );
    Ok(Open { bursar, data, market: Some((market, buyer)), mandate: Some(mandate), place })
}

/// Opens what a configuration file describes.
async fn with_config(path: &std::path::Path) -> Result<Open, CliError> {
    let bursar = Bursar::open(path).await?;
    let data = outcome::data_of(path)?;
    Ok(Open { bursar, data, market: None, mandate: None, place: format!("as `{}` says", path.display()) })
}
