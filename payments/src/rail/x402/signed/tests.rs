//! Against statements that the official SDK made: `tests/rail/data/offer-receipt.json` says how.

use super::super::wire::Version;
use super::*;
use serde_json::json;

fn vector() -> Value {
    serde_json::from_str(include_str!("../../../../tests/rail/data/offer-receipt.json")).unwrap()
}

fn terms(vector: &Value) -> Terms {
    let text = |field: &str| vector[field].as_str().unwrap().to_owned();
    Terms {
        version: Version::V2,
        network: text("network"),
        token: text("asset").to_lowercase(),
        token_name: "USD Coin".to_owned(),
        token_version: "2".to_owned(),
        from: text("payer").to_lowercase(),
        to: text("signer").to_lowercase(),
        value: text("amount"),
        valid_after: "0".to_owned(),
        valid_before: "1795314760".to_owned(),
        nonce: String::new(),
        from_s: "1795314700".to_owned(),
        accepted: String::new(),
        resource: None,
        extensions: None,
    }
}

fn checked(vector: &Value, name: &str, change: impl FnOnce(&mut Value)) -> Result<Address, String> {
    let terms = terms(vector);
    let about = About::new(&terms, vector["url"].as_str().unwrap());
    let mut signed = vector[name].clone();
    change(&mut signed);
    match name.starts_with("offer") {
        true => about.one_offer(&signed),
        false => about.receipt(&signed, vector["transaction"].as_str().unwrap()),
    }
}

#[test]
fn what_the_official_sdk_signs_is_verified() {
    let vector = vector();
    let signer: Address = vector["signer"].as_str().unwrap().parse().unwrap();
    for name in ["offer_eip712", "receipt_eip712", "receipt_eip712_private", "offer_jws", "receipt_jws"] {
        assert_eq!(checked(&vector, name, |_| {}), Ok(signer), "{name}");
    }
}

#[test]
fn a_statement_that_was_changed_or_is_about_something_else_is_not_verified() {
    let vector = vector();
    let cases: [(&str, &str, Value, &str); 13] = [
        ("offer_eip712", "/payload/amount", json!("9999"), "amount"),
        ("offer_eip712", "/payload/payTo", json!("0x857b06519E91e3A54538791bDbb0E22373e36b66"), "payee"),
        ("offer_eip712", "/payload/resourceUrl", json!("https://evil.example/"), "resource"),
        ("offer_eip712", "/payload/network", json!("eip155:1"), "network"),
        ("offer_eip712", "/payload/validUntil", json!(1), "time"),
        ("offer_eip712", "/payload/validUntil", json!(1_795_315_018), "signed it, and not the payee"),
        ("offer_eip712", "/payload/version", json!(2), "version"),
        ("offer_eip712", "/format", json!("pgp"), "format is `pgp`"),
        ("offer_eip712", "/signature", json!("0x00"), "its signature is none"),
        ("receipt_eip712", "/payload/payer", json!("0x00"), "payer"),
        ("receipt_eip712", "/payload/transaction", json!(format!("0x{}", "cd".repeat(32))), "transaction"),
        ("receipt_eip712", "/payload/issuedAt", json!(1_795_314_718), "signed it, and not the payee"),
        ("receipt_jws", "/payload", json!({}), "payload is not where"),
    ];
    for (name, place, value, problem) in cases {
        let change = |signed: &mut Value| match signed.pointer_mut(place) {
            Some(found) => *found = value.clone(),
            None => drop(signed.as_object_mut().unwrap().insert("payload".to_owned(), value.clone())),
        };
        let said = checked(&vector, name, change).unwrap_err();
        assert!(said.contains(problem), "{name} {place}: {said}");
    }
    let jws = |from: &str, to: &str| {
        checked(&vector, "receipt_jws", |signed| {
            let text = signed["signature"].as_str().unwrap().replacen(from, to, 1);
            signed["signature"] = text.into();
        })
    };
    assert!(jws("5PVrQ6", "5PVrQ7").unwrap_err().contains("not the payee's"));
    // {"alg":"none","kid":"x"}
    assert!(
        jws(
            "eyJhbGciOiJFUzI1NksiLCJraWQiOiJkaWQ6d2ViOmFwaS5leGFtcGxlLmNvbSNrZXktMSJ9",
            "eyJhbGciOiJub25lIiwia2lkIjoieCJ9"
        )
        .unwrap_err()
        .contains("with none")
    );
}

#[test]
fn what_is_not_there_or_too_long_or_another_type_is_told_as_that() {
    let vector = vector();
    let terms = terms(&vector);
    let about = About::new(&terms, vector["url"].as_str().unwrap());
    assert_eq!(about.offer(None), PayeeStatement::Absent);
    for odd in [json!([]), json!({}), json!("x"), json!([1])] {
        assert!(matches!(about.offer(Some(&odd)), PayeeStatement::Unverified { .. }), "{odd}");
    }
    let good = vector["offer_eip712"].clone();
    assert!(
        matches!(about.offer(Some(&json!([7, good]))), PayeeStatement::Verified { .. }),
        "the others hide none"
    );
    let long = json!([{"format": "eip712", "signature": "0".repeat(TEXT_BYTES_MAX)}]);
    let PayeeStatement::Unverified { text, .. } = about.offer(Some(&long)) else { panic!("too long") };
    assert_eq!(text, "");
}
