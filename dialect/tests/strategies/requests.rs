//! Requests.

use peerway_dialect::canonical::{
    ChatRequest, Content, Effort, LogprobsWanted, Message, Part, Reasoning, ResponseFormat, Role, Signature, Source,
    ThinkingMode, Tool, ToolChoice,
};
use peerway_dialect::{Dialect, Dropped, Json};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::*;

prop_compose! {
    pub fn openai_request()(
        messages in turns(true, false, true).prop_map(apart),
        tools in tools(true),
        tool_choice in of(prop_oneof![choice(), (any::<bool>(), vec(name(), 1..3)).prop_map(|(required, names)| ToolChoice::Allowed { required, names })]),
        parallel_tool_calls in of(any::<bool>()),
        format in of(prop_oneof![
            Just(ResponseFormat::Text),
            Just(ResponseFormat::JsonObject),
            (name(), of(text()), schema(), of(any::<bool>())).prop_map(|(name, description, schema, strict)| ResponseFormat::JsonSchema { name, description, schema, strict }),
        ]),
        numbers in (of(1..100_000_u64), of(tenths(20)), of(tenths(10)), of(1..100_u64), of(any::<i64>()), of(1..8_u64), of(tenths(20)), of(tenths(20))),
        top in of(of(0..20_u64)),
        effort in of(proptest::sample::select(Effort::ALL.to_vec())),
        words in (vec(text(), 0..3), of(text()), btree_map(name(), text(), 0..3)),
        stream in any::<bool>(),
        extra in btree_map("x_[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..3),
    ) -> ChatRequest {
        let (max_output_tokens, temperature, top_p, top_k, seed, n, presence_penalty, frequency_penalty) = numbers;
        ChatRequest {
            model: "gpt-5".into(), messages, tools, tool_choice, parallel_tool_calls, response_format: format, max_output_tokens,
            temperature, top_p, top_k, seed, stop: words.0, n, presence_penalty, frequency_penalty,
            logprobs: top.map(|top| LogprobsWanted { top }),
            reasoning: effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }),
            user: words.1, metadata: words.2, stream, include_usage: stream,
            extra: peerway_dialect::canonical::Extra::new(Dialect::OpenAiChat, extra),
            unread: Dropped::new(),
        }
    }
}

prop_compose! {
    pub fn anthropic_request()(
        messages in turns(true, true, false),
        tools in tools(true),
        tool_choice in choice(),
        one_by_one in any::<bool>(),
        schema in of(schema()),
        numbers in (1..100_000_u64, of(tenths(10)), of(1..100_u64)),
        thinking in of((of(any::<bool>()), of(proptest::sample::select(vec![Effort::Low, Effort::Medium, Effort::High, Effort::Max])))),
        words in (vec("[a-z]{1,5}", 0..3), of(text())),
        stream in any::<bool>(),
        extra in btree_map("x_[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..3),
    ) -> ChatRequest {
        let forced = matches!(tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        let tool_choice = (!tools.is_empty()).then_some(tool_choice);
        let reasoning = thinking.filter(|_| !forced).map(|(show, effort)| Reasoning { effort, mode: Some(ThinkingMode::Adaptive), show });
        let sampling = reasoning.is_none();
        ChatRequest {
            model: "claude-opus-4-6".into(), messages,
            parallel_tool_calls: (one_by_one && tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None)).then_some(false),
            tools, tool_choice,
            response_format: schema.map(|schema| ResponseFormat::JsonSchema { name: "response".into(), description: None, schema, strict: Some(true) }),
            max_output_tokens: Some(numbers.0), temperature: numbers.1.filter(|_| sampling), top_k: numbers.2.filter(|_| sampling),
            stop: words.0, reasoning, user: words.1, stream, include_usage: true,
            extra: peerway_dialect::canonical::Extra::new(Dialect::Anthropic, extra),
            ..ChatRequest::default()
        }
    }
}

/// The name that Responses' fields and Bedrock's take, and values that either allows.
pub fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map(name(), "[a-z0-9 .-]{0,12}", 0..3)
}

prop_compose! {
    pub fn responses_request()(
        messages in turns(false, false, true),
        signed in any::<bool>(),
        tools in tools(false),
        tool_choice in of(prop_oneof![choice(), (any::<bool>(), vec(name(), 1..3)).prop_map(|(required, names)| ToolChoice::Allowed { required, names })]),
        parallel_tool_calls in of(any::<bool>()),
        response_format in of(prop_oneof![
            Just(ResponseFormat::Text),
            Just(ResponseFormat::JsonObject),
            (name(), of(text()), schema(), of(any::<bool>())).prop_map(|(name, description, schema, strict)| ResponseFormat::JsonSchema { name, description, schema, strict }),
        ]),
        numbers in (of(1..100_000_u64), of(tenths(20)), of(tenths(10))),
        top in of(of(1..20_u64)),
        effort in of((of(proptest::sample::select(Effort::ALL.to_vec())), any::<bool>())),
        user in of(text()),
        metadata in labels(),
        stream in any::<bool>(),
        extra in btree_map("x_[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..3),
    ) -> ChatRequest {
        let mut messages = messages;
        for message in messages.iter_mut().filter(|message| signed && message.role == Role::Assistant) {
            let mut thought = Part::new(Content::Thinking { text: "hm".into() });
            thought.signature = Some(Signature::new(Dialect::OpenAiResponses, "rs_1|c2ln"));
            message.parts.insert(0, thought);
            message.parts.insert(1, Content::RedactedThinking { of: Dialect::OpenAiResponses, data: "rs_2|aGlk".into() }.into());
        }
        let mut tools = tools;
        for tool in &mut tools {
            if let Tool::Function(function) = tool {
                // Strict unless told otherwise: what is not said is said.
                function.strict = function.strict.or(Some(false));
            }
        }
        let reasoning = effort.filter(|(effort, show)| effort.is_some() || *show);
        ChatRequest {
            model: "gpt-5".into(), messages, tools, tool_choice, parallel_tool_calls, response_format,
            max_output_tokens: numbers.0, temperature: numbers.1, top_p: numbers.2,
            logprobs: top.map(|top| LogprobsWanted { top }),
            reasoning: reasoning.map(|(effort, show)| Reasoning { effort, mode: None, show: show.then_some(true) }),
            user, metadata, stream, include_usage: true,
            extra: peerway_dialect::canonical::Extra::new(Dialect::OpenAiResponses, extra),
            ..ChatRequest::default()
        }
    }
}

prop_compose! {
    pub fn bedrock_request()(
        messages in turns(true, true, false),
        tools in tools(true),
        tool_choice in choice(),
        format in of((name(), of(text()), schema())),
        numbers in (of(1..100_000_u64), of(tenths(10)), of(1..100_u64)),
        thinking in any::<bool>(),
        stop in vec("[a-z]{1,5}", 0..3),
        metadata in labels(),
        extra in btree_map("x_[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..3),
    ) -> ChatRequest {
        let mut messages = messages;
        // Images are bytes, and no two texts of white space alone are of one request here.
        for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let Content::Image { source: source @ Source::Url(_), .. } = &mut part.content {
                *source = Source::Base64 { media_type: "image/webp".into(), data: "aGk=".into() };
            }
            blank(part);
        }
        let calls = messages.iter().any(|message| message.role == Role::Tool);
        let mut tools = tools;
        if calls && tools.is_empty() {
            tools.push(Tool::Function(Function { name: "f".into(), description: None, parameters: Some(Json::empty_object()), strict: None, cache: None }));
        }
        let forced = !tools.is_empty() && matches!(tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        let thinks = thinking && !forced;
        ChatRequest {
            model: "anthropic.claude-opus-4-6-v1:0".into(), messages,
            tool_choice: (!tools.is_empty() && tool_choice != ToolChoice::None).then_some(tool_choice),
            tools,
            response_format: format.map(|(name, description, schema)| {
                // A text there, written without space.
                let schema = Json::parse(&schema.compact()).unwrap();
                ResponseFormat::JsonSchema { name, description, schema, strict: None }
            }),
            max_output_tokens: if thinks { Some(numbers.0.unwrap_or(100)) } else { numbers.0 },
            temperature: numbers.1.filter(|_| !thinks), top_k: numbers.2.filter(|_| !thinks), stop,
            reasoning: thinks.then_some(Reasoning { effort: Some(Effort::High), mode: Some(ThinkingMode::Adaptive), show: Some(true) }),
            metadata, include_usage: true,
            extra: peerway_dialect::canonical::Extra::new(Dialect::Bedrock, extra),
            ..ChatRequest::default()
        }
    }
}

/// Bedrock takes no text of white space alone.
pub fn blank(part: &mut Part) {
    match &mut part.content {
        Content::Text(text) if text.trim().is_empty() => text.push('x'),
        Content::ToolResult { parts, .. } => parts.iter_mut().for_each(blank),
        _ => {}
    }
}

/// Messages as Gemini has them: base64 is padded there, and its thoughts and calls are signed.
pub fn signed(messages: Vec<Message>, signs: bool) -> Vec<Message> {
    let signature = || signs.then(|| Signature::new(Dialect::Gemini, "Q2lR"));
    let each = messages.into_iter().map(|mut message| {
        for part in &mut message.parts {
            match &mut part.content {
                Content::Image { source: Source::Base64 { data, .. }, .. } => data.truncate(data.len() / 4 * 4),
                Content::ToolCall { .. } => part.signature = signature(),
                _ => {}
            }
        }
        if message.role == Role::Assistant && signs {
            let mut thought = Part::new(Content::Thinking { text: "hm".into() });
            thought.signature = signature();
            message.parts.insert(0, thought);
            let mut after = Part::new(Content::Thinking { text: String::new() });
            after.signature = signature();
            message.parts.insert(2, after);
        }
        message
    });
    each.collect()
}

pub fn strict(tools: Vec<Tool>, all: Option<bool>) -> Vec<Tool> {
    let each = tools.into_iter().map(|tool| match tool {
        Tool::Function(function) => Tool::Function(Function { strict: all, ..function }),
        other => other,
    });
    each.collect()
}

prop_compose! {
    pub fn gemini_request()(
        messages in (turns(false, false, false), any::<bool>()).prop_map(|(messages, signs)| signed(messages, signs)),
        tools in tools(false).prop_map(|tools| strict(tools, None)),
        tool_choice in of(prop_oneof![choice(), (any::<bool>(), vec(name(), 2..4)).prop_map(|(required, names)| ToolChoice::Allowed { required, names })]),
        format in of(prop_oneof![
            Just(ResponseFormat::Text),
            Just(ResponseFormat::JsonObject),
            schema().prop_map(|schema| ResponseFormat::JsonSchema { name: "response".into(), description: None, schema, strict: None }),
        ]),
        numbers in (of(1..100_000_u64), of(tenths(20)), of(tenths(10)), of(1..100_u64), of(any::<i32>()), of(1..8_u64), of(tenths(20)), of(tenths(20))),
        top in of(of(0..20_u64)),
        reasoning in of((any::<bool>(), prop_oneof![
            proptest::sample::select(vec![Effort::Low, Effort::Medium, Effort::High]).prop_map(|effort| (Some(effort), None)),
            prop_oneof![Just(ThinkingMode::Adaptive), (1..30_000_u64).prop_map(ThinkingMode::Budget)].prop_map(|mode| (None, Some(mode))),
        ])),
        stop in vec(text(), 0..3),
        stream in any::<bool>(),
        extra in btree_map("(generationConfig\\.|toolConfig\\.|toolConfig\\.functionCallingConfig\\.)?x[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..4),
    ) -> ChatRequest {
        let (max_output_tokens, temperature, top_p, top_k, seed, n, presence_penalty, frequency_penalty) = numbers;
        ChatRequest {
            model: "gemini-3.1-pro".into(), messages, tools, tool_choice, response_format: format, max_output_tokens,
            temperature, top_p, top_k, seed: seed.map(i64::from), stop, n, presence_penalty, frequency_penalty,
            logprobs: top.map(|top| LogprobsWanted { top }),
            reasoning: reasoning.map(|(show, (effort, mode))| Reasoning { effort, mode, show: Some(show) }),
            stream, include_usage: true,
            extra: peerway_dialect::canonical::Extra::new(Dialect::Gemini, extra),
            ..ChatRequest::default()
        }
    }
}

/// Messages as Cohere has them: thoughts are not signed, and documents stand before what was said last.
pub fn documented(messages: Vec<Message>, thoughts: bool, documents: Vec<(String, Option<String>)>) -> Vec<Message> {
    let mut messages = apart(messages);
    for message in messages.iter_mut().filter(|message| message.role == Role::Assistant && thoughts) {
        message.parts.insert(0, Part::new(Content::Thinking { text: "hm".into() }));
    }
    let documents = documents
        .into_iter()
        .map(|(text, name)| Part::new(Content::File { source: Source::Text(text), name, context: None, cite: true }));
    let last = messages.iter_mut().rfind(|message| message.role == Role::User).unwrap();
    last.parts.splice(0..0, documents);
    messages
}

prop_compose! {
    pub fn cohere_request()(
        messages in (turns(false, false, true), any::<bool>(), vec((text(), of(text())), 0..3)).prop_map(|(messages, thoughts, documents)| documented(messages, thoughts, documents)),
        tools in (tools(false), prop_oneof![Just(None), Just(Some(true))]).prop_map(|(tools, all)| strict(tools, all)),
        tool_choice in of(prop_oneof![Just(ToolChoice::None), Just(ToolChoice::Required)]),
        format in of(prop_oneof![
            Just(ResponseFormat::Text),
            Just(ResponseFormat::JsonObject),
            schema().prop_map(|schema| ResponseFormat::JsonSchema { name: "response".into(), description: None, schema, strict: None }),
        ]),
        numbers in (of(1..100_000_u64), of(tenths(10)), of((1..10_u32).prop_map(|tenths| f64::from(tenths) / 10.0)), of(1..500_u64), of(any::<u32>()), of(tenths(10)), of(tenths(10))),
        logprobs in of(Just(LogprobsWanted { top: None })),
        mode in of(prop_oneof![Just(ThinkingMode::Off), Just(ThinkingMode::Adaptive), (1..30_000_u64).prop_map(ThinkingMode::Budget)]),
        stop in vec(text(), 0..3),
        stream in any::<bool>(),
        extra in btree_map("x_[a-z]{1,8}", object().prop_map(|object| Json::parse(&object).unwrap()), 0..3),
    ) -> ChatRequest {
        let (max_output_tokens, temperature, top_p, top_k, seed, presence_penalty, frequency_penalty) = numbers;
        ChatRequest {
            model: "command-a-03-2025".into(), messages, tools, tool_choice, response_format: format, max_output_tokens,
            temperature, top_p, top_k, seed: seed.map(i64::from), stop, presence_penalty, frequency_penalty, logprobs,
            reasoning: mode.map(|mode| Reasoning { mode: Some(mode), ..Reasoning::default() }),
            stream, include_usage: true,
            extra: peerway_dialect::canonical::Extra::new(Dialect::Cohere, extra),
            ..ChatRequest::default()
        }
    }
}
