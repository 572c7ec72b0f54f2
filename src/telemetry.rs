//! Spans and metrics for whoever watches many agents: what is measured, and, with the feature `otel`, the way to an
//! OpenTelemetry collector. `docs/TELEMETRY.md` lists every name; [`bursar_types::telemetry`] holds them.
//!
//! Nothing here is on the way of a payment: spans go into a bounded queue and are dropped when it is full, and a thread of its
//! own sends them. A collector that is down or slow costs nothing but its spans.

mod config;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod instruments;
mod meter;
#[cfg(feature = "otel")]
mod timings;

pub use bursar_types::telemetry::{TARGET, TraceContext, Traces, Untraced, attribute, metric, span};
pub use config::TelemetryConfig;
#[cfg(feature = "otel")]
pub use export::{Telemetry, TelemetryError};
pub use meter::{Meter, OpenWork};

pub(crate) use meter::{Gauges, metered};
