//! What a node knows of the others at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::{Generation, Incarnation, NodeId};

/// What a node is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is there, but takes no part in the ring yet.
    Starting,
    /// It serves and holds its share of the ring.
    Ready,
    /// It finishes what it has begun and takes nothing new.
    Draining,
    /// It said goodbye.
    Left,
}

impl State {
    /// The word for it in gossip, status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Draining => "draining",
            State::Left => "left",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is no state that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state: starting, ready, draining or left")]
pub struct UnknownState(pub String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<State, UnknownState> {
        [State::Starting, State::Ready, State::Draining, State::Left]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A live node as it describes itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub id: NodeId,
    /// Which actor it is.
    pub incarnation: Incarnation,
    /// Which life of it.
    pub generation: Generation,
    /// What it is up to.
    pub state: State,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
    /// Where its data plane listens.
    pub http: String,
    /// Where peers dial it (UDP).
    pub address: SocketAddr,
    /// The version of its program.
    pub version: String,
    /// Its share of the ring relative to the others'.
    pub weight: f64,
    /// Everything else it published.
    pub published: BTreeMap<String, String>,
    pub(super) heard: Heard,
}

impl Member {
    /// How long ago its last sign of life came, over whatever way; zero for this node itself. Fresh at every call.
    pub fn gossip_age(&self) -> Duration {
        self.heard.age()
    }
}

/// When a node's heart was last seen to beat; shared by all views of that node, so that an old view tells the truth.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    origin: Instant,
    /// Milliseconds since the origin, or forever now.
    at: Arc<AtomicU64>,
}

const ONESELF: u64 = u64::MAX;

impl Heard {
    pub(super) fn now(origin: Instant) -> Heard {
        let heard = Heard { origin, at: Arc::default() };
        heard.beat();
        heard
    }

    pub(super) fn oneself(origin: Instant) -> Heard {
        Heard { origin, at: Arc::new(AtomicU64::new(ONESELF)) }
    }

    pub(super) fn beat(&self) {
        self.at.store(self.origin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        let now = self.origin.elapsed().as_millis() as u64;
        Duration::from_millis(now.saturating_sub(self.at.load(Ordering::Relaxed)))
    }
}

// A heartbeat is not a change of the view: two members that differ only in it are equal.
impl PartialEq for Heard {
    fn eq(&self, _other: &Heard) -> bool {
        true
    }
}

/// The live nodes, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The members, sorted by id, this node included.
    pub members: Vec<Member>,
}

impl View {
    /// The member with this name.
    pub fn member(&self, id: &NodeId) -> Option<&Member> {
        self.members.binary_search_by(|member| member.id.cmp(id)).ok().map(|index| &self.members[index])
    }

    /// A short hash of who is live, in which life and state: nodes that agree about these have the same one.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for member in &self.members {
            hasher.update(format!("{} {} {}\n", member.id, member.generation, member.state).as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, state: State) -> Member {
        Member {
            id: id.parse().unwrap(),
            incarnation: Incarnation(1),
            generation: Generation(2),
            state,
            zone: None,
            http: "127.0.0.1:8080".into(),
            address: "127.0.0.1:7946".parse().unwrap(),
            version: "1".into(),
            weight: 1.0,
            published: BTreeMap::new(),
            heard: Heard::now(Instant::now()),
        }
    }

    #[test]
    fn states_travel_as_words() {
        for state in [State::Starting, State::Ready, State::Draining, State::Left] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("readyish".parse::<State>().is_err());
    }

    #[test]
    fn the_hash_tells_who_is_live_and_nothing_else() {
        let view = |members: &[Member]| View { members: members.to_vec() };
        let ready = view(&[member("a", State::Ready), member("b", State::Ready)]);
        let mut chatty = ready.clone();
        chatty.members[0].published.insert("load".into(), "3".into());
        assert_eq!(ready.hash(), chatty.hash());
        assert_ne!(ready, chatty);
        assert_ne!(ready.hash(), view(&[member("a", State::Ready)]).hash());
        assert_ne!(ready.hash(), view(&[member("a", State::Ready), member("b", State::Draining)]).hash());
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_view_tells_a_fresh_age() {
        let mut seen = member("a", State::Ready);
        seen.heard = Heard::now(Instant::now());
        let old = seen.clone();
        tokio::time::advance(Duration::from_millis(700)).await;
        assert_eq!(old.gossip_age(), Duration::from_millis(700));
        seen.heard.beat();
        assert_eq!(old.gossip_age(), Duration::ZERO);
        assert_eq!(seen, old);
    }
}
