//! A server that is the only one of its Redis Cluster, and gone in the moment it sends somebody on.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Speaks as much as a client needs until it asks for a key.
pub(crate) async fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody is there.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (ends, mut end) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    tokio::spawn(serve(accepted.unwrap().0, port, elsewhere, ends.clone()));
                }
                _ = end.changed() => return,
            }
        }
    });
    port
}

async fn serve(connection: TcpStream, port: u16, elsewhere: u16, ends: watch::Sender<bool>) {
    let mut end = ends.subscribe();
    let mut connection = BufReader::new(connection);
    loop {
        let words = tokio::select! {
            words = words(&mut connection) => words,
            _ = end.wait_for(|ended| *ended) => return,
        };
        let Some(words) = words else { return };
        let answer = match words[0].to_ascii_uppercase().as_str() {
            "PING" => "+PONG\r\n".to_owned(),
            "CLUSTER" => format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n"),
            "GET" => {
                let answer = format!("-MOVED 1 127.0.0.1:{elsewhere}\r\n");
                // Nobody can connect again before the answer is read.
                ends.send_replace(true);
                tokio::task::yield_now().await;
                connection.write_all(answer.as_bytes()).await.unwrap();
                return;
            }
            _ => "+OK\r\n".to_owned(),
        };
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// One command: an array of texts.
async fn words(connection: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = number(connection).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(connection).await? + 2];
        connection.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
    }
    Some(words)
}

async fn number(connection: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}
