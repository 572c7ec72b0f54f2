//! Runs driven from outside, against fakes that are stricter than the real thing.

#[cfg(test)]
mod anew;
#[cfg(feature = "bedrock")]
#[cfg(test)]
mod bedrock;
#[cfg(test)]
mod cancels;
#[cfg(test)]
mod compact;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod extractive;
#[cfg(test)]
mod market;
#[cfg(feature = "openai")]
#[cfg(test)]
mod openai;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod sub_agents;
#[cfg(test)]
mod support;
#[cfg(test)]
mod time;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod wrappers;
