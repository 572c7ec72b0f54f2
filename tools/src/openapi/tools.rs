//! The tools of one API.

use super::api::{Api, ApiError};
use super::call::Shared;
use super::document::Document;
use super::operation::{Operation, Place};
use super::search::Catalogue;
use super::secret::Redaction;
use super::security::Schemes;
use super::tool::OperationTool;
use super::transport::ApiTransport;
use super::withheld::{WithheldOperation, Withholding};
use crate::tool_name::model_name;
use bursar_agent_core::{DuplicateTool, DynTool, ToolSet};
use bursar_types::{AssetRegistry, Effect, visible};
use http::Method;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Fields of a path that are operations.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// What APIs are opened with.
#[derive(Debug, Clone)]
pub struct ApiParts {
    /// Where requests go that no purse sends, and what adds credentials. The purse has to send through it, or through a clone of it.
    pub transport: ApiTransport,
    /// Shows amounts.
    pub assets: AssetRegistry,
}

/// The tools of one API, as its document has them.
#[derive(Debug)]
pub struct ApiTools {
    operations: Vec<(String, String, Effect)>,
    tools: Vec<Arc<dyn DynTool>>,
    withheld: Vec<WithheldOperation>,
}

impl ApiTools {
    /// Reads the document. Nothing is asked of anybody.
    ///
    /// # Errors
    /// [`ApiError`]: the document as a whole cannot be used, or what the operator says does not fit it. A single operation that cannot be
    /// used is [withheld](Self::withheld).
    pub fn open(api: Api, parts: ApiParts) -> Result<Self, ApiError> {
        let document = Document::read(api.document(), api.bounds().document_bytes_max)
            .map_err(|problem| ApiError::Document { api: api.name().to_owned(), problem })?;
        let schemes = Schemes::read(&api, &document)?;
        let Sorted { operations, mut withheld } = sort(&api, &document, &schemes)?;
        let (server, redaction) = (schemes.server().clone(), Redaction::of(schemes.secrets()));
        let shared = Arc::new(Shared::new(api, document, server, redaction, (parts.transport, parts.assets)));
        let searched = operations.len() > shared.bounds().listed_max;
        let (used, tools) = match searched {
            true => {
                let catalogue = Arc::new(Catalogue::new(shared, operations.clone()));
                (operations, catalogue.tools())
            }
            false => listed(&shared, operations, &mut withheld),
        };
        let told = used.iter().map(|operation| (operation.name.clone(), operation.place(), operation.effect));
        Ok(Self { operations: told.collect(), tools, withheld })
    }

    /// They, for an agent: one for each operation, or the search and what calls its hits.
    ///
    /// # Errors
    /// [`DuplicateTool`] if two have one name, which the way they are named rules out.
    pub fn tools(&self) -> Result<ToolSet, DuplicateTool> {
        self.tools.iter().cloned().try_fold(ToolSet::new(), ToolSet::with_dyn)
    }

    /// The operations that an agent can use: name, `METHOD /path`, effect.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &str, Effect)> {
        self.operations.iter().map(|(name, place, effect)| (name.as_str(), place.as_str(), *effect))
    }

    /// What an agent does not get, and why. Operations that the operator does not use are not in it.
    #[must_use]
    pub fn withheld(&self) -> &[WithheldOperation] {
        &self.withheld
    }
}

/// The operations of a document, and those that are withheld.
struct Sorted {
    operations: Vec<Arc<Operation>>,
    withheld: Vec<WithheldOperation>,
}

fn sort(api: &Api, document: &Document, schemes: &Schemes) -> Result<Sorted, ApiError> {
    let mut sorted = Sorted { operations: Vec::new(), withheld: Vec::new() };
    let mut withhold = |operation: String, why| {
        sorted.withheld.push(WithheldOperation { operation: visible(&operation, 300), why });
    };
    let (ids, beyond) = ids(document, api.bounds().operations_max);
    let mut unmeant: Vec<&str> = api.patterns().map(|pattern| pattern.as_str()).collect();
    let mut read = 0_usize;
    for (path, item) in document.paths() {
        let item = match document.object(item) {
            Ok(item) => item,
            Err(why) => {
                withhold(format!("* {path}"), why);
                continue;
            }
        };
        for (method, said) in operations(item) {
            read = read.saturating_add(1);
            if read > api.bounds().operations_max {
                continue;
            }
            let place = format!("{method} {path}");
            let Some(said) = said.as_object() else {
                withhold(place, Withholding::Unreadable);
                continue;
            };
            let at = Place { method, path, item, said };
            unmeant.retain(|text| {
                let patterns = api.patterns().filter(|pattern| pattern.as_str() == *text);
                !patterns.into_iter().any(|pattern| pattern.means(at.id(), &at.method, path))
            });
            if !api.offers(at.id(), &at.method, path) {
                continue;
            }
            if at.id().is_some_and(|id| ids.get(id).is_some_and(|count| *count > 1)) {
                withhold(place, Withholding::NameTwice);
                continue;
            }
            match Operation::read(api, document, schemes, &at) {
                Ok(operation) => sorted.operations.push(Arc::new(operation)),
                Err(why) => withhold(place, why),
            }
        }
    }
    if beyond > 0 {
        withhold(format!("{beyond} operations at the end of the document"), Withholding::TooMany);
    }
    match unmeant.first() {
        Some(text) => Err(ApiError::NoSuchOperation(visible(text, 200))),
        None => Ok(sorted),
    }
}

fn operations(item: &Map<String, Value>) -> impl Iterator<Item = (Method, &Value)> {
    METHODS.iter().filter_map(|field| {
        let method = Method::from_bytes(field.to_ascii_uppercase().as_bytes()).ok()?;
        Some((method, item.get(*field)?))
    })
}

/// How often each id is used, and how many operations are beyond the bound.
fn ids(document: &Document, operations_max: usize) -> (BTreeMap<String, usize>, usize) {
    let (mut ids, mut count) = (BTreeMap::new(), 0_usize);
    for (_, item) in document.paths() {
        let Ok(item) = document.object(item) else { continue };
        for (method, said) in operations(item) {
            count = count.saturating_add(1);
            if count > operations_max {
                continue;
            }
            let _ = method;
            if let Some(id) = said.get("operationId").and_then(Value::as_str) {
                let used: &mut usize = ids.entry(id.to_owned()).or_default();
                *used = used.saturating_add(1);
            }
        }
    }
    (ids, count.saturating_sub(operations_max))
}

/// A tool for each operation; those whose arguments cannot be shown are withheld.
fn listed(
    shared: &Arc<Shared>,
    operations: Vec<Arc<Operation>>,
    withheld: &mut Vec<WithheldOperation>,
) -> (Vec<Arc<Operation>>, Vec<Arc<dyn DynTool>>) {
    let (mut used, mut tools): (Vec<_>, Vec<Arc<dyn DynTool>>) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for operation in operations {
        let name = model_name(shared.api.name(), &operation.name);
        let schema =
            shared.contract(&operation).and_then(|contract| contract.shown(shared.bounds().schema_bytes_max));
        let schema = match names.insert(name.clone()) {
            true => schema,
            false => Err(Withholding::NameTwice),
        };
        match schema {
            Ok(schema) => {
                tools.push(Arc::new(OperationTool::new(shared.clone(), operation.clone(), name, schema)));
                used.push(operation);
            }
            Err(why) => {
                withheld.push(WithheldOperation { operation: visible(&operation.place(), 300), why });
            }
        }
    }
    (used, tools)
}
