//! The formats on the wire, as snapshots.

use crate::support::Shop;
use bursar_market::{PaymentIdentifier, SellerConfig, WireVersion};
use serde_json::{Value, json};

/// Ports differ from run to run.
fn stable(shop: &Shop, value: &Value) -> Value {
    let mut text = value.to_string();
    for (index, url) in shop.market.seller_urls().iter().enumerate() {
        text = text.replace(url.as_str(), &format!("http://seller-{index}"));
    }
    serde_json::from_str(&text.replace(shop.market.facilitator_url(), "http://facilitator")).unwrap()
}

/// In one order of keys, whatever features serde_json is built with.
fn snapshot(name: &str, value: &Value) {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, value) });
}

#[tokio::test]
async fn the_402_of_each_version() {
    for (name, wire) in [("v1", WireVersion::V1), ("v2", WireVersion::V2), ("both", WireVersion::Both)] {
        let seller = SellerConfig::new("Shop").wire(wire).payment_identifier(PaymentIdentifier::Required);
        let shop =
            Shop::open_with(|market| market.main_seller(false).resellers(false).add_seller(seller)).await;
        let got = shop.buyer.get(&shop.url()).await;
        let seen = json!({
            "status": got.status,
            "PAYMENT-REQUIRED": got.header("payment-required"),
            "body": got.json(),
        });
        snapshot(&format!("offer_{name}"), &stable(&shop, &seen));
    }
}

#[tokio::test]
async fn the_answers_to_a_payment() {
    let shop = Shop::open().await;
    let paid = shop.buyer.buy(&shop.url(), "one").await.unwrap();
    snapshot("receipt", &paid.header("payment-response").unwrap());
    let again = shop.buyer.buy(&shop.url(), "one").await.unwrap();
    let refusal = again.header("payment-required").unwrap();
    assert_eq!(refusal["error"], "invalid_exact_evm_nonce_already_used");
    shop.market.facilitator().faults().arm(bursar_market::Fault::SettlementPending).unwrap();
    let pending = shop.buyer.buy(&shop.seller().document_url("guides-gas"), "two").await.unwrap();
    assert_eq!(pending.status, 402);
    snapshot("receipt_pending", &pending.header("payment-response").unwrap());
}

#[tokio::test]
async fn what_can_be_seen_for_free() {
    let shop = Shop::open().await;
    let pages = [
        ("seller", shop.seller().url().to_owned()),
        ("catalog", format!("{}/catalog?limit=1", shop.seller().url())),
        ("search", format!("{}/search?q=erc-4626+inflation&limit=1", shop.seller().url())),
        ("discovery_search", format!("{}?query=erc-3009&limit=1", shop.market.discovery_url())),
        ("discovery_resources", format!("{}/discovery/resources?limit=1", shop.market.facilitator_url())),
        ("supported", format!("{}/supported", shop.market.facilitator_url())),
    ];
    for (name, url) in pages {
        let got = shop.buyer.get(&url).await;
        assert_eq!(got.status, 200);
        snapshot(&format!("free_{name}"), &stable(&shop, &got.json()));
    }
}
