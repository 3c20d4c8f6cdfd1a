//! One client connection, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use super::client_io::ClientIo;
use super::drain::{Drain, Phase};
use super::edge::Edge;
use super::framing::{MAX_HEAD, MAX_HEADERS};
use super::front::Front;
use super::standing::Standing;

const H2_STREAMS: u32 = 128;
/// What a client may send before it is read: of one request, and of all of a connection.
const H2_STREAM_WINDOW: u32 = 256 << 10;
const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// What is held of an answer for a client that has not asked for it.
const H2_SEND_BUFFER: usize = 64 << 10;
/// Requests that a client takes back before we have looked at them.
const H2_PENDING_RESETS: usize = 20;
/// Requests that we must reset because the client breaks the protocol ("MadeYouReset", CVE-2025-8671).
const H2_OWN_RESETS: usize = 100;

/// The protocols' settings, the same for every connection of a listener.
pub(super) fn builder(edge: &Edge) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The library knows one time for idle connections and slow heads. It is the former, as balancers want it to be
        // longer than their own (60 s is common), or they send into a closing one; heads are timed by `ClientIo`.
        .header_read_timeout(edge.idle)
        // More than `framing` takes, so that it is `framing` whose answer the client reads.
        .max_buf_size(2 * MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_send_buf_size(H2_SEND_BUFFER)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .max_local_error_reset_streams(H2_OWN_RESETS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Serves until the client, a limit or the drain ends it.
pub(super) async fn serve(
    builder: auto::Builder<TokioExecutor>,
    stream: TcpStream,
    router: Router,
    edge: Arc<Edge>,
    drain: Drain,
) -> Ended {
    // Without it the kernel holds small events back for up to 40 ms.
    stream.set_nodelay(true)?;
    let standing = Arc::new(Standing::new());
    let io = ClientIo::new(stream, Arc::clone(&standing), Arc::clone(&edge));
    let front = Front::new(router, Arc::clone(&standing), Arc::clone(&edge));
    let connection = builder.serve_connection(TokioIo::new(io), front);
    let mut connection = std::pin::pin!(connection);
    let mut closing = std::pin::pin!(drain.reached(Phase::Closing));
    let mut is_closing = false;
    // Of HTTP/1 the socket is watched; of HTTP/2 only the streams tell who is idle or does not read.
    let look = edge.idle.min(edge.write_stall / 2).max(Duration::from_millis(10));
    let mut watch = std::pin::pin!(tokio::time::sleep(look));
    let mut watches = true;
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => return result,
            () = &mut closing, if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut watch, if watches => {
                watches = standing.is_h2() || !standing.has_asked();
                if standing.is_h2() && standing.stalled() >= edge.write_stall {
                    debug!("cut a connection whose client does not read its answers");
                    return Ok(());
                }
                if standing.is_h2() && standing.idle() >= edge.idle {
                    connection.as_mut().graceful_shutdown();
                }
                watch.as_mut().reset(Instant::now() + look);
            }
        }
    }
}
