//! A proxy that breaks TCP connections on purpose.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::wait::pause;

/// What is done to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Those that there are, and new ones, are reset.
    Refused,
    /// Nothing passes, and nobody is told.
    Stalled,
    /// What clients say passes, what the server answers does not.
    OneWay,
    /// Every piece comes so much later.
    Late(Duration),
    /// Each connection is reset when the server has answered so many bytes more.
    ResetAfter(usize),
}

/// In front of one server. Ends with the test's runtime.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
}

impl Proxy {
    /// In front of the server at `target`.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (fault, seen) = watch::channel(Fault::None);
        crate::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                crate::spawn(connection(client, target, seen.clone()));
            }
        });
        Self { address, fault }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to all connections for a while.
    pub async fn break_for(&self, period: Duration, fault: Fault) {
        self.fault.send_replace(fault);
        pause(period).await;
        self.fault.send_replace(Fault::None);
    }
}

async fn connection(client: TcpStream, target: SocketAddr, mut fault: watch::Receiver<Fault>) {
    if *fault.borrow_and_update() == Fault::Refused {
        return reset([&client]);
    }
    let Ok(server) = TcpStream::connect(target).await else { return reset([&client]) };
    for stream in [&client, &server] {
        // Small messages are not to wait for each other here.
        stream.set_nodelay(true).expect("a connection");
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (there, back) = (fault.clone(), fault.clone());
    tokio::select! {
        () = pass(from_client, to_server, there, Way::There) => {}
        () = pass(from_server, to_client, back, Way::Back) => {}
        _ = fault.wait_for(|fault| *fault == Fault::Refused) => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Passes on until one side ends, or is made to.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut fault: watch::Receiver<Fault>, way: Way) {
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let stands = |fault: &Fault| *fault == Fault::Stalled || (*fault == Fault::OneWay && way == Way::Back);
        if fault.wait_for(|fault| !stands(fault)).await.is_err() {
            break;
        }
        let now = *fault.borrow_and_update();
        match now {
            Fault::Late(by) => pause(by).await,
            Fault::ResetAfter(bytes) if way == Way::Back => {
                passed += length;
                if passed > bytes {
                    break;
                }
            }
            _ => passed = 0,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    reset([from.as_ref(), to.as_ref()]);
}

/// Has the connection end with a reset, not in order.
fn reset<const N: usize>(streams: [&TcpStream; N]) {
    for stream in streams {
        // It may have ended already.
        let _ = stream.set_zero_linger();
    }
}
