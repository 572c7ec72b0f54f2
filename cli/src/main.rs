//! The `bursar` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bursar_cli::main(std::env::args_os())
}
