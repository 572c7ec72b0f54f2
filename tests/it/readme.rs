//! What the README shows must be true.

/// The README's configuration is one that opens: it parses, and its mandate holds together.
#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config: bursar::Config = toml::from_str(block).unwrap();
    let mandate = config.mandate.unwrap().into_mandate(&bursar::AssetRegistry::pinned()).unwrap();
    assert_eq!((mandate.budgets.len(), mandate.metered.len()), (2, 1));
}
