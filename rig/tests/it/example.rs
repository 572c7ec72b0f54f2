//! What the example adds to a plain rig agent is short.

const EXAMPLE: &str = include_str!("../../examples/governed_agent.rs");

#[test]
fn governance_is_added_in_under_ten_lines() {
    let body = |name: &str| EXAMPLE.split_once(name).unwrap().1.split_once("\n}\n").unwrap().0.to_owned();
    let added = body("fn govern(");
    let lines = added.lines().count() + 1;
    assert!(lines < 10, "{lines} lines");
    assert!(added.contains("Governor::new(") && added.contains(".govern(agent)"));
    let plain = body("fn plain(");
    assert!(!plain.contains("Governor") && !plain.contains("session"), "{plain}");
}
