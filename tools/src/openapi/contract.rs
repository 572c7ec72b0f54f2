//! What the arguments of an operation must be: the schema that is checked, and the one that is shown.

use super::api::ApiLimits;
use super::document::Document;
use super::operation::Operation;
use super::parameter::BODY;
use super::schema::{Maker, parts, with_parts};
use super::withheld::Withholding;
use bursar_memory::clean_line;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Deepest nesting of arguments.
const DEPTH_MAX: usize = 64;
/// Problems that are told of one call.
const PROBLEMS_MAX: usize = 5;
const PROBLEM_CHARS_MAX: usize = 300;
/// Backtracking of a pattern before it counts as not met.
const BACKTRACKS_MAX: usize = 10_000;
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// How deep schemas are shown, and how long their descriptions, until one of these fits.
const SHOWN: [(usize, usize); 8] =
    [(16, 300), (8, 200), (6, 120), (4, 120), (3, 80), (2, 80), (1, 80), (1, 0)];

/// What the arguments of an operation must be.
#[derive(Debug)]
pub(super) struct Contract {
    whole: Value,
    validator: Validator,
    steps_max: usize,
}

impl Contract {
    /// Makes it.
    ///
    /// # Errors
    /// Why the operation cannot be used.
    pub(super) fn of(
        document: &Document,
        operation: &Operation,
        limits: &ApiLimits,
    ) -> Result<Self, Withholding> {
        let whole = whole(document, operation, limits)?;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACKS_MAX)
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::draft202012::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(patterns)
            .build(&whole)
            .map_err(|error| {
                tracing::debug!(%error, operation = %operation.name, "a schema cannot be used");
                Withholding::Schema
            })?;
        Ok(Self { whole, validator, steps_max: limits.steps_max })
    }

    /// The schema for a model, in at most so many bytes of JSON.
    ///
    /// # Errors
    /// [`Withholding::SchemaTooLong`] if not even the names of the arguments fit.
    pub(super) fn shown(&self, bytes_max: usize) -> Result<Value, Withholding> {
        let fits = |shown: &Value| shown.to_string().len() <= bytes_max;
        let tries = SHOWN.iter().map(|(depth, chars)| shown(&self.whole, *depth, *chars));
        tries.into_iter().find(fits).ok_or(Withholding::SchemaTooLong)
    }

    /// Checks arguments.
    ///
    /// # Errors
    /// What is wrong with them, in words that a model can act on.
    pub(super) fn check(&self, arguments: &Value) -> Result<(), String> {
        let mut steps = Steps { left: self.steps_max, defs: self.whole.get("$defs") };
        if !steps.walk(&self.whole, arguments, 0) {
            return Err("they take too long to check; nest less, and give fewer things at once".to_owned());
        }
        let known = self.whole.get("properties").and_then(Value::as_object);
        let unknown: Vec<String> = arguments
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
            .map(|(name, _)| format!("`{}`", bursar_types::visible(name, 60)))
            .take(PROBLEMS_MAX)
            .collect();
        if !unknown.is_empty() {
            let mut names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            // The order of a JSON object's members depends on how serde_json was built.
            names.sort_unstable();
            names.truncate(60);
            let takes = if names.is_empty() {
                "takes no arguments".to_owned()
            } else {
                format!("takes {}", names.join(", "))
            };
            return Err(format!("it has no {}; it {takes}", unknown.join(", ")));
        }
        let problems: Vec<String> = self
            .validator
            .iter_errors(arguments)
            .take(PROBLEMS_MAX)
            .map(|error| {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { String::new() } else { format!("at {at}: ") };
                clean_line(&format!("{at}{error}"), PROBLEM_CHARS_MAX)
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

/// The schema of all arguments, whole in itself.
fn whole(document: &Document, operation: &Operation, limits: &ApiLimits) -> Result<Value, Withholding> {
    let mut maker = Maker::new(document, limits.schemas_max);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in &operation.parameters {
        let mut made = maker.schema(&parameter.schema, 0)?;
        if let Value::Bool(true) = made {
            made = json!({});
        }
        if let Some(fields) = made.as_object_mut()
            && !parameter.description.is_empty()
        {
            // Beside a reference it is as good in this dialect.
            fields.insert("description".to_owned(), parameter.description.clone().into());
        }
        if parameter.required {
            required.push(parameter.argument.clone());
        }
        properties.insert(parameter.argument.clone(), made);
    }
    if let Some(body) = &operation.body {
        properties.insert(BODY.to_owned(), maker.schema(&body.schema, 0)?);
        if body.required {
            required.push(BODY.to_owned());
        }
    }
    let mut whole = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let Some(fields) = whole.as_object_mut() {
        if !required.is_empty() {
            fields.insert("required".to_owned(), required.into());
        }
        let defs = maker.defs()?;
        if !defs.is_empty() {
            fields.insert("$defs".to_owned(), defs.into());
        }
    }
    Ok(whole)
}

/// A schema to so many levels; what is below is left out and said to be.
fn shown(whole: &Value, depth: usize, chars: usize) -> Value {
    let mut showing = Showing { chars, wanted: BTreeMap::new(), open: VecDeque::new() };
    let mut made = showing.schema(whole, depth);
    let mut defs = Map::new();
    while let Some((name, depth)) = showing.open.pop_front() {
        let of = whole.get("$defs").and_then(|defs| defs.get(&name));
        let one = of.map_or(Value::Bool(true), |of| showing.schema(of, depth));
        defs.insert(name, one);
    }
    if let Some(fields) = made.as_object_mut() {
        fields.remove("$defs");
        if !defs.is_empty() {
            fields.insert("$defs".to_owned(), defs.into());
        }
    }
    made
}

struct Showing {
    chars: usize,
    wanted: BTreeMap<String, usize>,
    open: VecDeque<(String, usize)>,
}

impl Showing {
    fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(fields) = schema.as_object() else { return schema.clone() };
        let mut told = Map::new();
        let to = fields.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
        if depth == 0 && (to.is_some() || parts(fields).next().is_some()) {
            if let Some(kind) = fields.get("type") {
                told.insert("type".to_owned(), kind.clone());
            }
            self.describe(fields, &mut told);
            told.insert(
                "$comment".to_owned(),
                "more of it is left out here, and checked all the same".into(),
            );
            return told.into();
        }
        if let Some(name) = to {
            // The first to ask is the nearest to the top.
            let below = depth.saturating_sub(1);
            if self.wanted.insert(name.to_owned(), below).is_none() {
                self.open.push_back((name.to_owned(), below));
            }
        }
        let mut made = with_parts(fields, |part| self.schema(part, depth.saturating_sub(1)));
        for word in ["title", "description", "deprecated"] {
            made.remove(word);
        }
        self.describe(fields, &mut made);
        made.into()
    }

    fn describe(&self, fields: &Map<String, Value>, told: &mut Map<String, Value>) {
        let said = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        if self.chars > 0 && !said.is_empty() {
            told.insert("description".to_owned(), clean_line(said, self.chars).into());
        }
    }
}

/// Counts what a check may take before it is done: every schema that may be asked of every part of the arguments.
///
/// A schema can be written so that a short text takes a checker for ever; this stops after so many steps.
struct Steps<'a> {
    left: usize,
    defs: Option<&'a Value>,
}

impl<'a> Steps<'a> {
    fn walk(&mut self, schema: &'a Value, value: &Value, depth: usize) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let Some(fields) = schema.as_object() else { return true };
        if depth > DEPTH_MAX.saturating_mul(3) {
            return false;
        }
        let below = depth.saturating_add(1);
        let to = fields.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
        if let Some(def) = to.and_then(|name| self.defs?.get(name))
            && !self.walk(def, value, below)
        {
            return false;
        }
        let same =
            ["allOf", "anyOf", "oneOf"].iter().filter_map(|word| fields.get(*word)?.as_array()).flatten();
        let same = same.chain(["not", "if", "then", "else"].iter().filter_map(|word| fields.get(*word)));
        let same = same.chain(
            fields
                .get("dependentSchemas")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(_, one)| one),
        );
        for one in same {
            if !self.walk(one, value, below) {
                return false;
            }
        }
        match value {
            Value::Object(members) => {
                members.iter().all(|(name, member)| self.member(fields, name, member, below))
            }
            Value::Array(items) => {
                let each = ["items", "contains", "unevaluatedItems"];
                let first = fields.get("prefixItems").and_then(Value::as_array);
                items.iter().enumerate().all(|(index, item)| {
                    let own = first.and_then(|first| first.get(index));
                    let mut asked = own.into_iter().chain(each.iter().filter_map(|word| fields.get(*word)));
                    asked.all(|one| self.walk(one, item, below))
                })
            }
            _ => true,
        }
    }

    fn member(&mut self, fields: &'a Map<String, Value>, name: &str, member: &Value, depth: usize) -> bool {
        let own = fields.get("properties").and_then(|properties| properties.get(name));
        let patterns = fields.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let rest = ["additionalProperties", "unevaluatedProperties", "propertyNames"].iter();
        let mut asked = own
            .into_iter()
            .chain(patterns.map(|(_, one)| one))
            .chain(rest.filter_map(|word| fields.get(*word)));
        asked.all(|one| self.walk(one, member, depth))
    }
}

#[cfg(test)]
mod tests;
