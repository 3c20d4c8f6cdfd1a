//! Connections of HTTP/1.1 to a provider: kept and used again, never for what another one may have seen, and closed by
//! whoever does not want the rest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use peerway::provider::{SendError, Upstream};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc};

use crate::{chat, upstream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const LAST_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";

/// Reads one request, if one comes.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(said) = line.strip_prefix("content-length: ") {
            length = said.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.ok().map(drop)
}

/// A provider: `serve` has each connection, with its number.
async fn provider<S, F>(serve: S) -> (Upstream, Arc<AtomicUsize>)
where
    S: Fn(usize, BufReader<TcpStream>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(number, BufReader::new(stream)));
        }
    });
    let fields = json!({"type": "openai_compatible", "base_url": format!("http://{address}/v1"),
        "allow_private": true, "keys": [{"id": "main", "value": "sk-secret"}]});
    (upstream(fields), connections)
}

async fn ask(upstream: &Upstream) -> Result<(), SendError> {
    let response = upstream.client(0).request(chat(upstream, "m").await).await?;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{}");
    Ok(())
}

/// Lets the runtime hear of everything that has happened to any socket.
async fn hear() {
    let (other, _) = provider(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(ANSWER).await.unwrap();
    })
    .await;
    ask(&other).await.unwrap();
}

#[tokio::test]
async fn one_carries_one_request_after_another() {
    let (upstream, connections) = provider(|_, mut stream| async move {
        while request(&mut stream).await.is_some() {
            stream.write_all(ANSWER).await.unwrap();
        }
    })
    .await;
    for _ in 0..5 {
        ask(&upstream).await.unwrap();
    }
    // An answer that nobody reads is no reason to close it, if it is all there.
    drop(upstream.client(0).request(chat(&upstream, "m").await).await.unwrap());
    ask(&upstream).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn those_that_are_used_at_once_are_all_kept() {
    let all = Arc::new(Barrier::new(3));
    let (upstream, connections) = provider(move |_, mut stream| {
        let all = Arc::clone(&all);
        async move {
            while request(&mut stream).await.is_some() {
                all.wait().await;
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await;
    for _ in 0..3 {
        let (a, b, c) = tokio::join!(ask(&upstream), ask(&upstream), ask(&upstream));
        a.and(b).and(c).unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn one_that_the_provider_closes_is_not_used_again() {
    for answer in [LAST_ANSWER, ANSWER] {
        let (closed, mut hears) = mpsc::channel(1);
        let (upstream, connections) = provider(move |_, mut stream| {
            let closed = closed.clone();
            async move {
                request(&mut stream).await;
                stream.write_all(answer).await.unwrap();
                drop(stream);
                closed.send(()).await.unwrap();
            }
        })
        .await;
        for number in 1..=3 {
            ask(&upstream).await.unwrap();
            hears.recv().await.unwrap();
            hear().await;
            assert_eq!(connections.load(Ordering::SeqCst), number);
        }
    }
}

#[tokio::test]
async fn what_was_written_is_not_written_twice() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let (upstream, _) = provider(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            // Answers the first request, and only reads the second.
            while request(&mut stream).await.is_some() && count.fetch_add(1, Ordering::SeqCst) == 0 {
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await;
    ask(&upstream).await.unwrap();
    let error = ask(&upstream).await.unwrap_err();
    assert!(error.was_sent(), "{error}");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_that_nobody_answers_was_never_sent_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = upstream(json!({"type": "openai_compatible", "base_url": format!("http://{address}/v1"),
        "allow_private": true, "keys": [{"id": "main", "value": "sk-secret"}]}));
    let error = ask(&upstream).await.unwrap_err();
    assert!(!error.was_sent() && !error.is_late(), "{error}");
}

#[tokio::test]
async fn who_does_not_want_the_rest_closes_it() {
    for asks_for_head in [true, false] {
        let (closed, mut hears) = mpsc::channel(1);
        let (asked, mut begun) = mpsc::channel(1);
        let (upstream, _) = provider(move |_, mut stream| {
            let (closed, asked) = (closed.clone(), asked.clone());
            async move {
                request(&mut stream).await;
                if asks_for_head {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
                        .await
                        .unwrap();
                }
                asked.send(()).await.unwrap();
                // The end of the connection: nothing more is asked.
                let _ = stream.read(&mut [0; 8]).await;
                closed.send(()).await.unwrap();
            }
        })
        .await;
        let asking = upstream.client(0).request(chat(&upstream, "m").await);
        if asks_for_head {
            let mut body = asking.await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "{}");
        } else {
            tokio::select! {
                _ = asking => panic!("there is no answer"),
                _ = begun.recv() => {}
            }
        }
        hears.recv().await.unwrap();
    }
}

#[tokio::test]
async fn what_comes_unasked_is_nobodys_answer() {
    let (upstream, connections) = provider(|number, mut stream| async move {
        while request(&mut stream).await.is_some() {
            let smuggled: &[u8] = if number == 0 { b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[1]" } else { b"" };
            stream.write_all(&[ANSWER, smuggled].concat()).await.unwrap();
        }
    })
    .await;
    ask(&upstream).await.unwrap();
    ask(&upstream).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// It is moved a few times on its way into the task that waits for it.
#[tokio::test]
async fn a_request_under_way_is_small() {
    let (upstream, _) = provider(|_, _| async {}).await;
    let asking = upstream.client(0).request(chat(&upstream, "m").await);
    assert!(size_of_val(&asking) <= 4 << 10, "{} bytes", size_of_val(&asking));
}
