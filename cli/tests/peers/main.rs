//! The research agent against stand-ins by other authors. They need Node: `.ci/run` runs these, a plain `cargo test` does not.

#[cfg(test)]
mod aimock;
#[cfg(feature = "bedrock")]
#[cfg(test)]
mod bedrock;
#[cfg(test)]
mod entrances;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod openai;
#[cfg(test)]
#[expect(dead_code, reason = "the tests beside these use the rest")]
#[path = "../it/support.rs"]
mod support;
