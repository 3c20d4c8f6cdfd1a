//! What a dialect can express comes back as it was: encode then decode is the identity, for requests, answers, streams.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod strategies;

use peerway_dialect::canonical::{ChatAnswer, Collector, replay};
use peerway_dialect::{Dropped, anthropic, bedrock, cohere, gemini, openai};
use proptest::prelude::*;
use strategies::answers::*;
use strategies::requests::*;

const FULL: openai::chat::Target =
    openai::chat::Target { cache_control: true, top_k: true, ..openai::chat::Target::OPENAI };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn openai_requests(request in openai_request()) {
        let mut dropped = Dropped::new();
        let sent = openai::chat::encode_request_for(&request, FULL, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        prop_assert_eq!(openai::chat::decode_request(&sent).unwrap(), request);
    }

    #[test]
    fn anthropic_requests(request in anthropic_request()) {
        let mut dropped = Dropped::new();
        let sent = anthropic::encode_request(&request, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        prop_assert_eq!(anthropic::decode_request(&sent).unwrap(), request);
    }

    #[test]
    fn responses_requests(request in responses_request()) {
        let mut dropped = Dropped::new();
        let sent = openai::responses::encode_request(&request, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        prop_assert_eq!(openai::responses::decode_request(&sent).unwrap(), request);
    }

    #[test]
    fn bedrock_requests(request in bedrock_request()) {
        let mut dropped = Dropped::new();
        let sent = bedrock::encode_request(&request, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        let mut read = bedrock::decode_request(&sent).unwrap();
        read.model.clone_from(&request.model);
        prop_assert_eq!(read, request);
    }

    #[test]
    fn gemini_requests(request in gemini_request()) {
        let mut dropped = Dropped::new();
        let sent = gemini::encode_request(&request, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        let method = if request.stream { gemini::Method::StreamGenerateContent } else { gemini::Method::GenerateContent };
        let mut read = gemini::decode_request(&sent).unwrap();
        gemini::Call { model: request.model.clone(), method }.apply(&mut read);
        prop_assert_eq!(read, request);
    }

    #[test]
    fn cohere_requests(request in cohere_request()) {
        let mut dropped = Dropped::new();
        let sent = cohere::encode_request(&request, &mut dropped).unwrap();
        prop_assert!(dropped.is_empty(), "{:?}", dropped);
        prop_assert_eq!(cohere::decode_request(&sent).unwrap(), request);
    }

    #[test]
    fn gemini_answers_and_streams(answer in answer().prop_map(for_gemini)) {
        let read = gemini::decode_answer(&gemini::encode_answer(&answer)).unwrap();
        prop_assert_eq!(&read, &answer, "plain");
        for form in [gemini::Form::Events, gemini::Form::Array] {
            let (mut encoder, mut decoder) = (gemini::StreamEncoder::new(form), gemini::StreamDecoder::new());
            let (mut bytes, mut read) = (Vec::new(), Vec::new());
            replay(&answer).iter().for_each(|event| encoder.push(event, &mut bytes));
            decoder.push(&bytes, &mut read);
            decoder.end(&mut read);
            prop_assert_eq!(&collected(&read), &answer, "{:?}", form);
        }
    }

    #[test]
    fn cohere_answers_and_streams(answer in answer().prop_map(for_cohere)) {
        let read = cohere::decode_answer(&cohere::encode_answer(&answer)).unwrap();
        prop_assert_eq!(&read, &answer, "plain");
        let (mut encoder, mut decoder) = (cohere::StreamEncoder::new(), cohere::StreamDecoder::new());
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        replay(&answer).iter().for_each(|event| encoder.push(event, &mut bytes));
        decoder.push(&bytes, &mut read);
        prop_assert_eq!(collected(&read), answer, "streamed");
    }

    #[test]
    fn answers(answer in answer()) {
        let read = openai::chat::decode_answer(&openai::chat::encode_answer(&answer)).unwrap();
        let bare = answer.choices[0].parts.is_empty();
        if !bare {
            prop_assert_eq!(undated(read), answer.clone(), "openai");
        }
        let read = anthropic::decode_answer(&anthropic::encode_answer(&answer)).unwrap();
        prop_assert_eq!(read, answer.clone(), "anthropic");
        let read = openai::responses::decode_answer(&openai::responses::encode_answer(&answer)).unwrap();
        prop_assert_eq!(undated(read), answer.clone(), "responses");
        let read = bedrock::decode_answer(&bedrock::encode_answer(&answer)).unwrap();
        prop_assert_eq!(read, nameless(answer), "bedrock");
    }

    #[test]
    fn streams(answer in answer()) {
        let events = replay(&answer);
        let (mut encoder, mut decoder) = (openai::chat::StreamEncoder::new(true), openai::chat::StreamDecoder::new());
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        events.iter().for_each(|event| encoder.push(event, &mut bytes));
        decoder.push(&bytes, &mut read);
        prop_assert_eq!(undated(collected(&read)), answer.clone(), "openai");
        let (mut encoder, mut decoder) = (anthropic::StreamEncoder::new(), anthropic::StreamDecoder::new());
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        events.iter().for_each(|event| encoder.push(event, &mut bytes));
        decoder.push(&bytes, &mut read);
        prop_assert_eq!(collected(&read), answer.clone(), "anthropic");
        let (mut encoder, mut decoder) = (openai::responses::StreamEncoder::default(), openai::responses::StreamDecoder::new());
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        events.iter().for_each(|event| encoder.push(event, &mut bytes));
        decoder.push(&bytes, &mut read);
        prop_assert_eq!(undated(collected(&read)), answer.clone(), "responses");
        let (mut encoder, mut decoder) = (bedrock::StreamEncoder::new(), bedrock::StreamDecoder::new());
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        events.iter().for_each(|event| encoder.push(event, &mut bytes));
        decoder.push(&bytes, &mut read);
        prop_assert_eq!(collected(&read), nameless(answer), "bedrock");
    }
}

fn collected(events: &[peerway_dialect::canonical::StreamEvent]) -> ChatAnswer {
    let mut collector = Collector::new();
    events.iter().for_each(|event| collector.push(event));
    collector.finish().unwrap()
}
