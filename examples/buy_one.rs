//! One governed purchase, without an agent: `cargo run --example buy_one`.
//!
//! Starts a market on loopback, asks a price, proposes a plan, buys one document over HTTP 402 with a real signature, and
//! shows what the ledger and the chain say about it.
#![expect(clippy::print_stdout, reason = "an example prints")]

use bursar::payments::Mandate;
use bursar::types::{PlanItem, PlanOutcome, PlanProposal, Provenance, QuoteOutcome, Untrusted};
use bursar::{Amount, Approve, Asset, Bursar, Fetched, PurchaseKey};
use bursar_market::{Market, SourceDocument};
use bytes::Bytes;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = tempfile::tempdir()?;
    let builder = Bursar::builder(data.path().join("data")).play_wallet()?.reach_loopback();
    let address = builder.address().unwrap_or_default().parse::<bursar_market::Address>()?;

    // The other side: a seller, a facilitator and a chain, on this machine.
    let document =
        SourceDocument::new("gas.md", "# Who pays the gas?\n\nWhoever submits the authorization.\n");
    let market = Market::builder().documents(vec![document]).buyer_funds(address, 1_000_000).start().await?;
    let token = market.token();
    let usdc = Asset::stablecoin(
        token.chain_id,
        &token.address.to_string(),
        &token.symbol,
        token.decimals,
        (&token.name, &token.version),
        false,
    );

    // Our side: a data file, a wallet, the shipped rules, and a mandate of half a dollar.
    let bursar = builder
        .asset(usdc.clone())
        .network(market.network(), vec![market.rpc_url().to_owned()], true)
        .open()
        .await?;
    let half_a_dollar = Amount::parse_decimal(&Asset::micro_usd(), "0.50")?;
    let mandate = Mandate::new("try Bursar", "you").session_budget(half_a_dollar).asset(usdc.id().clone());
    let session = bursar.session("buy one document").mandate(mandate).approve(Approve::Rule).start().await?;
    let purse = session.purse();

    // Ask the price; nothing is paid before a plan is approved.
    let url = format!("{}/documents/gas", market.seller_urls().first().ok_or("no seller")?);
    let request = http::Request::get(url.as_str()).body(Bytes::new())?;
    let QuoteOutcome::Quotes(quotes) = purse.quote(request.clone()).await? else {
        return Err("it is free".into());
    };
    let quote = quotes.first().ok_or("no quote")?;
    println!("quote     {} from {} to {}", bursar.registry().display(&quote.price), quote.host, quote.payee);

    // Propose a plan that cites the quote; payee, price and network are copied from the quote, not from us.
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let item = PlanItem { quote: quote.id, count: 1, purpose: says("to learn who pays the gas") };
    let outcome = purse.propose(PlanProposal::new(says("learn about gas"), vec![item])).await?;
    let PlanOutcome::Approved { plan, approved_by, decision } = outcome else {
        return Err("not approved".into());
    };
    println!("plan      {} approved by {approved_by} ({})", plan.id, decision.rules.join(", "));

    // Buy. The same key again gives the same document, and never a second payment.
    for round in 1..=2 {
        match purse.fetch(request.clone(), PurchaseKey::new("gas")?).await? {
            Fetched::Delivered(delivery) => println!(
                "fetch {round}   paid {}: {}",
                bursar.registry().display(&delivery.payment.amount),
                String::from_utf8_lossy(&delivery.body).trim().replace('\n', " "),
            ),
            Fetched::Owned(delivery) => {
                println!("fetch {round}   owned already, by payment {}", delivery.payment.id)
            }
            other => println!("fetch {round}   {other:?}"),
        }
    }

    let standing = purse.standing().await?;
    for budget in &standing.budgets {
        println!(
            "budget    {}: spent {} of {}",
            budget.name,
            bursar.registry().display(&budget.spent),
            bursar.registry().display(&budget.limit)
        );
    }
    println!("chain     {} atomic units left the wallet", 1_000_000 - market.balance_of(address));
    let verification = bursar.ledger().verify().await?;
    println!("journal   {} entries, {} problems", verification.head.size, verification.problems.len());
    bursar.close().await?;
    Ok(())
}
