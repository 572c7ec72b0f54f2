//! Whether a value keeps to a schema, as far as `schemars` writes one.
//!
//! Types check their own shape when they are read; the limits that only a schema says (lengths, ranges, counts, patterns) are checked
//! here. Keywords that are not known say nothing, and so does a pattern that cannot be compiled.

use crate::sorted::sorted_text;
use regex::Regex;
use serde_json::{Map, Number, Value};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// So deep schemas may refer to others, and values may hold values.
const DEPTH_MAX: u8 = 200;
/// So many values are compared with a part of a schema: branches within branches could be tried for ever.
const STEPS_MAX: u32 = 1_000_000;
/// So many problems are told.
const TOLD_MAX: usize = 8;

/// What is wrong with a value, with where; empty if nothing is.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let (steps, patterns) = (Cell::new(0), RefCell::default());
    Look { root: schema, depth: 0, steps: &steps, patterns: &patterns }.at("", schema, value)
}

/// Patterns that were compiled, by their text; `None` for one that cannot be.
type Patterns<'a> = RefCell<BTreeMap<&'a str, Option<Regex>>>;

#[derive(Clone, Copy)]
struct Look<'a> {
    root: &'a Value,
    depth: u8,
    steps: &'a Cell<u32>,
    patterns: &'a Patterns<'a>,
}

impl<'a> Look<'a> {
    fn at(self, path: &str, schema: &'a Value, value: &Value) -> Vec<String> {
        let Some(depth) = self.depth.checked_add(1).filter(|depth| *depth <= DEPTH_MAX) else {
            return vec![told(path, "is nested too deep")];
        };
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > STEPS_MAX {
            return vec![told(path, "is too much to be checked")];
        }
        let look = Self { depth, ..self };
        let Value::Object(says) = schema else {
            // `false` fits nothing.
            return if schema == &Value::Bool(false) {
                vec![told(path, "has no place here")]
            } else {
                Vec::new()
            };
        };
        let mut found = Vec::new();
        if let Some(name) = says.get("$ref").and_then(Value::as_str) {
            let meant = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            found.extend(meant.into_iter().flat_map(|meant| look.at(path, meant, value)));
        }
        if !is_of_type(says, value) {
            let kinds = says.get("type").map(Value::to_string).unwrap_or_default();
            found.push(told(path, &format!("is not of the type {kinds}")));
        }
        if says.get("const").is_some_and(|only| only != value) {
            found.push(told(path, &format!("is not {}", says.get("const").unwrap_or(&Value::Null))));
        }
        if says.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
            found.push(told(path, &format!("is none of {}", says.get("enum").unwrap_or(&Value::Null))));
        }
        let own = match value {
            Value::String(text) => look.of_text(says, text),
            Value::Number(number) => of_number(says, number),
            Value::Array(items) => of_count(says, "minItems", "maxItems", items.len(), "items")
                .or_else(|| repeats(says, items).then(|| "holds the same item twice".to_owned())),
            Value::Object(fields) => of_count(says, "minProperties", "maxProperties", fields.len(), "fields"),
            Value::Null | Value::Bool(_) => None,
        };
        found.extend(own.map(|problem| told(path, &problem)));
        match value {
            Value::Array(items) => found.extend(look.items(path, says, items)),
            Value::Object(fields) => found.extend(look.fields(path, says, fields)),
            _ => {}
        }
        found.extend(look.branches(path, says, value));
        // More are not told, so they are not kept either.
        found.truncate(TOLD_MAX);
        found
    }

    fn of_text(self, says: &'a Map<String, Value>, text: &str) -> Option<String> {
        of_count(says, "minLength", "maxLength", text.chars().count(), "characters").or_else(|| {
            let pattern = says.get("pattern").and_then(Value::as_str)?;
            let mut known = self.patterns.borrow_mut();
            let compiled = known.entry(pattern).or_insert_with(|| Regex::new(pattern).ok());
            let misses = compiled.as_ref().is_some_and(|compiled| !compiled.is_match(text));
            misses.then(|| format!("does not match the pattern {pattern}"))
        })
    }

    fn items(self, path: &str, says: &'a Map<String, Value>, items: &[Value]) -> Vec<String> {
        let first: &[Value] = says.get("prefixItems").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        let rest = says.get("items");
        let each = items.iter().enumerate().filter_map(|(index, item)| {
            let schema = first.get(index).or(rest)?;
            Some(self.at(&format!("{path}/{index}"), schema, item))
        });
        each.flatten().take(TOLD_MAX).collect()
    }

    fn fields(self, path: &str, says: &'a Map<String, Value>, fields: &Map<String, Value>) -> Vec<String> {
        let known = says.get("properties").and_then(Value::as_object);
        let required = says.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name));
        let mut found: Vec<String> =
            missing.map(|name| told(path, &format!("has no field `{name}`"))).collect();
        for (name, value) in fields {
            if found.len() >= TOLD_MAX {
                break;
            }
            let named = known.and_then(|known| known.get(name));
            let patterned = says.contains_key("patternProperties");
            let other = says.get("additionalProperties").filter(|_| !patterned);
            if let Some(schema) = named.or(other) {
                found.extend(self.at(&format!("{path}/{name}"), schema, value));
            }
        }
        found
    }

    fn branches(self, path: &str, says: &'a Map<String, Value>, value: &Value) -> Vec<String> {
        let all = |name: &str| says.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let tried = |schemas: &'a [Value]| -> Vec<Vec<String>> {
            schemas.iter().map(|schema| self.at(path, schema, value)).collect()
        };
        let mut found: Vec<String> = all("allOf").map(tried).unwrap_or_default().concat();
        for (name, only) in [("anyOf", false), ("oneOf", true)] {
            let Some(tries) = all(name).map(tried) else { continue };
            match tries.iter().filter(|problems| problems.is_empty()).count() {
                // What comes nearest is the most likely to be meant.
                0 => found.extend(tries.into_iter().min_by_key(Vec::len).unwrap_or_default()),
                1 => {}
                _ if only => found.push(told(path, "fits several forms of which one is meant")),
                _ => {}
            }
        }
        if says.get("not").is_some_and(|not| self.at(path, not, value).is_empty()) {
            found.push(told(path, "has a form that it must not have"));
        }
        found
    }
}

fn told(path: &str, problem: &str) -> String {
    let place = if path.is_empty() { "it" } else { path };
    format!("{place} {problem}")
}

fn is_of_type(says: &Map<String, Value>, value: &Value) -> bool {
    let is = |kind: &str| match (kind, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_))
        | ("string", Value::String(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        ("integer", Value::Number(number)) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    };
    match says.get("type") {
        Some(Value::String(kind)) => is(kind),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn of_count(says: &Map<String, Value>, min: &str, max: &str, count: usize, what: &str) -> Option<String> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let limit = |name: &str| says.get(name).and_then(Value::as_u64);
    let least = limit(min).filter(|least| count < *least).map(|least| format!("at least {least}"));
    let most = limit(max).filter(|most| count > *most).map(|most| format!("at most {most}"));
    least.or(most).map(|bound| format!("has {count} {what}, and has to have {bound}"))
}

fn of_number(says: &Map<String, Value>, number: &Number) -> Option<String> {
    use Ordering::{Equal, Greater, Less};
    let bounds: [(&str, &[Ordering], &str); 4] = [
        ("minimum", &[Less], "at least"),
        ("maximum", &[Greater], "at most"),
        ("exclusiveMinimum", &[Less, Equal], "more than"),
        ("exclusiveMaximum", &[Greater, Equal], "less than"),
    ];
    for (name, wrong, words) in bounds {
        if let Some(Value::Number(bound)) = says.get(name)
            && compare(number, bound).is_some_and(|order| wrong.contains(&order))
        {
            return Some(format!("is {number}, and has to be {words} {bound}"));
        }
    }
    let Some(Value::Number(step)) = says.get("multipleOf") else { return None };
    (!is_multiple(number, step)).then(|| format!("is {number}, and has to be a multiple of {step}"))
}

/// Whole numbers are compared as such: as floats, large ones would be taken for others.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn is_multiple(number: &Number, step: &Number) -> bool {
    match (whole(number), whole(step)) {
        (Some(number), Some(step)) => number.checked_rem(step).is_none_or(|rest| rest == 0),
        _ => {
            let times = number.as_f64().zip(step.as_f64()).map(|(number, step)| number / step);
            // A tenth is no float: what is nearly whole is meant to be.
            times.is_none_or(|times| !times.is_finite() || (times - times.round()).abs() < 1e-9)
        }
    }
}

fn repeats(says: &Map<String, Value>, items: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    let new = |item: &Value| {
        let mut text = Vec::new();
        sorted_text(item, &mut text);
        seen.insert(text)
    };
    says.get("uniqueItems") == Some(&Value::Bool(true)) && !items.iter().all(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_keeps_to_each_limit_or_is_told_where_it_does_not() {
        let cases = [
            (json!({"minLength": 2, "maxLength": 3}), json!("äb"), ""),
            (json!({"minLength": 3}), json!("äb"), "it has 2 characters, and has to have at least 3"),
            (json!({"maxLength": 1}), json!("äb"), "it has 2 characters, and has to have at most 1"),
            (json!({"pattern": "^ERC-[0-9]+$"}), json!("ERC-3009"), ""),
            (
                json!({"pattern": "^ERC-[0-9]+$"}),
                json!("EIP-3009"),
                "it does not match the pattern ^ERC-[0-9]+$",
            ),
            (json!({"pattern": "(?=a)b"}), json!("x"), ""),
            (json!({"minimum": 1, "maximum": 5}), json!(5), ""),
            (json!({"maximum": 5}), json!(5.5), "it is 5.5, and has to be at most 5"),
            (json!({"exclusiveMinimum": 0.5}), json!(0.5), "it is 0.5, and has to be more than 0.5"),
            (json!({"exclusiveMaximum": 5}), json!(5), "it is 5, and has to be less than 5"),
            (
                json!({"maximum": 9_007_199_254_740_992_u64}),
                json!(9_007_199_254_740_993_u64),
                "it is 9007199254740993, and has to be at most 9007199254740992",
            ),
            (json!({"multipleOf": 0.1}), json!(0.3), ""),
            (json!({"multipleOf": 5}), json!(12), "it is 12, and has to be a multiple of 5"),
            (json!({"minItems": 1}), json!([]), "it has 0 items, and has to have at least 1"),
            (
                json!({"uniqueItems": true}),
                json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]),
                "it holds the same item twice",
            ),
            (
                json!({"items": {"maximum": 1}, "prefixItems": [{"minimum": 7}]}),
                json!([7, 1, 2]),
                "/2 is 2, and has to be at most 1",
            ),
            (json!({"type": ["string", "null"]}), json!(null), ""),
            (json!({"type": "integer"}), json!(1.0), ""),
            (json!({"type": "integer"}), json!(1.5), "it is not of the type \"integer\""),
            (json!({"enum": ["a", "b"]}), json!("c"), "it is none of [\"a\",\"b\"]"),
            (json!({"required": ["a"]}), json!({}), "it has no field `a`"),
            (
                json!({"properties": {"a": {"minLength": 1}}}),
                json!({"a": ""}),
                "/a has 0 characters, and has to have at least 1",
            ),
            (
                json!({"properties": {"a": {}}, "additionalProperties": false}),
                json!({"a": 1, "b": 1}),
                "/b has no place here",
            ),
            (
                json!({"additionalProperties": {"maximum": 1}}),
                json!({"x": 2}),
                "/x is 2, and has to be at most 1",
            ),
            (
                json!({"anyOf": [{"type": "null"}, {"maximum": 3}]}),
                json!(4),
                "it is not of the type \"null\"",
            ),
            (
                json!({"oneOf": [{"const": "a"}, {"type": "string"}]}),
                json!("a"),
                "it fits several forms of which one is meant",
            ),
            (
                json!({"allOf": [{"minimum": 1}, {"maximum": 3}]}),
                json!(4),
                "it is 4, and has to be at most 3",
            ),
            (json!({"not": {"const": 4}}), json!(4), "it has a form that it must not have"),
            (
                json!({"$ref": "#/$defs/T", "$defs": {"T": {"maximum": 3}}}),
                json!(4),
                "it is 4, and has to be at most 3",
            ),
            (json!({"$ref": "#"}), json!(4), "it is nested too deep"),
            (json!({"made_up": 1}), json!(4), ""),
        ];
        for (schema, value, expected) in cases {
            assert_eq!(problems(&schema, &value).join("; "), expected, "{schema} {value}");
        }
        // Each branch holds the whole again: tried to the end, that is two to the power of sixty.
        let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
        let again = json!({"anyOf": [{"items": {"$ref": "#"}, "type": "array"}, {"items": {"$ref": "#"}, "minItems": 1, "type": "array"}]});
        assert!(!problems(&again, &deep).is_empty());
        let many = problems(&json!({"items": {"maximum": 0}}), &json!(vec![1; 100]));
        assert_eq!(many.len(), TOLD_MAX);
    }

    #[test]
    fn what_is_told_no_more_is_not_looked_for_and_a_pattern_is_compiled_once() {
        let look = |schema: &Value, value: &Value| {
            let (schema, steps, patterns) = (schema.clone(), Cell::new(0), RefCell::default());
            let look = Look { root: &schema, depth: 0, steps: &steps, patterns: &patterns };
            let found = look.at("", &schema, value).len();
            (found, steps.get(), patterns.borrow().len())
        };
        let text = json!({"pattern": "^a+$"});
        let (wrong, right) = (json!(vec!["b"; 100_000]), json!(vec!["a"; 1_000]));
        assert_eq!(look(&json!({"items": text}), &wrong), (TOLD_MAX, 9, 1));
        assert_eq!(look(&json!({"items": text}), &right), (0, 1_001, 1));
        let fields: Map<String, Value> = (0..1_000).map(|n| (n.to_string(), json!("b"))).collect();
        assert_eq!(look(&json!({"additionalProperties": text}), &Value::Object(fields)), (TOLD_MAX, 9, 1));
    }
}
