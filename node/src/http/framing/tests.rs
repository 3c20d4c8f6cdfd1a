//! Requests that are read in one way, and all the others.

use proptest::prelude::*;

use super::*;

fn verdict(bytes: &[u8]) -> Result<State, Refusal> {
    let mut framing = Framing::default();
    framing.feed(bytes).map(|()| framing.state)
}

/// One after another on a connection, as they come from real clients.
const SOUND: [&str; 8] = [
    "GET /v1/models HTTP/1.1\r\nHost: gateway:8080\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nhost: x\r\nTransfer-Encoding:  Chunked \r\n\r\n5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\n\r\n",
    "\r\nPOST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: [::1]:80\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-checksum: 1\r\n\r\n",
    "GET http://gateway/v1/models HTTP/1.1\r\nhost: \r\nx-empty:\r\nx-text: \u{e9} caf\u{e9}\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nhost: x\r\n\r\n",
];

#[test]
fn sound_requests_pass_and_leave_the_next_ones_place() {
    let all: String = SOUND.concat();
    assert_eq!(verdict(all.as_bytes()), Ok(State::RequestLine));
    let h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(verdict(h2), Ok(State::Passing));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let post = |headers: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n");
    let chunked = |body: &str| post("transfer-encoding: chunked") + body;
    use Refusal::*;
    for (request, refusal) in [
        (post("content-length: 5\r\ntransfer-encoding: chunked"), LengthAndChunks),
        (post("transfer-encoding: chunked\r\ncontent-length: 5"), LengthAndChunks),
        (post("content-length: 5\r\ncontent-length: 5"), SeveralLengths),
        (post("content-length: 5\r\nContent-Length: 6"), SeveralLengths),
        (post("content-length: 5, 5"), Length),
        (post("content-length: +5"), Length),
        (post("content-length: -5"), Length),
        (post("content-length: 0x5"), Length),
        (post("content-length: 5 5"), Length),
        (post("content-length:"), Length),
        (post("content-length: 99999999999999999999"), Length),
        (post("transfer-encoding: xchunked"), TransferEncoding),
        (post("transfer-encoding: chunked, chunked"), TransferEncoding),
        (post("transfer-encoding: gzip, chunked"), TransferEncoding),
        (post("transfer-encoding: identity"), TransferEncoding),
        (post("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), TransferEncoding),
        (post("transfer-encoding: \"chunked\""), TransferEncoding),
        (post("transfer-encoding: chunked\x0b"), HeaderValue),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), TransferEncoding),
        (post("transfer-encoding : chunked"), HeaderName),
        (post("content-length\t: 5"), HeaderName),
        (post(" transfer-encoding: chunked"), Folded),
        (post("x: y\r\n continued"), Folded),
        (post("x: y\r\n\tcontinued"), Folded),
        (post("x\0y: z"), HeaderName),
        (post("x: y\0z"), HeaderValue),
        (post("x: y\rz"), HeaderValue),
        (post(": y"), HeaderName),
        (post("no colon"), HeaderName),
        (post("host: y"), Host),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), Host),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(), Host),
        ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n".to_owned(), Host),
        ("GET / HTTP/1.1\nhost: x\r\n\r\n".to_owned(), LineEnd),
        ("GET / HTTP/1.1\r\nhost: x\n\n".to_owned(), LineEnd),
        ("GET / HTTP/1.1\r\nhost: x\r\n\n".to_owned(), LineEnd),
        ("GET  / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("GET / HTTP/1.1 \r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("GET /\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("GET /a\tb HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("GET / HTTP/1.2\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("G@T / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
        ("\r\n\r\n\r\n\r\n\r\n".to_owned(), RequestLine),
        (chunked("5\nhello\r\n"), LineEnd),
        (chunked("5\r\nhello!\r\n"), Chunk),
        (chunked("5\r\nhelloX0\r\n"), Chunk),
        (chunked("5 \r\nhello\r\n"), Chunk),
        (chunked("-5\r\nhello\r\n"), Chunk),
        (chunked("0x5\r\nhello\r\n"), Chunk),
        (chunked("ffffffffffffffff\r\n"), Chunk),
        (chunked("5;a\rb\r\nhello\r\n"), Chunk),
        (chunked(&format!("5;{}\r\nhello\r\n", "a".repeat(300))), Chunk),
        (chunked("\r\n"), Chunk),
        (chunked("0\r\ncontent-length: 5\r\n\r\n"), Trailer),
        (chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), Trailer),
        (chunked("0\r\nx: y\n\r\n"), LineEnd),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100)), TooLarge),
        (format!("GET / HTTP/1.1\r\nhost: x\r\na: {}", "b".repeat(MAX_HEAD)), TooLarge),
    ] {
        assert_eq!(verdict(request.as_bytes()), Err(refusal), "{request:?}");
    }
}

#[test]
fn a_request_line_is_refused_as_soon_as_it_can_be() {
    for line in ["", "P", "POST", "POST ", "POST /", "POST / HT", "POST / HTTP/1.1\r", "\r"] {
        assert_eq!(verdict(line.as_bytes()), Ok(State::RequestLine), "{line:?}");
    }
    for line in ["POST  ", " P", "POST\t/", "POST /\t", "POST / HTTP/1.1 ", "P\0", "\rP"] {
        let refused = verdict(line.as_bytes());
        assert_eq!(refused, Err(Refusal::RequestLine), "{line:?}");
    }
}

proptest! {
    #[test]
    fn cut_anywhere_the_verdict_is_the_same(
        noise in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..400, cuts in prop::collection::vec(1usize..64, 1..40),
    ) {
        let mut bytes = SOUND.concat().into_bytes();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let whole = verdict(&bytes);
        let mut framing = Framing::default();
        let (mut rest, mut result) = (&bytes[..], Ok(()));
        for cut in cuts.iter().cycle() {
            if rest.is_empty() || result.is_err() { break }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            result = framing.feed(piece);
            rest = after;
        }
        // What is wrong in two ways may be refused for either.
        prop_assert_eq!(result.map(|()| framing.state).map_err(|_| ()), whole.map_err(|_| ()));
    }
}
