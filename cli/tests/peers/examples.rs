//! The examples that the README begins with, run as a reader would, with a market and a model's stand-in on this machine.

use crate::aimock::Aimock;
use crate::support::{Home, ran};
use std::path::Path;
use std::process::Command;

/// A key of a test chain that everybody knows, and its address.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const WALLET: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// Runs an example beside a market in a process of its own; what it printed.
pub(crate) fn example(name: &str, environment: &[(&str, &str)]) -> String {
    let home = Home::new();
    let mut market = home.start(["market", "--fund", WALLET]);
    let mut config = market.until("data = ");
    loop {
        let next = market.until("");
        if next.starts_with("Ctrl-C") {
            break;
        }
        config.push_str(&next);
    }
    std::fs::write(home.file("bursar.toml"), config).unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_bursar")).with_file_name("examples").join(name);
    assert!(built.exists(), "build the examples first: `cargo build --workspace --all-features --examples`");
    let mut command = Command::new(built);
    command.current_dir(home.path()).env("BURSAR_KEY", KEY).envs(environment.iter().copied());
    let ran = ran(command);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, ran.stdout);
    assert_eq!(home.payments().len(), 2, "it bought two sources");
    ran.stdout
}

#[test]
fn the_example_for_openai_answers_from_what_it_bought() {
    let aimock = Aimock::start();
    let url = format!("{}/v1", aimock.url());
    let told = example("openai", &[("OPENAI_API_KEY", "sk-not-a-real-one"), ("OPENAI_BASE_URL", &url)]);
    assert!(told.contains("pays the gas. [1]"), "{told}");
}
