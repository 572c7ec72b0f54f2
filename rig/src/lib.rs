//! Bursar for [rig](https://docs.rs/rig-core).
//!
//! * [`RigModel`]: any completion model of rig as a backend of Bursar's agents.
//! * [`Governor`]: a purse and the gate around a rig agent as it is. Every call of its tools is decided, recorded and, where it asks for
//!   payment, paid under the rules. With [`Governor::offers`] it has Bursar's own tools too.
//! * [`PaymentRequired`]: what a tool raises when a seller asks for payment.
//!
//! This crate has the version of rig that it is made for, and needs exactly that one. Rig's types stand in the public API of no other
//! crate of Bursar. docs/RIG.md shows how it is used, and says what rig's hooks cannot do.

mod governed;
mod governor;
mod hook;
mod model;
mod paid;
mod ticket;
mod twin;

pub use governed::GovernedAgent;
pub use governor::{GovernError, Governor};
pub use model::RigModel;
pub use paid::PaymentRequired;

#[cfg(doctest)]
#[doc = include_str!("../../docs/RIG.md")]
struct Page;
