//! The demo's stand-in for a load balancer: round robin, request by request; a node that cannot be reached is passed
//! over. Real deployments use a real one (see `deploy/`).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const MAX_BODY: usize = 64 << 20;

type Answer = Response<Either<Incoming, Full<Bytes>>>;

struct Front {
    nodes: Vec<SocketAddr>,
    next: AtomicUsize,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// The running front; ends when dropped.
pub(super) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn start(listen: SocketAddr, nodes: Vec<SocketAddr>) -> io::Result<Running> {
    let listener = TcpListener::bind(listen).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let front = Arc::new(Front { nodes, next: AtomicUsize::new(0), client });
    Ok(Running(tokio::spawn(accept(listener, front))))
}

async fn accept(listener: TcpListener, front: Arc<Front>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let front = Arc::clone(&front);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let front = Arc::clone(&front);
                async move { Ok::<_, Infallible>(front.relay(request).await) }
            });
            // A client that breaks off is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Front {
    async fn relay(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        // Read whole, so that it can be sent again to another node.
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off");
        };
        let body = body.to_bytes();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.nodes.len() {
            let node = self.nodes[(turn + step) % self.nodes.len()];
            let Ok(uri) = format!("http://{node}{path}").parse::<Uri>() else { break };
            let mut relayed = Request::new(Full::new(body.clone()));
            *relayed.method_mut() = head.method.clone();
            *relayed.uri_mut() = uri;
            *relayed.headers_mut() = head.headers.clone();
            if let Ok(host) = HeaderValue::from_str(&node.to_string()) {
                relayed.headers_mut().insert(HOST, host);
            }
            match self.client.request(relayed).await {
                Ok(answer) => return answer.map(Either::Left),
                // Nothing was sent, so another node may have it.
                Err(error) if error.is_connect() => {}
                Err(_) => return plain(StatusCode::BAD_GATEWAY, "the node broke off"),
            }
        }
        plain(StatusCode::SERVICE_UNAVAILABLE, "no node can be reached")
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    response
}
