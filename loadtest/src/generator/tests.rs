//! The generator against tiny servers that misbehave in known ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::failure::Failure;
use crate::scenario::Scenario;

const ANSWER: &str = "{\"choices\":[]}";

fn plain(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn sse(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}", events.len())
}

/// Reads one request; `None` when the caller has gone.
fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = memchr::memmem::find(&bytes, b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
            if bytes.len() >= head + 4 + length {
                return Some(());
            }
        }
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..n]);
    }
}

/// A server that answers request `n` (from 0) with `answer(n)`; an answer cut short of
/// its length ends the connection.
fn server(answer: impl Fn(u64) -> String + Send + Sync + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::new((AtomicU64::new(0), answer));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut stream = stream;
                stream.set_nodelay(true).unwrap();
                while read_request(&mut stream).is_some() {
                    let text = (shared.1)(shared.0.fetch_add(1, Ordering::Relaxed));
                    if stream.write_all(text.as_bytes()).is_err() || text.contains("x-then: close") {
                        return;
                    }
                }
            });
        }
    });
    Target { address, host: "test".parse().unwrap(), path: "/v1/chat/completions".parse().unwrap() }
}

fn plan(targets: Vec<Target>, scenario: &str, rate: f64, millis: u64) -> Plan {
    let scenario = Scenario::parse("test", scenario).unwrap();
    Plan {
        targets,
        mix: Mix::prepare(&scenario, None, 1).unwrap(),
        load: Load::Open { rate },
        warmup: Duration::ZERO,
        duration: Duration::from_millis(millis),
        threads: 2,
        max_in_flight: 1000,
        timeout: Duration::from_secs(5),
        keeps_fates: false,
    }
}

const PLAIN: &str = "mix: [{kind: miss, prompt_bytes: 64}]";
const STREAM: &str = "mix: [{kind: stream, prompt_bytes: 64}]";

fn go(plan: &Plan) -> Recorder {
    run(plan, &mut |_, _| {}).unwrap()
}

/// The heart of it: one stall of 500 ms in 2 s makes a quarter of all requests slow,
/// although the server was asked nothing that it answered slowly before or after.
#[test]
fn a_stall_is_felt_by_every_request_that_was_due_meanwhile() {
    let gate = Arc::new(Mutex::new(()));
    let stalled = server(move |n| {
        let guard = gate.lock().unwrap();
        if n == 100 {
            std::thread::sleep(Duration::from_millis(500));
        }
        drop(guard);
        plain(ANSWER)
    });
    let recorder = go(&plan(vec![stalled], PLAIN, 200.0, 2000));
    let latency = recorder.headline();
    assert_eq!((recorder.sent, recorder.done(), recorder.failed()), (400, 400, 0));
    // Due within the stall: 100 of 400 requests, evenly from 500 ms of waiting to none.
    assert!(latency.at(99.0) >= 440_000, "p99 {}", latency.at(99.0));
    assert!((200_000..330_000).contains(&latency.at(87.5)), "p87.5 {}", latency.at(87.5));
    assert!(latency.at(70.0) < 50_000, "p70 {}", latency.at(70.0));
    // The timetable did not wait for the server.
    assert!(recorder.lateness.at(99.0) < 50_000, "{}", recorder.lateness.at(99.0));
}

#[test]
fn targets_take_turns_and_connections_are_kept() {
    let targets: Vec<_> = (0..3).map(|_| server(|_| plain(ANSWER))).collect();
    let recorder = go(&plan(targets, PLAIN, 300.0, 1000));
    assert_eq!(recorder.targets, [(100, 0); 3]);
    assert!(recorder.connections < 60, "{} connections", recorder.connections);
}

#[test]
fn every_failure_has_its_class() {
    let one = |scenario: &str, answer: fn(u64) -> String| {
        let recorder = go(&plan(vec![server(answer)], scenario, 20.0, 100));
        assert_eq!(recorder.done(), 0);
        recorder.failures.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(one(PLAIN, |_| "HTTP/1.1 503 no\r\ncontent-length: 2\r\n\r\nno".into()), [(Failure::Status(503), 2)]);
    const SHORT: &str = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 99\r\n\r\n{\"choices\"";
    assert_eq!(one(PLAIN, |_| SHORT.into()), [(Failure::ShortBody, 2)]);
    assert_eq!(one(PLAIN, |_| plain("<html>")), [(Failure::WrongBody, 2)]);
    assert_eq!(one(PLAIN, |_| "x-then: close".into()), [(Failure::Reset, 2)]);
    assert_eq!(one(STREAM, |_| sse("data: {\"choices\":[]}\n\n")), [(Failure::StreamCut, 2)]);
    assert_eq!(one(STREAM, |_| sse("data: {\"error\":{}}\n\ndata: [DONE]\n\n")), [(Failure::StreamError, 2)]);

    let gone = Target {
        address: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
        ..server(|_| String::new())
    };
    let recorder = go(&plan(vec![gone], PLAIN, 20.0, 100));
    assert_eq!(recorder.failures[&Failure::Connect], 2);

    let silent = Plan { timeout: Duration::from_millis(50), ..plan(vec![server(|_| String::new())], PLAIN, 20.0, 100) };
    assert_eq!(go(&silent).failures[&Failure::Timeout], 2);
}

#[test]
fn whole_streams_are_counted_with_their_events() {
    let recorder = go(&plan(
        vec![server(|_| sse("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n"))],
        STREAM,
        50.0,
        200,
    ));
    let kind = &recorder.kinds[0];
    assert_eq!((kind.done, kind.failed, kind.events, kind.first.count()), (10, 0, 20, 10));
}

#[test]
fn the_cap_holds_requests_back_instead_of_piling_them_up() {
    let silent = server(|_| String::new());
    let capped =
        Plan { max_in_flight: 4, timeout: Duration::from_millis(600), ..plan(vec![silent], PLAIN, 100.0, 400) };
    let recorder = go(&capped);
    assert_eq!((recorder.sent, recorder.unsent, recorder.failed()), (4, 36, 4));
}

#[test]
fn a_closed_loop_of_one_never_has_two_in_flight() {
    let busy = Arc::new(AtomicU64::new(0));
    let most = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&most);
    let target = server(move |_| {
        seen.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        busy.fetch_sub(1, Ordering::SeqCst);
        plain(ANSWER)
    });
    let closed = Plan { load: Load::Closed { concurrency: 1 }, ..plan(vec![target], PLAIN, 1.0, 300) };
    let recorder = go(&closed);
    assert_eq!((most.load(Ordering::SeqCst), recorder.connections), (1, 1));
    assert!(recorder.done() > 20 && recorder.headline().at(50.0) < 50_000);
}

#[test]
fn the_watching_side_sees_the_begin_the_ticks_and_the_end() {
    let mut seen = Vec::new();
    let watched =
        Plan { warmup: Duration::from_millis(300), ..plan(vec![server(|_| plain(ANSWER))], PLAIN, 50.0, 900) };
    let recorder = run(&watched, &mut |moment, recorded| {
        seen.push(match moment {
            Moment::Begin(at) => ("begin", at),
            Moment::Tick(at) => ("tick", at),
            Moment::End(at) => {
                assert_eq!(recorded().in_flight, 0);
                ("end", at)
            }
        });
    })
    .unwrap();
    assert_eq!((recorder.sent, recorder.done()), (45, 45));
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["tick", "begin", "tick", "tick", "end"], "{seen:?}");
    assert!(seen[1].1 >= Duration::from_millis(300) && seen[1].1 < Duration::from_millis(450));
}
