//! What a dialect can express comes back as it was: encode then decode is the identity, for requests, answers, streams.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use peerway_dialect::canonical::{
    CacheMark, ChatAnswer, ChatRequest, Choice, Collector, Content, Effort, Finish, Function, LogprobsWanted, Message,
    Part, Reasoning, ResponseFormat, Role, Signature, Source, ThinkingMode, Tool, ToolChoice, Usage, replay,
};
use peerway_dialect::{Dialect, Dropped, Json, anthropic, bedrock, cohere, gemini, openai};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z é✓\"\\\\\n]{1,20}", Just("x".to_owned())]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_]{1,12}"
}

fn object() -> impl Strategy<Value = String> {
    btree_map(
        name(),
        prop_oneof![text().prop_map(serde_json::Value::from), any::<i32>().prop_map(serde_json::Value::from)],
        0..4,
    )
    .prop_map(|map| serde_json::to_string(&map).unwrap())
}

fn schema() -> impl Strategy<Value = Json> {
    object().prop_map(|object| Json::parse(&format!(r#"{{"type":"object","z":1.50,"properties":{object}}}"#)).unwrap())
}

/// A schema that any provider takes as strict.
fn closed(schema: &Json) -> Json {
    let mut schema = schema.to_value();
    let members = schema["properties"].as_object().unwrap();
    schema["required"] = members.keys().map(String::as_str).collect();
    schema["additionalProperties"] = false.into();
    Json::of(&schema)
}

fn image() -> impl Strategy<Value = Source> {
    prop_oneof![
        "https://[a-z]{1,8}/[a-z]{1,8}".prop_map(Source::Url),
        ("image/(png|jpeg)", "[A-Za-z0-9+/]{4,12}").prop_map(|(media_type, data)| Source::Base64 { media_type, data }),
    ]
}

fn tenths(up_to: u32) -> impl Strategy<Value = f64> {
    (0..=up_to).prop_map(|tenths| f64::from(tenths) / 10.0)
}

fn cache() -> impl Strategy<Value = Option<CacheMark>> {
    of(of(prop_oneof![Just("5m".to_owned()), Just("1h".to_owned())]).prop_map(|ttl| CacheMark { ttl }))
}

/// A conversation: a system prompt, then turns of a user, an assistant that may call, and results.
fn turns(marks: bool, thoughts: bool, detail: bool) -> impl Strategy<Value = Vec<Message>> {
    let mark = move || if marks { cache().boxed() } else { Just(None).boxed() };
    let said = move || (text(), mark()).prop_map(|(text, cache)| Part { cache, ..Part::text(text) });
    let shown = move || {
        let detail = if detail { of(Just("low".to_owned())).boxed() } else { Just(None).boxed() };
        (image(), detail).prop_map(|(source, detail)| Part::new(Content::Image { source, detail }))
    };
    let call = (text(), name(), object()).prop_map(|(_, name, arguments)| (name, arguments));
    let turn = (vec(said(), 1..3), of(shown()), text(), vec(call, 0..3), vec(said(), 1..2), of(text()));
    (of(vec(said(), 1..3)), vec(turn, 1..4)).prop_map(move |(system, turns)| {
        let mut messages: Vec<Message> = system.into_iter().map(|parts| Message::new(Role::System, parts)).collect();
        for (at, (mut user, image, answer, calls, result, thought)) in turns.into_iter().enumerate() {
            user.extend(image);
            messages.push(Message::new(Role::User, user));
            let mut parts = Vec::new();
            if let Some(text) = thought.filter(|_| thoughts) {
                let mut part = Part::new(Content::Thinking { text });
                part.signature = Some(Signature::new(Dialect::Anthropic, "c2ln"));
                parts.push(part);
            }
            parts.push(Part::text(answer));
            let ids: Vec<String> = (0..calls.len()).map(|call| format!("call_{at}_{call}")).collect();
            for (id, (name, arguments)) in ids.iter().zip(calls) {
                parts.push(Part::tool_call(id, name, arguments));
            }
            messages.push(Message::new(Role::Assistant, parts));
            let results = ids
                .into_iter()
                .map(|call_id| Part::new(Content::ToolResult { call_id, parts: result.clone(), is_error: false }));
            let results: Vec<Part> = results.collect();
            if !results.is_empty() {
                messages.push(Message::new(Role::Tool, results));
            }
        }
        messages
    })
}

fn tools(marks: bool) -> impl Strategy<Value = Vec<Tool>> {
    let mark = if marks { cache().boxed() } else { Just(None).boxed() };
    let function = (name(), of(text()), schema(), of(any::<bool>()), mark);
    vec(function, 0..3).prop_map(|functions| {
        let tool = |(name, description, schema, strict, cache)| {
            let schema = if strict == Some(true) { closed(&schema) } else { schema };
            Tool::Function(Function { name, description, parameters: Some(schema), strict, cache })
        };
        functions.into_iter().map(tool).collect()
    })
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
    ]
}

/// One tool result a message, as OpenAI has them.
fn apart(messages: Vec<Message>) -> Vec<Message> {
    let split = |message: Message| -> Vec<Message> {
        if message.role != Role::Tool {
            return vec![message];
        }
        message.parts.into_iter().map(|part| Message::new(Role::Tool, vec![part])).collect()
    };
    messages.into_iter().flat_map(split).collect()
}

prop_compose! {
    fn openai_request()(
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
    fn anthropic_request()(
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
fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map(name(), "[a-z0-9 .-]{0,12}", 0..3)
}

prop_compose! {
    fn responses_request()(
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
    fn bedrock_request()(
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
fn blank(part: &mut Part) {
    match &mut part.content {
        Content::Text(text) if text.trim().is_empty() => text.push('x'),
        Content::ToolResult { parts, .. } => parts.iter_mut().for_each(blank),
        _ => {}
    }
}

/// What Bedrock has no place for: ids, models' names, thoughts among the tokens.
fn nameless(mut answer: ChatAnswer) -> ChatAnswer {
    (answer.id, answer.model) = (String::new(), String::new());
    if let Some(usage) = &mut answer.usage {
        usage.reasoning = 0;
    }
    answer
}

fn parts(redacted: bool) -> impl Strategy<Value = Vec<Part>> {
    let thought = (text(), any::<bool>()).prop_map(|(text, signed)| {
        let mut part = Part::new(Content::Thinking { text });
        part.signature = signed.then(|| Signature::new(Dialect::Anthropic, "c2ln"));
        part
    });
    let hidden =
        "[a-z]{4,8}".prop_map(move |data| Part::new(Content::RedactedThinking { of: Dialect::Anthropic, data }));
    let calls = vec((name(), object()), 0..4);
    (of(thought), of(hidden), of(text()), calls).prop_map(move |(thought, hidden, text, calls)| {
        let mut parts: Vec<Part> = thought.into_iter().chain(hidden.filter(|_| redacted)).collect();
        parts.extend(text.map(Part::text));
        parts.extend(
            calls
                .into_iter()
                .enumerate()
                .map(|(at, (name, arguments))| Part::tool_call(format!("c{at}"), name, arguments)),
        );
        parts
    })
}

fn answer() -> impl Strategy<Value = ChatAnswer> {
    let usage = (0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64, 0..500_u64).prop_map(
        |(fresh, cached_input, cache_write, output, reasoning)| Usage {
            input: fresh + cached_input + cache_write,
            output: output + reasoning,
            cached_input,
            cache_write,
            reasoning,
            ..Usage::default()
        },
    );
    (parts(true), usage, any::<bool>()).prop_map(|(parts, usage, length)| {
        let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let finish = if length {
            Finish::Length
        } else if calls {
            Finish::ToolCalls
        } else {
            Finish::Stop
        };
        ChatAnswer {
            id: "a1".into(),
            model: "m".into(),
            created: None,
            choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs: None }],
            usage: Some(usage),
            unread: Dropped::new(),
        }
    })
}

/// Messages as Gemini has them: base64 is padded there, and its thoughts and calls are signed.
fn signed(messages: Vec<Message>, signs: bool) -> Vec<Message> {
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

fn strict(tools: Vec<Tool>, all: Option<bool>) -> Vec<Tool> {
    let each = tools.into_iter().map(|tool| match tool {
        Tool::Function(function) => Tool::Function(Function { strict: all, ..function }),
        other => other,
    });
    each.collect()
}

prop_compose! {
    fn gemini_request()(
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
            proptest::sample::select(vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]).prop_map(|effort| (Some(effort), None)),
            prop_oneof![Just(ThinkingMode::Off), Just(ThinkingMode::Adaptive), (1..30_000_u64).prop_map(ThinkingMode::Budget)].prop_map(|mode| (None, Some(mode))),
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
fn documented(messages: Vec<Message>, thoughts: bool, documents: Vec<(String, Option<String>)>) -> Vec<Message> {
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
    fn cohere_request()(
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

/// What Gemini can say of an answer.
fn for_gemini(mut answer: ChatAnswer) -> ChatAnswer {
    answer.usage = answer.usage.map(|usage| Usage { cache_write: 0, ..usage });
    answer
}

/// What Cohere can say of an answer.
fn for_cohere(mut answer: ChatAnswer) -> ChatAnswer {
    answer.model.clear();
    let told = |usage: Usage| Usage { cache_write: 0, reasoning: 0, ..usage };
    answer.usage = answer.usage.map(told);
    for choice in &mut answer.choices {
        choice.parts.retain(|part| !matches!(part.content, Content::RedactedThinking { .. }));
        choice.parts.iter_mut().for_each(|part| part.signature = None);
    }
    answer
}

const FULL: openai::chat::Target =
    openai::chat::Target { cache_control: true, top_k: true, ..openai::chat::Target::OPENAI };

/// OpenAI alone has a date, which is never absent there.
fn undated(mut answer: ChatAnswer) -> ChatAnswer {
    answer.created = answer.created.filter(|created| *created > 0);
    answer
}

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
