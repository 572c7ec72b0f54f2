//! A governed purse for any agent in any language, over two entrances with one core.
//!
//! The [`Teller`] serves callers: who they are, under which mandate they spend and how much is for the operator's configuration to
//! say, and nothing that a caller sends changes it. Each caller has a session and a budget of its own, which survive restarts. A call
//! is decided by the rules, journaled, and done by the same tools that Bursar's own agents have.
//!
//! [`mcp`] serves it to agents that speak the Model Context Protocol, over stdio or HTTP. [`rest`] serves it to everybody else, with
//! an OpenAPI document.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bursar_gateway::{Teller, mcp};
//! use bursar::Bursar;
//!
//! let teller = Teller::open(Bursar::open("bursar.toml").await?).await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8402").await?;
//! mcp::serve(teller, listener, Vec::new(), std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod entrance;
pub mod mcp;
mod record;
pub mod rest;
mod teller;
mod tools;

pub use answer::{Answer, Entrance};
pub use teller::{Teller, TellerError};
