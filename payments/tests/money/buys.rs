//! What goes well.

use crate::world::{World, buy, get, key, plan, propose, quotes};
use bursar_payments::MoneyEvent;
use bursar_types::{FetchError, Fetched, Phase, PlanOutcome};

#[tokio::test]
async fn a_planned_document_is_bought_kept_and_proven() {
    let world = World::new().await;
    let session = world.session().await;
    let purse = session.handle();
    let Fetched::Delivered(delivery) = buy(&world, &purse, "alpha").await else { panic!("not delivered") };
    assert_eq!(&delivery.body[..], b"# alpha\n\nText of alpha.\n");
    assert_eq!(delivery.payment.amount.atomic(), 1_000);
    assert_eq!(world.outflow(), 1_000);
    assert_eq!(world.books(&purse).await, (1_000, 0));
    world.payments.close().await;
    let life = world.life(delivery.payment.id).await;
    let expected =
        ["payment.held", "payment.signing", "payment.answered", "payment.delivered", "payment.observed"];
    assert_eq!(life, expected);
    assert_eq!(world.market.seller(0).unwrap().violations(), []);
    world.verify().await;
}

#[tokio::test]
async fn what_was_bought_is_owned_and_never_bought_twice() {
    let world = World::new().await;
    let first = world.session().await.handle();
    let Fetched::Delivered(bought) = buy(&world, &first, "alpha").await else { panic!("not delivered") };
    let later = world.session().await.handle();
    for purse in [&first, &later] {
        let again = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
        let Fetched::Owned(owned) = again else { panic!("{again:?}") };
        assert_eq!((owned.body, owned.artifact), (bought.body.clone(), bought.artifact.clone()));
    }
    assert_eq!(world.outflow(), 1_000);
}

#[tokio::test]
async fn the_phase_follows_from_the_plans() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    assert_eq!(purse.standing().await.unwrap().phase, Phase::Explore);
    plan(&world, &purse, "alpha").await;
    assert_eq!(purse.standing().await.unwrap().phase, Phase::Acquire);
    let _ = buy(&world, &purse, "beta").await;
    let _ = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert_eq!(purse.standing().await.unwrap().phase, Phase::Produce);
    let phases: Vec<_> = world
        .seen
        .all()
        .into_iter()
        .filter_map(|event| match event {
            MoneyEvent::PhaseChanged { to, .. } => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!(phases, [Phase::Acquire, Phase::Produce]);
}

#[tokio::test]
async fn twenty_callers_of_one_purchase_share_one_payment() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let calls: Vec<_> = (0..20)
        .map(|caller| {
            let (purse, request) = (purse.clone(), get(&world.url("alpha")));
            tokio::spawn(async move { purse.fetch(request, key(&format!("caller {}", caller % 3))).await })
        })
        .collect();
    let mut delivered = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(Fetched::Delivered(_)) => delivered += 1,
            // The plan had one: another key is another purchase, and there is none left for it.
            Ok(Fetched::Owned(_) | Fetched::Quotes { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delivered, 1);
    assert_eq!((world.outflow(), world.authorizations()), (1_000, 1));
}

#[tokio::test]
async fn a_free_page_is_free() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    let url = format!("{}/catalog", world.market.seller(0).unwrap().url());
    let fetched = purse.fetch(get(&url), key("catalog")).await.unwrap();
    assert!(matches!(fetched, Fetched::Free(response) if response.status() == 200));
    let requests = world.ledger.streams("requests/").await.unwrap();
    assert_eq!(
        requests.iter().map(|(_, length)| *length).sum::<u64>(),
        1,
        "a free request is in the journal too"
    );
}

#[tokio::test]
async fn a_dropped_future_leaves_the_payment_running() {
    let world = World::new().await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    let fetch = purse.fetch(get(&world.url("alpha")), key("alpha"));
    drop(tokio::time::timeout(std::time::Duration::ZERO, fetch).await);
    world.payments.close().await;
    assert_eq!(world.outflow(), 1_000);
    let refused = purse.fetch(get(&world.url("beta")), key("beta")).await;
    assert!(matches!(refused, Err(FetchError::Closing)), "{refused:?}");
    assert_eq!(world.books(&purse).await, (1_000, 0));
}

#[tokio::test]
async fn the_cheapest_allowed_alternative_is_taken() {
    use bursar_market::{OfferTemplate, Pricing, SellerConfig};
    let accepts = vec![
        OfferTemplate::unknown_network(),
        OfferTemplate::percent(100),
        OfferTemplate::percent(10),
        OfferTemplate::unknown_scheme(),
    ];
    let seller = SellerConfig::new("Choice").pricing(Pricing::flat(20_000)).accepts(accepts);
    let world = World::with(crate::world::Setup { seller, ..Default::default() }).await;
    let purse = world.session().await.handle();
    let found = quotes(&purse, &world.url("alpha")).await;
    let payable: Vec<_> =
        found.iter().filter(|quote| quote.blocked.is_none()).map(|quote| quote.price.atomic()).collect();
    assert_eq!((payable, found.len()), (vec![2_000, 20_000], 4));
    let outcome = propose(&purse, &[&found[0], &found[1]], 1).await;
    assert!(matches!(outcome, PlanOutcome::Approved { .. }), "{outcome:?}");
    let fetched = purse.fetch(get(&world.url("alpha")), key("alpha")).await.unwrap();
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    assert_eq!(world.outflow(), 2_000);
}

#[tokio::test]
async fn a_seller_of_version_1_is_paid() {
    use bursar_market::{Pricing, SellerConfig, WireVersion};
    let seller = SellerConfig::new("Old").pricing(Pricing::flat(700)).wire(WireVersion::V1);
    let world = World::with(crate::world::Setup { seller, ..Default::default() }).await;
    let purse = world.session().await.handle();
    let fetched = buy(&world, &purse, "alpha").await;
    assert!(matches!(fetched, Fetched::Delivered(_)), "{fetched:?}");
    assert_eq!((world.outflow(), world.books(&purse).await), (700, (700, 0)));
}

#[tokio::test]
async fn code_without_an_agent_buys_under_a_metered_item() {
    let world = World::new().await;
    let item = world.metered("/documents/*");
    let purse = world.session_under(world.mandate().metered(item), None).await.handle();
    for (document, delivered) in [("alpha", true), ("beta", true), ("gamma", false)] {
        let fetched = purse.fetch(get(&world.url(document)), key(document)).await.unwrap();
        assert_eq!(matches!(fetched, Fetched::Delivered(_)), delivered, "{document}: {fetched:?}");
    }
    assert_eq!(world.outflow(), 2_000);
}
