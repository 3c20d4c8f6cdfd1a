//! What must survive any translation, without what dialects may differ in (ids, the division of texts, unknown roles).

use std::collections::BTreeMap;

use peerway_dialect::canonical::{
    ChatAnswer, ChatRequest, Content, Finish, Part, ResponseFormat, Role, Source, Tool, ToolChoice,
};
use serde_json::Value;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerEssence {
    pub text: String,
    pub thoughts: String,
    pub calls: Vec<(String, Value)>,
    pub finish: Option<Finish>,
    pub input: u64,
    pub output: u64,
    pub cached: u64,
}

pub fn of_answer(answer: &ChatAnswer) -> AnswerEssence {
    assert_eq!(answer.choices.len(), 1, "{answer:?}");
    let choice = &answer.choices[0];
    let usage = answer.usage.expect("usage");
    let mut essence = AnswerEssence {
        finish: choice.finish.clone(),
        input: usage.input,
        output: usage.output,
        cached: usage.cached_input,
        ..AnswerEssence::default()
    };
    let mut ids = Vec::new();
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => essence.text.push_str(text),
            Content::Thinking { text } => essence.thoughts.push_str(text),
            Content::ToolCall { id, name, arguments } => {
                assert!(!id.is_empty() && !ids.contains(id), "ids tell calls apart: {answer:?}");
                ids.push(id.clone());
                let arguments = serde_json::from_str(arguments).expect("whole arguments");
                essence.calls.push((name.clone(), arguments));
            }
            _ => {}
        }
    }
    essence
}

/// One piece of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Text(&'static str, String),
    Image(Source),
    Call(usize, String, Value),
    Result(usize, String),
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RequestEssence {
    pub said: Vec<Said>,
    pub tools: Vec<(String, Option<String>, Value)>,
    pub tool_choice: Option<ToolChoice>,
    pub one_by_one: bool,
    pub schema: Option<Value>,
    pub max: Option<u64>,
    pub temperature: Option<f64>,
    pub stop: Vec<String>,
    pub stream: bool,
}

pub fn of_request(request: &ChatRequest) -> RequestEssence {
    let mut said = Vec::new();
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for message in &request.messages {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        for part in &message.parts {
            match &part.content {
                Content::Text(text) => said.push(Said::Text(role, text.clone())),
                Content::Image { source, .. } => said.push(Said::Image(source.clone())),
                Content::ToolCall { id, name, arguments } => {
                    let number = calls.len();
                    calls.insert(id.clone(), number);
                    said.push(Said::Call(number, name.clone(), serde_json::from_str(arguments).unwrap()));
                }
                Content::ToolResult { call_id, parts, .. } => {
                    let number = *calls.get(call_id).expect("a result names its call");
                    said.push(Said::Result(number, parts.iter().filter_map(Part::as_text).collect()));
                }
                other => panic!("not in any scenario: {other:?}"),
            }
        }
    }
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => {
            let schema = function.parameters.as_ref().map(|schema| schema.to_value()).unwrap_or_default();
            (function.name.clone(), function.description.clone(), schema)
        }
        other => panic!("not in any scenario: {other:?}"),
    });
    RequestEssence {
        said,
        tools: tools.collect(),
        // The dialects' default.
        tool_choice: request.tool_choice.clone().filter(|choice| *choice != ToolChoice::Auto),
        one_by_one: request.parallel_tool_calls == Some(false),
        schema: match &request.response_format {
            Some(ResponseFormat::JsonSchema { schema, .. }) => Some(schema.to_value()),
            _ => None,
        },
        max: request.max_output_tokens,
        temperature: request.temperature,
        stop: request.stop.clone(),
        stream: request.stream,
    }
}
