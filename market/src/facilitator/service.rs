//! The facilitator over HTTP.

use super::handle::{Exchange, Facilitator};
use crate::{
    admin,
    server::{Answer, Request, Service},
};
use serde_json::{Value, json};

/// The facilitator's server.
#[derive(Debug, Clone)]
pub(crate) struct FacilitatorService {
    pub(crate) facilitator: Facilitator,
    pub(crate) admin: bool,
}

impl Service for FacilitatorService {
    fn answer(&self, request: Request) -> Answer {
        let facilitator = &self.facilitator;
        let log = || json!(facilitator.log());
        if let Some(answer) = admin::answer(self.admin, &request, facilitator.faults(), log) {
            return answer;
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => Answer::json(200, &description()),
            ("GET", "/supported") => Answer::json(200, &facilitator.supported()),
            ("GET", "/discovery/resources") => {
                Answer::json(200, &facilitator.directory().resources(&request))
            }
            ("GET", "/discovery/search") => Answer::json(200, &facilitator.directory().search(&request)),
            ("POST", "/verify") => exchange(&request, |body| facilitator.verify(body)),
            ("POST", "/settle") => exchange(&request, |body| facilitator.settle(body)),
            _ => Answer::json(404, &json!({ "error": "not found" })),
        }
    }
}

fn exchange(request: &Request, perform: impl Fn(&Value) -> Exchange) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Answer::json(400, &json!({ "error": "invalid_payload" }));
    };
    match perform(&body) {
        Exchange::Answered(status, body) => Answer::json(status, &body),
        Exchange::Lost => Answer::dropped(),
    }
}

fn description() -> Value {
    json!({
        "name": "bursar market facilitator",
        "endpoints": {
            "discovery_search": "/discovery/search?query=&limit=",
            "discovery_resources": "/discovery/resources?limit=&offset=",
            "supported": "/supported",
            "verify": "/verify",
            "settle": "/settle",
        },
    })
}
