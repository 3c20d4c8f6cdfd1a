//! Answers that are written to a socket as they are, where no HTTP library is in the way or would help: to connections
//! that are refused, and to heads that it must not see.

use axum::body::Body;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use tokio::net::TcpStream;

use super::error::ApiError;
use super::error_form::ErrorForm;

/// What has arrived is read before the connection closes, up to this: a socket that is closed over unread bytes resets
/// the connection, and the client may never see the answer.
const READ_OUT: usize = 64 << 10;

/// Answers, as far as the socket takes it at once.
pub(super) fn answer_and_close(stream: &TcpStream, error: &ApiError, form: ErrorForm, request_id: &HeaderValue) {
    let answer = written(error.response(form, request_id));
    // Best effort: the connection ends either way.
    let _ = stream.try_write(&answer);
    let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
    let mut left = READ_OUT;
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stream.try_read(&mut piece) {
        left = left.saturating_sub(read);
        if left == 0 {
            break;
        }
    }
}

/// The bytes of a response whose body is there.
fn written(response: Response<Body>) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = match futures_util::FutureExt::now_or_never(body.collect()) {
        Some(Ok(body)) => body.to_bytes(),
        _ => bytes::Bytes::new(),
    };
    let reason = head.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_u16()).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}
