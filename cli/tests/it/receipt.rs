//! `bursar receipt`: the evidence of real purchases from sellers that sign, and from sellers that do not.

use crate::interrupt::{Outside, WALLET};
use crate::support::{Home, ran, steady};
use serde_json::Value;

fn bought(more: &[&str]) -> (Outside, Value) {
    let home = Home::new();
    std::fs::create_dir(home.file("notes")).unwrap();
    std::fs::write(home.file("notes/gas.md"), "# Gas\n\nThe submitter of a token transfer pays the gas.\n")
        .unwrap();
    let outside = Outside::start(home, WALLET, &[&["--sources", "notes"], more].concat());
    let asked = ran(outside.with_config(&["research", "Who pays the gas of a token transfer?"]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    let payments = outside.home.payments();
    assert_eq!(payments.len(), 1, "{payments:#?}");
    let told = outside.home.run(["receipt", payments[0]["id"].as_str().unwrap(), "--json"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let receipt = told.json().remove(0);
    assert_eq!(receipt["transaction"], payments[0]["receipt"]["reference"]);
    (outside, receipt)
}

#[test]
fn what_a_seller_signs_is_verified_and_told_apart_from_what_the_rail_says() {
    let (outside, receipt) = bought(&["--signed"]);
    for statement in ["offer", "receipt"] {
        assert_eq!(receipt[statement]["signed"], "verified", "{receipt:#}");
        assert_eq!(receipt[statement]["signer"], receipt["payee"]);
    }
    let signed: Value = serde_json::from_str(receipt["receipt"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(signed["payload"]["resourceUrl"], receipt["resource"]);
    assert_eq!(signed["payload"]["transaction"], receipt["transaction"]);
    let testimony = receipt["testimony"].as_array().unwrap();
    let by: Vec<_> =
        testimony.iter().map(|told| (told["by"].as_str().unwrap(), told["moved"] == true)).collect();
    assert_eq!(by, [("payee", true), ("rail", true)], "{receipt:#}");
    assert_eq!(receipt["moved"], "observed");
    let id = receipt["payment"].as_str().unwrap();
    let told = outside.home.run(["receipt", id.get(..12).unwrap()]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for line in [
        "signed offer: verified",
        "signed receipt: verified",
        "the payee says: it moved",
        "the rail says: it moved",
    ] {
        assert!(told.stdout.contains(line), "{line}: {}", steady(&told.stdout));
    }
    // The entries are there, under these numbers.
    let entry = receipt["entries"][0]["entry"].as_u64().unwrap().to_string();
    assert_eq!(outside.home.run(["audit", "prove", &entry]).code, 0);
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

#[test]
fn a_purchase_without_signed_statements_is_paid_for_all_the_same() {
    let (outside, receipt) = bought(&[]);
    assert_eq!(
        (&receipt["offer"]["signed"], &receipt["receipt"]["signed"]),
        (&"absent".into(), &"absent".into())
    );
    assert_eq!((&receipt["moved"], &receipt["state"]), (&"observed".into(), &"delivered".into()));
    let unknown = outside.home.run(["receipt", "pay_0000"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stdout);
}
