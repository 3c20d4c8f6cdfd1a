//! What is sent to each target: the client's own bytes with a few edits where the target speaks the client's dialect,
//! else a translation. The request is read for that once, however many targets are tried.

use bytes::Bytes;
use peerway_dialect::gemini::Form;
use peerway_dialect::{DecodeError, Dialect, Dropped};

use super::operations::{Asks, Work};
use crate::dialect::Manner;
use crate::dialect::codec::{self, Decoded};
use crate::http::error::ApiError;
use crate::operation::Operation;
use crate::provider::UpstreamCall;
use crate::routing::Target;
use crate::surface::{Call, Envelope, Rewrite};

/// A client's request on its way out.
#[derive(Debug)]
pub(super) struct Outbound<'a> {
    pub(super) call: &'a Call,
    pub(super) envelope: &'a Envelope,
    body: &'a Bytes,
    decoded: Option<Result<Decoded, DecodeError>>,
    /// Of a request that is not a chat.
    pub(super) work: Option<Work>,
}

/// A request for one target.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What the target is spoken to in.
    pub(super) dialect: Dialect,
    pub(super) body: Bytes,
    pub(super) dropped: Dropped,
    /// What it asks for, where it is not a chat.
    pub(super) asks: Option<Asks>,
}

impl Prepared {
    /// The call of a provider that it is.
    pub(super) fn call<'p>(&'p self, model: &'p str, stream: bool) -> UpstreamCall<'p> {
        let (operation, dialect) = match &self.asks {
            Some(asks) => (asks.operation, asks.wire),
            None => (chat_operation(self.dialect), self.dialect),
        };
        let content_type = self.asks.as_ref().and_then(|asks| asks.content_type.as_ref());
        UpstreamCall { operation, dialect, model, stream, content_type }
    }
}

/// The operation that a dialect of chat is.
fn chat_operation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenAiCompletions => Operation::Completions,
        Dialect::OpenAiResponses => Operation::Responses,
        _ => Operation::Chat,
    }
}

impl<'a> Outbound<'a> {
    pub(super) fn new(call: &'a Call, envelope: &'a Envelope, body: &'a Bytes) -> Self {
        Self { call, envelope, body, decoded: None, work: None }
    }

    /// A request that is not a chat.
    pub(super) fn working(call: &'a Call, envelope: &'a Envelope, body: &'a Bytes, work: Work) -> Self {
        Self { work: Some(work), ..Self::new(call, envelope, body) }
    }

    /// `cap` bounds the answer of a request that does not bound it itself.
    pub(super) fn prepare(&mut self, target: &Target, cap: Option<u64>) -> Result<Prepared, ApiError> {
        if let Some(work) = &mut self.work {
            return work.prepare(target, self.envelope, self.body);
        }
        let dialect = target.upstream.chat_dialect(self.call.dialect, &target.model);
        let alike = target.upstream.openai_target(&target.model);
        let model = target.upstream.wire_model(&target.model);
        if dialect == self.call.dialect {
            let rewrite = Rewrite {
                model: Some(model),
                ask_for_usage: target.upstream.takes_stream_options,
                max_output: cap,
                max_completion_tokens: alike.max_completion_tokens,
            };
            let body = self.envelope.rewrite(self.body, rewrite);
            return Ok(Prepared { dialect, body, dropped: Dropped::new(), asks: None });
        }
        let stream = self.envelope.stream;
        let decoded = self.decode().as_mut().map_err(|error| ApiError::Decode(error.clone()))?;
        let request = &mut decoded.request;
        request.model.clear();
        request.model.push_str(model);
        request.stream = stream;
        // Nothing else tells what a stream cost; some tell it unasked, and refuse to be asked.
        request.include_usage = target.upstream.takes_stream_options;
        if let Some(cap) = cap {
            request.max_output_tokens = Some(request.max_output_tokens.map_or(cap, |asked| asked.min(cap)));
        }
        let mut dropped = Dropped::new();
        let body = codec::encode_request(dialect, request, alike, &mut dropped).map_err(ApiError::Unsupported)?;
        Ok(Prepared { dialect, body: body.into(), dropped, asks: None })
    }

    /// What the answer takes from the request.
    pub(super) fn manner(&self) -> Manner {
        let client = self.call.dialect;
        let manner = Manner {
            // Of a chat the relay keeps the usage for itself where it was not asked for.
            include_usage: client == Dialect::OpenAiChat || self.envelope.include_usage,
            form: self.call.form,
            ..Manner::default()
        };
        match &self.decoded {
            Some(Ok(decoded)) => Manner { echo: decoded.echo.clone(), ..manner }.repeating(client, &decoded.request),
            _ => manner,
        }
    }

    /// Whether the bytes of an answer in this dialect are what the client wants.
    pub(super) fn passes(&self, dialect: Dialect) -> bool {
        // Providers are always asked for events.
        let is_array = dialect == Dialect::Gemini && self.envelope.stream && self.call.form == Form::Array;
        dialect == self.call.dialect && !is_array
    }

    fn decode(&mut self) -> &mut Result<Decoded, DecodeError> {
        let (call, envelope, body) = (self.call, self.envelope, self.body);
        self.decoded.get_or_insert_with(|| codec::decode_request(call.dialect, &envelope.cleared(body)))
    }
}
