//! Access tokens for a service account: one request for all who wait, renewed in time, failures told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use peerway::operation::Operation;
use peerway::provider::Upstream;
use peerway_dialect::Dialect;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::{account, call, key, upstream};

/// Gives out `token-1`, `token-2`, ..., each for `seconds`, or refuses.
struct Endpoint {
    url: String,
    given: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    /// A permit for each answer.
    answers: Arc<Semaphore>,
}

async fn endpoint(seconds: u64, refuse: bool) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (given, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let answers = Arc::new(Semaphore::new(1_000));
    let (count, bodies, permits) = (Arc::clone(&given), Arc::clone(&asked), Arc::clone(&answers));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (count, bodies, permits) = (Arc::clone(&count), Arc::clone(&bodies), Arc::clone(&permits));
            let serve = service_fn(move |request: Request<Incoming>| {
                let (count, bodies, permits) = (Arc::clone(&count), Arc::clone(&bodies), Arc::clone(&permits));
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    permits.acquire().await.unwrap().forget();
                    let answer = json!({"access_token": format!("token-{number}"), "expires_in": seconds, "token_type": "Bearer"});
                    let refusal = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
                    let (status, body) = if refuse { (400, refusal) } else { (200, answer) };
                    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
                    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    Ok::<_, hyper::Error>(response)
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
        }
    });
    Endpoint { url, given, asked, answers }
}

fn vertex(token_uri: &str) -> Arc<Upstream> {
    Arc::new(upstream(json!({"type": "vertex", "location": "global", "allow_private": true,
        "keys": [{"id": "main", "value": account(token_uri)}]})))
}

async fn shown(upstream: &Upstream) -> Result<String, String> {
    let key = key(upstream, "gemini");
    let asked = call(Operation::Chat, Dialect::Gemini, "gemini", false);
    let request = upstream.request(&asked, key, Bytes::new()).await.map_err(|error| error.to_string())?;
    Ok(request.headers()["authorization"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn all_who_wait_share_one_token() {
    let endpoint = endpoint(3600, false).await;
    let upstream = vertex(&endpoint.url);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let upstream = Arc::clone(&upstream);
        waiting.spawn(async move { shown(&upstream).await });
    }
    for token in waiting.join_all().await {
        assert_eq!(token.as_deref(), Ok("Bearer token-1"));
    }
    assert_eq!(endpoint.given.load(Ordering::SeqCst), 1);
    assert!(!format!("{upstream:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn the_claim_is_signed_for_the_scope_and_the_endpoint() {
    let endpoint = endpoint(3600, false).await;
    shown(&vertex(&endpoint.url)).await.unwrap();
    let body = endpoint.asked.lock().unwrap().remove(0);
    let assertion =
        body.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=").unwrap();
    let (text, signature) = assertion.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, include_bytes!("fixtures/service_account.pub.der"));
    key.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let (header, claims) = text.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let claims = read(claims);
    assert_eq!(claims["aud"], json!(endpoint.url));
    assert_eq!(claims["iss"], "gateway@project-1.iam.example");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[tokio::test]
async fn a_token_is_renewed_while_it_still_holds() {
    // Three seconds of use, and due for renewal at once.
    let endpoint = endpoint(13, false).await;
    let upstream = vertex(&endpoint.url);
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-1"));
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-1"), "nobody waits for a renewal");
    // Nobody asks for one meanwhile.
    let renewed = async {
        while endpoint.given.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("renewed before the end");
}

#[tokio::test]
async fn a_refusal_is_told_and_not_repeated_with_every_request() {
    let endpoint = endpoint(3600, true).await;
    let upstream = vertex(&endpoint.url);
    for _ in 0..10 {
        let error = shown(&upstream).await.unwrap_err();
        assert!(error.contains("400 Bad Request: invalid_grant (Invalid JWT Signature.)"), "{error}");
    }
    assert!(endpoint.given.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn what_is_asked_for_comes_although_whoever_asked_has_gone() {
    let endpoint = endpoint(3600, false).await;
    endpoint.answers.forget_permits(1_000);
    let upstream = vertex(&endpoint.url);
    let is_asked = async {
        while endpoint.given.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        shown = shown(&upstream) => panic!("{shown:?} before there was an answer"),
        () = is_asked => {}
    }
    endpoint.answers.add_permits(1_000);
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-1"));
    assert_eq!(endpoint.given.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_that_the_provider_refuses_is_not_shown_again() {
    let endpoint = endpoint(3600, false).await;
    let upstream = vertex(&endpoint.url);
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-1"));
    key(&upstream, "gemini").unwrap().refused();
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-2"));
}

#[tokio::test]
async fn a_token_without_an_end_is_one_like_any_other() {
    let endpoint = endpoint(u64::MAX, false).await;
    let upstream = vertex(&endpoint.url);
    for _ in 0..2 {
        assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer token-1"));
    }
}

#[tokio::test]
async fn an_access_token_is_sent_as_it_is() {
    let upstream = upstream(json!({"type": "vertex", "location": "global", "project": "p",
        "keys": [{"id": "main", "value": "ya29.token"}]}));
    assert_eq!(shown(&upstream).await.as_deref(), Ok("Bearer ya29.token"));
}
