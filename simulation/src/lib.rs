//! A deterministic simulation of the purse.
//!
//! The code under test is the real one: [`bursar_payments::Payments`] with its rail, its signatures and the real market.
//! Time, chance, scheduling, the network and the disk are simulated, and follow from one number: a seed that fails once
//! fails again. See the README of this crate.

mod audit;
mod buyer;
mod clock;
mod dice;
mod disk;
mod driver;
mod faults;
mod network;
mod proxy;
mod report;
mod scenario;
mod signer;
mod stage;
mod trace;
mod watch;
mod world;

pub use report::{Options, Report, Summary, run, run_many};
pub use trace::Coverage;
pub use watch::Violation;
