//! What a node takes on and what it turns away, and how slow a client may be.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use peerway::http::shed::Shed;
use serde_json::{Value, json};
use support::{Answer, KEY, Setup, hello, hello_stream, resident, setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Waits for what must come.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < late, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Providers are waited for as long as a test lets them hang.
fn patient(config: &mut Value) {
    config["providers"][0]["timeouts"] = json!({"first_byte": "60s"});
}

/// Waits until so many requests have come to the provider.
async fn arrived(setup: &Setup, count: usize) {
    let late = Instant::now() + Duration::from_secs(20);
    while setup.provider("GET", "/requests", "").await["requests"].as_array().unwrap().len() < count {
        assert!(Instant::now() < late, "{count} requests come to the provider");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads until the other side closes; what came.
async fn read_out(connection: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let reading = connection.read_to_end(&mut all);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the gateway closes");
    String::from_utf8_lossy(&all).into_owned()
}

fn head(length: usize, lines: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n{lines}\r\n"
    )
}

async fn healthy(setup: &Setup) {
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

fn is_shed(answer: &Answer, reason: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (503, "overloaded"), "{answer:?}");
    assert_eq!(answer.header("x-peerway-shed"), reason);
    assert_eq!((answer.header("retry-after"), answer.header("retry-after-ms")), ("1", "1000"));
    assert_eq!(answer.header("x-should-retry"), "true");
}

#[tokio::test]
async fn more_requests_than_a_node_takes_on_wait_a_moment_and_are_told_so() {
    let setup = setup(|config| {
        config["http"]["max_concurrent"] = json!(2);
        config["http"]["max_queue_wait"] = json!("50ms");
        patient(config);
    })
    .await;
    setup.fault(json!({"match": {"first": 2}, "do": {"hang": true}})).await;
    let others = async {
        arrived(&setup, 2).await;
        is_shed(&setup.chat(hello()).await, "queue");
        let ready = Request::get(format!("http://{}/readyz", setup.gateway)).body(Full::default()).unwrap();
        assert_eq!(setup.send(ready).await.status, StatusCode::OK, "health is never shed");
    };
    tokio::select! {
        answer = setup.chat(hello()) => panic!("{answer:?}"),
        answer = setup.chat(hello()) => panic!("{answer:?}"),
        () = others => {}
    }
    assert_eq!(setup.shed.of(Shed::Queue), 1);
    until("who has gone makes room", || setup.state.drain.in_flight() == 0).await;
    healthy(&setup).await;
}

#[tokio::test]
async fn a_key_has_only_so_many_requests_in_progress() {
    let setup = setup(|config| {
        config["governance"]["keys"][0]["max_concurrent"] = json!(1);
        patient(config);
    })
    .await;
    setup.fault(json!({"match": {"first": 1}, "do": {"hang": true}})).await;
    let others = async {
        arrived(&setup, 1).await;
        let refused = setup.chat(hello()).await;
        assert_eq!((refused.status.as_u16(), refused.header("x-peerway-error")), (429, "rate_limit_exceeded"));
        assert_eq!((refused.header("x-peerway-shed"), refused.header("retry-after")), ("key", "1"));
        assert!(refused.json()["error"]["message"].as_str().unwrap().contains("max_concurrent"));
        let other = setup.chat_with(hello().to_string(), &[("authorization", "Bearer sk-second")]).await;
        assert_eq!(other.status, StatusCode::OK, "another key is another matter");
    };
    tokio::select! {
        answer = setup.chat(hello()) => panic!("{answer:?}"),
        () = others => {}
    }
    until("it is given up", || setup.state.drain.in_flight() == 0).await;
    healthy(&setup).await;
    // A stream counts to its end, which this one has only when its client leaves.
    setup.fault(json!({"match": {"first": 1}, "do": {"endless": true, "token_ms": 5}})).await;
    let body = hello_stream().to_string();
    let mut stream = TcpStream::connect(setup.gateway).await.unwrap();
    stream.write_all((head(body.len(), "") + &body).as_bytes()).await.unwrap();
    let mut begun = Vec::new();
    while memchr::memmem::find(&begun, b"data: ").is_none() {
        assert!(stream.read_buf(&mut begun).await.unwrap() > 0, "{}", String::from_utf8_lossy(&begun));
    }
    assert_eq!(setup.chat(hello()).await.header("x-peerway-shed"), "key", "while it goes on");
    drop(stream);
    until("its client is gone", || setup.state.drain.in_flight() == 0).await;
    healthy(&setup).await;
}

#[tokio::test]
async fn bodies_are_read_into_so_much_memory() {
    const BODY: usize = 1 << 20;
    let setup = setup(|config| {
        config["http"]["max_body"] = json!("1MiB");
        config["http"]["max_body_memory"] = json!("4MiB");
    })
    .await;
    let before = resident();
    let memory = setup.state.admission.memory().clone();
    let mut clients = Vec::new();
    for _ in 0..24 {
        let mut client = TcpStream::connect(setup.gateway).await.unwrap();
        client.write_all(head(BODY, "").as_bytes()).await.unwrap();
        clients.push(tokio::spawn(async move {
            // All but the last byte, so that what was taken is held.
            let _ = client.write_all(&vec![b' '; BODY - 1]).await;
            client
        }));
    }
    let mut open = Vec::new();
    for client in clients {
        open.push(client.await.unwrap());
    }
    until("some are turned away", || setup.shed.of(Shed::Memory) > 0).await;
    assert!(memory.used() <= memory.limit());
    assert!(memory.used() >= memory.limit() / 2, "{} of {}", memory.used(), memory.limit());
    assert!(resident() < before + (64 << 20), "{} MiB more", (resident() - before) >> 20);
    let answers = open.into_iter().map(|mut client| async move {
        let mut answer = Vec::with_capacity(4096);
        let reading = client.read_buf(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answers = futures_util::future::join_all(answers).await;
    let told =
        answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503") && answer.contains("x-peerway-shed: memory"));
    assert!(told.count() > 0, "those who are turned away are told why: {answers:?}");
    until("all is given back", || memory.used() == 0).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// A provider whose every answer is so large.
async fn wordy(size: usize) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = "x".repeat(size);
    let body = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    .to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"}") && matches!(client.read_buf(&mut request).await, Ok(1..)) {}
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn answers_are_read_into_the_same_memory() {
    for (size, fits) in [(400 << 10, true), (1200 << 10, false)] {
        let provider = wordy(size).await;
        let setup = setup(|config| {
            config["http"]["max_body"] = json!("64KiB");
            config["http"]["max_body_memory"] = json!("1MiB");
            config["providers"][0]["base_url"] = json!(format!("http://{provider}/v1"));
        })
        .await;
        let answer = setup.chat(hello()).await;
        if fits {
            assert!(answer.status == StatusCode::OK && answer.body.len() > size, "{}", answer.status);
        } else {
            is_shed(&answer, "memory");
        }
        drop(answer);
        until("all is given back", || setup.state.admission.memory().used() == 0).await;
    }
}

#[tokio::test]
async fn a_slow_head_ends_and_an_idle_connection_does_not() {
    let setup = setup(|config| {
        config["http"]["timeouts"] = json!({"header": "300ms", "idle": "10s"});
    })
    .await;
    let mut silent = TcpStream::connect(setup.gateway).await.unwrap();
    let mut slow = TcpStream::connect(setup.gateway).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ga").await.unwrap();
    let mut kept = TcpStream::connect(setup.gateway).await.unwrap();
    let body = hello().to_string();
    let request = head(body.len(), "") + &body;
    kept.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");

    assert_eq!(read_out(&mut silent).await, "", "who says nothing is told nothing");
    let told = read_out(&mut slow).await;
    assert!(told.starts_with("HTTP/1.1 408") && told.contains("\"request_timeout\""), "{told}");
    assert!(told.contains("\r\nrequest-id: "));

    tokio::time::sleep(Duration::from_millis(400)).await;
    // Longer idle than a head may take; then a slow head on the same connection.
    let (first, rest) = request.split_at(30);
    kept.write_all(first.as_bytes()).await.unwrap();
    kept.write_all(rest.as_bytes()).await.unwrap();
    kept.write_all(first.as_bytes()).await.unwrap();
    let told = read_out(&mut kept).await;
    assert_eq!(told.matches("HTTP/1.1 200").count(), 1, "{told}");
    assert!(told.contains("HTTP/1.1 408"), "{told}");
    healthy(&setup).await;
}

#[tokio::test]
async fn a_flood_of_slow_heads_costs_little_and_ends() {
    peerway::http::raise_descriptors();
    let setup = setup(|config| config["http"]["timeouts"] = json!({"header": "3s"})).await;
    let before = resident();
    let mut clients = Vec::new();
    for _ in 0..400 {
        let mut client = TcpStream::connect(setup.gateway).await.unwrap();
        client.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nx-a: ").await.unwrap();
        client.write_all(&[b'b'; 8000]).await.unwrap();
        clients.push(client);
    }
    until("all are there", || setup.edge.connections.open() >= 400).await;
    healthy(&setup).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 400 * (64 << 10), "{} KiB a connection", (grown / 400) >> 10);
    until("all are gone", || setup.edge.connections.open() <= 8).await;
    healthy(&setup).await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_answered() {
    let setup = setup(|config| config["http"]["timeouts"] = json!({"body": "300ms"})).await;
    let mut slow = TcpStream::connect(setup.gateway).await.unwrap();
    slow.write_all((head(1000, "") + "{").as_bytes()).await.unwrap();
    let told = read_out(&mut slow).await;
    assert!(told.starts_with("HTTP/1.1 408") && told.contains("http.timeouts.body"), "{told}");
    assert_eq!(setup.billed().await, 0);
}

#[tokio::test]
async fn streams_that_nobody_reads_end_and_are_not_gathered() {
    const CLIENTS: usize = 40;
    let setup = setup(|config| config["http"]["timeouts"] = json!({"write_stall": "1s"})).await;
    setup.fault(json!({"match": {}, "do": {"endless": true, "token_ms": 0}})).await;
    let before = resident();
    let body = hello_stream().to_string();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(setup.gateway).await.unwrap();
        client.write_all((head(body.len(), "") + &body).as_bytes()).await.unwrap();
        clients.push(client);
    }
    until("all are there", || setup.edge.connections.open() >= CLIENTS).await;
    until("all are gone", || setup.edge.connections.open() <= 8).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < (CLIENTS as u64) << 20, "{} KiB a stream", (grown / CLIENTS as u64) >> 10);
    drop(clients);
    setup.provider("POST", "/reset", "").await;
    healthy(&setup).await;
}

#[tokio::test]
async fn one_client_has_only_so_many_connections() {
    let setup = setup(|config| {
        config["http"]["max_connections_per_client"] = json!(3);
        config["http"]["timeouts"] = json!({"header": "20s"});
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(setup.gateway).await.unwrap());
    }
    until("three are there", || setup.edge.connections.open() == 3).await;
    let mut fourth = TcpStream::connect(setup.gateway).await.unwrap();
    let told = read_out(&mut fourth).await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("x-peerway-shed: connections"), "{told}");
    assert_eq!(setup.shed.of(Shed::Connections), 1);
    drop(open);
    until("they are gone", || setup.edge.connections.open() == 0).await;
    healthy(&setup).await;
}

#[tokio::test]
async fn compressed_bodies_where_they_are_allowed() {
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let closed = setup(|_| {}).await;
    let encoded = [("content-encoding", "gzip")];
    let refused = closed.chat_with(gzip(hello().to_string().as_bytes()), &encoded).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-should-retry")), (415, "false"));
    let open = setup(|config| config["http"]["decompress"] = json!(true)).await;
    let answer = open.chat_with(gzip(hello().to_string().as_bytes()), &encoded).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello");
    let seen = open.provider("GET", "/requests?last=1", "").await["requests"][0].clone();
    let sent: Value = serde_json::from_str(seen["body"].as_str().unwrap()).unwrap();
    assert_eq!((&sent["model"], &seen["headers"]["content-encoding"]), (&json!("echo"), &Value::Null));
    let bomb = open.chat_with(gzip(&vec![b' '; 10 << 20]), &encoded).await;
    assert_eq!(bomb.status.as_u16(), 413);
    assert_eq!(open.chat_with("not gzip", &encoded).await.status.as_u16(), 400);
    assert_eq!(open.state.admission.memory().used(), 0);
}

/// Refusals leave the connection for the next request, whatever the route and its form of errors.
#[tokio::test]
async fn refusals_with_a_body_keep_the_connection() {
    let setup = Arc::new(setup(|_| {}).await);
    let mut connection = TcpStream::connect(setup.gateway).await.unwrap();
    let body = "x".repeat(2_000);
    for (line, status) in [
        ("POST /v1/nope", 404),
        ("DELETE /v1/chat/completions", 405),
        ("POST /anthropic/v1/nope", 401),
        ("POST /healthz", 405),
        ("POST /v1/chat/completions", 401),
    ] {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |n| n.parse().unwrap());
                if answer.len() >= end + 4 + length {
                    break text;
                }
            }
            let reading = connection.read_buf(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(5), reading).await.unwrap().unwrap_or(0);
            assert!(read > 0, "{line}: closed after {text:?}");
        };
        assert!(end.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {end}");
        assert!(end.contains("\r\nx-request-id: ") && end.contains("\r\nrequest-id: "), "{line}: {end}");
    }
}
