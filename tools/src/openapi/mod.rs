//! Operations of OpenAPI documents as tools, under the same gate and the same purse as every other tool.
//!
//! An operator declares an API ([`Api`]): its document (OpenAPI 3.0 or 3.1, JSON or YAML), its server, which operations may be used,
//! which are paid for, and which credentials fill its security schemes. [`ApiTools::open`] makes an agent's tools of it. What a document
//! says is data with a label:
//!
//! - Requests go to the operator's server and nowhere else; references that lead outside the document are never followed.
//! - Arguments are checked against the document's schemas before the gate is asked and before anything is sent. A parameter that says
//!   who asks, where a request goes or how it is framed is nobody's to set. No path parameter leads to another path.
//! - An operation that cannot be used safely is withheld with the reason ([`WithheldOperation`]); the others stay.
//! - Beyond [`ApiLimits::listed_max`] operations, they are searched for: `NAME__search`, and then `NAME__read`, `NAME__write` and
//!   `NAME__buy`, whose effect is the strictest of what each may do.
//!
//! # Credentials
//! A credential is named and held by the operator ([`Secret`]). [`ApiTransport`] adds it below the purse, on the way to the server's
//! origin only, and takes it out of what comes back: it is in no prompt, argument, result, quote, journal, error or log.
//!
//! # Paid operations
//! A [paid](Api::paid) operation is bought as a page is: quotes, plan, decision, hold, one signature. Any other that asks for payment is
//! not bought.

mod answer;
mod api;
mod call;
mod contract;
mod document;
mod encode;
mod operation;
mod parameter;
mod pattern;
mod rank;
mod schema;
mod search;
mod secret;
mod security;
#[cfg(test)]
mod tests;
mod tool;
mod tools;
mod transport;
mod withheld;

pub use api::{Api, ApiError, ApiLimits, Place};
pub use secret::{Secret, SecretError};
pub use tools::{ApiParts, ApiTools};
pub use transport::ApiTransport;
pub use withheld::{WithheldOperation, Withholding};
