//! An agent that buys its sources: `cargo run --example research_agent -- "Who may pay the gas for a USDC transfer?"`.
//!
//! The same as `bursar research`: it starts a market on this machine, looks around, asks prices, proposes a plan, buys
//! what the plan allows, and writes a brief that cites it. `--help` lists the options. How such a run is put together
//! can be read in `cli/src/commands/research.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bursar_cli::research(std::env::args_os())
}
