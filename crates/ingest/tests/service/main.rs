//! The service through gRPC.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod operations;
mod quota;
mod trace;
mod world;

use tonic::Request;

/// A request with a token.
fn request<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}
