//! Bytes from a peer: cut into frames, each payload decoded as the message of its kind.

use bincode::{Decode, Encode};
use peerway_cache::message as cache;
use peerway_cluster::health::messages as health;
use peerway_cluster::ledger::service::messages as ledger;
use peerway_cluster::ledger::service::news::Tell;
use peerway_cluster::link::{MAX_LANE_MESSAGE, Refusal};
use peerway_cluster::registry::messages as registry;
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
    const KIND: Kind = Kind::LinkHello;
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
    let check = match frame.kind {
        Kind::LinkRefusal => round_trip::<Refusal>,
        Kind::CacheGet => round_trip::<cache::Get>,
        Kind::CacheGot => round_trip::<cache::Got>,
        Kind::CachePut => round_trip::<cache::Put>,
        Kind::CachePurge => round_trip::<cache::PurgeCall>,
        Kind::CacheFollow => round_trip::<cache::Follow>,
        Kind::CacheFollowed => round_trip::<cache::Followed>,
        Kind::CacheLanded => round_trip::<cache::Landed>,
        Kind::CacheSearch => round_trip::<cache::Search>,
        Kind::CacheSearched => round_trip::<cache::Searched>,
        Kind::CacheLearn => round_trip::<cache::Learn>,
        Kind::CacheForget => round_trip::<cache::Forget>,
        Kind::CachePull => round_trip::<cache::Pull>,
        Kind::CachePulled => round_trip::<cache::Pulled>,
        Kind::LedgerAsk => round_trip::<ledger::Ask>,
        Kind::LedgerGive => round_trip::<ledger::Give>,
        Kind::LedgerRows => round_trip::<ledger::Rows>,
        Kind::LedgerDigest => round_trip::<ledger::Digest>,
        Kind::LedgerWant => round_trip::<ledger::Want>,
        Kind::LedgerNews => round_trip::<Tell>,
        Kind::LedgerView => round_trip::<ledger::View>,
        Kind::LedgerViewed => round_trip::<ledger::Viewed>,
        Kind::RegistryPush => round_trip::<registry::Push>,
        Kind::RegistryPushed => round_trip::<registry::Pushed>,
        Kind::RegistryHello => round_trip::<registry::Hello>,
        Kind::RegistrySummary => round_trip::<registry::Summary>,
        Kind::RegistryWant => round_trip::<registry::Want>,
        Kind::RegistryRecords => round_trip::<registry::Records>,
        Kind::HealthNews => round_trip::<health::News>,
        Kind::HealthDigest => round_trip::<health::Digest>,
        _ => round_trip::<Shapes>,
    };
    check(&frame.payload);
}

/// Refused, or written again as what is read the same.
fn round_trip<M: Message + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    let Ok(message) = wire::decode::<M>(payload) else { return };
    let Ok(again) = wire::encode(&message) else { panic!("a message that was read cannot be written") };
    assert_eq!(wire::decode::<M>(&again).as_ref(), Ok(&message));
}
