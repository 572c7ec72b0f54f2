//! Runs driven from outside, against fakes that are stricter than the real thing.

mod extractive;
mod market;
mod replay;
mod runs;
mod support;
