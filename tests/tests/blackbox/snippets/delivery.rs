//! A delivery as it was sent, to be sent again, changed or not.

use std::{io, time::Duration};

use blackbox::{history::Entry, signature};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The headers that a receiver looks at.
const HEADERS: [&str; 8] = [
    "content-type",
    "x-testmo-event",
    "x-testmo-delivery",
    "x-testmo-attempt",
    "x-testmo-signature-256",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Delivery {
    /// As history has it.
    pub(super) fn of(entry: &Entry) -> Self {
        let header = |name: &'static str| {
            let value = entry.request_header(name).unwrap_or_else(|| panic!("no header {name} in {}", entry.0));
            (name, value.as_bytes().to_vec())
        };
        Self { headers: HEADERS.map(header).to_vec(), body: entry.request_body().as_bytes().to_vec() }
    }

    pub(super) fn header(&self, name: &str) -> String {
        let (_, value) = self.headers.iter().find(|(key, _)| *key == name).expect("a header that was sent");
        String::from_utf8(value.clone()).expect("a header in UTF-8")
    }

    pub(super) fn with(&self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut changed = self.clone();
        let (_, old) = changed.headers.iter_mut().find(|(key, _)| *key == name).expect("a header that was sent");
        value.as_ref().clone_into(old);
        changed
    }

    pub(super) fn without(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.retain(|(key, _)| *key != name);
        changed
    }

    pub(super) fn with_body(&self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.clone() }
    }

    /// A new delivery of the same body, signed rightly for this id and time.
    pub(super) fn signed_again(&self, secret: &str, id: &str, timestamp: &str) -> Self {
        self.with("webhook-id", id)
            .with("x-testmo-delivery", id)
            .with("webhook-timestamp", timestamp)
            .with("webhook-signature", signature::sign_standard(secret, id, timestamp, &self.body))
            .with("x-testmo-signature-256", signature::sign_testmo(secret, &self.body))
    }

    /// Sends it to a port of this machine; the status of the answer.
    pub(super) async fn post(&self, port: u16) -> u16 {
        let exchange = tokio::time::timeout(TIMEOUT, self.exchange(port)).await.expect("an answer in time");
        exchange.unwrap_or_else(|error| panic!("port {port} gives no answer: {error}"))
    }

    async fn exchange(&self, port: u16) -> io::Result<u16> {
        let mut request =
            format!("POST /hook HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n").into_bytes();
        for (name, value) in &self.headers {
            request.extend_from_slice(format!("{name}: ").as_bytes());
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        request.extend_from_slice(&self.body);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(&request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other(format!("not HTTP: {answer}")))
    }
}
