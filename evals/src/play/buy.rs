//! What an agent does with its purse.

use super::{Memory, Tally};
use crate::scenario::{Item, Pay};
use crate::stage::{Life, Stage, StageError, range};
use bursar::types::{
    DataLabel, FetchError, Fetched, HttpRequest, PlanItem, PlanProposal, Provenance, PurchaseKey, Purse,
    QuoteId, QuoteOutcome, Untrusted,
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A fetch that ended, or `None` where its process died under it.
type Ended = Option<Result<Fetched, FetchError>>;

pub(super) async fn pay(
    stage: &Arc<Stage>,
    label: &str,
    pay: &Pay,
    tally: &mut Tally,
    memory: &mut Memory,
) -> Result<(), StageError> {
    if pay.parallel {
        return at_once(stage, label, pay, tally, memory).await;
    }
    for n in 1..=pay.times {
        let (session, life) = stage.session_named(&pay.session, &pay.process).await?;
        let (key, purchase) = purchase(label, pay, n);
        let ended = fetch(session.purse(), life, purchase, &key).await;
        note(stage, ended, key, tally, memory);
        if n < pay.times && pay.every_s > 0 {
            stage.advance_s(pay.every_s);
        }
    }
    Ok(())
}

async fn at_once(
    stage: &Arc<Stage>,
    label: &str,
    pay: &Pay,
    tally: &mut Tally,
    memory: &mut Memory,
) -> Result<(), StageError> {
    tally.mute = true;
    let (session, life) = stage.session_named(&pay.session, &pay.process).await?;
    let mut tasks = JoinSet::new();
    for n in 1..=pay.times {
        let (key, purchase) = purchase(label, pay, n);
        let (purse, life) = (session.purse(), life.clone());
        tasks.spawn(async move { (fetch(purse, life, purchase, &key).await, key) });
    }
    while let Some(done) = tasks.join_next().await {
        let (ended, key) =
            done.map_err(|error| StageError::Scenario(format!("a purchase panicked: {error}")))?;
        note(stage, ended, key, tally, memory);
    }
    Ok(())
}

fn note(stage: &Stage, ended: Ended, key: String, tally: &mut Tally, memory: &mut Memory) {
    match ended {
        None => tally.ended("died"),
        Some(fetched) => {
            if let Some(payment) = tally.fetched(fetched) {
                memory.payments.insert(key, payment);
            }
            tally.shown.drain(..).for_each(|text| stage.seen.show(&text));
        }
    }
}

/// The n-th purchase of a step, with its key; a URL that is none is what the purse says about it.
fn purchase(label: &str, pay: &Pay, n: u32) -> (String, Result<HttpRequest, FetchError>) {
    let key = pay.key.clone().unwrap_or_else(|| format!("{label}-{{n}}")).replace("{n}", &n.to_string());
    let mut url = pay.url.replace("{n}", &n.to_string());
    if let Some((before, from, to, after)) = range(&pay.url) {
        let width = to.saturating_sub(from).saturating_add(1);
        let at = from.saturating_add(u64::from(n.saturating_sub(1)).checked_rem(width).unwrap_or(0));
        url = format!("{before}{at}{after}").replace("{n}", &n.to_string());
    }
    let mut request = http::Request::builder().method(pay.method.as_str()).uri(as_typed(&url));
    for (name, value) in &pay.headers {
        request = request.header(name, value);
    }
    let request = request.body(Bytes::from(pay.body.clone())).map(|request| labelled(request, pay.data));
    (key, request.map_err(|error| FetchError::Request(format!("`{url}` is no URL: {error}"))))
}

fn labelled(request: HttpRequest, data: Option<DataLabel>) -> HttpRequest {
    match data {
        Some(label) => label.on(request),
        None => request,
    }
}

/// An address as a client sends what a model typed: hosts in their ASCII form, the rest as it is.
fn as_typed(url: &str) -> String {
    if url.is_ascii() {
        url.to_owned()
    } else {
        url::Url::parse(url).map_or_else(|_| url.to_owned(), String::from)
    }
}

async fn fetch(purse: Purse, life: Arc<Life>, request: Result<HttpRequest, FetchError>, key: &str) -> Ended {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    let key = match PurchaseKey::new(key) {
        Ok(key) => key,
        Err(error) => return Some(Err(FetchError::Request(error.to_string()))),
    };
    tokio::select! {
        biased;
        () = life.over() => None,
        fetched = purse.fetch(request, key) => Some(fetched),
    }
}

pub(super) async fn quote(
    stage: &Stage,
    (url, data): (&str, Option<DataLabel>),
    session: &str,
    tally: &mut Tally,
) -> Result<(), StageError> {
    let (session, _) = stage.session_named(session, "main").await?;
    match ask(&session.purse(), ("GET", url, ""), data).await {
        Ok(QuoteOutcome::Quotes(quotes)) => {
            tally.ended("quoted");
            tally.blocked(&quotes);
        }
        Ok(QuoteOutcome::Free(response)) => tally.ended(match response.status().as_u16() {
            200 => "free".to_owned(),
            status => format!("status_{status}"),
        }),
        Err(error) => tally.failed(&error),
    }
    Ok(())
}

async fn ask(
    purse: &Purse,
    (method, url, body): (&str, &str, &str),
    data: Option<DataLabel>,
) -> Result<QuoteOutcome, FetchError> {
    let request = http::Request::builder().method(method).uri(as_typed(url));
    let request = request.body(Bytes::from(body.to_owned()));
    let request = request.map_err(|error| FetchError::Request(error.to_string()))?;
    purse.quote(labelled(request, data)).await
}

pub(super) async fn plan(
    stage: &Stage,
    items: &[Item],
    purpose: &str,
    (session, process): (&str, &str),
    tally: &mut Tally,
) -> Result<(), StageError> {
    let (session, _) = stage.session_named(session, process).await?;
    let purse = session.purse();
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let mut cited = Vec::new();
    for item in items {
        match cite(&purse, item, tally).await? {
            Some(quote) => cited.push(PlanItem { quote, count: item.count, purpose: says(purpose) }),
            None => return Ok(()),
        }
    }
    match purse.propose(PlanProposal::new(says(purpose), cited)).await {
        Ok(outcome) => tally.planned(outcome),
        Err(error) => tally.failed(&error),
    }
    tally.shown.drain(..).for_each(|text| stage.seen.show(&text));
    Ok(())
}

/// The quote that an item cites; without one, the tally says why.
async fn cite(purse: &Purse, item: &Item, tally: &mut Tally) -> Result<Option<QuoteId>, StageError> {
    if let Some(text) = &item.quote {
        let quote = QuoteId::parse(text);
        return quote.map(Some).map_err(|error| StageError::Scenario(format!("quote `{text}`: {error}")));
    }
    match ask(purse, (&item.method, &item.url, &item.body), None).await {
        Ok(QuoteOutcome::Quotes(quotes)) if !quotes.is_empty() => {
            return Ok(quotes.first().map(|quote| quote.id));
        }
        Ok(QuoteOutcome::Quotes(_)) => tally.ended("no_quote"),
        Ok(QuoteOutcome::Free(_)) => tally.ended("free"),
        Err(error) => tally.failed(&error),
    }
    Ok(None)
}
