//! Ids of a run, as numbers.

use serde_json::Value;
use std::collections::BTreeMap;

/// How many hexadecimal digits an id has.
const DIGITS: usize = 32;

/// The ids of a conversation, numbered as they come: `cal_0123…` is `cal_#1`, and stays it.
#[derive(Debug, Default)]
pub(super) struct Ids {
    numbers: BTreeMap<String, String>,
}

impl Ids {
    /// Puts numbers in the place of ids.
    pub(super) fn number(&mut self, value: &mut Value) {
        each_text(value, &mut |text| {
            replace_ids(text, |id| {
                let next = self.numbers.len().saturating_add(1);
                let prefix = id.split('_').next().unwrap_or_default();
                Some(self.numbers.entry(id.to_owned()).or_insert_with(|| format!("{prefix}_#{next}")).clone())
            })
        });
    }

    /// The same for ids that have a number; others stay.
    pub(super) fn number_known(&self, value: &mut Value) {
        each_text(value, &mut |text| replace_ids(text, |id| self.numbers.get(id).cloned()));
    }

    /// Puts the ids of this conversation in the place of numbers.
    pub(super) fn restore(&self, value: &mut Value) {
        // Longer numbers first: `#12` begins like `#1`.
        let mut numbers: Vec<_> = self.numbers.iter().collect();
        numbers.sort_by_key(|(_, number)| std::cmp::Reverse(number.len()));
        each_text(value, &mut |text| {
            if !text.contains("_#") {
                return None;
            }
            Some(numbers.iter().fold(text.to_owned(), |text, (id, number)| text.replace(number.as_str(), id)))
        });
    }
}

/// Changes every text in a value.
pub(super) fn each_text(value: &mut Value, change: &mut dyn FnMut(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(changed) = change(text) {
                *text = changed;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(fields) => fields.values_mut().for_each(|value| each_text(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces what looks like an id: lower-case letters, an underscore, 32 hexadecimal digits. `None` if nothing was.
fn replace_ids(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut changed = false;
    let mut rest = text;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while !rest.is_empty() {
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        match is_id(token).then(|| with(token)).flatten() {
            Some(new) => {
                changed = true;
                out.push_str(&new);
            }
            None => out.push_str(token),
        }
        let mut chars = after.chars();
        out.extend(chars.next());
        rest = chars.as_str();
    }
    changed.then_some(out)
}

fn is_id(token: &str) -> bool {
    let Some((prefix, digits)) = token.split_once('_') else { return false };
    (2..=4).contains(&prefix.len())
        && prefix.chars().all(|c| c.is_ascii_lowercase())
        && digits.len() == DIGITS
        && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_become_numbers_and_those_of_another_run_come_back() {
        let id = |prefix: &str, digit: char| format!("{prefix}_{}", digit.to_string().repeat(32));
        let conversation = |digit: char| json!({"a": format!("quote {} and {}", id("quo", digit), id("pln", digit)), "b": [id("quo", digit)]});
        let (mut ids, mut first) = (Ids::default(), conversation('a'));
        ids.number(&mut first);
        assert_eq!(first, json!({"a": "quote quo_#1 and pln_#2", "b": ["quo_#1"]}));
        let mut said = json!({"fragment": format!("{{\"quote_id\":\"{}\",\"other\":\"{}\"}}", id("quo", 'a'), id("quo", 'f'))});
        ids.number_known(&mut said);
        let (mut others, mut second) = (Ids::default(), conversation('b'));
        others.number(&mut second);
        assert_eq!(first, second);
        others.restore(&mut said);
        assert_eq!(
            said,
            json!({"fragment": format!("{{\"quote_id\":\"{}\",\"other\":\"{}\"}}", id("quo", 'b'), id("quo", 'f'))})
        );
    }
}
