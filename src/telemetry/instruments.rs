//! What is counted, in OpenTelemetry's instruments.

use super::meter::{Meter, OpenWork};
use bursar_payments::{MoneyEvent, Observer};
use bursar_types::Amount;
use bursar_types::telemetry::{attribute, metric};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter as OtelMeter};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Vendors that are counted by name; later ones are counted as `other`.
const VENDORS_MAX: usize = 100;

/// Bounds of histograms of time, as OpenTelemetry's conventions for generative AI have them.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The same for tokens.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Every instrument.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) payments: Counter<u64>,
    spent: Counter<u64>,
    refunded: Counter<u64>,
    denials: Counter<u64>,
    gates: Counter<u64>,
    pub(super) payment_seconds: Histogram<f64>,
    pub(super) stage_seconds: Histogram<f64>,
    pub(super) chat_seconds: Histogram<f64>,
    pub(super) tool_seconds: Histogram<f64>,
    pub(super) run_seconds: Histogram<f64>,
    pub(super) tokens: Histogram<u64>,
    obligations: Gauge<u64>,
    open: Gauge<u64>,
    /// The vendors that are counted by name; none if none are.
    vendors: Option<Mutex<BTreeSet<String>>>,
}

impl Instruments {
    pub(super) fn new(meter: &OtelMeter, vendors: bool) -> Self {
        let counter =
            |name, unit| meter.u64_counter(name).with_unit(unit).with_description(meaning(name)).build();
        let gauge =
            |name| meter.u64_gauge(name).with_unit("{payment}").with_description(meaning(name)).build();
        let seconds = |name| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(meaning(name));
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let tokens = meter.u64_histogram(metric::TOKENS).with_unit("{token}");
        Self {
            payments: counter(metric::PAYMENTS, "{payment}"),
            spent: counter(metric::SPENT, "{atomic_unit}"),
            refunded: counter(metric::REFUNDED, "{atomic_unit}"),
            denials: counter(metric::DENIALS, "{denial}"),
            gates: counter(metric::GATES, "{gate}"),
            payment_seconds: seconds(metric::PAYMENT_SECONDS),
            stage_seconds: seconds(metric::STAGE_SECONDS),
            chat_seconds: seconds(metric::CHAT_SECONDS),
            tool_seconds: seconds(metric::TOOL_SECONDS),
            run_seconds: seconds(metric::RUN_SECONDS),
            tokens: tokens.with_description(meaning(metric::TOKENS)).with_boundaries(TOKENS.to_vec()).build(),
            obligations: gauge(metric::OBLIGATIONS),
            open: gauge(metric::OPEN),
            vendors: vendors.then(Mutex::default),
        }
    }

    /// An amount's asset and network, and the vendor where vendors are counted.
    fn of_amount(&self, amount: &Amount, host: &str) -> Vec<KeyValue> {
        let asset = amount.asset().as_str();
        let mut attributes = vec![KeyValue::new(attribute::ASSET, asset.to_owned())];
        if let Some((network, _)) = asset.split_once('/') {
            attributes.push(KeyValue::new(attribute::NETWORK, network.to_owned()));
        }
        attributes.extend(self.vendor(host).map(|vendor| KeyValue::new(attribute::VENDOR, vendor)));
        attributes
    }

    fn vendor(&self, host: &str) -> Option<String> {
        let mut known = self.vendors.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(host) {
            return Some(host.to_owned());
        }
        if known.len() >= VENDORS_MAX {
            return Some("other".to_owned());
        }
        known.insert(host.to_owned());
        Some(host.to_owned())
    }
}

impl Observer for Instruments {
    fn event(&self, event: &MoneyEvent) {
        // A count that does not fit stops at the largest there is: these are for watching, the ledger keeps the books.
        let atomic = |amount: &Amount| u64::try_from(amount.atomic()).unwrap_or(u64::MAX);
        match event {
            MoneyEvent::Paid { payment } => {
                self.spent.add(atomic(&payment.amount), &self.of_amount(&payment.amount, &payment.host));
            }
            MoneyEvent::Refunded { payment, amount } => {
                self.refunded.add(atomic(amount), &self.of_amount(amount, &payment.host));
            }
            MoneyEvent::Refused { decision, .. } => {
                for reason in &decision.reasons {
                    self.denials.add(1, &[KeyValue::new(attribute::REASON, reason.code.to_string())]);
                }
                if decision.reasons.is_empty() {
                    self.denials.add(1, &[KeyValue::new(attribute::REASON, "DENIED")]);
                }
            }
            MoneyEvent::GateReached { gate } => {
                self.gates.add(1, &[KeyValue::new(attribute::GATE, gate.level.to_string())]);
            }
            _ => {}
        }
    }
}

impl Meter for Instruments {
    fn open(&self, open: OpenWork) {
        self.open.record(open.payments, &[]);
        self.obligations.record(open.obligations, &[]);
    }
}

/// What the table of names says about a metric.
fn meaning(name: &str) -> &'static str {
    metric::ALL.iter().find(|(known, _)| *known == name).map_or("", |(_, meaning)| meaning.trim())
}
