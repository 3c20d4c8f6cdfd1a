//! A provider that says what it is told to, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What follows an answer's bytes.
#[derive(Debug, Clone)]
pub enum Then {
    Close,
    Silence,
    /// More of it, when the test says so, and the end.
    More(Arc<Notify>, &'static str),
}

/// Answers every request with the same bytes.
pub struct Scripted {
    /// What a provider's `base_url` begins with.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub async fn saying(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer = Arc::new(answer.into());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer_one(connection, Arc::clone(&answer), then.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, asked }
    }

    /// A whole answer.
    pub async fn answering(status: u16, kind: &str, body: &str) -> Self {
        Self::saying(whole(status, kind, body), Then::Close).await
    }

    /// The requests so far, as they came.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn whole(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Takes one request whole, so that the connection never closes on what is unread.
async fn answer_one(mut connection: TcpStream, answer: Arc<Vec<u8>>, then: Then, seen: Arc<Mutex<Vec<String>>>) {
    let mut asked = Vec::new();
    while !is_whole(&asked) {
        match connection.read_buf(&mut asked).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    seen.lock().unwrap().push(String::from_utf8_lossy(&asked).into_owned());
    let _ = connection.write_all(&answer).await;
    match then {
        Then::Close => drop(connection.shutdown().await),
        Then::Silence => std::future::pending().await,
        Then::More(now, more) => {
            now.notified().await;
            let _ = connection.write_all(more.as_bytes()).await;
            drop(connection.shutdown().await);
        }
    }
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}
