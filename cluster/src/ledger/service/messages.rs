//! What the ledgers of two nodes say to one another. Whatever follows from a message is told by another one, so every
//! message but the view is answered by the same small word.
//!
//! The types inside are those of the ledger; golden bytes below hold them to what was released. A changed type is a new
//! kind of message. Lists are checked while they are read, before there is memory for them.

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::event::{self, DigestEntry, PlacedRow, RowsRole, Urgency};
use crate::ledger::row::{MAX_RECEIVERS, Row};
use crate::ledger::spread::MAX_ROWS;
use crate::ledger::statement::MAX_ACTORS;
use crate::wire::{Kind, Message, Request};

/// At most so many counters are in one answer to [`View`].
pub(super) const MAX_VIEWED: usize = 4096;

/// From which actor to which: what was meant for an earlier actor of a node is not for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Route {
    pub(super) from: Actor,
    pub(super) to: Actor,
}

/// Give me rights.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ask {
    pub(super) route: Route,
    pub(super) counter: CounterId,
    pub(super) want: u64,
    pub(super) seen: u64,
    pub(super) urgency: Urgency,
}

/// What was given, in total.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Give {
    pub(super) route: Route,
    pub(super) counter: CounterId,
    pub(super) total: u64,
    pub(super) left: u64,
}

/// Rows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rows {
    pub(super) route: Route,
    pub(super) role: RowsRole,
    pub(super) rows: List<PlacedRow, MAX_ROWS>,
}

/// Rows in short.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    pub(super) route: Route,
    pub(super) entries: List<DigestEntry, MAX_ROWS>,
}

/// Send me these rows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    pub(super) route: Route,
    pub(super) rows: List<(CounterId, Actor), MAX_ROWS>,
}

/// It has come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Taken {}

/// Tell me your counters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct View {
    /// Those after this one.
    pub(super) after: Option<CounterId>,
}

/// The counters of a node as it sees them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Viewed {
    pub(super) actor: Actor,
    pub(super) counters: List<ViewedCounter, MAX_VIEWED>,
    /// Where to go on; `None` when these were the last.
    pub(super) next: Option<CounterId>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ViewedCounter {
    pub(super) counter: CounterId,
    /// What the node itself has, spent and holds.
    pub(super) own: Part,
    /// What it knows of all others.
    pub(super) others: List<(Actor, Part), MAX_ACTORS>,
}

/// One actor's part in a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Part {
    /// What it holds and has not used.
    pub(super) rights: u64,
    pub(super) spent: u64,
    pub(super) reserved: u64,
}

macro_rules! kinds {
    ($($message:ident is $kind:ident $(and answered by $response:ident)?),+) => {
        $(
            impl Message for $message {
                const KIND: Kind = Kind::$kind;
            }
            $(impl Request for $message {
                type Response = $response;
            })?
        )+
    };
}

kinds!(
    Ask is LedgerAsk and answered by Taken, Give is LedgerGive and answered by Taken,
    Rows is LedgerRows and answered by Taken, Digest is LedgerDigest and answered by Taken,
    Want is LedgerWant and answered by Taken, Taken is LedgerTaken,
    View is LedgerView and answered by Viewed, Viewed is LedgerViewed
);

impl Rows {
    pub(super) fn into_parts(self) -> (Route, event::Message) {
        (self.route, event::Message::Rows { rows: self.rows.0, role: self.role })
    }
}

/// A list that is refused while it is read when it is too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        put_length(self.0.len(), MAX, encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<C, T: Decode<C>, const MAX: usize> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let length = get_length(MAX, decoder)?;
        // A length says nothing of how much there is; the memory grows with what was read.
        let mut items = Vec::with_capacity(length.min(16));
        for _ in 0..length {
            decoder.claim_container_read::<T>(1)?;
            items.push(T::decode(decoder)?);
        }
        Ok(List(items))
    }
}

impl<'de, C, T: Decode<C>, const MAX: usize> BorrowDecode<'de, C> for List<T, MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

pub(super) fn put_length<E: Encoder>(length: usize, max: usize, encoder: &mut E) -> Result<(), EncodeError> {
    if length > max {
        return Err(EncodeError::OtherString(format!("a list of {length}, {max} are allowed")));
    }
    (length as u64).encode(encoder)
}

pub(super) fn get_length<D: Decoder>(max: usize, decoder: &mut D) -> Result<usize, DecodeError> {
    let length = u64::decode(decoder)?;
    match usize::try_from(length) {
        Ok(length) if length <= max => Ok(length),
        _ => Err(DecodeError::OtherString(format!("a list of {length}, {max} are allowed"))),
    }
}

impl Encode for Row {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.spent.encode(encoder)?;
        put_length(self.given.len(), MAX_RECEIVERS, encoder)?;
        self.given.iter().try_for_each(|(actor, amount)| {
            actor.encode(encoder)?;
            amount.encode(encoder)
        })
    }
}

impl<C> Decode<C> for Row {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let spent = u64::decode(decoder)?;
        let given: List<(Actor, u64), MAX_RECEIVERS> = List::decode(decoder)?;
        Ok(Row { spent, given: given.0.into_iter().collect() })
    }
}

bincode::impl_borrow_decode!(Row);

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::news::Tell;
    use super::*;
    use crate::identity::Incarnation;
    use crate::ledger::allowance::AllowanceId;
    use crate::wire;

    pub(in crate::ledger::service) fn actor(name: &str) -> Actor {
        Actor { node: name.parse().unwrap(), incarnation: Incarnation(7) }
    }

    pub(in crate::ledger::service) fn counter() -> CounterId {
        CounterId { allowance: AllowanceId::from_bytes([0xab; 16]), window_start: 60 }
    }

    pub(in crate::ledger::service) fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[track_caller]
    pub(in crate::ledger::service) fn golden<M: Message + PartialEq + std::fmt::Debug>(message: &M, expected: &str) {
        let bytes = wire::encode(message).unwrap();
        assert_eq!(hex(&bytes), expected);
        assert_eq!(wire::decode::<M>(&bytes).unwrap(), *message);
    }

    fn route() -> Route {
        Route { from: actor("a"), to: actor("b") }
    }

    #[test]
    fn the_bytes_of_messages_never_change() {
        let route_bytes = "016107016207";
        let place = "abababababababababababababababab78";
        let both = format!("{route_bytes}{place}");
        let ask = Ask { route: route(), counter: counter(), want: 300, seen: 2, urgency: Urgency::Last };
        golden(&ask, &format!("{both}fb2c010202"));
        golden(&Give { route: route(), counter: counter(), total: 9, left: 1 }, &format!("{both}0901"));
        let row = Row { spent: 5, given: [(actor("b"), 4)].into() };
        let placed = PlacedRow { counter: counter(), owner: actor("a"), row };
        let rows = Rows { route: route(), role: RowsRole::Mirror, rows: List(vec![placed]) };
        golden(&rows, &format!("{route_bytes}0201{place}016107050101620704"));
        let entry = DigestEntry { counter: counter(), owner: actor("a"), hash: 1 };
        golden(&Digest { route: route(), entries: List(vec![entry]) }, &format!("{route_bytes}01{place}01610701"));
        let wanted = List(vec![(counter(), actor("a"))]);
        golden(&Want { route: route(), rows: wanted }, &format!("{route_bytes}01{place}016107"));
        golden(&Taken {}, "");
        golden(&View { after: None }, "00");
        golden(&View { after: Some(counter()) }, &format!("01{place}"));
        let part = Part { rights: 3, spent: 2, reserved: 1 };
        let viewed = ViewedCounter { counter: counter(), own: part, others: List(vec![(actor("b"), part)]) };
        let viewed = Viewed { actor: actor("a"), counters: List(vec![viewed]), next: None };
        golden(&viewed, &format!("01610701{place}0302010101620703020100"));
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_before_it_is_read() {
        let entry = |_| (counter(), actor("a"));
        let most = Want { route: route(), rows: List((0..MAX_ROWS).map(entry).collect()) };
        let bytes = wire::encode(&most).unwrap();
        assert_eq!(wire::decode::<Want>(&bytes).unwrap(), most);
        let more = Want { route: route(), rows: List((0..=MAX_ROWS).map(entry).collect()) };
        assert!(wire::encode(&more).is_err());
        let mut claims = wire::encode(&Want { route: route(), rows: List(Vec::new()) }).unwrap().to_vec();
        claims.pop();
        claims.extend([0xfc, 0xff, 0xff, 0xff, 0x7f]);
        let refused = wire::decode::<Want>(&claims).unwrap_err().to_string();
        assert!(refused.contains("256 are allowed"), "{refused}");
    }

    fn check<M: Message + PartialEq + std::fmt::Debug>(payload: &[u8]) {
        let Ok(message) = wire::decode::<M>(payload) else { return };
        // A row that names a receiver twice is read as one that names it once.
        let again = wire::encode(&message).unwrap();
        assert_eq!(wire::decode::<M>(&again).as_ref(), Ok(&message));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(payload in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..200)) {
            check::<Ask>(&payload);
            check::<Give>(&payload);
            check::<Rows>(&payload);
            check::<Digest>(&payload);
            check::<Want>(&payload);
            check::<View>(&payload);
            check::<Viewed>(&payload);
            check::<Tell>(&payload);
        }
    }

    #[test]
    fn the_largest_messages_fit_their_kinds() {
        let long = Actor { node: "x".repeat(63).parse().unwrap(), incarnation: Incarnation(u64::MAX) };
        let route = Route { from: long.clone(), to: long.clone() };
        let counter = CounterId { allowance: AllowanceId::from_bytes([1; 16]), window_start: i64::MIN };
        let ask = Ask { route: route.clone(), counter, want: u64::MAX, seen: u64::MAX, urgency: Urgency::Last };
        wire::encode(&ask).unwrap();
        let entry = DigestEntry { counter, owner: long.clone(), hash: u64::MAX };
        wire::encode(&Digest { route: route.clone(), entries: List(vec![entry; MAX_ROWS]) }).unwrap();
        wire::encode(&Want { route: route.clone(), rows: List(vec![(counter, long.clone()); MAX_ROWS]) }).unwrap();
        let receivers = (0..MAX_RECEIVERS as u64).map(|n| (Actor { incarnation: Incarnation(n), ..long.clone() }, n));
        let row = Row { spent: u64::MAX, given: receivers.collect() };
        let placed = PlacedRow { counter, owner: long, row };
        wire::encode(&Rows { route, role: RowsRole::Owner, rows: List(vec![placed; 8]) }).unwrap();
    }
}
