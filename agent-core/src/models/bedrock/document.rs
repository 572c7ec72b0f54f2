//! JSON to and from the SDK's documents, and bodies with their keys in order.

use aws_sdk_bedrockruntime::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_bedrockruntime::error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::{Document, Number};
use serde_json::Value;

/// The same as a document. Keys are unique in both, so nothing is lost.
pub(super) fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(truth) => Document::Bool(*truth),
        Value::String(text) => Document::String(text.clone()),
        Value::Array(items) => Document::Array(items.iter().map(document).collect()),
        Value::Object(fields) => {
            Document::Object(fields.iter().map(|(key, value)| (key.clone(), document(value))).collect())
        }
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(natural), _) => Number::PosInt(natural),
            (None, Some(negative)) => Number::NegInt(negative),
            (None, None) => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
    }
}

/// The same as JSON, keys in order.
pub(super) fn value(document: &Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Bool(truth) => Value::Bool(*truth),
        Document::String(text) => Value::String(text.clone()),
        Document::Array(items) => Value::Array(items.iter().map(value).collect()),
        Document::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(key, item)| (key.clone(), value(item))).collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().collect())
        }
        Document::Number(Number::PosInt(natural)) => Value::from(*natural),
        Document::Number(Number::NegInt(negative)) => Value::from(*negative),
        Document::Number(Number::Float(float)) => Value::from(*float),
    }
}

/// An object as it is, anything else in a field: where the service takes objects only.
pub(super) fn object(json: &Value) -> Document {
    match json {
        Value::Object(_) => document(json),
        _ => Document::Object([("unreadable_arguments".to_owned(), document(json))].into()),
    }
}

/// Sorts the keys of each body before it is signed.
///
/// A document is a hash map, so the SDK would write the same conversation in another order each time, and a prompt cache that
/// compares bytes would never be hit.
#[derive(Debug)]
pub(super) struct SortedBody;

impl Intercept for SortedBody {
    fn name(&self) -> &'static str {
        "SortedBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let Some(bytes) = request.body().bytes() else { return Ok(()) };
        let mut json: Value = serde_json::from_slice(bytes)?;
        json.sort_all_objects();
        let sorted = serde_json::to_vec(&json)?;
        request.headers_mut().insert("content-length", sorted.len().to_string());
        *request.body_mut() = SdkBody::from(sorted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_back_as_it_went() {
        let json = json!({"b": [1, -2, 0.5, null, true], "a": {"z": "ü", "y": u64::MAX, "x": i64::MIN}});
        assert_eq!(value(&document(&json)), json);
    }

    #[test]
    fn what_is_no_object_stands_in_one() {
        assert_eq!(value(&object(&json!("{\"a\""))), json!({"unreadable_arguments": "{\"a\""}));
        assert_eq!(value(&object(&json!({"a": 1}))), json!({"a": 1}));
    }
}
