//! However a provider's stream is cut into pieces, it says the same; where it is cut off, no client takes it for whole.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::canonical::StreamEvent;
use proptest::prelude::*;
use support::{Speaker, contains, scenarios, speakers};

fn streams() -> Vec<(Speaker, &'static str, Vec<u8>)> {
    let mut found = Vec::new();
    for scenario in scenarios::ANSWERS {
        for provider in speakers().into_iter().filter(|speaker| speaker.provider) {
            if let Some(stream) = provider.golden_stream(scenario) {
                found.push((provider, scenario, stream));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn a_cut_at_every_byte_changes_nothing() {
    for (provider, scenario, stream) in streams() {
        let whole = provider.decode_stream([stream.as_slice()]);
        assert_eq!(whole.last(), Some(&StreamEvent::Done), "{} {scenario}", provider.name());
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(provider.decode_stream([head, tail]), whole, "{} {scenario} at {at}", provider.name());
        }
        assert_eq!(provider.decode_stream(stream.chunks(1)), whole, "{} {scenario}, byte by byte", provider.name());
    }
}

#[test]
fn a_stream_cut_off_anywhere_never_looks_whole() {
    for (provider, scenario, stream) in streams() {
        let whole = provider.decode_stream([stream.as_slice()]);
        let finish = whole.iter().position(|event| matches!(event, StreamEvent::Finish { .. })).unwrap();
        let mut before = Vec::new();
        for at in 0..stream.len() {
            let events = provider.decode_stream([&stream[..at]]);
            // Most bytes say nothing yet.
            if events == before {
                continue;
            }
            before.clone_from(&events);
            let place = format!("{} {scenario} at {at}", provider.name());
            match events.last().unwrap() {
                StreamEvent::Error(_) => {}
                // All of the answer was there, only the mark of its end was not.
                StreamEvent::Done => assert!(events.len() > finish, "{place}: {events:?}"),
                other => panic!("{place}: ends with {other:?}"),
            }
            let ends = events.iter().filter(|event| matches!(event, StreamEvent::Error(_) | StreamEvent::Done)).count();
            assert_eq!(ends, 1, "{place}: one end");
            if events.last() == Some(&StreamEvent::Done) {
                continue;
            }
            for client in speakers().into_iter().filter(|speaker| speaker.client) {
                let bytes = client.encode_stream(&events);
                assert!(!contains(&bytes, client.end_mark), "{place} for {}", client.name());
                let read = client.decode_stream([bytes.as_slice()]);
                assert!(matches!(read.last(), Some(StreamEvent::Error(_))), "{place} for {}", client.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_pieces_say_the_same(which in any::<prop::sample::Index>(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let all = streams();
        let (provider, _, stream) = &all[which.index(all.len())];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([stream.len()]) {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        prop_assert_eq!(provider.decode_stream(pieces), provider.decode_stream([stream.as_slice()]));
    }

    /// A provider that lost its mind: bytes of a stream changed anywhere give events or an error, and one end.
    #[test]
    fn damaged_streams_end_once(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 1..8)) {
        let all = streams();
        let (provider, _, stream) = &all[which.index(all.len())];
        let mut stream = stream.clone();
        let at = at.index(stream.len());
        let end = stream.len().min(at + bytes.len());
        stream.splice(at..end, bytes);
        let events = provider.decode_stream([stream.as_slice()]);
        let ends = events.iter().filter(|event| matches!(event, StreamEvent::Error(_) | StreamEvent::Done)).count();
        prop_assert_eq!(ends, 1);
        prop_assert!(matches!(events.last(), Some(StreamEvent::Error(_) | StreamEvent::Done)));
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for speaker in speakers() {
            let _ = (speaker.decode_request)(&bytes);
            let _ = (speaker.decode_answer)(&bytes);
            let _ = speaker.decode_stream([bytes.as_slice()]);
        }
    }
}
