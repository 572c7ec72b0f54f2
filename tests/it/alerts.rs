//! Alerts of budgets: whoever was named takes them, in every session.

use async_trait::async_trait;
use bursar::payments::{AlertError, AlertRule, Alerts, BudgetRule, GateReached, Gates, Scope};
use bursar::types::{FetchError, PlanItem, PlanProposal, Provenance, QuoteOutcome, Untrusted};
use bursar::{Amount, Approve, Asset, Bursar, Fetched, Mandate, PurchaseKey, Session};
use bursar_market::{Market, SellerConfig, SourceDocument};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// Keeps the names of budgets whose alerts it took; takes none while it is out.
#[derive(Debug, Default)]
struct Pager {
    out: bool,
    took: Mutex<Vec<String>>,
}

#[async_trait]
impl Alerts for Pager {
    async fn deliver(&self, gate: &GateReached) -> Result<(), AlertError> {
        if self.out {
            return Err(AlertError("nobody is there".into()));
        }
        self.took.lock().unwrap().push(gate.name.clone());
        Ok(())
    }
}

async fn buy(session: &Session, url: &str) -> Result<Fetched, FetchError> {
    let (purse, get) = (session.purse(), || http::Request::get(url).body(Bytes::new()).unwrap());
    let QuoteOutcome::Quotes(quotes) = purse.quote(get()).await.unwrap() else { panic!("it is free") };
    let says = |text: &str| Untrusted::new(text.to_owned(), Provenance::Model);
    let item = PlanItem { quote: quotes[0].id, count: 1, purpose: says("to read") };
    let _plan = purse.propose(PlanProposal::new(says("reading"), vec![item])).await.unwrap();
    purse.fetch(get(), PurchaseKey::new(url).unwrap()).await
}

#[tokio::test]
async fn the_alert_of_a_budget_reaches_whoever_the_session_or_the_builder_names() {
    let folder = tempfile::tempdir().unwrap();
    let (everywhere, here, nobody) = (
        Arc::new(Pager::default()),
        Arc::new(Pager::default()),
        Arc::new(Pager { out: true, ..Pager::default() }),
    );
    let builder = Bursar::builder(folder.path().join("data")).play_wallet().unwrap().reach_loopback();
    let address = builder.address().unwrap().parse::<bursar_market::Address>().unwrap();
    let documents = ["alpha", "beta", "gamma"]
        .map(|name| SourceDocument::new(format!("{name}.md"), format!("# {name}\n")));
    let market = Market::builder()
        .main_seller(false)
        .resellers(false)
        .add_seller(SellerConfig::new("Docs").documents(documents.to_vec()))
        .buyer_funds(address, 1_000_000)
        .start()
        .await
        .unwrap();
    let token = market.token();
    let (contract, domain) = (token.address.to_string(), (token.name.as_str(), token.version.as_str()));
    let usdc = Asset::stablecoin(token.chain_id, &contract, &token.symbol, token.decimals, domain, false);
    let bursar = builder
        .watch_every(None)
        .asset(usdc.clone())
        .network(market.network(), vec![market.rpc_url().to_owned()], true)
        .alerts(everywhere.clone())
        .open()
        .await
        .unwrap();
    // The first purchase of a session reaches its first gate.
    let limit = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
    let rule = BudgetRule {
        gates: Gates { notify: 1, ..Gates::default() },
        alert: AlertRule::Required,
        ..BudgetRule::new(Scope::Session, limit, bursar::ledger::Window::Life)
    };
    let mandate = Mandate::new("reading", "ada").budget_rule(rule).asset(usdc.id().clone());
    let begin = || bursar.session("reading").mandate(mandate.clone()).approve(Approve::Rule);
    let url = |name: &str| market.seller(0).unwrap().document_url(name);

    let named_by_builder = begin().start().await.unwrap();
    assert!(matches!(buy(&named_by_builder, &url("alpha")).await, Ok(Fetched::Delivered(_))));
    let named_here = begin().alerts(here.clone()).start().await.unwrap();
    assert!(matches!(buy(&named_here, &url("beta")).await, Ok(Fetched::Delivered(_))));
    let not_taken = begin().alerts(nobody.clone()).start().await.unwrap();
    let refused = buy(&not_taken, &url("gamma")).await.unwrap_err();
    assert_eq!(refused.reasons()[0].code, "GATE_UNDELIVERED");

    let took = |pager: &Pager| pager.took.lock().unwrap().len();
    assert_eq!((took(&everywhere), took(&here), took(&nobody)), (1, 1, 0));
    assert_eq!(market.seller(0).unwrap().log().nonces.len(), 2);
    bursar.close().await.unwrap();
}
