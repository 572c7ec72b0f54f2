//! How long things took: histograms of the spans that are exported, whether or not they are sampled.

use super::instruments::Instruments;
use bursar_types::telemetry::{attribute, span};
use opentelemetry::KeyValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Attributes that a histogram is told: few values each.
const TOLD: [&str; 6] = [
    attribute::OPERATION,
    attribute::PROVIDER,
    attribute::MODEL,
    attribute::TOOL_NAME,
    attribute::STATE,
    attribute::ERROR,
];

/// Measures spans.
#[derive(Debug)]
pub(super) struct Timings(pub(super) Arc<Instruments>);

/// What is known of a span while it is open.
struct Open {
    since: Instant,
    told: BTreeMap<&'static str, String>,
    tokens: BTreeMap<&'static str, u64>,
}

impl Visit for Open {
    fn record_i64(&mut self, field: &Field, value: i64) {
        let kind = match field.name() {
            attribute::INPUT_TOKENS => "input",
            attribute::OUTPUT_TOKENS => "output",
            _ => return,
        };
        if let Ok(value) = u64::try_from(value) {
            self.tokens.insert(kind, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(name) = TOLD.into_iter().find(|name| *name == field.name()) {
            self.told.insert(name, value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if TOLD.contains(&field.name()) {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Timings {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long something took is measured, and nothing depends on it"
    )]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut open = Open { since: Instant::now(), told: BTreeMap::new(), tokens: BTreeMap::new() };
        attributes.record(&mut open);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        self.measured(span.name(), &open);
    }
}

impl Timings {
    fn measured(&self, name: &'static str, open: &Open) {
        let seconds = open.since.elapsed().as_secs_f64();
        let told = || -> Vec<KeyValue> {
            open.told.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect()
        };
        match name {
            span::INVOKE_AGENT => self.0.run_seconds.record(seconds, &told()),
            span::EXECUTE_TOOL => self.0.tool_seconds.record(seconds, &told()),
            span::CHAT => {
                let told = told();
                self.0.chat_seconds.record(seconds, &told);
                for (kind, tokens) in &open.tokens {
                    let mut told = told.clone();
                    told.push(KeyValue::new(attribute::TOKEN_TYPE, *kind));
                    self.0.tokens.record(*tokens, &told);
                }
            }
            span::PAYMENT => {
                let told = told();
                self.0.payments.add(1, &told);
                self.0.payment_seconds.record(seconds, &told);
            }
            _ => {
                if let Some(stage) = name.strip_prefix("payment.") {
                    let mut told = told();
                    told.push(KeyValue::new(attribute::STAGE, stage));
                    self.0.stage_seconds.record(seconds, &told);
                }
            }
        }
    }
}
