//! One encoding for everything that is hashed or signed.
//!
//! RFC 8785 (JSON Canonicalization Scheme) with two refusals of our own: floats, and integers beyond 2^53 - 1. Both would
//! have to be rounded to fit the scheme; money travels as text instead. Keys are sorted here, so the bytes do not
//! depend on whether some dependency switched on `serde_json/preserve_order`.

use crate::digest::Digest;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

/// The largest integer that RFC 8785 can write exactly.
const SAFE_INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// Why a value has no canonical bytes.
#[derive(Debug, Error)]
pub enum CanonicalError {
    /// The value cannot be written as JSON at all.
    #[error("value cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The value holds a float or an integer beyond 2^53 - 1.
    #[error("number `{0}` cannot be written exactly; use text")]
    Number(String),
}

/// The canonical bytes of a value.
///
/// # Errors
/// [`CanonicalError`] if the value holds a number that the scheme would round; change the type to text.
///
/// # Example
/// ```
/// use bursar_types::canonical_bytes;
/// let bytes = canonical_bytes(&serde_json::json!({"b": 1, "a": "€"}))?;
/// assert_eq!(bytes, r#"{"a":"€","b":1}"#.as_bytes());
/// # Ok::<(), bursar_types::CanonicalError>(())
/// ```
///
/// # Source
/// RFC 8785, sections 3.2.1 to 3.2.4.
pub fn canonical_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(CanonicalError::Json)?;
    let mut out = Vec::with_capacity(256);
    write(&value, &mut out)?;
    Ok(out)
}

/// The SHA-256 digest of a value's canonical bytes.
///
/// # Errors
/// As [`canonical_bytes`].
pub fn canonical_digest<T: Serialize + ?Sized>(value: &T) -> Result<Digest, CanonicalError> {
    Ok(Digest::of(&canonical_bytes(value)?))
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude <= SAFE_INTEGER_MAX => {
                    out.extend_from_slice(number.to_string().as_bytes())
                }
                _ => return Err(CanonicalError::Number(number.to_string())),
            }
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Strings as RFC 8785 section 3.2.2.2: the short escapes, `\u00xx` for other controls, everything else as it is.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, expected: &str) {
        assert_eq!(String::from_utf8(canonical_bytes(value).unwrap()).unwrap(), expected);
    }

    #[test]
    fn keys_are_sorted_by_utf_16_code_units() {
        // The example of RFC 8785 section 3.2.3.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"
        });
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With \
                        Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        check(&value, expected);
    }

    #[test]
    fn strings_are_escaped_as_rfc_8785_says() {
        // The string of RFC 8785 section 3.2.2, its floats left out: those are refused here.
        let value = json!({"string": "\u{20ac}$\u{f}\u{a}A'\u{42}\u{22}\u{5c}\\\"/", "literals": [null, true, false]});
        check(&value, r#"{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}"#);
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        for value in
            [json!(1.5), json!(9_007_199_254_740_992_u64), json!(u64::MAX), json!(-9_007_199_254_740_992_i64)]
        {
            assert!(matches!(canonical_bytes(&value), Err(CanonicalError::Number(_))), "{value}");
        }
        check(&json!([9_007_199_254_740_991_u64, -1, 0]), "[9007199254740991,-1,0]");
    }

    #[test]
    fn the_digest_of_a_known_value_never_changes() {
        let digest = canonical_digest(&json!({"b": [1, {"d": null, "c": "x"}], "a": "y"})).unwrap();
        assert_eq!(digest, Digest::of(br#"{"a":"y","b":[1,{"c":"x","d":null}]}"#));
    }
}
