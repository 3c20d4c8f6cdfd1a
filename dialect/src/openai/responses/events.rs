//! The objects of a stream's events, which are those of a plain answer.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::TokenLogprob;
use crate::openai::{error, logprobs};
use crate::sse::write_event;
use crate::{Json, json};

use super::items_out::WireSummary;
use super::{Echo, usage};

#[derive(Debug, Serialize)]
pub(super) struct Response<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created_at: u64,
    pub(super) status: &'static str,
    pub(super) error: Option<ResponseError<'a>>,
    pub(super) incomplete_details: Option<Incomplete>,
    pub(super) model: &'a str,
    pub(super) output: &'a [Json],
    pub(super) usage: Option<usage::WireUsage>,
    #[serde(flatten)]
    pub(super) echo: &'a Echo,
}

#[derive(Debug, Serialize)]
pub(super) struct ResponseError<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Incomplete {
    pub(super) reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: &'a [Json],
    },
    Reasoning {
        id: &'a str,
        summary: Vec<WireSummary<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<Cow<'a, str>>,
    },
    FunctionCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        status: &'static str,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    OutputText { text: &'a str, annotations: [(); 0], logprobs: Vec<logprobs::WireToken<'a>> },
    Refusal { refusal: &'a str },
    SummaryText { text: &'a str },
}

/// An event's members, beside its type and number.
#[derive(Debug, Default, Serialize)]
pub(super) struct Members<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<Vec<logprobs::WireToken<'a>>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Numbered<'a, T> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) sequence_number: u64,
    #[serde(flatten)]
    pub(super) members: T,
}

/// Clients' libraries look for the members here or under `error`.
#[derive(Debug, Serialize)]
pub(super) struct ErrorMembers<'a> {
    pub(super) code: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) param: Option<&'a str>,
    pub(super) error: error::Inner<'a>,
}

pub(super) fn write(name: &str, sequence_number: u64, members: impl Serialize, out: &mut Vec<u8>) {
    write_event(Some(name), &json::bytes(&Numbered { kind: name, sequence_number, members }), out);
}

pub(super) fn part_of<'a>(text: &'a str, refused: bool, tokens: &'a [TokenLogprob]) -> Part<'a> {
    if refused {
        return Part::Refusal { refusal: text };
    }
    Part::OutputText { text, annotations: [], logprobs: tokens.iter().map(logprobs::wire_token).collect() }
}
