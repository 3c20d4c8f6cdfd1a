//! Which requests take part in the cache and which answers are kept: functions of their inputs and nothing else.
//!
//! A request with tools takes part, because the tools are part of its id; but an answer that calls a tool is not kept
//! unless the configuration asks for it, because the call is made for its effect. A request for several choices takes
//! part, and is kept when every choice finished. Whether the temperature is 0 plays no role: who uses a cache wants one
//! answer for one question.

use std::time::Duration;

use crate::identity::EntryId;

/// The longest namespace that a client may name, in bytes.
pub const MAX_CACHE_KEY: usize = 256;

/// Which requests take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Those that name a cache key.
    #[default]
    Header,
    /// All that do not opt out.
    Always,
    /// None.
    Off,
}

/// What the administrator set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Which requests take part.
    pub activation: Activation,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// The largest answer that is kept, in bytes.
    pub max_entry: usize,
    /// Whether answers that call tools are kept.
    pub keep_tool_calls: bool,
    /// How sure it must be that the answer to another request serves; none: it never does.
    pub threshold: Option<f32>,
}

/// Which look-ups a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheType {
    /// Exact ones only.
    Direct,
    /// Those by meaning; the same question is the nearest one in meaning, so exact hits serve here too.
    Semantic,
}

/// What the client said in its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wishes<'a> {
    /// Its namespace; an empty one counts as none.
    pub cache_key: Option<&'a str>,
    /// Which look-ups it wants; none means all.
    pub cache_type: Option<CacheType>,
    /// Do not keep the answer.
    pub no_store: bool,
    /// Do not answer from the cache.
    pub no_read: bool,
    /// Keep the answer for no longer than this; zero means not at all.
    pub ttl: Option<Duration>,
    /// Be at least so sure.
    pub threshold: Option<f32>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Participation<'a> {
    /// It passes the cache by.
    Bypass(Bypass),
    /// It takes part.
    Takes {
        /// The namespace within the tenant scope.
        namespace: &'a str,
        /// Whether it may be answered from the cache.
        read: bool,
        /// How long its answer is kept, if it is.
        keep_for: Option<Duration>,
        /// How sure it must be that the answer to another request serves; none: it never does.
        threshold: Option<f32>,
    },
}

/// Why a request passes the cache by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// The cache is off.
    Off,
    /// No cache key, where one is asked for.
    NoKey,
    /// The cache key is longer than [`MAX_CACHE_KEY`].
    KeyTooLong,
    /// The client wants neither to read nor to store.
    OptedOut,
}

/// Whether and how a request takes part. A client can only narrow what the administrator set.
pub fn participation<'a>(rules: &Rules, wishes: &Wishes<'a>) -> Participation<'a> {
    let key = wishes.cache_key.filter(|key| !key.is_empty());
    let bypass = match (rules.activation, key) {
        (Activation::Off, _) => Some(Bypass::Off),
        (_, Some(key)) if key.len() > MAX_CACHE_KEY => Some(Bypass::KeyTooLong),
        (Activation::Header, None) => Some(Bypass::NoKey),
        _ => None,
    };
    let ttl = wishes.ttl.map_or(rules.ttl, |ttl| ttl.min(rules.ttl));
    let keep_for = (!wishes.no_store && !ttl.is_zero()).then_some(ttl);
    let read = !wishes.no_read;
    match bypass {
        Some(reason) => Participation::Bypass(reason),
        None if !read && keep_for.is_none() => Participation::Bypass(Bypass::OptedOut),
        None => Participation::Takes {
            namespace: key.unwrap_or_default(),
            read,
            keep_for,
            // What is no number is no wish: `max` gives the other one.
            threshold: rules
                .threshold
                .filter(|_| wishes.cache_type != Some(CacheType::Direct))
                .map(|threshold| wishes.threshold.map_or(threshold, |wish| threshold.max(wish))),
        },
    }
}

/// By at most this share of its life an entry ends earlier than it was asked to.
const SPREAD: u64 = 32;

/// When an answer that came at `created_ms` and is to be kept for `keep_for` expires, unix milliseconds.
///
/// Never later than that, and up to 3 % earlier, by its id: of answers that came together, as after a start or a purge,
/// the provider is not asked again together.
pub fn expires_ms(id: &EntryId, created_ms: u64, keep_for: Duration) -> u64 {
    let life = u64::try_from(keep_for.as_millis()).unwrap_or(u64::MAX);
    // The id is a keyed hash, and none of its other uses looks at these bytes.
    let share = id.as_bytes()[24..28].iter().fold(0, |share, byte| share << 8 | u64::from(*byte));
    let earlier = (u128::from(life / SPREAD) * u128::from(share)) >> 32;
    created_ms.saturating_add(life - earlier as u64)
}

/// How the choices of an answer finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// All with `stop`.
    Stop,
    /// All with `stop` or a tool call.
    ToolCalls,
    /// One was cut, filtered or is missing, or there is none.
    Other,
}

/// What is known of an answer when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// How its choices finished.
    pub finish: Finish,
    /// A whole body, or a stream to its `[DONE]` without an error event.
    pub complete: bool,
    /// Whether any choice calls a tool, whatever its finish reason says.
    pub has_tool_calls: bool,
    /// Its size.
    pub bytes: usize,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// Another status than 200.
    Status,
    /// Cut, or ended with an error.
    Incomplete,
    /// A choice did not finish with `stop`.
    Unfinished,
    /// It calls a tool.
    ToolCalls,
    /// Larger than an entry may be.
    TooLarge,
}

/// Whether an answer is kept.
pub fn keep(rules: &Rules, answer: &Answer) -> Result<(), NotKept> {
    let calls_tools = answer.has_tool_calls || answer.finish == Finish::ToolCalls;
    if answer.status != 200 {
        Err(NotKept::Status)
    } else if !answer.complete {
        Err(NotKept::Incomplete)
    } else if answer.finish == Finish::Other {
        Err(NotKept::Unfinished)
    } else if calls_tools && !rules.keep_tool_calls {
        Err(NotKept::ToolCalls)
    } else if answer.bytes > rules.max_entry {
        Err(NotKept::TooLarge)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        activation: Activation::Header,
        ttl: Duration::from_secs(300),
        max_entry: 1_000,
        keep_tool_calls: false,
        threshold: Some(0.8),
    };
    const ANSWER: Answer =
        Answer { status: 200, finish: Finish::Stop, complete: true, has_tool_calls: false, bytes: 1_000 };

    fn takes<'a>(namespace: &'a str, read: bool, keep_for: Option<u64>) -> Participation<'a> {
        Participation::Takes { namespace, read, keep_for: keep_for.map(Duration::from_secs), threshold: Some(0.8) }
    }

    #[test]
    fn who_takes_part() {
        let none = Wishes::default();
        let key = Wishes { cache_key: Some("faq"), ..none };
        let always = Rules { activation: Activation::Always, ..RULES };
        let off = Rules { activation: Activation::Off, ..RULES };
        let long = "k".repeat(MAX_CACHE_KEY + 1);
        assert_eq!(participation(&RULES, &none), Participation::Bypass(Bypass::NoKey));
        assert_eq!(
            participation(&RULES, &Wishes { cache_key: Some(""), ..none }),
            Participation::Bypass(Bypass::NoKey)
        );
        assert_eq!(participation(&RULES, &key), takes("faq", true, Some(300)));
        assert_eq!(participation(&always, &none), takes("", true, Some(300)));
        assert_eq!(participation(&always, &key), takes("faq", true, Some(300)));
        assert_eq!(participation(&off, &key), Participation::Bypass(Bypass::Off));
        assert_eq!(
            participation(&always, &Wishes { cache_key: Some(&long), ..none }),
            Participation::Bypass(Bypass::KeyTooLong)
        );
    }

    #[test]
    fn a_client_can_narrow_but_not_widen() {
        let key = Wishes { cache_key: Some("k"), ..Wishes::default() };
        let ttl = |seconds| Wishes { ttl: Some(Duration::from_secs(seconds)), ..key };
        assert_eq!(participation(&RULES, &ttl(10)), takes("k", true, Some(10)));
        assert_eq!(participation(&RULES, &ttl(900)), takes("k", true, Some(300)));
        assert_eq!(participation(&RULES, &ttl(0)), takes("k", true, None));
        assert_eq!(participation(&RULES, &Wishes { no_store: true, ..key }), takes("k", true, None));
        assert_eq!(participation(&RULES, &Wishes { no_read: true, ..key }), takes("k", false, Some(300)));
        assert_eq!(
            participation(&RULES, &Wishes { no_read: true, no_store: true, ..key }),
            Participation::Bypass(Bypass::OptedOut)
        );
    }

    #[test]
    fn a_client_can_ask_to_be_surer_only() {
        let key = Wishes { cache_key: Some("k"), ..Wishes::default() };
        let threshold = |rules: &Rules, wishes: Wishes<'_>| match participation(rules, &wishes) {
            Participation::Takes { threshold, .. } => threshold,
            Participation::Bypass(reason) => panic!("{reason:?}"),
        };
        for (wish, is) in [(0.9, 0.9), (0.8, 0.8), (0.1, 0.8), (0.0, 0.8), (-1.0, 0.8), (f32::NAN, 0.8), (2.0, 2.0)] {
            assert_eq!(threshold(&RULES, Wishes { threshold: Some(wish), ..key }), Some(is), "{wish}");
        }
        let off = Rules { threshold: None, ..RULES };
        let semantic = Wishes { cache_type: Some(CacheType::Semantic), threshold: Some(0.1), ..key };
        assert_eq!((threshold(&RULES, semantic), threshold(&off, semantic)), (Some(0.8), None));
        let direct = Wishes { cache_type: Some(CacheType::Direct), ..key };
        assert_eq!(threshold(&RULES, direct), None);
    }

    #[test]
    fn entries_that_came_together_expire_one_after_another_and_none_too_late() {
        const LIFE: Duration = Duration::from_secs(320);
        let id = |number: u32| EntryId::from(std::array::from_fn(|at| number.to_le_bytes()[at % 4].wrapping_mul(59)));
        let ends: std::collections::BTreeSet<u64> =
            (0..1_000).map(|number| expires_ms(&id(number), 5_000, LIFE) - 5_000).collect();
        let (first, last) = (ends.first().unwrap(), ends.last().unwrap());
        assert!(*first >= 310_000 && *last <= 320_000, "{first} to {last}");
        assert!(last - first > 9_000 && ends.len() > 500, "{} between {first} and {last}", ends.len());
        for keep_for in [Duration::ZERO, Duration::from_millis(1), Duration::MAX] {
            let life = u64::try_from(keep_for.as_millis()).unwrap_or(u64::MAX);
            assert!(expires_ms(&id(7), 0, keep_for) <= life && expires_ms(&id(7), 0, keep_for) >= life - life / 32);
        }
        assert_eq!(expires_ms(&id(9), u64::MAX - 5, LIFE), u64::MAX);
    }

    #[test]
    fn what_is_kept() {
        let tools = Rules { keep_tool_calls: true, ..RULES };
        assert_eq!(keep(&RULES, &ANSWER), Ok(()));
        assert_eq!(keep(&RULES, &Answer { status: 201, ..ANSWER }), Err(NotKept::Status));
        assert_eq!(keep(&RULES, &Answer { complete: false, ..ANSWER }), Err(NotKept::Incomplete));
        assert_eq!(keep(&RULES, &Answer { finish: Finish::Other, ..ANSWER }), Err(NotKept::Unfinished));
        assert_eq!(keep(&RULES, &Answer { bytes: 1_001, ..ANSWER }), Err(NotKept::TooLarge));
        for calls in [Answer { finish: Finish::ToolCalls, ..ANSWER }, Answer { has_tool_calls: true, ..ANSWER }] {
            assert_eq!(keep(&RULES, &calls), Err(NotKept::ToolCalls));
            assert_eq!(keep(&tools, &calls), Ok(()));
        }
        assert_eq!(keep(&tools, &Answer { finish: Finish::Other, ..ANSWER }), Err(NotKept::Unfinished));
    }
}
