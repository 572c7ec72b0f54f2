//! The admin endpoints that every server of the market has when they are switched on.

use crate::{
    faults::{FaultRule, Faults},
    server::{Answer, Request},
};
use serde_json::{Value, json};

/// Answers `/admin/…`; `None` for any other path. Off, these paths do not exist.
pub(crate) fn answer(
    on: bool,
    request: &Request,
    faults: &Faults,
    log: impl Fn() -> Value,
) -> Option<Answer> {
    if !request.path.starts_with("/admin/") {
        return None;
    }
    if !on {
        return Some(Answer::json(404, &json!({ "error": "not found" })));
    }
    let answer = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/admin/faults") => Answer::json(200, &json!(faults.armed())),
        ("DELETE", "/admin/faults") => {
            faults.clear();
            Answer::json(200, &json!([]))
        }
        ("POST", "/admin/faults") => match arm(&request.body, faults) {
            Ok(()) => Answer::json(200, &json!(faults.armed())),
            Err(error) => Answer::json(400, &json!({ "error": error })),
        },
        ("GET", "/admin/log") => Answer::json(200, &log()),
        _ => Answer::json(404, &json!({ "error": "not found" })),
    };
    Some(answer)
}

/// One rule is added to those armed; a list replaces them.
fn arm(body: &[u8], faults: &Faults) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if value.is_array() {
        let rules: Vec<FaultRule> = serde_json::from_value(value).map_err(|error| error.to_string())?;
        faults.replace(rules).map_err(|error| error.to_string())
    } else {
        let rule: FaultRule = serde_json::from_value(value).map_err(|error| error.to_string())?;
        faults.arm(rule).map_err(|error| error.to_string())
    }
}
