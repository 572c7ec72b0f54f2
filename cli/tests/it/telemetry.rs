//! Spans and metrics, as a collector gets them from the real command.

mod collector;

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Home, Ran, ran};
use bursar::telemetry::{attribute, metric};
use collector::{Collector, Manner, Span};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// A run of the command that sends to a collector.
fn researched(home: &Home, collector: &Collector, more: &[(&str, &str)]) -> Ran {
    let mut command = home.command(["research", QUESTION]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).envs(more.iter().copied());
    ran(command)
}

/// The trace and span that the leaves of a kind of stream name, each with its stream and place.
fn leaves(data: &Path, streams: &str) -> Vec<(String, i64, Option<String>, Option<String>)> {
    let file = Connection::open(data.join("ledger.sqlite")).unwrap();
    let sql = "SELECT stream, sequence, body ->> '$.trace', body ->> '$.span'
        FROM entries WHERE stream LIKE ?1 ORDER BY sequence";
    let mut query = file.prepare(sql).unwrap();
    let rows = query
        .query_map([format!("{streams}/%")], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn a_run_is_one_trace_down_to_the_stages_of_its_payments_and_the_journal_leads_there_and_back() {
    let (home, collector) = (Home::new(), Collector::start(Manner::Takes));
    let done = researched(&home, &collector, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let spans = collector.spans();

    // One run, of which everything else is a part.
    let runs: Vec<_> = spans.iter().filter(|span| span.name.starts_with("invoke_agent ")).collect();
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((run.parent.as_str(), run.says(attribute::OPERATION)), ("", "invoke_agent"));
    let of_run = |span: &&Span| span.parent == run.id;
    let chats = spans.iter().filter(|span| span.name.starts_with("chat ")).collect::<Vec<_>>();
    assert!(!chats.is_empty() && chats.iter().all(of_run), "{chats:?}");
    assert!(chats.iter().all(|chat| chat.says(attribute::MODEL) == run.says(attribute::MODEL)));
    let tools: Vec<_> = spans.iter().filter(|span| span.name.starts_with("execute_tool ")).collect();
    assert!(tools.iter().any(|tool| tool.says(attribute::TOOL_NAME) == "fetch"), "{tools:?}");
    assert!(tools.iter().all(of_run), "{tools:?}");

    // A purchase is in the call of the tool that asked for it, and its stages are in it.
    let bought: Vec<_> = named(&spans, "payment")
        .into_iter()
        .filter(|span| span.says(attribute::STATE) == "delivered")
        .collect();
    assert!(!bought.is_empty(), "{spans:?}");
    for payment in &bought {
        let tool = tools.iter().find(|tool| tool.id == payment.parent).unwrap();
        assert_eq!(tool.says(attribute::TOOL_CALL), payment.says(attribute::TOOL_CALL));
        assert!(payment.says(attribute::AMOUNT).parse::<u128>().unwrap() > 0);
        assert!(payment.says(attribute::ASSET).starts_with(payment.says(attribute::NETWORK)));
        assert_eq!((payment.says(attribute::RAIL), payment.says(attribute::DECISION)), ("x402", "allow"));
        assert!(!payment.says(attribute::RULE).is_empty() && !payment.says(attribute::VENDOR).is_empty());
        let within = |parent: &str, name: &str| {
            named(&spans, name).into_iter().filter(|span| span.parent == parent).collect::<Vec<_>>()
        };
        for stage in ["join", "quote", "decide", "prepare", "sign", "present", "settle"] {
            let stages = within(&payment.id, &format!("payment.{stage}"));
            assert_eq!(stages.len(), 1, "{stage}: {stages:?}");
            assert_eq!(stages[0].says(attribute::PAYMENT), payment.says(attribute::PAYMENT));
        }
        let decide = within(&payment.id, "payment.decide")[0];
        assert_eq!(within(&decide.id, "payment.hold").len(), 1);
    }
    assert!(spans.iter().all(|span| span.events == 0));
    // Only what is done beside the run's work is no part of it.
    let roots = spans.iter().filter(|span| span.parent.is_empty() && span.id != run.id);
    assert!(roots.clone().all(|span| span.name == "payment.observe"), "{:?}", roots.collect::<Vec<_>>());

    // From each entry of a payment to the span that it was written in, and back to the entry.
    let entries = leaves(&home.file(".bursar"), "payment");
    assert!(!entries.is_empty());
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    for (stream, sequence, trace, span) in &entries {
        let (trace, span) = (trace.as_deref().unwrap(), span.as_deref().unwrap());
        assert!(ids.contains(span), "{stream} {sequence}: {span} was not sent");
        let span = spans.iter().find(|sent| sent.id == span).unwrap();
        assert_eq!(span.trace, trace);
        assert_eq!(format!("payment/{}", span.says(attribute::PAYMENT)), *stream);
        assert!(span.says(attribute::ENTRY).parse::<i64>().unwrap() >= *sequence);
    }
    for kind in ["decisions", "quotes", "session"] {
        let traced =
            leaves(&home.file(".bursar"), kind).into_iter().filter(|(_, _, trace, _)| trace.is_some());
        assert!(traced.count() > 0, "{kind}");
    }
    for payment in &bought {
        let told = home.run(["audit", "explain", payment.says(attribute::PAYMENT)]);
        assert!(told.stdout.contains(&format!("trace: {}", run.trace)), "{}", told.stdout);
    }
    // Looking on the chain is not waited for: it has a trace of its own that says what it follows.
    for look in named(&spans, "payment.observe") {
        assert_ne!(look.trace, run.trace);
        assert!(bought.iter().any(|payment| look.links.contains(&payment.id)), "{look:?}");
    }
    assert_eq!(home.run(["audit", "verify"]).code, 0);
}

#[test]
fn what_was_spent_refused_and_left_open_is_counted() {
    let (home, collector) = (Home::new(), Collector::start(Manner::Takes));
    let named = [("OTEL_SERVICE_NAME", "scouts")];
    let done = researched(&home, &collector, &named);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(collector.resource()["service.name"], "scouts");

    let transfers = home.transfers(".bursar/chain.jsonl");
    let moved: u128 = transfers.iter().map(|(_, amount, _)| amount).sum();
    let spent: u64 = collector.metric(metric::SPENT).iter().map(|(_, sum)| sum).sum();
    assert_eq!(u128::from(spent), moved);
    let delivered = |name: &str| -> u64 {
        let points = collector.metric(name).into_iter();
        points
            .filter(|(told, _)| told.get(attribute::STATE).is_some_and(|state| state == "delivered"))
            .map(|(_, count)| count)
            .sum()
    };
    assert_eq!(delivered(metric::PAYMENTS), u64::try_from(transfers.len()).unwrap());
    assert_eq!(delivered(metric::PAYMENT_SECONDS), delivered(metric::PAYMENTS));
    assert_eq!(collector.metric(metric::OPEN), [(Default::default(), 0)]);
    assert_eq!(collector.metric(metric::OBLIGATIONS), [(Default::default(), 0)]);
    let names = collector.metrics();
    for name in [metric::STAGE_SECONDS, metric::CHAT_SECONDS, metric::TOOL_SECONDS, metric::RUN_SECONDS] {
        assert!(names.contains(name), "{names:?}");
    }
    let known: BTreeSet<&str> = metric::ALL.iter().map(|(name, _)| *name).collect();
    assert!(names.iter().all(|name| known.contains(name.as_str())), "{names:?}");
    // Vendors are not counted by name unless somebody wants that.
    assert!(collector.metric(metric::SPENT).iter().all(|(told, _)| !told.contains_key(attribute::VENDOR)));
}

#[test]
fn only_listed_attributes_are_sent_and_no_text_address_or_key() {
    let (home, collector) = (Home::new(), Collector::start(Manner::Takes));
    let done = researched(&home, &collector, &[("RUST_LOG", "trace")]);
    assert_eq!(done.code, 0);
    let known: BTreeSet<&str> = attribute::ALL.iter().map(|(name, _)| *name).collect();
    for span in collector.spans() {
        let unknown: Vec<_> = span.attributes.keys().filter(|name| !known.contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", span.name);
    }
    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    let key = std::fs::read_to_string(home.file(".bursar/play-money.key")).unwrap();
    let key = key.trim().trim_start_matches("0x").to_owned();
    assert!(key.len() >= 64, "the play wallet's key is a hexadecimal text");
    let nonces = home.transfers(".bursar/chain.jsonl").into_iter().map(|(_, _, nonce)| nonce);
    let mut secrets: Vec<String> = vec![
        key,
        QUESTION.to_owned(),
        "replay".to_owned(),
        "/documents/".to_owned(),
        "?q=".to_owned(),
        "?query=".to_owned(),
    ];
    secrets.extend(nonces.map(|nonce| nonce.trim_start_matches("0x").to_owned()));
    // Nor does a log of everything show them; the market in the box, whose log is its sellers', is no part of the agent.
    let log: String = done.stderr.lines().filter(|line| !line.contains("bursar_market")).collect();
    for secret in &secrets {
        assert!(!sent.contains(secret.as_str()), "sent: {secret}");
        assert!(!log.contains(secret.as_str()), "logged: {secret}");
    }
    // A payment header is JSON in base64, and so begins with these letters.
    let header = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c));
        words.filter(|word| word.len() > 100 && word.starts_with("eyJ")).map(str::to_owned).next()
    };
    assert_eq!((header(&sent), header(&done.stderr)), (None, None));
}

#[test]
fn texts_are_sent_where_the_configuration_says_so_and_keys_never() {
    let (outside, collector) = (Outside::new(), Collector::start(Manner::Takes));
    let file = outside.home.file("bursar.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let telemetry = format!(
        "\n[telemetry]\nendpoint = \"{}\"\nservice = \"wordy\"\ncontent = true\nvendors = true\n\
         [telemetry.headers_env]\nauthorization = \"COLLECTOR_TOKEN\"\n",
        collector.url()
    );
    std::fs::write(&file, format!("{config}{telemetry}")).unwrap();
    let without = ran(outside.command());
    assert_eq!(without.code, 2, "{}", without.stderr);
    assert!(without.stderr.contains("COLLECTOR_TOKEN"), "{}", without.stderr);

    let mut command = outside.command();
    command.env("COLLECTOR_TOKEN", "Bearer for-the-collector");
    let done = ran(command);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(collector.resource()["service.name"], "wordy");
    let spans = collector.spans();
    let says = |name: &str, text: &str| spans.iter().any(|span| span.says(name).contains(text));
    assert!(says(attribute::INPUT, QUESTION));
    assert!(says(attribute::ARGUMENTS, "/documents/") && says(attribute::RESULT, "{"));
    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(sent.contains("Bearer for-the-collector"), "headers are sent as heads");
    assert!(!sent.contains(crate::interrupt::KEY.trim_start_matches("0x")));
    assert!(collector.metric(metric::SPENT).iter().all(|(told, _)| told.contains_key(attribute::VENDOR)));
}

#[test]
fn a_collector_that_hangs_or_is_not_there_costs_its_spans_and_nothing_else() {
    let hanging = Collector::start(Manner::Hangs);
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (url, why) in [(hanging.url(), "in time"), (nobody, "")] {
        let home = Home::new();
        let mut command = home.command(["research", QUESTION]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_BSP_SCHEDULE_DELAY", "50");
        let done = ran(command);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("note: not all telemetry reached the collector"), "{}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
        assert!(!home.payments().is_empty());
        assert_eq!(home.run(["audit", "verify"]).code, 0);
    }
    assert!(hanging.kept_waiting());
}

#[test]
fn nothing_is_traced_unless_somebody_says_where_to() {
    let silent: [&[(&str, &str)]; 2] =
        [&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_SDK_DISABLED", "true")]];
    for environment in silent {
        let home = Home::new();
        let mut command = home.command(["research", QUESTION]);
        command.envs(environment.iter().copied());
        let done = ran(command);
        assert_eq!((done.code, done.stderr.contains("telemetry")), (0, false), "{}", done.stderr);
        let entries = leaves(&home.file(".bursar"), "payment");
        assert!(
            !entries.is_empty()
                && entries.iter().all(|(_, _, trace, span)| trace.is_none() && span.is_none())
        );
    }
    let home = Home::new();
    let mut grpc = home.command(["research", QUESTION]);
    grpc.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let refused = ran(grpc);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("`OTEL_EXPORTER_OTLP_PROTOCOL` asks for `grpc`"), "{}", refused.stderr);
    assert!(!home.file(".bursar").exists());
}

#[test]
fn what_is_refused_is_counted_by_its_code_and_its_span_says_why() {
    let (home, collector) = (Home::new(), Collector::start(Manner::Takes));
    let mut command = home.command(["research", QUESTION, "--approve", "never"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let done = ran(command);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(collector.metric(metric::SPENT).is_empty());
    let denials = collector.metric(metric::DENIALS);
    assert!(!denials.is_empty());
    let spans = collector.spans();
    let refused: Vec<_> = spans.iter().filter(|span| span.says(attribute::DECISION) == "deny").collect();
    for (told, count) in denials {
        let code = &told[attribute::REASON];
        assert!(count > 0 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
        assert!(refused.iter().any(|span| span.says(attribute::REASON).split(',').any(|said| said == code)));
    }
    let refusals = leaves(&home.file(".bursar"), "refusals");
    assert!(!refusals.is_empty() && refusals.iter().all(|(_, _, trace, _)| trace.is_some()));
}
