//! The tool calls of a stream's choice, put together from pieces that servers count and name in ways of their own.

use crate::canonical::{Completeness, Signature, StreamEvent, made_call_id};
use crate::json::{DecodeError, Item};

use super::thinking;

/// No model calls as often; beyond, a stream is somebody's attempt on our memory.
const MAX_CALLS: usize = 512;

/// A call is told once its name is whole: when its arguments begin, or something else comes. Until then pieces of the
/// name may follow.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// Calls that are told, which is what the next is counted as.
    told: u32,
}

#[derive(Debug, Default)]
struct Call {
    /// What the server counts it as.
    wire_index: Option<u64>,
    id: Option<String>,
    name: String,
    signature: Option<Signature>,
    /// What it is told as.
    index: Option<u32>,
    /// Arguments that came before it was told.
    held: String,
    arguments: Completeness,
}

/// A piece of a call as it comes.
#[derive(Debug, Default)]
struct Piece {
    wire_index: Option<u64>,
    id: Option<String>,
    name: String,
    signature: Option<Signature>,
    arguments: String,
}

/// The choice that calls belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) answer_id: &'a str,
    pub(super) choice: u32,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn push(
        &mut self,
        item: Item<'_>,
        place: Place<'_>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), DecodeError> {
        let too_many = item.expected("one of at most 512 calls");
        let piece = Piece::read(item)?;
        let known = match piece.wire_index {
            Some(_) => self.calls.iter().rposition(|call| call.wire_index == piece.wire_index),
            None if piece.id.is_some() => self.calls.iter().rposition(|call| call.id == piece.id),
            None => self.calls.len().checked_sub(1),
        };
        let at = match known {
            Some(at) if !self.calls[at].has_ended_before(&piece) => at,
            _ if self.calls.len() == MAX_CALLS => return Err(too_many),
            _ => {
                self.tell_named(place, out);
                self.calls.push(Call { wire_index: piece.wire_index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        self.calls[at].add(piece, place, &mut self.told, out);
        Ok(())
    }

    /// Something else follows: names are whole.
    pub(super) fn tell_named(&mut self, place: Place<'_>, out: &mut Vec<StreamEvent>) {
        for call in self.calls.iter_mut().filter(|call| !call.name.is_empty()) {
            call.tell(place, &mut self.told, out);
        }
    }

    /// Nothing follows: what never had a name is told without.
    pub(super) fn tell_all(&mut self, place: Place<'_>, out: &mut Vec<StreamEvent>) {
        for call in &mut self.calls {
            call.tell(place, &mut self.told, out);
        }
    }
}

impl Piece {
    fn read(item: Item<'_>) -> Result<Self, DecodeError> {
        let mut object = item.object()?;
        let mut piece = Self {
            wire_index: object.unsigned("index")?,
            id: object.string("id")?.filter(|id| !id.is_empty()),
            signature: thinking::call_signature(&mut object)?,
            ..Self::default()
        };
        if let Some(mut function) = object.object("function")? {
            piece.name = function.string("name")?.unwrap_or_default();
            piece.arguments = match function.take("arguments") {
                Some(item) if item.is_string() => item.string()?,
                Some(item) => item.json().compact(),
                None => String::new(),
            };
        }
        Ok(piece)
    }
}

impl Call {
    /// Whether a piece that is counted as this call must be another, because this one is over: servers that count every
    /// call as the first tell them apart by id, or by nothing but their whole arguments.
    fn has_ended_before(&self, piece: &Piece) -> bool {
        if self.name.is_empty() || piece.name.is_empty() || self.arguments.is_midway() {
            return false;
        }
        match (&self.id, &piece.id) {
            (Some(id), Some(other)) => id != other,
            _ => self.arguments.is_whole() && (piece.name != self.name || piece.arguments.starts_with('{')),
        }
    }

    fn add(&mut self, piece: Piece, place: Place<'_>, told: &mut u32, out: &mut Vec<StreamEvent>) {
        self.arguments.push(&piece.arguments);
        if let Some(index) = self.index {
            if !piece.arguments.is_empty() {
                let arguments = piece.arguments;
                out.push(StreamEvent::ToolCallDelta { choice: place.choice, index, arguments });
            }
            return;
        }
        self.id = self.id.take().or(piece.id);
        self.signature = self.signature.take().or(piece.signature);
        // Some give the name again and again, or as far as it goes; others the next piece of it.
        if piece.name.starts_with(&self.name) {
            self.name = piece.name;
        } else {
            self.name.push_str(&piece.name);
        }
        self.held.push_str(&piece.arguments);
        if !self.name.is_empty() && !self.held.is_empty() {
            self.tell(place, told, out);
        }
    }

    fn tell(&mut self, place: Place<'_>, told: &mut u32, out: &mut Vec<StreamEvent>) {
        if self.index.is_some() {
            return;
        }
        let (choice, index) = (place.choice, *told);
        self.index = Some(index);
        *told += 1;
        let id = self.id.clone().unwrap_or_else(|| made_call_id(place.answer_id, choice, index));
        let (name, signature) = (self.name.clone(), self.signature.take());
        out.push(StreamEvent::ToolCallStart { choice, index, id, name, signature });
        let arguments = std::mem::take(&mut self.held);
        if !arguments.is_empty() {
            out.push(StreamEvent::ToolCallDelta { choice, index, arguments });
        }
    }
}
