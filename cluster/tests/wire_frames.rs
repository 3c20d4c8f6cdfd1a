//! Frames and payloads: what is written is read back, and arbitrary bytes do no harm.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use bincode::{Decode, Encode};
use bytes::Bytes;
use peerway_cluster::link::Refusal;
use peerway_cluster::wire::{
    self, Decoder, Envelope, Flags, Frame, HEADER_LEN, Header, Kind, MAX_PAYLOAD, Message, WireError,
};
use proptest::prelude::*;

/// Has all that a decoder can be fooled with: lengths, nesting, text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Sample {
    numbers: Vec<u64>,
    text: String,
    nested: Vec<Vec<u8>>,
    maybe: Option<Box<u32>>,
}

impl Message for Sample {
    const KIND: Kind = Kind::CachePut;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_frames_never_change() {
    let frame = |envelope| hex(&Frame::encode(envelope, Kind::CacheGet, b"\x01\x02").unwrap());
    assert_eq!(frame(Envelope::Plain), "50770100020000000002".to_owned() + "0102");
    assert_eq!(
        frame(Envelope::Request { id: 0x1122_3344_5566_7788, deadline_ms: 10 }),
        "50770101020000000002".to_owned() + "1122334455667788" + "0000000a" + "0102"
    );
    assert_eq!(frame(Envelope::Response { id: 7 }), "50770102020000000002".to_owned() + "0000000000000007" + "0102");
}

#[test]
fn the_numbers_of_kinds_never_change() {
    let table: Vec<String> = Kind::ALL.iter().map(|kind| format!("{:04x} {kind}", kind.number())).collect();
    let released = [
        "0001 link.hello",
        "0002 link.ping",
        "0003 link.pong",
        "0004 link.reach",
        "0005 link.reached",
        "0006 link.refusal",
        "0100 membership.gossip",
        "0200 cache.get",
        "0201 cache.got",
        "0300 ledger.ask",
        "0301 ledger.give",
        "0302 ledger.rows",
        "0303 ledger.digest",
        "0304 ledger.want",
        "0305 ledger.news",
        "0306 ledger.taken",
        "0307 ledger.view",
        "0308 ledger.viewed",
        "0500 registry.push",
        "0501 registry.pushed",
        "0502 registry.hello",
        "0503 registry.summary",
        "0504 registry.want",
        "0505 registry.records",
        "0600 health.news",
        "0601 health.digest",
        "0602 health.heard",
    ];
    for row in released {
        assert!(table.iter().any(|kind| kind == row), "{row} is missing from {table:?}");
    }
}

#[test]
fn the_bytes_of_refusals_never_change() {
    let golden = [
        (Refusal::NotServed, "00"),
        (Refusal::Malformed, "01"),
        (Refusal::Overloaded, "02"),
        (Refusal::Late, "03"),
        (Refusal::TooLong, "04"),
        (Refusal::Failed("no".to_owned()), "05026e6f"),
    ];
    for (refusal, bytes) in golden {
        assert_eq!(hex(&wire::encode(&refusal).unwrap()), bytes);
        assert_eq!(wire::decode::<Refusal>(&wire::encode(&refusal).unwrap()).unwrap(), refusal);
    }
}

#[test]
fn a_claim_of_more_memory_than_allowed_is_refused_without_taking_it() {
    // A vector of 2^63 numbers, of 2^40 bytes, and one just over the limit for so short a payload.
    for claim in [1u64 << 63, 1 << 40, 256 * 1024 / 8 + 1] {
        let mut payload = vec![0xfd];
        payload.extend(claim.to_le_bytes());
        let refused = wire::decode::<Sample>(&payload).unwrap_err();
        assert!(matches!(&refused, WireError::Payload { reason, .. } if reason.contains("LimitExceeded")), "{refused}");
    }
    let too_long = vec![0; Kind::LinkRefusal.max_len() + 1];
    assert!(wire::decode::<Refusal>(&too_long).unwrap_err().is_oversized());
}

#[test]
fn the_largest_message_goes_through() {
    let sample = Sample { numbers: vec![], text: String::new(), nested: vec![vec![9; MAX_PAYLOAD - 64]], maybe: None };
    assert_eq!(wire::decode::<Sample>(&wire::encode(&sample).unwrap()).unwrap(), sample);
    let larger = Sample { nested: vec![vec![9; MAX_PAYLOAD]], ..sample };
    assert!(wire::encode(&larger).unwrap_err().is_oversized());
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL)
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    prop_oneof![
        Just(Envelope::Plain),
        (any::<u64>(), any::<u32>()).prop_map(|(id, deadline_ms)| Envelope::Request { id, deadline_ms }),
        any::<u64>().prop_map(|id| Envelope::Response { id }),
    ]
}

proptest! {
    #[test]
    fn headers_round_trip(kind in kinds(), len in 0usize..MAX_PAYLOAD, flags in 0..3u8) {
        let flags = [Flags::Plain, Flags::LaneRequest, Flags::LaneResponse][usize::from(flags)];
        match Header::new(flags, kind, len) {
            Ok(header) => prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header)),
            Err(error) => {
                prop_assert!(error.is_oversized());
                prop_assert!(len > kind.max_len());
            }
        }
    }

    #[test]
    fn arbitrary_headers_never_panic_and_say_what_they_read(bytes in prop::collection::vec(any::<u8>(), 0..HEADER_LEN + 4)) {
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert_eq!(&header.to_bytes()[..], &bytes[..HEADER_LEN]);
            prop_assert!(header.payload_len() <= header.kind.max_len());
        }
    }

    #[test]
    fn frames_survive_any_cutting_of_their_stream(
        frames in prop::collection::vec((envelopes(), prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        cut in 1usize..50,
    ) {
        let frames: Vec<Frame> = frames
            .into_iter()
            .map(|(envelope, payload)| Frame { envelope, kind: Kind::CacheGet, payload: Bytes::from(payload) })
            .collect();
        let stream: Vec<u8> =
            frames.iter().flat_map(|f| Frame::encode(f.envelope, f.kind, &f.payload).unwrap()).collect();
        let mut decoder = Decoder::new(64);
        let mut read = Vec::new();
        for piece in stream.chunks(cut) {
            decoder.feed(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                read.push(frame);
            }
        }
        prop_assert_eq!(read, frames);
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn arbitrary_streams_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), good_start: bool) {
        let mut decoder = Decoder::new(4096);
        if good_start {
            decoder.feed(&[0x50, 0x77, 1, 1, 2, 0, 0, 0, 0]);
        }
        decoder.feed(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            prop_assert!(frame.payload.len() <= 4096);
        }
    }

    #[test]
    fn arbitrary_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(sample) = wire::decode::<Sample>(&bytes) {
            prop_assert_eq!(wire::decode::<Sample>(&wire::encode(&sample).unwrap()), Ok(sample));
        }
        let _ = wire::decode::<Refusal>(&bytes);
    }

    #[test]
    fn payloads_round_trip(
        numbers in prop::collection::vec(any::<u64>(), 0..50),
        text in ".{0,40}",
        nested in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..9),
        maybe in any::<Option<u32>>(),
    ) {
        let sample = Sample { numbers, text, nested, maybe: maybe.map(Box::new) };
        let bytes = wire::encode(&sample).unwrap();
        prop_assert_eq!(wire::decode::<Sample>(&bytes), Ok(sample));
        let mut longer = bytes.to_vec();
        longer.push(0);
        prop_assert!(wire::decode::<Sample>(&longer).is_err(), "bytes after the message");
    }
}
