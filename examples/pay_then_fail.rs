//! Paid, and then something fails: `cargo run --example pay_then_fail`.
//!
//! Two sagas over a market on this machine. In the first one data is bought, a report is uploaded, and the analysis fails:
//! the upload is deleted and the money is asked back. In the second one a vendor takes the money and sends nothing. Nothing
//! leaves the machine, and the days in between pass on a clock that is told the time.
#![expect(clippy::print_stdout, reason = "an example prints")]

use async_trait::async_trait;
use bursar::payments::{
    CompensationId, Compensator, MeteredItem, Purchase, RemedyError, SagaError, SagaReport, StepFailure,
};
use bursar::types::{ManualClock, Timestamp};
use bursar::{Amount, Approve, Asset, Bursar, Mandate, SagaOptions, Session, Undo};
use bursar_market::{Fault, FaultRule, Market, Pricing, RefundRule, SellerConfig, SourceDocument};
use bytes::Bytes;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;

/// Any date will do.
const START_S: u64 = 1_795_000_000;

/// Deletes what a step uploaded. Another process may have to do it, so it is found by its name, and the same id is done once.
#[derive(Debug)]
struct DeleteUpload;

#[async_trait]
impl Compensator for DeleteUpload {
    fn name(&self) -> &str {
        "delete_upload"
    }

    async fn compensate(&self, arguments: &Value, _id: CompensationId) -> Result<String, RemedyError> {
        Ok(format!("upload {} was deleted", arguments["id"]))
    }
}

/// Two vendors, what is bought from them, and the clock that all share.
struct World {
    market: Market,
    market_clock: bursar_market::ManualClock,
    clock: Arc<ManualClock>,
    bursar: Bursar,
    session: Session,
    _data: tempfile::TempDir,
}

impl World {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let data = tempfile::tempdir()?;
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_S * 1_000)));
        let market_clock = bursar_market::ManualClock::new(START_S);
        let builder =
            Bursar::builder(data.path().join("data")).play_wallet()?.reach_loopback().clock(clock.clone());
        let address = builder.address().unwrap_or_default().parse::<bursar_market::Address>()?;
        let prices = || vec![SourceDocument::new("prices.md", "# Prices\n\n1, 2, 3, 5, 8\n")];
        let vendor = |name| SellerConfig::new(name).pricing(Pricing::flat(10_000)).documents(prices());
        let market = Market::builder()
            .add_seller(vendor("Fair data").refunds(RefundRule::Exact))
            .add_seller(vendor("No data").fault(FaultRule::from(Fault::EmptyBody)))
            .buyer_funds(address, 1_000_000)
            .clock(market_clock.clone())
            .start()
            .await?;
        let token = market.token();
        let usdc = Asset::stablecoin(
            token.chain_id,
            &token.address.to_string(),
            &token.symbol,
            token.decimals,
            (&token.name, &token.version),
            false,
        );
        let bursar = builder
            .asset(usdc.clone())
            .network(market.network(), vec![market.rpc_url().to_owned()], true)
            .compensator(Arc::new(DeleteUpload))
            // Here recovery runs when it is told to; otherwise a timer does it.
            .watch_every(None)
            .open()
            .await?;
        let mut mandate = Mandate::new("daily report", "ada")
            .session_budget(Amount::parse_decimal(&Asset::micro_usd(), "0.50")?)
            .asset(usdc.id().clone());
        for number in 0..2 {
            let seller = market.seller(number).ok_or("no seller")?;
            mandate = mandate.metered(MeteredItem {
                name: seller.name().to_owned(),
                resource: format!("{}/documents/*", seller.url()),
                method: "GET".to_owned(),
                payee: seller.pay_to().to_string(),
                asset: usdc.id().clone(),
                ceiling: Amount::parse_decimal(&usdc, "0.02")?,
                count: 10,
            });
        }
        let session = bursar.session("daily report").mandate(mandate).approve(Approve::Rule).start().await?;
        Ok(Self { market, market_clock, clock, bursar, session, _data: data })
    }

    fn prices_of(&self, seller: usize) -> Result<Purchase, Box<dyn Error>> {
        let url = self.market.seller(seller).ok_or("no seller")?.document_url("prices");
        Ok(Purchase::of(http::Request::get(url).body(Bytes::new())?))
    }

    /// Time passes, on the chain too, and recovery looks at everything that is open.
    async fn later(&self, seconds: u64) -> Result<(), Box<dyn Error>> {
        self.clock.advance_ms(seconds * 1_000);
        self.market_clock.advance_s(seconds);
        self.market.chain().mine();
        self.bursar.recover().await?;
        Ok(())
    }

    async fn now_says(&self, saga: bursar::payments::SagaId) -> Result<SagaReport, Box<dyn Error>> {
        Ok(self.bursar.desk().saga(saga).await?.ok_or("no such saga")?)
    }
}

/// Both sagas; the lines that tell what happened.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let world = World::new().await?;
    let registry = world.bursar.registry();
    let mut told = Vec::new();

    told.push("1. The data comes, and the analysis fails.".to_owned());
    let mut saga = world.session.saga("report of Monday", SagaOptions::default()).await?;
    let prices = saga.buy("buy prices", world.prices_of(0)?).await?;
    let upload = Undo::by("delete_upload", json!({"id": 7}));
    let id: u64 = saga.step("upload draft", upload, || async { Ok(7) }).await?;
    told.push(format!("   bought {} bytes and uploaded draft {id}", prices.body.len()));
    let analysis = saga.step("analyse", Undo::nothing(), || async {
        let text = String::from_utf8_lossy(&prices.body);
        match text.lines().find(|line| line.starts_with("total")) {
            Some(total) => Ok(total.to_owned()),
            None => Err(StepFailure::without_effects("there is no total in it")),
        }
    });
    if let Err(error) = analysis.await {
        let report = saga.unwind(&error.to_string()).await?;
        told.extend(indented("at once", &report.describe(registry)));
    }
    world.later(60).await?;
    let report = world.now_says(saga.id()).await?;
    told.extend(indented("a minute later", &report.describe(registry)));

    told.push("2. The money is taken, and nothing comes.".to_owned());
    let mut saga = world.session.saga("report of Tuesday", SagaOptions::default()).await?;
    match saga.buy("buy prices", world.prices_of(1)?).await {
        Err(error @ SagaError::NotBought { .. }) => {
            let report = saga.unwind(&error.to_string()).await?;
            told.extend(indented("at once", &report.describe(registry)));
        }
        other => return Err(format!("it came: {other:?}").into()),
    }
    // The vendor could still deliver while the authorization lives; after that the money is asked for.
    world.later(1_800).await?;
    world.later(60).await?;
    let report = world.now_says(saga.id()).await?;
    told.extend(indented("half an hour later", &report.describe(registry)));
    for (step, amount, owner, due) in report.at_risk() {
        let amount =
            amount.map_or_else(|| "something".to_owned(), |amount| registry.display(amount).to_string());
        told.push(format!("   at risk: {amount} of step `{step}`; {owner} decides until {due}"));
    }

    let verification = world.bursar.ledger().verify().await?;
    told.push(format!("journal: {} problems", verification.problems.len()));
    world.bursar.close().await?;
    Ok(told)
}

fn indented(when: &str, text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| format!("     {line}"));
    std::iter::once(format!("   {when}:")).chain(lines).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in run().await? {
        println!("{line}");
    }
    Ok(())
}
