//! Scenarios: what stands on the stage, what happens, and what must come of it. All of it is data.

mod case;
mod expect;
mod file;
mod market;
mod money;
mod step;

pub use case::{Alerts, Approver, Kind, LogSpec, ModelSpec, Scenario, Turn};
pub use expect::{Expect, VendorExpect};
pub(crate) use file::copies_before;
pub use file::{LoadError, Suite};
pub use market::{GoodsSpec, OfferSpec, SellerSpec};
pub use money::Usd;
pub use step::{Item, Pay, Point, Step, Then};
