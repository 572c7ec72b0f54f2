//! The way to an OpenTelemetry collector.

use super::config::TelemetryConfig;
use super::instruments::Instruments;
use super::meter::Meter;
use super::timings::Timings;
use bursar_types::telemetry::{TARGET, TraceContext, Traces};
use opentelemetry::Context;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// What instruments and spans say they come from.
const SCOPE: &str = "bursar";
/// How long a collector may take over one request, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans and metrics to a collector, on threads of its own.
///
/// Cheap to clone. Its [`layer`](Telemetry::layer) belongs in the program's `tracing` subscriber, and the rest into
/// [`BursarBuilder::telemetry`](crate::BursarBuilder::telemetry); at the end, [`Telemetry::close`] sends what still waits.
///
/// # Example
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use bursar::telemetry::{Telemetry, TelemetryConfig};
/// use bursar::{Bursar, Config};
/// use std::time::Duration;
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::util::SubscriberInitExt as _;
///
/// let config = Config::read("bursar.toml".as_ref())?;
/// if let Some(telemetry) = Telemetry::start(&config.telemetry)? {
///     tracing_subscriber::registry().with(telemetry.layer()).init();
///     let bursar = Bursar::configured("bursar.toml")?.telemetry(&telemetry).open().await?;
///     // …
///     bursar.close().await?;
///     telemetry.close(Duration::from_secs(2))?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Telemetry {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    instruments: Arc<Instruments>,
    content: bool,
}

/// Why nothing can be sent, or not everything was.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// A protocol that is not spoken here.
    #[error(
        "OTLP is spoken as `http/protobuf` only, and `{variable}` asks for `{protocol}`; unset it, or give a collector's HTTP port (4318 mostly)"
    )]
    Protocol {
        /// Who asks for it.
        variable: &'static str,
        /// What it asks for.
        protocol: String,
    },
    /// A header's variable is not set.
    #[error("header `{header}` for the collector is to be in the variable `{variable}`, which is not set")]
    Header {
        /// The header.
        header: String,
        /// The variable.
        variable: String,
    },
    /// The exporter cannot be made.
    #[error("the way to the collector cannot be set up")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Not all that waited was sent.
    #[error("not all telemetry reached the collector: {0}")]
    Unsent(String),
}

impl Telemetry {
    /// Sets the way to a collector up; `None` if neither the configuration nor the environment names one, or the environment
    /// switches it off. Nothing is sent before there is something, so a collector that is not there is no error.
    ///
    /// # Errors
    /// [`TelemetryError`]; nothing was started.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>, TelemetryError> {
        let environment = Environment::read();
        let wanted = config.endpoint.is_some() || environment.endpoint;
        if environment.off || !wanted || (environment.no_spans && environment.no_metrics) {
            return Ok(None);
        }
        if let Some((variable, protocol)) = environment.protocol {
            return Err(TelemetryError::Protocol { variable, protocol });
        }
        let headers = headers(config)?;
        let resource = resource(config, environment.service);
        // The variables win: where one names an endpoint, the exporter reads it itself.
        let base = config.endpoint.as_ref().filter(|_| !environment.endpoint);
        let endpoint = |path: &str| base.map(|base| format!("{}/v1/{path}", base.trim_end_matches('/')));
        let mut spans = SdkTracerProvider::builder().with_resource(resource.clone());
        if !environment.no_spans {
            let mut exporter = SpanExporter::builder().with_http().with_headers(headers.clone());
            if !environment.timeout {
                exporter = exporter.with_timeout(TIMEOUT);
            }
            if let Some(endpoint) = endpoint("traces") {
                exporter = exporter.with_endpoint(endpoint);
            }
            spans = spans.with_batch_exporter(exporter.build().map_err(exporter_error)?);
        }
        if let (Some(sample), false) = (config.sample, environment.sampler) {
            spans = spans.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))));
        }
        let mut metrics = SdkMeterProvider::builder().with_resource(resource);
        if !environment.no_metrics {
            let mut exporter = MetricExporter::builder().with_http().with_headers(headers);
            if !environment.timeout {
                exporter = exporter.with_timeout(TIMEOUT);
            }
            if let Some(endpoint) = endpoint("metrics") {
                exporter = exporter.with_endpoint(endpoint);
            }
            metrics = metrics.with_periodic_exporter(exporter.build().map_err(exporter_error)?);
        }
        let (spans, metrics) = (spans.build(), metrics.build());
        let instruments = Arc::new(Instruments::new(&metrics.meter(SCOPE), config.vendors));
        Ok(Some(Self { spans, metrics, instruments, content: config.content }))
    }

    /// What belongs in the program's subscriber: it takes the spans of [`TARGET`] and nothing else, so that what other
    /// libraries log is not sent.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_error_records_to_exceptions(false)
            .with_error_fields_to_exceptions(false);
        let timings = Timings(self.instruments.clone());
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
        spans.and_then(timings).with_filter(ours)
    }

    /// Who knows which trace a task is in.
    #[must_use]
    pub fn traces(&self) -> Arc<dyn Traces> {
        Arc::new(Current { content: self.content })
    }

    /// Who counts what happens to money.
    #[must_use]
    pub fn meter(&self) -> Arc<dyn Meter> {
        self.instruments.clone()
    }

    /// Sends what still waits, for `at_most` that long; after it nothing is sent any more. It waits on this thread, so call it
    /// when the work is done.
    ///
    /// # Errors
    /// [`TelemetryError::Unsent`] if the collector did not take everything in time; what was paid and recorded is not touched by
    /// that.
    ///
    /// # Idempotency
    /// A second call sends nothing.
    pub fn close(&self, at_most: Duration) -> Result<(), TelemetryError> {
        let (done, ended) = mpsc::channel();
        let both = self.clone();
        // The SDK's own limits do not cover a collector that accepts and says nothing.
        std::thread::spawn(move || {
            let (spans, metrics) = std::thread::scope(|scope| {
                let metrics = scope.spawn(|| both.metrics.shutdown());
                (both.spans.shutdown(), metrics.join())
            });
            let told = [Some(spans), metrics.ok()].into_iter().flatten().find_map(Result::err);
            // Nobody may wait any more.
            let _ = done.send(told);
        });
        match ended.recv_timeout(at_most) {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(TelemetryError::Unsent(error.to_string())),
            Err(_) => Err(TelemetryError::Unsent("it did not answer in time".to_owned())),
        }
    }
}

fn exporter_error(error: opentelemetry_otlp::ExporterBuildError) -> TelemetryError {
    TelemetryError::Exporter(Box::new(error))
}

/// Asks OpenTelemetry which span is current.
#[derive(Debug)]
struct Current {
    content: bool,
}

impl Traces for Current {
    fn current(&self) -> Option<TraceContext> {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        TraceContext::new(span.trace_id().to_bytes(), span.span_id().to_bytes())
    }

    fn content(&self) -> bool {
        self.content
    }
}

/// What the standard variables say that the SDK does not look at itself.
struct Environment {
    off: bool,
    endpoint: bool,
    timeout: bool,
    sampler: bool,
    service: bool,
    no_spans: bool,
    no_metrics: bool,
    protocol: Option<(&'static str, String)>,
}

impl Environment {
    fn read() -> Self {
        let protocols = [
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        ];
        let other = |name| Some((name, variable(name)?)).filter(|(_, protocol)| protocol != "http/protobuf");
        let any = |names: &[&str]| names.iter().any(|name| variable(name).is_some());
        let none = |name| variable(name).is_some_and(|exporter| exporter == "none");
        Self {
            off: variable("OTEL_SDK_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true")),
            endpoint: any(&[
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            ]),
            timeout: any(&[
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
                "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
            ]),
            sampler: any(&["OTEL_TRACES_SAMPLER"]),
            service: any(&["OTEL_SERVICE_NAME"]),
            no_spans: none("OTEL_TRACES_EXPORTER"),
            no_metrics: none("OTEL_METRICS_EXPORTER"),
            protocol: protocols.into_iter().find_map(other),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the facade reads the environment")]
fn variable(name: &str) -> Option<String> {
    // An empty one is as if it were not set, as OpenTelemetry has it.
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn headers(config: &TelemetryConfig) -> Result<HashMap<String, String>, TelemetryError> {
    let named = config.headers_env.iter();
    named
        .map(|(header, name)| match variable(name) {
            Some(value) => Ok((header.clone(), value)),
            None => Err(TelemetryError::Header { header: header.clone(), variable: name.clone() }),
        })
        .collect()
}

fn resource(config: &TelemetryConfig, named: bool) -> Resource {
    let resource = Resource::builder();
    let service = config.service.as_deref().unwrap_or(SCOPE);
    // `OTEL_RESOURCE_ATTRIBUTES` may name the service too, and is read by the SDK.
    let by_attributes =
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
    let resource = match named || by_attributes() {
        true => resource,
        false => resource.with_service_name(service.to_owned()),
    };
    resource
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
