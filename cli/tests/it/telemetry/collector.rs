//! A stand-in for an OpenTelemetry collector: it speaks OTLP over HTTP and decodes what it is sent.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes everything.
    Takes,
    /// It accepts connections and never says anything.
    Hangs,
}

/// What was sent.
#[derive(Default)]
pub(crate) struct Sent {
    spans: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    /// Heads and bodies as they came.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Connections that were never answered.
    silent: Vec<TcpStream>,
}

/// One span, as a test looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) events: usize,
    pub(crate) links: Vec<String>,
}

impl Span {
    pub(crate) fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The collector.
pub(crate) struct Collector {
    address: SocketAddr,
    sent: Arc<Mutex<Sent>>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, sent) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Sent::default())));
        let taken = sent.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = taken.clone();
                match manner {
                    Manner::Hangs => taken.lock().unwrap().silent.push(stream),
                    Manner::Takes => drop(std::thread::spawn(move || serve(stream, &taken))),
                }
            }
        });
        Self { address, sent }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether anybody connected and got no answer.
    pub(crate) fn kept_waiting(&self) -> bool {
        !self.sent.lock().unwrap().silent.is_empty()
    }

    /// Everything as it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.sent.lock().unwrap().bytes.concat()
    }

    /// Every span.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let sent = self.sent.lock().unwrap();
        let scopes =
            sent.spans.iter().flat_map(|sent| &sent.resource_spans).flat_map(|sent| &sent.scope_spans);
        let spans = scopes.flat_map(|scope| &scope.spans).map(|span| Span {
            name: span.name.clone(),
            trace: hexed(&span.trace_id),
            id: hexed(&span.span_id),
            parent: hexed(&span.parent_span_id),
            attributes: attributes(&span.attributes),
            events: span.events.len(),
            links: span.links.iter().map(|link| hexed(&link.span_id)).collect(),
        });
        spans.collect()
    }

    /// What the program is called.
    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        let sent = self.sent.lock().unwrap();
        let resource = sent.spans[0].resource_spans[0].resource.as_ref().unwrap();
        attributes(&resource.attributes)
    }

    /// Every point of a metric as it was sent last: its attributes with its sum, value, or count of measurements.
    pub(crate) fn metric(&self, name: &str) -> Vec<(BTreeMap<String, String>, u64)> {
        let sent = self.sent.lock().unwrap();
        let all = sent.metrics.iter().rev().flat_map(|sent| &sent.resource_metrics);
        let mut metrics = all.flat_map(|sent| &sent.scope_metrics).flat_map(|scope| &scope.metrics);
        let Some(found) = metrics.find(|metric| metric.name == name) else { return Vec::new() };
        let number = |value: &Option<number_data_point::Value>| match value {
            Some(number_data_point::Value::AsInt(value)) => u64::try_from(*value).unwrap(),
            other => panic!("{name}: {other:?}"),
        };
        match found.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic, "{name}");
                let points = sum.data_points.iter();
                points.map(|point| (attributes(&point.attributes), number(&point.value))).collect()
            }
            metric::Data::Gauge(gauge) => {
                let points = gauge.data_points.iter();
                points.map(|point| (attributes(&point.attributes), number(&point.value))).collect()
            }
            metric::Data::Histogram(histogram) => {
                let points = histogram.data_points.iter();
                points.map(|point| (attributes(&point.attributes), point.count)).collect()
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The names of all metrics.
    pub(crate) fn metrics(&self) -> std::collections::BTreeSet<String> {
        let sent = self.sent.lock().unwrap();
        let all = sent.metrics.iter().flat_map(|sent| &sent.resource_metrics);
        let metrics = all.flat_map(|sent| &sent.scope_metrics).flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }
}

/// Answers requests of one connection until it ends.
fn serve(stream: TcpStream, sent: &Mutex<Sent>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            head.push_str(&line);
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        {
            let mut sent = sent.lock().unwrap();
            match head.split_whitespace().nth(1) {
                Some("/v1/traces") => {
                    sent.spans.push(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
                }
                Some("/v1/metrics") => {
                    sent.metrics.push(ExportMetricsServiceRequest::decode(body.as_slice()).unwrap());
                }
                other => panic!("nothing is sent to {other:?}"),
            }
            sent.bytes.push(head.into_bytes());
            sent.bytes.push(body);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(yes)) => yes.to_string(),
        other => panic!("{}: {other:?} is no text and no whole number", pair.key),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
