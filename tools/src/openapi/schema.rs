//! Schemas of a document as JSON Schema 2020-12 that is whole in itself.
//!
//! References become `$defs` and are never expanded, so that a schema that refers to itself costs what it is long. What says nothing
//! about values is dropped; `$id` and the like, which would move where references lead, too.

use super::document::{Document, Version};
use super::withheld::Withholding;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Keywords whose value is a schema.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is schemas by name.
const NAMED: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];
/// Keywords whose value is schemas in order.
const LISTED: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is kept as it is.
const KEPT: [&str; 26] = [
    "const",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
];
/// Keywords that make a schema mean something else than it says here.
const REFUSED: [&str; 3] = ["$anchor", "$dynamicRef", "$recursiveRef"];

/// Makes schemas of one operation whole.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    document: &'a Document,
    left: usize,
    /// The name in `$defs` of each place of the document that is referred to.
    names: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    open: VecDeque<(String, &'a Value)>,
    defs: Map<String, Value>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(document: &'a Document, schemas_max: usize) -> Self {
        Self {
            document,
            left: schemas_max,
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
            open: VecDeque::new(),
            defs: Map::new(),
        }
    }

    /// A schema, with references into `$defs`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn schema(&mut self, said: &Value, depth: usize) -> Result<Value, Withholding> {
        self.left = self.left.checked_sub(1).ok_or(Withholding::SchemaTooLong)?;
        let said = match said {
            Value::Bool(_) => return Ok(said.clone()),
            Value::Object(said) => said,
            _ => return Err(Withholding::Schema),
        };
        if depth > 100 {
            return Err(Withholding::SchemaTooLong);
        }
        let mut made = Map::new();
        if let Some(to) = said.get("$ref") {
            let to = to.as_str().ok_or(Withholding::Reference)?;
            made.insert("$ref".to_owned(), self.reference(to)?.into());
            // 3.0 has what stands beside a reference count for nothing; documents of 3.0 write it there and mean it.
        }
        if REFUSED.iter().any(|keyword| said.contains_key(*keyword)) {
            return Err(Withholding::Reference);
        }
        let below = depth.saturating_add(1);
        for (keyword, value) in said {
            let keyword = keyword.as_str();
            let made_of = if ONE.contains(&keyword) {
                self.schema(value, below)?
            } else if NAMED.contains(&keyword) {
                let named = value.as_object().ok_or(Withholding::Schema)?;
                let made: Result<Map<_, _>, _> =
                    named.iter().map(|(name, one)| Ok((name.clone(), self.schema(one, below)?))).collect();
                made?.into()
            } else if LISTED.contains(&keyword) {
                let list = value.as_array().ok_or(Withholding::Schema)?;
                list.iter().map(|one| self.schema(one, below)).collect::<Result<Vec<_>, _>>()?.into()
            } else if KEPT.contains(&keyword) {
                value.clone()
            } else {
                continue;
            };
            made.insert(keyword.to_owned(), made_of);
        }
        drop_read_only(&mut made);
        if self.document.version() == Version::V30 {
            dialect_of_3_0(said, &mut made);
        }
        Ok(made.into())
    }

    /// The definition that a reference leads to; it is made when the others are.
    fn reference(&mut self, to: &str) -> Result<String, Withholding> {
        let (pointer, value) = self.document.referred(to)?;
        let name = match self.names.get(&pointer) {
            Some(name) => name.clone(),
            None => {
                let last = pointer.rsplit('/').next().unwrap_or_default();
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                let plain: String = last.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
                let mut name = if plain.is_empty() { "whole".to_owned() } else { plain.clone() };
                let mut number = 2_usize;
                while !self.taken.insert(name.clone()) {
                    name = format!("{plain}_{number}");
                    number = number.saturating_add(1);
                }
                self.names.insert(pointer, name.clone());
                self.open.push_back((name.clone(), value));
                name
            }
        };
        Ok(format!("#/$defs/{name}"))
    }

    /// All that was referred to.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn defs(mut self) -> Result<Map<String, Value>, Withholding> {
        while let Some((name, value)) = self.open.pop_front() {
            let made = self.schema(value, 0)?;
            self.defs.insert(name, made);
        }
        Ok(self.defs)
    }
}

/// What a server sets is not required of a caller.
fn drop_read_only(made: &mut Map<String, Value>) {
    let Some(properties) = made.get("properties").and_then(Value::as_object) else { return };
    let read_only = |name: &Value| {
        let property = name.as_str().and_then(|name| properties.get(name));
        property.and_then(|property| property.get("readOnly")) == Some(&Value::Bool(true))
    };
    let Some(required) = made.get("required").and_then(Value::as_array) else { return };
    let kept: Vec<Value> = required.iter().filter(|name| !read_only(name)).cloned().collect();
    made.insert("required".to_owned(), kept.into());
}

/// OpenAPI 3.0's own words in JSON Schema's.
fn dialect_of_3_0(said: &Map<String, Value>, made: &mut Map<String, Value>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match made.get(exclusive) {
            Some(Value::Bool(true)) => match made.remove(limit) {
                Some(number) => drop(made.insert(exclusive.to_owned(), number)),
                None => drop(made.remove(exclusive)),
            },
            Some(Value::Bool(false)) => drop(made.remove(exclusive)),
            _ => {}
        }
    }
    if said.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    let Some(kind) = made.get("type").cloned() else {
        // Without a type it takes null already, unless what it is made of does not.
        let parts =
            ["$ref", "allOf", "anyOf", "oneOf", "enum"].iter().any(|keyword| made.contains_key(*keyword));
        if parts {
            let inner = std::mem::take(made);
            made.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
        }
        return;
    };
    made.insert("type".to_owned(), json!([kind, "null"]));
    if let Some(Value::Array(values)) = made.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// Schemas that stand directly in a schema, with whether they say something of the very value (and not of a part of it).
pub(super) fn parts(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = ONE.iter().filter_map(|keyword| schema.get(*keyword));
    let named = NAMED.iter().filter_map(|keyword| schema.get(*keyword)?.as_object());
    let listed = LISTED.iter().filter_map(|keyword| schema.get(*keyword)?.as_array());
    one.chain(named.flat_map(Map::values)).chain(listed.flatten())
}

/// The same with its parts replaced.
pub(super) fn with_parts(
    schema: &Map<String, Value>,
    mut each: impl FnMut(&Value) -> Value,
) -> Map<String, Value> {
    let mut made = Map::new();
    for (keyword, value) in schema {
        let word = keyword.as_str();
        let value = match value {
            one if ONE.contains(&word) => each(one),
            Value::Object(named) if NAMED.contains(&word) => {
                named.iter().map(|(name, one)| (name.clone(), each(one))).collect::<Map<_, _>>().into()
            }
            Value::Array(list) if LISTED.contains(&word) => {
                list.iter().map(&mut each).collect::<Vec<_>>().into()
            }
            other => other.clone(),
        };
        made.insert(keyword.clone(), value);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(version: &str, schema: &Value, components: &Value) -> Result<Value, Withholding> {
        let text = json!({"openapi": version, "components": {"schemas": components}}).to_string();
        let document = Document::read(text.as_bytes(), 1 << 20).unwrap();
        let mut maker = Maker::new(&document, 100);
        let mut made = maker.schema(schema, 0)?;
        let defs = maker.defs()?;
        if !defs.is_empty() {
            made["$defs"] = defs.into();
        }
        Ok(made)
    }

    #[test]
    fn words_of_3_0_become_those_of_json_schema() {
        for (said, expected) in [
            (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
            (
                json!({"type": "string", "nullable": true, "enum": ["a"]}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                json!({"allOf": [{"type": "string"}], "nullable": true}),
                json!({"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]}),
            ),
            (
                json!({"$ref": "#/components/schemas/S", "required": ["a"]}),
                json!({"$ref": "#/$defs/S", "required": ["a"], "$defs": {"S": true}}),
            ),
            (
                json!({"$ref": "#/components/schemas/S", "nullable": true}),
                json!({"anyOf": [{"$ref": "#/$defs/S"}, {"type": "null"}], "$defs": {"S": true}}),
            ),
            (json!({"minimum": 1, "exclusiveMinimum": true}), json!({"exclusiveMinimum": 1})),
            (json!({"maximum": 1, "exclusiveMaximum": false}), json!({"maximum": 1})),
            (
                json!({"type": "string", "example": 1, "x-a": 2, "xml": {}, "$id": "https://evil.test"}),
                json!({"type": "string"}),
            ),
            (
                json!({"properties": {"id": {"readOnly": true}, "a": {}}, "required": ["id", "a"]}),
                json!({"properties": {"id": {"readOnly": true}, "a": {}}, "required": ["a"]}),
            ),
        ] {
            assert_eq!(made("3.0.3", &said, &json!({"S": true})).unwrap(), expected, "{said}");
        }
    }

    #[test]
    fn what_refers_to_itself_is_as_long_as_it_is_written() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "b": {"$ref": "#/components/schemas/a~1b"}}});
        let components = json!({"Node": node, "a/b": {"type": "string"}});
        let whole = made("3.1.0", &json!({"$ref": "#/components/schemas/Node"}), &components).unwrap();
        assert_eq!(whole["$ref"], "#/$defs/Node");
        assert_eq!(whole["$defs"]["Node"]["properties"]["next"]["$ref"], "#/$defs/Node");
        assert_eq!(whole["$defs"]["a_1b"], json!({"type": "string"}));
    }

    #[test]
    fn what_leads_away_or_is_too_much_is_refused() {
        let wide: Vec<Value> = (0..200).map(|n| json!({"const": n})).collect();
        let chain: Map<String, Value> = (0..200)
            .map(|n| (format!("S{n}"), json!({"$ref": format!("#/components/schemas/S{}", n + 1)})))
            .chain([("S200".to_owned(), json!({}))])
            .collect();
        for (schema, components, why) in [
            (json!({"$ref": "https://evil.test/s"}), json!({}), Withholding::Elsewhere),
            (json!({"items": {"$ref": "../s.json"}}), json!({}), Withholding::Elsewhere),
            (json!({"$ref": "#/components/schemas/None"}), json!({}), Withholding::Reference),
            (json!({"$dynamicRef": "#x"}), json!({}), Withholding::Reference),
            (json!({"anyOf": wide}), json!({}), Withholding::SchemaTooLong),
            (json!({"$ref": "#/components/schemas/S0"}), chain.into(), Withholding::SchemaTooLong),
            (json!({"properties": []}), json!({}), Withholding::Schema),
            (json!({"items": "x"}), json!({}), Withholding::Schema),
        ] {
            assert_eq!(made("3.1.0", &schema, &components), Err(why), "{schema:.60}");
        }
    }
}
