//! The tables of telemetry are what the code says.

use bursar::telemetry::{attribute, metric, span};

#[test]
fn the_tables_list_every_name_with_what_it_means_and_nothing_else() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TELEMETRY.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |(name, meaning): &(&str, &str)| format!("| `{name}` | {} |", meaning.trim());
    let wanted: Vec<String> =
        [span::ALL, attribute::ALL, metric::ALL].into_iter().flatten().map(row).collect();
    assert_eq!(rows, wanted);
}
