//! Arguments that a schema asks for, made up.

use serde_json::{Map, Value, json};

/// Texts that one or another pattern takes.
const TEXTS: [&str; 10] = [
    "text",
    "a1b2c3d4e5",
    "2026-11-21",
    "123456",
    "AC0123456789abcdef0123456789abcdef",
    "https://example.com/a",
    "0123456789abcdef0123456789abcdef01234567",
    "+14155550100",
    "US",
    "00:00",
];

/// Something that a schema takes, with what it asks for and `more` of what it does not; not always, where it is a hard one.
pub(crate) fn sample(schema: &Value, whole: &Value, more: bool, depth: usize) -> Value {
    if depth > 12 {
        return Value::Null;
    }
    let below = depth + 1;
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        return sample(whole.pointer(to.trim_start_matches('#')).unwrap(), whole, more, below);
    }
    for word in ["const", "default"] {
        if let Some(value) = schema.get(word).filter(|value| !value.is_null()) {
            return value.clone();
        }
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|all| all.first()) {
        return first.clone();
    }
    for word in ["oneOf", "anyOf"] {
        // Prism takes a `1` in a path for a number and for a text at once; a word is a text only.
        let all = schema.get(word).and_then(Value::as_array);
        let word = all.and_then(|all| all.iter().find(|one| one.get("type") == Some(&json!("string"))));
        if let Some(first) = word.or_else(|| all.and_then(|all| all.first())) {
            let mut joined = sample(first, whole, more, below);
            if let (Some(joined), Value::Object(rest)) =
                (joined.as_object_mut(), object(schema, whole, more, below))
            {
                joined.extend(rest);
            }
            return joined;
        }
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        let parts: Vec<Value> = all.iter().map(|one| sample(one, whole, more, below)).collect();
        if let Some(Value::Object(_)) = parts.first() {
            let mut joined: Map<String, Value> =
                parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect();
            joined.extend(object(schema, whole, more, below).as_object().cloned().unwrap());
            return joined.into();
        }
        return parts.into_iter().next().unwrap_or(Value::Null);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("object") => object(schema, whole, more, below),
        None if schema.get("properties").is_some() => object(schema, whole, more, below),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(u64::from(more)).min(5);
            let one = schema.get("items").map_or(json!("text"), |items| sample(items, whole, more, below));
            (0..least).map(|_| one.clone()).collect::<Vec<_>>().into()
        }
        Some("integer") => json!(number(schema)),
        Some("number") => json!(number(schema)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => text(schema),
    }
}

fn object(schema: &Value, whole: &Value, more: bool, depth: usize) -> Value {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut made = Map::new();
    for (name, property) in properties.into_iter().flatten() {
        let read_only = property.get("readOnly") == Some(&json!(true));
        if required.contains(&name.as_str()) || (more && depth < 5 && !read_only) {
            made.insert(name.clone(), sample(property, whole, more, depth));
        }
    }
    made.into()
}

fn number(schema: &Value) -> i64 {
    let of = |word: &str| schema.get(word).and_then(Value::as_i64);
    let least = of("minimum").or_else(|| of("exclusiveMinimum").map(|least| least + 1));
    let most = of("maximum").or_else(|| of("exclusiveMaximum").map(|most| most - 1));
    let step = of("multipleOf").unwrap_or(1).max(1);
    match (least, most) {
        (Some(least), _) => (least + step - 1) / step * step,
        (None, Some(most)) if most < 1 => most / step * step,
        _ => step,
    }
}

fn text(schema: &Value) -> Value {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => Some("2026-11-21T10:00:00Z"),
        "date" => Some("2026-11-21"),
        "time" => Some("10:00:00Z"),
        "email" => Some("ada@example.com"),
        "uri" | "url" | "uri-reference" => Some("https://example.com/a"),
        "uuid" => Some("3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        "ipv4" => Some("192.0.2.1"),
        "ipv6" => Some("2001:db8::1"),
        "hostname" => Some("example.com"),
        _ => None,
    };
    if let Some(known) = known {
        return json!(known);
    }
    let least = usize::try_from(schema.get("minLength").and_then(Value::as_u64).unwrap_or(0)).unwrap();
    let most = schema.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let fits = |text: &str| {
        let bare = json!({"pattern": schema.get("pattern").cloned().unwrap_or(json!(""))});
        text.len() >= least
            && most.is_none_or(|most| text.len() <= most)
            && jsonschema::is_valid(&bare, &json!(text))
    };
    let long = "abcdefghij".repeat(least / 10 + 1);
    let cut: String = TEXTS[0].chars().take(most.unwrap_or(4)).collect();
    // Ids are often some letters and a number in hexadecimal.
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let letters: String =
        pattern.trim_start_matches('^').chars().take_while(|c| c.is_alphanumeric()).collect();
    let id = format!("{letters}0123456789abcdef0123456789abcdef");
    let mut all = TEXTS.iter().copied().chain([long.as_str(), cut.as_str(), id.as_str()]);
    json!(all.find(|text| fits(text)).unwrap_or(TEXTS[0]))
}
