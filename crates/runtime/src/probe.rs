//! The command `health` of every service: asks the running program whether it is ready, in an image that holds nothing
//! else that could.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{config::Admin, tls::Certificate};

/// Longer than the program itself waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Bytes; an answer names a few checks.
const MOST: u64 = 64 << 10;

/// What the program that listens there says, and whether that is that it is ready.
///
/// # Errors
/// There is no such program, or none that answers in time; a certificate that cannot be read.
pub(crate) async fn readiness(admin: &Admin) -> Result<(bool, String), String> {
    let address = admin.listen;
    let certificate = Certificate::read("admin", admin.cert_file.as_ref(), admin.key_file.as_ref());
    let certificate = certificate.map_err(|(key, reason)| format!("{key}: {reason}"))?;
    let asked = timeout(PATIENCE, connect(address, certificate.as_ref())).await;
    let answer =
        asked.map_err(|_| format!("no answer from {address} (admin.listen) within {} s", PATIENCE.as_secs()))?;
    let answer = answer.map_err(|error| format!("cannot ask {address} (admin.listen): {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).ok_or_else(|| format!("{address} (admin.listen) does not speak HTTP"))?;
    Ok((status == "200", body.trim().to_owned()))
}

async fn connect(address: SocketAddr, certificate: Option<&Certificate>) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    match certificate {
        Some(certificate) => ask(certificate.connect(stream).await?, address).await,
        None => ask(stream, address).await,
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: SocketAddr) -> std::io::Result<String> {
    // 1.0: one answer, as it is, and the end of the connection.
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Health, connections::Incoming, http};

    async fn asked(health: Health) -> (bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = Admin { listen: listener.local_addr().unwrap(), ..Admin::default() };
        tokio::select! {
            _ = axum::serve(listener, health.router()) => unreachable!("it serves for ever"),
            answer = readiness(&admin) => answer.unwrap(),
        }
    }

    /// Writes a new certificate for 127.0.0.1 and its key.
    fn certificate(folder: &Path) -> Admin {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert_file, made.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        Admin { cert_file: Some(cert_file), key_file: Some(key_file), ..Admin::default() }
    }

    #[tokio::test]
    async fn over_tls_the_own_certificate_is_known_and_no_other() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (own, other) = (certificate(folder.path()), certificate(elsewhere.path()));
        let read = Certificate::read("admin", own.cert_file.as_ref(), own.key_file.as_ref()).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        let asking = async {
            let (ready, _) = readiness(&Admin { listen, ..own }).await.unwrap();
            assert!(ready);
            let error = readiness(&Admin { listen, ..other }).await.unwrap_err();
            assert!(error.contains("another certificate"), "{error}");
            let plain = readiness(&Admin { listen, ..Admin::default() }).await;
            assert!(plain.is_err(), "{plain:?}");
        };
        let asked = async {
            asking.await;
            closing.cancel();
        };
        let router = Health::default().router();
        tokio::join!(
            http::serve(Incoming::new(listener, 1), Some(read.acceptor("http/1.1")), router, closing.clone()),
            asked
        );
    }

    #[tokio::test]
    async fn ready_is_told_from_not_ready_and_from_nobody() {
        assert_eq!(asked(Health::default()).await, (true, r#"{"checks":{},"status":"ok"}"#.to_owned()));
        let mut health = Health::default();
        health.watch("broker", &Arc::new(()), |_| async { Err("gone".to_owned()) });
        let (ready, told) = asked(health).await;
        assert!(!ready && told.contains(r#""broker":"gone""#), "{told}");
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = readiness(&Admin { listen: nobody, ..Admin::default() }).await.unwrap_err();
        assert!(error.contains(&nobody.to_string()) && error.contains("admin.listen"), "{error}");
    }
}
