//! Looking up host names, as a port.

use std::net::IpAddr;

use async_trait::async_trait;

/// Looks up host names.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host, at least one.
    ///
    /// # Errors
    /// A name that does not resolve, or no answer.
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let addresses: Vec<_> = tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect();
        if addresses.is_empty() { Err(std::io::Error::other("the name has no address")) } else { Ok(addresses) }
    }
}
