//! The command as its users meet it: the real binary, its output and its exit codes.
#![cfg(unix)]

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod audit;
mod bad_input;
#[cfg(test)]
mod books;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod data_file;
mod erase;
#[cfg(test)]
mod eval;
mod explain;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod help;
#[cfg(test)]
mod interrupt;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod mandate;
#[cfg(test)]
mod market;
#[cfg(test)]
mod obligations;
#[cfg(test)]
mod policy;
mod prompts;
#[cfg(test)]
mod purse;
#[cfg(test)]
mod receipt;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod research;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod spend;
#[cfg(test)]
#[path = "../../src/commands/eval/starter/spending.rs"]
mod starter;
#[cfg(test)]
mod support;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod watch;
