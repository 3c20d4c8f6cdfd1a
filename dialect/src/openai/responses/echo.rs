//! What a response repeats of its request.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Tool};
use crate::{Dropped, Json};

use super::request_out::{encode_choice, encode_reasoning, encode_text, encode_tool, split_instructions};

/// The members of a response that come from the request, `null` or OpenAI's default where it did not say.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Echo(BTreeMap<&'static str, Json>);

impl Echo {
    pub fn of(request: &ChatRequest) -> Self {
        let (instructions, _) = split_instructions(&request.messages);
        let reasoning =
            request.reasoning.as_ref().and_then(|wanted| encode_reasoning(wanted, &request.model, &mut Dropped::new()));
        let tools: Vec<_> = request.tools.iter().map(encode_echoed).collect();
        let mut echo = Self::default();
        let mut set = |key, value| _ = echo.0.insert(key, value);
        set("instructions", Json::of(&instructions));
        set("max_output_tokens", Json::of(&request.max_output_tokens));
        set("metadata", Json::of(&request.metadata));
        set("tools", Json::of(&tools));
        set("user", Json::of(&request.user));
        if let Some(parallel) = request.parallel_tool_calls {
            set("parallel_tool_calls", Json::of(&parallel));
        }
        if let Some(choice) = &request.tool_choice {
            set("tool_choice", Json::of(&encode_choice(choice)));
        }
        if let Some(temperature) = request.temperature {
            set("temperature", Json::of(&temperature));
        }
        if let Some(top_p) = request.top_p {
            set("top_p", Json::of(&top_p));
        }
        if let Some(top) = request.logprobs.and_then(|wanted| wanted.top) {
            set("top_logprobs", Json::of(&top));
        }
        if let Some(format) = &request.response_format {
            set("text", Json::of(&encode_text(format)));
        }
        if let Some(reasoning) = reasoning {
            set("reasoning", Json::of(&reasoning));
        }
        echo
    }
}

fn encode_echoed(tool: &Tool) -> Json {
    let strict = match tool {
        Tool::Function(function) => function.strict,
        Tool::Other { .. } => None,
    };
    Json::of(&encode_tool(tool, strict))
}

impl Default for Echo {
    fn default() -> Self {
        let null = Json::null;
        Self(BTreeMap::from([
            ("background", Json::of(&false)),
            ("instructions", null()),
            ("max_output_tokens", null()),
            ("metadata", Json::empty_object()),
            ("parallel_tool_calls", Json::of(&true)),
            ("previous_response_id", null()),
            ("reasoning", Json::of(&BTreeMap::from([("effort", ()), ("summary", ())]))),
            ("store", Json::of(&false)),
            ("temperature", Json::of(&1.0)),
            ("text", Json::of(&serde_json::json!({"format": {"type": "text"}}))),
            ("tool_choice", Json::of(&"auto")),
            ("tools", Json::of(&[(); 0])),
            ("top_logprobs", Json::of(&0)),
            ("top_p", Json::of(&1.0)),
            ("truncation", Json::of(&"disabled")),
            ("user", null()),
        ]))
    }
}
