//! Backends against what others wrote. They need Node: `.ci/run` runs these, a plain `cargo test` does not.

#[cfg(test)]
mod types;
