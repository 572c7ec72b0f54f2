//! One text for one JSON value.

/// Writes a value with its keys sorted. Values that `canonical_digest` refuses, such as floats, have a text here; it is for
/// recognising what was seen before, never for what is signed.
pub(crate) fn sorted_text(value: &serde_json::Value, out: &mut Vec<u8>) {
    match value {
        serde_json::Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (key, item) in sorted {
                out.extend_from_slice(format!("{key:?}:").as_bytes());
                sorted_text(item, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        serde_json::Value::Array(items) => {
            out.push(b'[');
            for item in items {
                sorted_text(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}
