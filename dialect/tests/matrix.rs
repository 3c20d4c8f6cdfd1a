//! Any client can be answered by any provider: what a request asks and what an answer says survives every pair of
//! dialects, plain and streamed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::Dropped;
use peerway_dialect::canonical::{Collector, replay};
use support::{Speaker, contains, essence, matches_golden, scenarios, speakers};

fn clients() -> Vec<Speaker> {
    speakers().into_iter().filter(|speaker| speaker.client).collect()
}

fn providers() -> Vec<Speaker> {
    speakers().into_iter().filter(|speaker| speaker.provider).collect()
}

#[test]
fn golden_requests_mean_their_scenario() {
    for client in clients() {
        for scenario in scenarios::REQUESTS {
            let Some(body) = client.golden_request(scenario) else { continue };
            let request = (client.decode_request)(&body).unwrap();
            assert_eq!(essence::of_request(&request), client.expected(scenario), "{} {scenario}", client.name());
            assert!(request.unread.is_empty(), "{} {scenario}: {:?}", client.name(), request.unread);
        }
    }
}

#[test]
fn every_request_reaches_every_provider() {
    for client in clients() {
        for provider in providers() {
            for scenario in scenarios::REQUESTS {
                let Some(body) = client.golden_request(scenario) else { continue };
                let pair = format!("{scenario}: {} to {}", client.name(), provider.name());
                let mut request = (client.decode_request)(&body).unwrap();
                provider.model.clone_into(&mut request.model);
                let mut dropped = Dropped::new();
                let sent = match (provider.encode_request)(&request, &mut dropped) {
                    Ok(sent) => sent,
                    Err(refused) => {
                        // Refusals are part of what is promised.
                        let file = format!("matrix/{scenario}.{}.{}.refused", client.name(), provider.name());
                        matches_golden(&file, &format!("{refused}\n"));
                        continue;
                    }
                };
                let pretty: serde_json::Value = serde_json::from_slice(&sent).unwrap();
                let dropped = dropped.header_value().unwrap_or_default();
                let text = format!("x-peerway-dropped: {dropped}\n\n{pretty:#}\n");
                matches_golden(&format!("matrix/{scenario}.{}.{}.txt", client.name(), provider.name()), &text);
                let mut arrived = (provider.decode_request)(&sent).unwrap();
                // Some dialects say these outside the body.
                arrived.stream = request.stream;
                let mut expected = client.expected(scenario);
                if dropped.contains("parallel_tool_calls") {
                    expected.one_by_one = false;
                }
                if dropped.split(", ").any(|name| name == "stop") {
                    expected.stop.clear();
                }
                assert_eq!(essence::of_request(&arrived), expected, "{pair}");
            }
        }
    }
}

#[test]
fn every_answer_reaches_every_client() {
    for provider in providers() {
        for scenario in scenarios::ANSWERS {
            let Some(body) = provider.golden_answer(scenario) else { continue };
            let answer = (provider.decode_answer)(&body).unwrap();
            let expected = scenarios::answer(scenario);
            assert_eq!(essence::of_answer(&answer), expected, "{} {scenario}", provider.name());
            for client in clients() {
                let pair = format!("{scenario}: {} to {}", provider.name(), client.name());
                let read = (client.decode_answer)(&(client.encode_answer)(&answer)).unwrap();
                assert_eq!(essence::of_answer(&read), expected, "{pair}");
                // A client that wants a stream can be given a whole answer.
                let bytes = client.encode_stream(&replay(&answer));
                let mut collector = Collector::new();
                client.decode_stream([bytes.as_slice()]).iter().for_each(|event| collector.push(event));
                assert_eq!(essence::of_answer(&collector.finish().unwrap()), expected, "{pair}, replayed");
            }
        }
    }
}

#[test]
fn every_stream_reaches_every_client() {
    for provider in providers() {
        for scenario in scenarios::ANSWERS {
            let Some(stream) = provider.golden_stream(scenario) else { continue };
            let events = provider.decode_stream([stream.as_slice()]);
            let expected = scenarios::answer(scenario);
            for client in clients() {
                let bytes = client.encode_stream(&events);
                assert!(contains(&bytes, client.end_mark), "{}", String::from_utf8_lossy(&bytes));
                let mut collector = Collector::new();
                client.decode_stream([bytes.as_slice()]).iter().for_each(|event| collector.push(event));
                let answer = collector.finish().unwrap();
                let pair = format!("{scenario}: {} to {}", provider.name(), client.name());
                assert_eq!(essence::of_answer(&answer), expected, "{pair}");
            }
        }
    }
}

#[test]
fn streams_and_plain_answers_agree() {
    for provider in providers() {
        for scenario in scenarios::ANSWERS {
            let (Some(stream), Some(body)) = (provider.golden_stream(scenario), provider.golden_answer(scenario))
            else {
                continue;
            };
            let mut collector = Collector::new();
            provider.decode_stream([stream.as_slice()]).iter().for_each(|event| collector.push(event));
            let streamed = collector.finish().unwrap();
            let mut plain = (provider.decode_answer)(&body).unwrap();
            plain.choices.iter_mut().for_each(|choice| choice.join_texts());
            assert_eq!(streamed, plain, "{} {scenario}, ids and signatures included", provider.name());
        }
    }
}

#[test]
fn every_dialect_has_the_scenarios_that_all_can_express() {
    for speaker in speakers() {
        for scenario in ["text", "tools"] {
            assert!(!speaker.client || speaker.golden_request(scenario).is_some(), "{} {scenario}", speaker.name());
            assert!(!speaker.provider || speaker.golden_answer(scenario).is_some(), "{} {scenario}", speaker.name());
            assert!(!speaker.provider || speaker.golden_stream(scenario).is_some(), "{} {scenario}", speaker.name());
        }
    }
}
