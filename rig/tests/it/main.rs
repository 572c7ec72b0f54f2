//! Bursar and rig together.

#[cfg(test)]
mod example;
#[cfg(test)]
mod governor;
#[cfg(test)]
mod model;
#[cfg(test)]
mod money;
#[cfg(test)]
mod world;
