//! What leaves the house: no credential, and nothing without one.

use super::*;

#[tokio::test]
async fn the_dispute_file_holds_no_credential_of_the_callers() {
    let world = World::with(refunding(RefundRule::None)).await;
    let purse = world.session().await.handle();
    plan(&world, &purse, "alpha").await;
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let mut request = get(&world.url("alpha"));
    request.headers_mut().insert("x-api-key", "sk-very-secret".parse().unwrap());
    let fetched = purse.fetch(request, key("alpha")).await.unwrap();
    let Fetched::Undelivered(undelivered) = fetched else { panic!("{fetched:?}") };
    run_out(&world);
    for _ in 0..2 {
        world.payments.recover().await.unwrap();
    }
    let file = world.payments.dispute_file(undelivered.payment.id).await.unwrap().unwrap();
    let text = String::from_utf8(file.to_vec()).unwrap();
    assert!(!text.contains("sk-very-secret"), "the file is handed to others");
}

/// Keeps which requests with a payment came without the caller's own credential.
#[derive(Debug)]
struct Bare {
    inner: Arc<dyn Transport>,
    bare: AtomicU64,
}

#[async_trait]
impl Transport for Bare {
    async fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let headers = request.headers();
        let pays = ["payment-signature", "x-payment"].iter().any(|name| headers.contains_key(*name));
        if pays && !headers.contains_key("authorization") {
            self.bare.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.send(request, limits).await
    }
}

#[tokio::test]
async fn a_request_whose_credential_is_kept_nowhere_is_not_made_again_without_it() {
    let world = World::with(refunding(RefundRule::Exact)).await;
    let session = world.session().await;
    plan(&world, &session.handle(), "alpha").await;
    let mut parts = world.parts(8);
    let transport = Arc::new(Bare { inner: parts.transport.clone(), bare: AtomicU64::new(0) });
    parts.transport = transport.clone();
    let payments = Payments::new(parts);
    let purse = resumed(&payments, &session).await.handle();
    let mut request = get(&world.url("alpha"));
    request.headers_mut().insert("authorization", "Bearer of-the-callers".parse().unwrap());
    world.market.seller(0).unwrap().faults().arm(Fault::SettleThenDrop).unwrap();
    let fetched = purse.fetch(request, key("alpha")).await;
    assert!(matches!(fetched, Ok(Fetched::Undelivered(_))), "{fetched:?}");
    // A page that asks to log in would now count as the goods.
    world.market.seller(0).unwrap().faults().clear();
    payments.recover().await.unwrap();
    assert_eq!(transport.bare.load(Ordering::SeqCst), 0);
}
