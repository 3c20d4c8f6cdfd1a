//! Small requests beside the load: to the control routes of the simulated provider and the admin API of the nodes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(10);

/// A client that opens a connection for each request, since what it asks is killed and started again.
#[derive(Debug)]
pub(super) struct Control(Runtime);

impl Control {
    pub(super) fn new() -> Result<Control> {
        Ok(Control(tokio::runtime::Builder::new_current_thread().enable_all().build()?))
    }

    pub(super) fn get(&self, address: SocketAddr, path: &str) -> Result<Bytes> {
        self.ask(address, Method::GET, path, "")
    }

    pub(super) fn post(&self, address: SocketAddr, path: &str, body: &'static str) -> Result<Bytes> {
        self.ask(address, Method::POST, path, body)
    }

    pub(super) fn json(&self, address: SocketAddr, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.get(address, path)?)?)
    }

    fn ask(&self, address: SocketAddr, method: Method, path: &str, body: &'static str) -> Result<Bytes> {
        let what = format!("{method} http://{address}{path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        let asked = async { tokio::time::timeout(PATIENCE, exchange(address, request)).await };
        let (status, body) =
            self.0.block_on(asked).with_context(|| format!("{what} took too long"))?.context(what.clone())?;
        if !status.is_success() {
            bail!("{what} was answered with {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<(http::StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(driver);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, body))
}
