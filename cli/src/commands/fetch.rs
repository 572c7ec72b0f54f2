//! `bursar fetch`: the agent's side of a purse in another process.

use crate::args::FetchArgs;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, Notes, line, vendor};
use bursar::types::{
    Delivery, FetchError, HttpRequest, HttpResponse, PaymentView, PlanItem, PlanOutcome, PlanProposal,
    Provenance, Quote, Reason, Untrusted,
};
use bursar::{Fetched, PurchaseKey, Purse, RemoteSession};
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: FetchArgs) -> Result<Exit, CliError> {
    let (request, key) = request(&args)?;
    let purse = RemoteSession::connect(&args.purse).await.map_err(CliError::Purse)?.purse();
    Ok(match bought(&purse, request, key, &args.purpose).await {
        Ok(exit) => exit,
        Err(error) => refused(&error.reasons()),
    })
}

fn request(args: &FetchArgs) -> Result<(HttpRequest, PurchaseKey), CliError> {
    let bad = |problem: String| CliError::Url { url: args.url.clone(), problem };
    let mut request = HttpRequest::default();
    *request.uri_mut() = args.url.parse().map_err(|_| bad("it is no URL".to_owned()))?;
    let name = args.key.clone().unwrap_or_else(|| bursar::types::Digest::of(args.url.as_bytes()).to_string());
    let key = PurchaseKey::new(format!("fetch/{name}")).map_err(|error| bad(error.to_string()))?;
    Ok((request, key))
}

/// Gets it; where it costs money, proposes to buy it as it was quoted, and gets it under that plan.
async fn bought(
    purse: &Purse,
    request: HttpRequest,
    key: PurchaseKey,
    purpose: &str,
) -> Result<Exit, FetchError> {
    let quotes = match purse.fetch(request.clone(), key.clone()).await? {
        Fetched::Quotes { quotes, .. } => quotes,
        other => return Ok(shown(other)),
    };
    // Payable and cheapest come first.
    let Some(quote) = quotes.first() else { return Ok(refused(&[])) };
    if let Some(reason) = &quote.blocked {
        return Ok(refused(std::slice::from_ref(reason)));
    }
    let proposal = proposal(quote, purpose);
    let outcome = match purse.proposed(proposal.clone()).await? {
        Some(outcome) => outcome,
        None => purse.propose(proposal).await?,
    };
    match outcome {
        PlanOutcome::Approved { .. } => Ok(shown(purse.fetch(request, key).await?)),
        PlanOutcome::AwaitingApproval { ticket, .. } => Ok(shown(Fetched::AwaitingApproval(ticket))),
        PlanOutcome::Refused { decision, .. } => Ok(refused(&decision.reasons)),
    }
}

fn proposal(quote: &Quote, purpose: &str) -> PlanProposal {
    // It may be a program that calls this with what a model wrote.
    let purpose = Untrusted::new(purpose.to_owned(), Provenance::Model);
    let item = PlanItem { quote: quote.id, count: 1, purpose: purpose.clone() };
    PlanProposal::new(purpose, vec![item])
}

/// The body on stdout, and what became of the money beside it.
fn shown(fetched: Fetched) -> Exit {
    match fetched {
        Fetched::Free(response) => free(&response),
        Fetched::Owned(delivery) => delivered("bought before: ", &delivery),
        Fetched::Delivered(delivery) => delivered("paid ", &delivery),
        Fetched::Quotes { reasons, .. } => refused(&reasons),
        Fetched::AwaitingApproval(ticket) => {
            let summary = line(&ticket.summary, 500);
            Notes.say(format!("waits for an answer to question {}: {summary}; nothing was paid", ticket.id));
            Exit::Open
        }
        Fetched::Undelivered(owed) => {
            let problem = line(&owed.problem, 300);
            Notes.say(format!("paid {} and it did not come: {problem}", paid(&owed.payment)));
            Exit::Open
        }
        Fetched::Unknown(open) => {
            let problem = line(&open.problem, 300);
            Notes.say(format!(
                "{} may have been paid: {problem}; run this again to see how it ended",
                open.id
            ));
            Exit::Open
        }
    }
}

fn free(response: &HttpResponse) -> Exit {
    if !response.status().is_success() {
        Notes.say(format!("the answer is {}; nothing was paid", response.status()));
        return Exit::Failed;
    }
    put(response.body());
    Exit::Done
}

fn delivered(what: &str, delivery: &Delivery) -> Exit {
    Notes.say(format!("{what}{}", paid(&delivery.payment)));
    put(&delivery.body);
    Exit::Done
}

fn paid(payment: &PaymentView) -> String {
    let amount = Amounts::pinned().show(&payment.amount);
    format!("{amount} to {} ({})", vendor(&payment.host, &payment.payee), payment.id)
}

fn refused(reasons: &[Reason]) -> Exit {
    if reasons.is_empty() {
        Notes.say("refused: nothing that can be paid was offered");
    }
    for reason in reasons {
        Notes.say(format!("refused: {}", line(&reason.to_string(), 400)));
    }
    Exit::Failed
}

/// The bytes as they came: whoever reads them does so knowing that they are a stranger's.
fn put(body: &[u8]) {
    // A reader that went away is no fault of the payment's.
    let _ = std::io::stdout().lock().write_all(body);
}
