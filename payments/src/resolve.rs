//! From names to addresses, each checked before anything connects to it.

use crate::egress::{Egress, means_this_machine};
use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;

/// Finds the addresses that a name stands for.
///
/// # What implementers guarantee
/// All addresses that a connection may be made to, and no others. An error is a name that could not be resolved.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of a host's name, in order of preference.
    ///
    /// # Errors
    /// What went wrong; nothing is connected to.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's own resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A name stands for an address that may not be reached.
#[derive(Debug, Error)]
#[error("{problem}")]
pub(crate) struct Refused {
    pub(crate) problem: String,
}

/// Lets through only what an [`Egress`] lets be reached. What it returns is what is connected to: nothing asks again.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) egress: Egress,
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, resolver) = (self.egress, self.resolver.clone());
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            for address in &addresses {
                egress.check(*address).map_err(|what| Refused {
                    problem: format!("its name stands for {address}, which is {what}"),
                })?;
                // What is sent there need not be encrypted, so it must not leave this machine.
                if means_this_machine(name.as_str()) && !address.to_canonical().is_loopback() {
                    let problem = format!("its name means this machine, and stands for {address}");
                    return Err(Refused { problem }.into());
                }
            }
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

const _: Option<&dyn Resolver> = None;
