//! OpenRouter's streams: comments between events, calls whose id and name come once and then as null or empty, all calls
//! counted from the first, usage in a chunk that still has a choice.

use peerway_dialect::canonical::StreamEvent;
use peerway_dialect::openai::chat::StreamDecoder;

const STREAM: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    r#"data: {"id":"gen-1","provider":"Anthropic","model":"anthropic/claude-sonnet-4","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null}]}"#,
    "\n\n: OPENROUTER PROCESSING\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","index":0,"type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"{\"city\":"}}]}}]}"#,
    "\n\n: OPENROUTER PROCESSING\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"tool_calls":[{"id":"","index":0,"function":{"name":"","arguments":"\"Rome\"}"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"tool_calls":[{"id":"call_b","index":0,"type":"function","function":{"name":"time","arguments":"{}"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls","native_finish_reason":"tool_use"}]}"#,
    "\n\n",
    r#"data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}"#,
    "\n\ndata: [DONE]\n\n",
);

fn calls(events: &[StreamEvent]) -> Vec<(String, String, String)> {
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for event in events {
        match event {
            StreamEvent::ToolCallStart { id, name, .. } => calls.push((id.clone(), name.clone(), String::new())),
            StreamEvent::ToolCallDelta { index, arguments, .. } => calls[*index as usize].2.push_str(arguments),
            _ => {}
        }
    }
    calls
}

#[test]
fn tool_calls_come_whole_wherever_the_stream_is_cut() {
    let expected = [("call_a", "weather", r#"{"city":"Rome"}"#), ("call_b", "time", "{}")];
    for cut in 0..STREAM.len() {
        let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
        decoder.push(&STREAM.as_bytes()[..cut], &mut events);
        decoder.push(&STREAM.as_bytes()[cut..], &mut events);
        decoder.end(&mut events);
        let calls = calls(&events);
        let seen: Vec<(&str, &str, &str)> =
            calls.iter().map(|(id, name, arguments)| (id.as_str(), name.as_str(), arguments.as_str())).collect();
        assert_eq!(seen, expected, "cut at {cut}");
        assert!(matches!(events.last(), Some(StreamEvent::Done)), "cut at {cut}: {events:?}");
        assert!(events.iter().any(|event| matches!(event, StreamEvent::Usage(_))));
    }
}
