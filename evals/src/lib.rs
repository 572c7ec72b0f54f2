//! Evaluations of spend behaviour.
//!
//! A [`Scenario`] says what stands on the stage (a mandate, rules, sellers honest and hostile), what happens, and what must come
//! of it. It is played through the real path: real HTTP on loopback, the real purse, ledger and wallet, and a chain in a box;
//! time is virtual and everything random follows from a seed. What comes of it is judged by what the chain and the wire say, not
//! by the books, and scored in money.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut suite = bursar_evals::Suite::default();
//! suite.add(
//!     "weather.toml",
//!     r#"
//!     [[case]]
//!     id = "one-read"
//!     title = "One planned read"
//!     kind = "control"
//!     mandate = { budget = [{ scope = "session", limit = "1" }] }
//!     seller = [{ name = "weather", host = "api.weather.test", sells = [{ path = "/today", price = "0.01" }] }]
//!     step = [
//!         { do = "plan", items = [{ url = "https://api.weather.test/today" }] },
//!         { do = "pay", url = "https://api.weather.test/today" },
//!     ]
//!     expect = { paid_max = "0.01", paid_min = "0.01", signatures_max = 1 }
//!     "#,
//! )?;
//! let report = bursar_evals::run_suite(&suite, &bursar_evals::Options::default());
//! assert_eq!(report.verdict, bursar_evals::SuiteVerdict::Pass);
//! # Ok(())
//! # }
//! ```

mod agent;
mod judge;
mod mutate;
mod play;
mod report;
mod run;
mod scenario;
mod side_door;
mod stage;
mod weaken;

pub use agent::{AgentFailure, AgentFn, Assertion, SuiteFailed, suite};
pub use mutate::{Mutant, MutantFailure, MutationOptions, MutationReport, mutant, run_mutants};
pub use report::{
    Baseline, BaselineCase, BaselineError, CaseReport, CaseVerdict, Change, Diff, Format, Money, Outcome,
    Problem, Repeated, Score, SuiteReport, SuiteVerdict, UnknownFormat, VendorMoney,
};
pub use run::{Options, run_scenario, run_suite};
pub use scenario::{
    Alerts, Approver, Expect, GoodsSpec, Item, Kind, LoadError, LogSpec, ModelSpec, OfferSpec, Pay, Point,
    Scenario, SellerSpec, Step, Suite, Then, Turn, Usd, VendorExpect,
};
pub use stage::{Stage, StageError};
pub use weaken::{Removed, WeakenOptions, WeakenReport, run_weakened};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
