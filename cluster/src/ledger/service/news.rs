//! News of who counts whom, on the wire.
//!
//! Every name is told once and then by its place in the list, and of a statement only whom it counts beyond the one
//! before. What a node builds from it is larger than what came: the sum of that is bounded while it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::messages::{List, Taken, get_length, put_length};
use crate::actor::Actor;
use crate::ledger::statement::{MAX_ACTORS, News, Statement, WindowFrom, Word};
use crate::wire::{Kind, Message, Request};

/// Speakers and those whom they count.
const MAX_NAMES: usize = 2 * MAX_ACTORS;
/// The sizes of all sets in the statements of one message, together.
const MAX_COUNTED: usize = 1 << 21;

/// News, as they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell(pub(super) News);

impl Message for Tell {
    const KIND: Kind = Kind::LedgerNews;
}

impl Request for Tell {
    type Response = Taken;
}

impl Encode for Tell {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let News { from, words } = &self.0;
        let mut names: BTreeSet<&Actor> = words.keys().collect();
        names.extend(words.values().filter_map(|word| word.counts()).flatten());
        let places: BTreeMap<&Actor, u64> = names.iter().copied().zip(0..).collect();
        let place = |actor: &Actor| {
            places.get(actor).copied().ok_or_else(|| EncodeError::OtherString(format!("{actor} is counted no more")))
        };
        let counted = words.values().flat_map(|word| &word.statements).map(|statement| statement.counted.len());
        if counted.sum::<usize>() > MAX_COUNTED {
            return Err(EncodeError::OtherString(format!("statements count more than {MAX_COUNTED} actors in all")));
        }
        from.encode(encoder)?;
        put_length(names.len(), MAX_NAMES, encoder)?;
        names.iter().try_for_each(|name| name.encode(encoder))?;
        put_length(words.len(), MAX_ACTORS, encoder)?;
        for (speaker, word) in words {
            place(speaker)?.encode(encoder)?;
            word.active_from.encode(encoder)?;
            word.leaves_from.encode(encoder)?;
            word.forgotten_from.encode(encoder)?;
            put_length(word.statements.len(), MAX_ACTORS, encoder)?;
            let nobody = BTreeSet::new();
            let mut before = &nobody;
            for Statement { from, counted } in &word.statements {
                from.encode(encoder)?;
                let added: Vec<&Actor> = counted.difference(before).collect();
                put_length(added.len(), MAX_ACTORS, encoder)?;
                added.into_iter().try_for_each(|actor| place(actor)?.encode(encoder))?;
                before = counted;
            }
        }
        Ok(())
    }
}

bincode::impl_borrow_decode!(Tell);

impl<C> Decode<C> for Tell {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let from = Actor::decode(decoder)?;
        let names: List<Actor, MAX_NAMES> = List::decode(decoder)?;
        let name = |decoder: &mut D| {
            let place = u64::decode(decoder)?;
            let name = usize::try_from(place).ok().and_then(|place| names.0.get(place));
            name.cloned().ok_or_else(|| DecodeError::OtherString(format!("there is no name at {place}")))
        };
        let mut room = MAX_COUNTED;
        let mut words = BTreeMap::new();
        for _ in 0..get_length(MAX_ACTORS, decoder)? {
            let speaker = name(decoder)?;
            let mut word = Word {
                active_from: Option::decode(decoder)?,
                leaves_from: Option::decode(decoder)?,
                forgotten_from: Option::decode(decoder)?,
                statements: Vec::new(),
            };
            let mut counted = BTreeSet::new();
            for _ in 0..get_length(MAX_ACTORS, decoder)? {
                let from = WindowFrom::decode(decoder)?;
                for _ in 0..get_length(MAX_ACTORS, decoder)? {
                    counted.insert(name(decoder)?);
                }
                room = room.checked_sub(counted.len()).ok_or_else(|| {
                    DecodeError::OtherString(format!("statements count more than {MAX_COUNTED} actors in all"))
                })?;
                word.statements.push(Statement { from, counted: counted.clone() });
            }
            words.insert(speaker, Arc::new(word));
        }
        Ok(Tell(News { from, words }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::tests::{actor, golden};
    use super::*;
    use crate::identity::Incarnation;
    use crate::wire;

    fn statement(from: WindowFrom, counted: &[&str]) -> Statement {
        Statement { from, counted: counted.iter().map(|name| actor(name)).collect() }
    }

    #[test]
    fn the_bytes_of_news_never_change() {
        let word = Word {
            statements: vec![
                statement(WindowFrom::Beginning, &["a", "b"]),
                statement(WindowFrom::Second(120), &["a", "b", "c"]),
            ],
            active_from: Some(WindowFrom::Second(60)),
            leaves_from: Some(180),
            forgotten_from: None,
        };
        let gone = Word { forgotten_from: Some(240), ..Word::default() };
        let news =
            News { from: actor("a"), words: [(actor("a"), Arc::new(word)), (actor("d"), Arc::new(gone))].into() };
        let names = "04".to_owned() + "016107" + "016207" + "016307" + "016407";
        let first = "00".to_owned() + "010178" + "01fb6801" + "00" + "02" + "00020001" + "01f00102";
        golden(&Tell(news), &format!("016107{names}02{first}03000001fbe00100"));
        golden(&Tell(News { from: actor("a"), words: BTreeMap::new() }), "0161070000");
    }

    #[test]
    fn what_it_would_grow_to_is_bounded() {
        // A few bytes a statement, each with all that were counted before: refused long before the memory is used.
        let names: Vec<u8> = (0..MAX_ACTORS)
            .flat_map(|n| {
                let name = format!("n{n}");
                [vec![name.len() as u8], name.into_bytes(), vec![1]].concat()
            })
            .collect();
        let all: Vec<u8> = (0..MAX_ACTORS as u16)
            .flat_map(|n| if n < 251 { vec![n as u8] } else { [vec![251], n.to_le_bytes().to_vec()].concat() })
            .collect();
        let length = |n: u16| [&[251_u8][..], &n.to_le_bytes()].concat();
        let mut bytes = [b"\x01a\x07".to_vec(), length(1024), names, length(1024)].concat();
        for speaker in 0..1024_u16 {
            let speaker = if speaker < 251 { vec![speaker as u8] } else { length(speaker) };
            bytes.extend([speaker, vec![0, 0, 0], length(1024), vec![0], length(1024), all.clone()].concat());
            bytes.extend([0, 0].repeat(1023));
        }
        let refused = wire::decode::<Tell>(&bytes).unwrap_err().to_string();
        assert!(refused.contains("statements count more than"), "{refused}");
    }

    #[test]
    fn a_large_cluster_fits() {
        let all: BTreeSet<Actor> = (0..1024)
            .map(|n| Actor { node: format!("{n:063}").parse().unwrap(), incarnation: Incarnation(n) })
            .collect();
        let word = Word {
            statements: vec![Statement { from: WindowFrom::Beginning, counted: all.clone() }],
            active_from: Some(WindowFrom::Beginning),
            ..Word::default()
        };
        let words = all.iter().map(|actor| (actor.clone(), Arc::new(word.clone()))).collect();
        let news = Tell(News { from: actor("a"), words });
        let bytes = wire::encode(&news).unwrap();
        assert_eq!(wire::decode::<Tell>(&bytes).unwrap(), news);
    }
}
