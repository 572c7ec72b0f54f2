//! Two rails under one mandate.

use crate::world::{World, get, key, usd};
use async_trait::async_trait;
use bursar_ledger::Window;
use bursar_payments::{
    Authorization, AuthorizeError, BudgetRule, Clearance, Exchange, Mandate, Offer, OfferError, Order,
    Outcome, Payments, Prepared, Rail, Scope, SessionHooks, Wallet,
};
use bursar_types::{Amount, FetchError, Fetched, HttpResponse, TransportError};
use std::sync::Arc;

/// A rail that is another one under another name, as far as budgets and plans can see.
#[derive(Debug)]
struct Named(&'static str, Arc<dyn Rail>);

#[async_trait]
impl Rail for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn offers(&self, exchange: &Exchange<'_>) -> Result<Vec<Offer>, OfferError> {
        let mut offers = self.1.offers(exchange)?;
        offers.iter_mut().for_each(|offer| offer.quote.rail = self.0.to_owned());
        Ok(offers)
    }

    async fn funds(&self, offer: &Offer) -> Result<Option<Amount>, String> {
        self.1.funds(offer).await
    }

    fn prepare(&self, order: &Order) -> Result<Prepared, OfferError> {
        self.1.prepare(order)
    }

    async fn authorize(
        &self,
        clearance: Clearance,
        wallet: &dyn Wallet,
    ) -> Result<Authorization, AuthorizeError> {
        self.1.authorize(clearance, wallet).await
    }

    fn outcome(&self, prepared: &Prepared, answer: Result<&HttpResponse, &TransportError>) -> Outcome {
        self.1.outcome(prepared, answer)
    }

    async fn recover(&self, prepared: &Prepared) -> Outcome {
        self.1.recover(prepared).await
    }
}

#[tokio::test]
async fn rails_count_together_in_every_budget_that_is_not_about_one() {
    let world = World::new().await;
    let mut item = world.metered("/documents/*");
    item.count = 100;
    let mandate = Mandate { budgets: vec![], ..world.mandate() };
    let mandate = mandate.session_budget(usd("0.003")).metered(item).budget_rule(BudgetRule::new(
        Scope::Rail,
        usd("0.002"),
        Window::Life,
    ));
    let parts = world.parts(3);
    let over = |name: &'static str| {
        let rails: Vec<Arc<dyn Rail>> = vec![Arc::new(Named(name, parts.rails[0].clone()))];
        Payments::new(bursar_payments::PaymentsParts { rails, ..parts.clone() })
    };
    let first = over("x402").open_session(mandate, SessionHooks::default()).await.unwrap();
    let second = over("card").resume_session(first.session(), SessionHooks::default()).await.unwrap();
    let mut made = Vec::new();
    for (name, session) in [("a", &first), ("b", &first), ("c", &first), ("d", &second), ("e", &second)] {
        let url = format!("{}?{name}", world.url("alpha"));
        made.push(match session.handle().fetch(get(&url), key(name)).await {
            Ok(Fetched::Delivered(_)) => "paid".to_owned(),
            Err(FetchError::Denied(decision)) => decision.reasons[0].code.to_string(),
            other => panic!("{other:?}"),
        });
    }
    // Two on the first rail end its own budget, a third on the other ends the session's.
    assert_eq!(made, ["paid", "paid", "BUDGET_EXCEEDED", "paid", "BUDGET_EXCEEDED"]);
    assert_eq!(world.outflow(), 3_000);
}
