//! What is particular about an operation: how a target is asked for it, and how its answer is read.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use peerway_dialect::canonical::{ChatRequest, EmbedRequest, RerankRequest};
use peerway_dialect::{DecodeError, Dialect, Dropped, cohere};
use serde::de::IgnoredAny;

use super::embed::Room;
use super::{count, embed, rerank, usage};
use crate::dialect::openai::Usage;
use crate::gateway::headers::{is_events, is_of_type};
use crate::gateway::outbound::Prepared;
use crate::gateway::verdict::Spent;
use crate::governance::{Reason, Written};
use crate::http::error::ApiError;
use crate::operation::Operation;
use crate::routing::Target;
use crate::surface::{Call, Envelope, Form, Rewrite};

/// What a provider is asked for, where it is not a chat.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Asks {
    pub(in crate::gateway) operation: Operation,
    /// The wire format of the operation, which need not be the dialect of the provider's errors.
    pub(in crate::gateway) wire: Dialect,
    /// Of a body that is no JSON.
    pub(in crate::gateway) content_type: Option<HeaderValue>,
}

/// A request other than a chat, as it was read: once, however many targets are tried.
#[derive(Debug)]
pub(in crate::gateway) struct Work {
    operation: Operation,
    client: Dialect,
    family: Family,
}

#[derive(Debug)]
enum Family {
    /// The client's bytes go on but for the model's name.
    Same,
    Form(Form, Option<HeaderValue>),
    Embeddings(Room, Option<Box<EmbedRequest>>),
    Rerank(Option<Box<RerankRequest>>),
    Count(Option<Box<ChatRequest>>),
}

/// An answer in the client's words, with what it cost.
#[derive(Debug)]
pub(in crate::gateway) struct Done {
    pub(in crate::gateway) body: Bytes,
    pub(in crate::gateway) is_translated: bool,
    pub(in crate::gateway) spent: Spent,
}

impl Work {
    pub(super) fn of(call: &Call, path: &str, headers: &HeaderMap, form: Option<Form>) -> Self {
        let family = match (call.operation, form) {
            (_, Some(form)) => Family::Form(form, headers.get(CONTENT_TYPE).cloned()),
            (Operation::Embeddings, _) => {
                Family::Embeddings(if path.ends_with(":embedContent") { Room::One } else { Room::Many }, None)
            }
            (Operation::Rerank, _) => Family::Rerank(None),
            (Operation::CountTokens, _) => Family::Count(None),
            _ => Family::Same,
        };
        Self { operation: call.operation, client: call.dialect, family }
    }

    /// Whether answers to it go on to the client as they come.
    pub(in crate::gateway) fn is_raw(&self, headers: &HeaderMap) -> bool {
        self.operation == Operation::Speech || is_events(headers)
    }

    pub(in crate::gateway) fn prepare(
        &mut self,
        target: &Target,
        envelope: &Envelope,
        body: &Bytes,
    ) -> Result<Prepared, ApiError> {
        let wire = target.upstream.serves_operation(self.operation, &target.model).unwrap_or(self.client);
        let provider = target.upstream.chat_dialect(Dialect::OpenAiChat, &target.model);
        let model = target.upstream.wire_model(&target.model);
        let mut dropped = Dropped::new();
        let as_it_is = || {
            // A form has no edits of JSON, and its name is edited in its own way.
            envelope.rewrite(body, Rewrite { model: Some(model), ..Rewrite::default() })
        };
        let passes = self.passes(wire, provider);
        let body = match &mut self.family {
            Family::Form(form, _) => form.rewrite(body, model),
            Family::Embeddings(room, read) if !passes => {
                let request = read_once(read, || embed::decode(self.client, *room, &envelope.cleared(body)))?;
                model.clone_into(&mut request.model);
                embed::encode_request(wire, request, &mut dropped).map_err(ApiError::Unsupported)?.into()
            }
            Family::Rerank(read) if !passes => {
                let request = read_once(read, || cohere::decode_rerank_request(&envelope.cleared(body)))?;
                model.clone_into(&mut request.model);
                cohere::encode_rerank_request(request, &mut dropped).map_err(ApiError::Unsupported)?.into()
            }
            Family::Count(read) if !passes => {
                let request = read_once(read, || count::decode(self.client, &envelope.cleared(body)))?;
                model.clone_into(&mut request.model);
                count::encode_request(wire, request, &mut dropped).map_err(ApiError::Unsupported)?
            }
            _ => as_it_is(),
        };
        let content_type = match &self.family {
            Family::Form(_, content_type) => content_type.clone(),
            _ => None,
        };
        let asks = Some(Asks { operation: self.operation, wire, content_type });
        // Errors come in the words of whoever answers.
        Ok(Prepared { dialect: provider, body, dropped, asks })
    }

    /// Whether the client's bytes are what a provider with this wire format reads.
    fn passes(&self, wire: Dialect, provider: Dialect) -> bool {
        match self.family {
            // Gemini's providers are asked for many at once, and each of its requests names the model.
            Family::Embeddings(..) => wire == self.client && wire != Dialect::Gemini,
            // OpenAI has no rerank: whoever speaks its chat has it as Jina does, which both kinds of client read.
            Family::Rerank(_) => (provider == Dialect::Cohere) == (self.client == Dialect::Cohere),
            Family::Count(_) => wire == self.client,
            Family::Same | Family::Form(..) => true,
        }
    }

    /// Reads a whole answer.
    pub(in crate::gateway) fn read(
        &self,
        wire: Dialect,
        provider: Dialect,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Done, DecodeError> {
        let spent = |body: &[u8], told: Option<Usage>| self.spent(body, told);
        let is_json = !headers.contains_key(CONTENT_TYPE) || is_of_type(headers, "application/json");
        let told = if is_json { usage::stated(&body) } else { None };
        let translated = match &self.family {
            _ if self.passes(wire, provider) => None,
            Family::Embeddings(room, Some(request)) => {
                let mut answer = embed::decode_answer(wire, &body)?;
                if answer.model.is_empty() {
                    answer.model.clone_from(&request.model);
                }
                // Some clients insist on being told, and what is charged is what they may be told.
                Some(embed::encode_answer(self.client, *room, request, &answer))
            }
            Family::Rerank(Some(request)) => Some(cohere::encode_rerank_answer(&rerank::answer(request, &body)?)),
            Family::Count(_) => Some(count::encode(self.client, count::read(wire, &body)?)),
            _ => None,
        };
        if translated.is_none() && is_json {
            serde_json::from_slice::<IgnoredAny>(&body)?;
        }
        let spent = spent(&body, told);
        let is_translated = translated.is_some();
        Ok(Done { body: translated.map_or(body, Bytes::from), is_translated, spent })
    }

    fn spent(&self, body: &[u8], told: Option<Usage>) -> Spent {
        match (told, self.operation) {
            (_, Operation::CountTokens) => Spent::Nothing,
            (Some(told), _) => Spent::Stated(told),
            // OpenAI's are free; who charges for them says so.
            (None, Operation::Moderations) => Spent::Nothing,
            (None, Operation::Transcriptions | Operation::Translations) => {
                let mut written = Written::default();
                written.text(&String::from_utf8_lossy(body));
                Spent::Counted(written, None, Reason::NoUsage)
            }
            // Nobody can tell what an image was made of: as much as was reserved.
            (None, Operation::ImageGenerations | Operation::ImageEdits) => {
                Spent::Answer(Written::default(), Reason::NoUsage)
            }
            (None, _) => Spent::Counted(Written::default(), None, Reason::NoUsage),
        }
    }
}

fn read_once<T>(
    read: &mut Option<Box<T>>,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<&mut T, ApiError> {
    match read {
        Some(request) => Ok(request),
        None => Ok(read.insert(Box::new(decode().map_err(ApiError::Decode)?))),
    }
}
