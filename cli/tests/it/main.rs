//! The command as its users meet it: the real binary, its output and its exit codes.
#![cfg(unix)]

mod bad_input;
mod data_file;
mod help;
mod interrupt;
mod market;
mod reports;
mod research;
mod support;
