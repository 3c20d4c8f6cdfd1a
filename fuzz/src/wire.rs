//! Bytes from a peer: cut into frames, each payload decoded.

use bincode::{Decode, Encode};
use peerway_cluster::link::{MAX_LANE_MESSAGE, Refusal};
use peerway_cluster::wire::{self, Decoder, Frame, HEADER_LEN, Kind, Message};

/// All shapes that the messages of the product are made of.
#[derive(Debug, PartialEq, Encode, Decode)]
struct Shapes {
    number: u64,
    text: String,
    list: Vec<(u16, Vec<u8>)>,
    choice: Option<Result<bool, [u8; 32]>>,
    address: std::net::SocketAddr,
}

impl Message for Shapes {
    const KIND: Kind = Kind::CachePut;
}

pub(crate) fn run(input: &[u8]) {
    let Some((&cut, stream)) = input.split_first() else { return };
    let mut decoder = Decoder::new(MAX_LANE_MESSAGE);
    for piece in stream.chunks(usize::from(cut).max(1)) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => check(&frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn check(frame: &Frame) {
    assert!(frame.payload.len() <= MAX_LANE_MESSAGE.min(frame.kind.max_len()));
    let prefix = frame.envelope.flags().prefix_len();
    let Ok(bytes) = Frame::encode(frame.envelope, frame.kind, &frame.payload) else {
        panic!("a frame that was read cannot be written")
    };
    assert_eq!(bytes.len(), HEADER_LEN + prefix + frame.payload.len());
    round_trip::<Refusal>(&frame.payload);
    round_trip::<Shapes>(&frame.payload);
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    let Ok(message) = wire::decode::<M>(payload) else { return };
    let Ok(again) = wire::encode(&message) else { panic!("a message that was read cannot be written") };
    assert_eq!(wire::decode::<M>(&again).as_ref(), Ok(&message));
}
