//! Tools against documents and servers that others wrote. They need Node: `.ci/run` runs these, a plain `cargo test` does not.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod prism;
#[cfg(test)]
mod sample;
