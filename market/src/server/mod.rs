//! How requests reach the market's services: over loopback, or by a call.

mod listen;
mod message;
mod switchboard;
mod venue;

pub(crate) use message::{Answer, Delivery, Request, Service};
pub use switchboard::Broken;
pub(crate) use switchboard::Host;
pub(crate) use venue::{Stand, Venue};
