//! The canonical bytes beside what others make of the same values.
//!
//! `canonical.json` was written by the Python package `rfc8785` 0.1.4. The same vectors hold with and without
//! `serde_json/preserve_order`: this test alone is built without it, and with the whole workspace it is on, since dependencies
//! of the floors above ask for it. CI runs both.

use bursar_types::{canonical_bytes, canonical_digest};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Vector {
    name: String,
    json: String,
    canonical: String,
    sha256: String,
}

#[test]
fn others_write_the_same_bytes() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("canonical.json")).unwrap();
    assert_eq!(vectors.len(), 11);
    for Vector { name, json, canonical, sha256 } in vectors {
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(String::from_utf8(canonical_bytes(&value).unwrap()).unwrap(), canonical, "{name}");
        assert_eq!(
            canonical_digest(&value).unwrap().to_string().trim_start_matches("sha256:"),
            sha256,
            "{name}"
        );
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let integer = -9_007_199_254_740_991_i64..=9_007_199_254_740_991;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\u{0}-\u{20}\"\\\\\u{7f}-\u{ff}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let key = prop_oneof![any::<String>(), "[a-cA-C\u{20ac}\u{fb33}\u{1f600}]{0,3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_implementation_writes_the_same_bytes_for_any_value(value in any_value()) {
        let theirs = serde_json_canonicalizer::to_vec(&value).unwrap();
        prop_assert_eq!(canonical_bytes(&value).unwrap(), theirs);
    }

    #[test]
    fn reading_canonical_bytes_and_writing_them_again_changes_nothing(value in any_value()) {
        let bytes = canonical_bytes(&value).unwrap();
        let read: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(canonical_bytes(&read).unwrap(), bytes);
    }
}
