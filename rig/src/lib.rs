//! Bursar for [rig](https://docs.rs/rig-core).
//!
//! * [`RigModel`]: any model of rig as a backend of Bursar's agents.
//!
//! This crate has the version of rig that it is made for, and needs exactly that one. Rig's types stand in the public API of no other
//! crate of Bursar.

mod model;

pub use model::RigModel;
