//! Where two requests differ, for a person to read.

use serde_json::Value;

/// Most differences that are shown.
const SHOWN_MAX: usize = 12;
/// Most characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 160;

/// The differences, one a line: where, what was recorded, what is asked now.
pub(super) fn between(recorded: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", Some(recorded), Some(now), &mut found);
    found
}

/// As many of them as are shown.
pub(super) fn told(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(SHOWN_MAX);
    found.truncate(SHOWN_MAX);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(path: &str, recorded: Option<&Value>, now: Option<&Value>, found: &mut Vec<String>) {
    match (recorded, now) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                compare(&format!("{path}/{name}"), one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                compare(&format!("{path}/{index}"), one.get(index), other.get(index), found);
            }
        }
        (one, other) if one == other => {}
        (Some(Value::String(one)), Some(Value::String(other))) => {
            let (from, one, other) = apart(one, other);
            found.push(format!("  {path} from character {from}: recorded `{one}`, now `{other}`"));
        }
        (one, other) => found.push(format!("  {path}: recorded {}, now {}", shown(one), shown(other))),
    }
}

/// Where two texts begin to differ, and how they go on from a little before that.
fn apart(one: &str, other: &str) -> (usize, String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(20);
    let cut = |text: &str| text.chars().skip(from).take(VALUE_CHARS_MAX).collect();
    (from, cut(one), cut(other))
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.to_string();
            let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
            if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_shown_where_it_is() {
        let recorded = json!({"system": "Be short.", "messages": [{"text": "one"}], "tools": []});
        let now = json!({"system": "Be short!", "messages": [{"text": "one"}, {"text": "two"}], "tools": []});
        let lines = between(&recorded, &now);
        assert_eq!(
            lines,
            [
                "  /messages/1: recorded nothing, now `{\"text\":\"two\"}`",
                "  /system from character 0: recorded `Be short.`, now `Be short!`",
            ]
        );
        assert!(between(&now, &now).is_empty());
        let many = told(between(&json!(vec![1; 100]), &json!([])));
        assert_eq!((many.len(), many.last().map(String::as_str)), (13, Some("and 88 more")));
    }
}
