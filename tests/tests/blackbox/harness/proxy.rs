//! The proxy that breaks connections does break them.

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use blackbox::{
    proxy::{Fault, Proxy},
    run_test,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const FAULTY: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);

/// A server that says back what it hears.
async fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    blackbox::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            blackbox::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::before(address).await
}

async fn says(stream: &mut TcpStream) -> Result<u8, ErrorKind> {
    stream.write_all(b"x").await.map_err(|error| error.kind())?;
    stream.read_u8().await.map_err(|error| error.kind())
}

#[test]
fn connections_are_broken_as_they_are_to_be() {
    run_test(async {
        let proxy = echo().await;
        let connect = async || TcpStream::connect(proxy.address()).await.expect("the proxy listens");
        let mut stream = connect().await;
        assert_eq!(says(&mut stream).await, Ok(b'x'));
        for fault in [Fault::Stalled, Fault::OneWay, Fault::Late(FAULTY)] {
            let heard = async {
                // What is said before the fault is there would pass.
                assert!(timeout(SOON, says(&mut stream)).await.is_err(), "{fault:?}");
                assert_eq!(
                    timeout(LONG, stream.read_u8()).await.expect("it comes in the end").ok(),
                    Some(b'x'),
                    "{fault:?}"
                );
            };
            futures::join!(proxy.break_for(FAULTY, fault), heard);
        }
        let mut refused = connect().await;
        let told = async {
            assert!(says(&mut stream).await.is_err());
            assert!(says(&mut refused).await.is_err());
            // The reset may come before the connection is used, or known to be there.
            if let Ok(mut new) = TcpStream::connect(proxy.address()).await {
                assert!(says(&mut new).await.is_err(), "a new one is refused, too");
            }
        };
        futures::join!(proxy.break_for(FAULTY, Fault::Refused), told);
        let mut stream = connect().await;
        let told = async {
            assert_eq!((says(&mut stream).await, says(&mut stream).await), (Ok(b'x'), Ok(b'x')));
            assert!(says(&mut stream).await.is_err(), "the third byte is too many");
        };
        futures::join!(proxy.break_for(FAULTY, Fault::ResetAfter(2)), told);
        assert_eq!(says(&mut connect().await).await, Ok(b'x'));
    });
}
