//! `[telemetry]` of `bursar.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Where spans and metrics go, and what is in them. The command does as it says; a program hands it to `Telemetry::start`, since
/// the subscriber is the program's: opening Bursar alone sends nothing.
///
/// The standard variables win over what is written here: `OTEL_EXPORTER_OTLP_ENDPOINT` (and the same for `TRACES` and `METRICS`),
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_TRACES_SAMPLER`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_BSP_*`; `OTEL_SDK_DISABLED=true` switches all of it off.
///
/// ```
/// let config: bursar::telemetry::TelemetryConfig = toml::from_str(r#"
///     endpoint = "http://localhost:4318"
///     service = "research"
///     sample = 0.25
///     [headers_env]
///     authorization = "COLLECTOR_TOKEN"   # the header's value is in this variable
/// "#)?;
/// assert!(!config.content, "texts of models and tools stay here");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The collector, spoken to with OTLP over HTTP (`http/protobuf`): spans go to `v1/traces` under it, metrics to
    /// `v1/metrics`. Without one, and without the variable, nothing is sent.
    pub endpoint: Option<String>,
    /// Headers for the collector, each with the name of the variable that holds its value. Secrets do not stand in files.
    #[serde(default)]
    pub headers_env: BTreeMap<String, String>,
    /// What the collector calls this program: `bursar` unless it says otherwise.
    pub service: Option<String>,
    /// Whether texts are recorded: instructions, conversations, answers, arguments and results of tools. Off unless this says
    /// `true`. Keys, signatures and headers are never recorded.
    #[serde(default)]
    pub content: bool,
    /// Which part of traces is sent, from 0 to 1: all of them unless it says otherwise. The journal names the trace either way.
    pub sample: Option<f64>,
    /// Whether metrics are counted by vendor too, for at most 100 vendors: their number is not bounded otherwise.
    #[serde(default)]
    pub vendors: bool,
}

impl TelemetryConfig {
    /// What can be seen to be wrong before anything is opened.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(endpoint) = self.endpoint.as_ref().filter(|endpoint| !crate::config::is_http(endpoint)) {
            let endpoint = endpoint.escape_debug();
            return Some(format!(
                "telemetry.endpoint: `{endpoint}` is not a URL such as `http://localhost:4318`"
            ));
        }
        if self.sample.is_some_and(|sample| !(0.0..=1.0).contains(&sample)) {
            return Some("telemetry.sample: not a number from 0 to 1, such as `0.25`".to_owned());
        }
        let bad = |name: &&String| http::HeaderName::from_bytes(name.as_bytes()).is_err();
        let name = self.headers_env.keys().find(bad)?;
        Some(format!("telemetry.headers_env: `{}` is no name of a header", name.escape_debug()))
    }
}
