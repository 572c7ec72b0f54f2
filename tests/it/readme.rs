//! What the README shows must be true.

use bursar::payments::ApproverKey;

/// The blocks of TOML below a heading.
fn blocks(heading: &str) -> Vec<&'static str> {
    let (_, below) = include_str!("../../README.md").split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap_or(below);
    section.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The README's configuration is one that opens: it parses, and its mandate holds together.
#[test]
fn the_configuration_in_the_readme_is_valid() {
    let config: bursar::Config = toml::from_str(blocks("Configuration")[0]).unwrap();
    let mandate = config.mandate.unwrap().into_mandate(&bursar::AssetRegistry::pinned()).unwrap();
    assert_eq!((mandate.budgets.len(), mandate.metered.len()), (2, 1));
}

#[test]
fn what_the_readme_adds_to_a_configuration_is_valid() {
    let shown = blocks("Who has the say");
    let mandate = "[mandate]\npurpose = \"p\"\nassets = [\"eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e\"]\n";
    let config: bursar::Config =
        toml::from_str(&format!("data = \".bursar\"\n{mandate}{}", shown[0])).unwrap();
    let mandate = config.mandate.unwrap().into_mandate(&bursar::AssetRegistry::pinned()).unwrap();
    assert_eq!((mandate.budgets.len(), mandate.limits.len()), (1, 1));
    let key = ApproverKey::from_secret(&[1; 32]).public().to_string();
    let config: bursar::Config =
        toml::from_str(&format!("data = \".bursar\"\n{}", shown[1].replace("ed25519:…", &key))).unwrap();
    assert_eq!((config.issuers.len(), config.mandate_file.is_some()), (1, true));
}

/// The README shows the example for OpenAI as it is: that one is compiled, and run against a stand-in.
#[test]
fn the_quick_start_in_the_readme_is_the_example() {
    let example = include_str!("../../examples/openai.rs");
    let (_, body) = example.split_once("-> Result<(), Box<dyn Error>> {\n").unwrap();
    let body: String = body
        .lines()
        .take_while(|line| *line != "}")
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect();
    assert!(body.lines().count() <= 20);
    let readme: String =
        include_str!("../../README.md").lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    assert!(readme.contains(&body), "{body}");
}
