//! The floors of the house: which crate may use which. A new edge is a decision, so it changes this table.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate with the crates of ours that it may use, directly. Development dependencies are free.
const FLOORS: &[(&str, &[&str])] = &[
    ("bursar-types", &[]),
    ("bursar-proof", &[]),
    ("bursar-ledger", &["bursar-proof", "bursar-types"]),
    ("bursar-audit", &["bursar-ledger", "bursar-proof", "bursar-types"]),
    ("bursar-payments", &["bursar-ledger", "bursar-types"]),
    ("bursar-agent-core", &["bursar-types"]),
    ("bursar-memory", &["bursar-ledger", "bursar-types"]),
    ("bursar-tools", &["bursar-agent-core", "bursar-memory", "bursar-types"]),
    ("bursar-market", &[]),
    (
        "bursar",
        &[
            "bursar-agent-core",
            "bursar-audit",
            "bursar-ledger",
            "bursar-memory",
            "bursar-payments",
            "bursar-proof",
            "bursar-tools",
            "bursar-types",
        ],
    ),
    ("bursar-evals", &["bursar", "bursar-market"]),
    ("bursar-gateway", &["bursar"]),
    ("bursar-cli", &["bursar", "bursar-evals", "bursar-gateway", "bursar-market"]),
    ("bursar-rig", &["bursar-agent-core", "bursar-types"]),
    (
        "bursar-simulation",
        &["bursar-ledger", "bursar-market", "bursar-payments", "bursar-proof", "bursar-types"],
    ),
];

/// Crates that a floor must not bring in, however deep.
const ABSENT: &[(&str, &[&str])] = &[
    ("bursar-types", &["tokio", "reqwest", "rusqlite", "cedar-policy", "alloy", "getrandom"]),
    // An auditor reads all of it in an afternoon.
    ("bursar-proof", &["serde_json", "tokio", "http", "reqwest", "rusqlite"]),
    ("bursar-ledger", &["reqwest", "cedar-policy", "alloy", "opentelemetry"]),
    ("bursar-audit", &["reqwest", "cedar-policy", "alloy"]),
    ("bursar-agent-core", &["rusqlite", "cedar-policy", "alloy", "opentelemetry"]),
    ("bursar-payments", &["opentelemetry"]),
    ("bursar-market", &["cedar-policy", "rusqlite", "alloy"]),
    // Its release follows rig's, whose API changes with each: no other crate of ours knows rig.
    ("bursar-rig", &["rusqlite", "cedar-policy", "alloy", "opentelemetry"]),
    ("bursar", &["rig-core", "rig-agent"]),
    ("bursar-cli", &["rig-core", "rig-agent"]),
];

fn metadata() -> serde_json::Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--offline",
            // What other platforms need was not downloaded.
            "--filter-platform",
            "host-tuple",
            "--manifest-path",
            manifest,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Direct dependencies of every package, development dependencies left out.
fn edges(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<_, _> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap().to_owned()))
        .collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let of = edges.entry(names[node["id"].as_str().unwrap()].clone()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let used = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
            if used {
                of.insert(names[dependency["pkg"].as_str().unwrap()].clone());
            }
        }
    }
    edges
}

#[test]
fn no_crate_uses_one_above_it() {
    let metadata = metadata();
    let edges = edges(&metadata);
    let ours: BTreeSet<_> =
        edges.keys().filter(|name| *name == "bursar" || name.starts_with("bursar-")).collect();
    let listed: BTreeSet<_> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, listed.iter().collect(), "every crate of ours stands in the table");
    for (name, allowed) in FLOORS {
        let used: BTreeSet<_> =
            edges[*name].iter().filter(|used| ours.contains(used)).map(String::as_str).collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        let extra: Vec<_> = used.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} uses {extra:?}, which the house does not have");
    }
}

#[test]
fn a_quiet_floor_brings_in_no_loud_one() {
    let metadata = metadata();
    let edges = edges(&metadata);
    for (name, absent) in ABSENT {
        let mut seen = BTreeSet::new();
        let mut open = vec![(*name).to_owned()];
        while let Some(next) = open.pop() {
            if seen.insert(next.clone()) {
                open.extend(edges.get(&next).into_iter().flatten().cloned());
            }
        }
        let found: Vec<_> = absent.iter().filter(|crate_name| seen.contains(**crate_name)).collect();
        assert!(found.is_empty(), "{name} brings in {found:?}");
    }
}

/// Backends of models are features: without them the loop knows nothing of HTTP.
#[test]
fn the_loop_alone_brings_in_no_backend() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "bursar-agent-core", "--no-default-features", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--offline", "--manifest-path", manifest])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("bursar-types"), "{tree}");
    for absent in ["reqwest", "hyper", "rustls", "async-openai"] {
        assert!(!names.contains(absent), "{absent}");
    }
}

#[test]
fn there_is_one_http_client_one_tls_and_one_sqlite() {
    let metadata = metadata();
    for name in ["reqwest", "rustls", "libsqlite3-sys", "hyper", "http"] {
        let versions: BTreeSet<_> = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|package| package["name"] == name)
            .map(|package| package["version"].as_str().unwrap())
            .collect();
        assert!(versions.len() <= 1, "{name} is there as {versions:?}");
    }
}

#[test]
fn tools_start_programs_only_with_a_scrubbed_environment() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = ["types", "ledger", "payments", "agent-core", "memory", "tools"]
        .map(|floor| root.join(floor).join("src"))
        .into();
    open.push(root.join("src"));
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("Command::new(") {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(found, ["tools/src/child.rs"], "`ChildEnvironment::command` is the only way");
}

/// What is hashed here is written with the order of keys kept by JSON's own library, which a dependency asks for; the vectors
/// of `bursar-types` are tested without it as well.
#[test]
fn canonical_bytes_are_the_same_where_a_dependency_keeps_the_order_of_keys() {
    let kept: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
    assert_eq!(
        kept.to_string(),
        r#"{"b":1,"a":2}"#,
        "no dependency asks for it any more: say so in `types/tests`"
    );
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../types/tests/canonical.json")).unwrap();
    for vector in vectors {
        let value: serde_json::Value = serde_json::from_str(vector["json"].as_str().unwrap()).unwrap();
        let bytes = bursar::types::canonical_bytes(&value).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            vector["canonical"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
    }
}
