//! Whether a purchase renews itself, as its terms declare it.
//!
//! Bursar signs one amount at a time, so nothing is renewed by itself; but a vendor that announces a renewal means the first
//! payment as a consent to the next ones. Only a declaration counts, and only in this direction: no text makes terms that
//! renew into terms that do not.

use super::wire::Requirement;
use serde_json::Value;
use serde_json::value::RawValue;

/// How deep a field is looked for.
const DEPTH_MAX: usize = 64;

/// Fields that describe what is sent and received, and not how it is paid.
const OTHERS: [&str; 2] = ["outputSchema", "bazaar"];

/// Names of fields that declare a renewal, without `_` and `-`, in lower case.
const FIELDS: [&str; 13] = [
    "recurring",
    "recurrence",
    "renews",
    "renew",
    "renewal",
    "autorenew",
    "autorenews",
    "autorenewal",
    "subscription",
    "billinginterval",
    "billingperiod",
    "billingcycle",
    "trialdays",
];

/// Values that say no.
const NONE: [&str; 9] = ["", "0", "no", "none", "false", "once", "onetime", "never", "single"];

/// Phrases that announce a renewal in a sentence. Each says that something is charged again; a word such as "subscription"
/// alone may be what a document is about.
const PHRASES: [&str; 22] = [
    "renews monthly",
    "renews weekly",
    "renews daily",
    "renews yearly",
    "renews annually",
    "renews every",
    "renews each",
    "renews at",
    "renews for",
    "renews automatically",
    "renewed automatically",
    "automatically renew",
    "auto-renew",
    "billed monthly",
    "billed weekly",
    "billed yearly",
    "billed annually",
    "charged monthly",
    "charged every",
    "recurring charge",
    "recurring payment",
    "until cancelled",
];

/// Whether the terms of an alternative, or the extensions beside it, declare that the purchase renews itself.
pub(super) fn declared(
    accepted: &RawValue,
    resource: Option<&RawValue>,
    extensions: Option<&RawValue>,
    terms: &Requirement,
) -> bool {
    let scheme = terms.scheme.as_ref().and_then(Value::as_str).unwrap_or_default();
    let parts = [Some(accepted), resource, extensions];
    is_field(scheme)
        || parts.into_iter().flatten().any(|part| match serde_json::from_str::<Value>(part.get()) {
            Ok(value) => in_value(&value, DEPTH_MAX),
            // It cannot be paid either.
            Err(_) => false,
        })
}

fn in_value(value: &Value, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else {
        // Nobody needs this depth to say when it is paid once.
        return true;
    };
    match value {
        Value::Object(fields) => {
            let terms = fields.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
            terms
                .into_iter()
                .any(|(name, value)| (is_field(name) && !says_no(value)) || in_value(value, deeper))
        }
        Value::Array(values) => values.iter().any(|value| in_value(value, deeper)),
        Value::String(text) => announces(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_field(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect();
    FIELDS.contains(&plain.as_str())
}

fn says_no(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => {
            let plain: String = text
                .trim()
                .chars()
                .filter(|c| !matches!(c, '_' | '-' | ' '))
                .flat_map(char::to_lowercase)
                .collect();
            NONE.contains(&plain.as_str())
        }
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn announces(text: &str) -> bool {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    let text = words.join(" ");
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accepted: &str, extensions: &str, expected: bool) {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let terms: Requirement = serde_json::from_str(accepted).unwrap();
        let found = declared(&raw(accepted), None, Some(&raw(extensions)), &terms);
        assert_eq!(found, expected, "{accepted} {extensions}");
    }

    #[test]
    fn a_declared_renewal_is_seen_wherever_it_stands() {
        for accepted in [
            r#"{"scheme":"exact","extra":{"recurring":true}}"#,
            r#"{"scheme":"exact","extra":{"billing_interval":"month"}}"#,
            r#"{"scheme":"subscription"}"#,
            r#"{"scheme":"exact","terms":"renews monthly 29.00"}"#,
            r#"{"scheme":"exact","extra":{"terms":{"autoRenew":1}}}"#,
            r#"{"scheme":"exact","description":"Free for a week, then  Renews\nMonthly at $29"}"#,
        ] {
            check(accepted, "null", true);
        }
        check(r#"{"scheme":"exact"}"#, r#"{"plan":{"subscription":{"period":"P1M"}}}"#, true);
    }

    #[test]
    fn what_is_paid_once_is_not_taken_for_a_renewal() {
        for accepted in [
            r#"{"scheme":"exact","extra":{"name":"USDC","version":"2"}}"#,
            r#"{"scheme":"exact","extra":{"recurring":false,"renewal":"none","billingCycle":"one-time"}}"#,
            r#"{"scheme":"exact","description":"How subscriptions work: monthly renewal of ERC-1337 tokens"}"#,
            r#"{"scheme":"exact","description":"Renewable energy prices, monthly"}"#,
            r#"{"scheme":"exact","outputSchema":{"output":{"subscription":"what the answer tells of"}}}"#,
        ] {
            check(accepted, "{}", false);
        }
        check(
            r#"{"scheme":"exact"}"#,
            r#"{"bazaar":{"schema":{"properties":{"renewal":{"type":"string"}}}}}"#,
            false,
        );
    }

    #[test]
    fn terms_nested_beyond_reason_count_as_a_renewal() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(70), "}".repeat(70));
        check(&format!(r#"{{"scheme":"exact","extra":{deep}}}"#), "null", true);
    }
}
