//! A running standalone, and the resolver that it asks.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use blackbox::{ports, product::Mode, publisher::Publisher, rest::Rest, run, servers};
use runtime::{Listeners, Resolver, Tasks, config::Config};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::standalone::{assemble, token_in};

/// An address of the public Internet.
pub(super) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

/// What a name leads to.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// These addresses, in this order.
    Leads(Vec<IpAddr>),
    /// There is no such name.
    Unknown,
    /// No answer ever.
    Silent,
}

impl Lookup {
    /// These addresses, written as text.
    pub(super) fn leads(addresses: &[&str]) -> Self {
        Self::Leads(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

/// A resolver whose answers are set by the test; a name that it was told nothing about is public.
#[derive(Debug, Default)]
pub(super) struct FakeResolver(Mutex<HashMap<String, Lookup>>);

impl FakeResolver {
    /// What `host` leads to from now on.
    pub(super) fn set(&self, host: &str, lookup: Lookup) {
        self.0.lock().unwrap().insert(host.to_owned(), lookup);
    }
}

#[async_trait]
impl Resolver for FakeResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let lookup = self.0.lock().unwrap().get(host).cloned();
        match lookup {
            Some(Lookup::Leads(addresses)) => Ok(addresses),
            Some(Lookup::Unknown) => Err(io::Error::other("no such host is known")),
            Some(Lookup::Silent) => std::future::pending().await,
            None => Ok(vec![PUBLIC]),
        }
    }
}

/// Standalone in this process.
pub(super) struct World {
    pub(super) resolver: Arc<FakeResolver>,
    pub(super) rest: Rest,
    pub(super) publisher: Publisher,
    stop: DropGuard,
    served: JoinHandle<Result<(), runtime::ProgramError>>,
}

impl World {
    /// Starts it with these configuration keys (`delivery.timeout`) and values.
    pub(super) async fn start(mode: Mode, keys: &[(&str, &str)]) -> Self {
        let folder = run::folder("standalone").join("data");
        let mut settings: Vec<(&str, String)> = keys.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        settings.push(("data.dir", folder.display().to_string()));
        for key in ["http.listen", "grpc.listen", "admin.listen"] {
            settings.push((key, SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free())).to_string()));
        }
        if mode == Mode::Distributed {
            settings.push(("database.url", servers::database().await.url));
            settings.push(("broker.url", servers::virtual_host().await.url));
        }
        let environment = settings.into_iter().map(|(key, value)| {
            let name = format!("{}{}", runtime::config::ENV_PREFIX, key.to_uppercase().replace('.', "__"));
            (name.into(), value.into())
        });
        let config = Config::from_sources(None, environment).unwrap();

        let resolver = Arc::new(FakeResolver::default());
        let listeners = Listeners::bind(&config, true, true).unwrap();
        let program = assemble(&config, true, false, Arc::clone(&resolver) as _, Tasks::new()).await.unwrap();
        let stop = CancellationToken::new();
        let served = blackbox::spawn(program.run(listeners, stop.clone().cancelled_owned()));
        let token = |name: &str| token_in(&folder.join(name)).unwrap();
        Self {
            resolver,
            rest: Rest::new(config.http.listen, Some(&token("admin.token"))),
            publisher: Publisher::new(&format!("http://{}", config.grpc.listen), Some(&token("publisher.token"))),
            stop: stop.drop_guard(),
            served,
        }
    }

    /// Ends it in order.
    pub(super) async fn end(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }
}
