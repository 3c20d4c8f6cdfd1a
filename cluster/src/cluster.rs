//! The cluster as the rooms above see it: who is live, who owns what, and a link to each peer.
//!
//! Three loops run behind it: one keeps the ring in step with the view, one introduces connected peers to the gossip,
//! one looks for peers at the seeds. All end when the last handle is dropped.

mod address;
mod keeper;
mod rings;
mod seeker;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::discovery::{Finder, Seed, SeedStatus};
use crate::identity::Identity;
use crate::link::{Link, LinkConfig, LinkError, LinkLimits, Service};
use crate::membership::{Gossip, GossipSettings, Membership as _, MembershipError, Presence, State, View};
use crate::ring::Ring;
use crate::trust::Trust;

use keeper::Keeper;

pub use keeper::VIEW_KEY;

/// What a node needs to take part in a cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Who this node is.
    pub identity: Identity,
    /// How it proves that.
    pub trust: Trust,
    /// The UDP address to listen on; port 0 takes any.
    pub listen: SocketAddr,
    /// The address that peers dial; by default the one listened on, or the one on the route to the seeds.
    pub advertise: Option<SocketAddr>,
    /// Where peers may be.
    pub join: Vec<Seed>,
    /// Where this node stands; second copies go elsewhere.
    pub zone: Option<Arc<str>>,
    /// Its share of the ring relative to the others'.
    pub weight: f64,
    /// Where its data plane listens, for status.
    pub http: String,
    /// The version of its program, for status.
    pub version: String,
}

/// Why a node takes no part in a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no gossip.
    #[error(transparent)]
    Membership(#[from] MembershipError),
}

/// This node's place in its cluster. Cheap to clone; dropping the last clone without [`Cluster::leave`] is a crash in
/// the eyes of the others.
#[derive(Clone)]
pub struct Cluster {
    keeper: Arc<Keeper>,
    running: Arc<Running>,
}

struct Running {
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("identity", self.identity()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Binds the link and begins to look for peers, in state [`State::Starting`]. Must be called inside the tokio
    /// runtime that shall serve the cluster; everything else may be called from any.
    pub async fn start(config: ClusterConfig, service: Arc<dyn Service>) -> Result<Cluster, ClusterError> {
        let link = Link::bind(
            LinkConfig {
                advertise: config.advertise.or_else(|| address::towards_seeds(config.listen, &config.join)),
                identity: config.identity,
                trust: config.trust,
                listen: config.listen,
                limits: LinkLimits::default(),
            },
            service,
        )?;
        let presence =
            Presence { zone: config.zone, http: config.http, version: config.version, weight: config.weight };
        Cluster::start_on(link, &presence, config.join).await
    }

    /// The same on a link that is already bound, for simulations.
    pub async fn start_on(link: Link, presence: &Presence, join: Vec<Seed>) -> Result<Cluster, ClusterError> {
        let identity = link.identity().clone();
        let transport = link.gossip_transport();
        let settings = GossipSettings::default();
        let gossip = Gossip::start(identity, link.advertised(), presence, settings, transport).await?;
        let finder = Finder::new(join, link.local_addr());
        let keeper = Arc::new(Keeper::new(link, gossip));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        for task in [
            tasks.spawn(stop.clone().run_until_cancelled_owned(keeper::follow_view(Arc::clone(&keeper)))),
            tasks.spawn(stop.clone().run_until_cancelled_owned(keeper::follow_link(Arc::clone(&keeper)))),
            tasks.spawn(stop.clone().run_until_cancelled_owned(seeker::seek(Arc::clone(&keeper), finder))),
        ] {
            drop(task);
        }
        let running = Arc::new(Running { tasks, _stop_on_drop: stop.clone().drop_guard(), stop });
        Ok(Cluster { keeper, running })
    }

    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        self.keeper.link.identity()
    }

    /// The connections to the peers.
    pub fn link(&self) -> &Link {
        &self.keeper.link
    }

    /// Who owns what: all members that are ready, this node only when it is.
    pub fn ring(&self) -> Arc<Ring> {
        self.keeper.rings.current()
    }

    /// The ring before its last change.
    pub fn previous_ring(&self) -> Option<Arc<Ring>> {
        self.keeper.rings.previous()
    }

    /// The live members.
    pub fn view(&self) -> Arc<View> {
        self.keeper.gossip.view()
    }

    /// The same, with every change of it.
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.keeper.gossip.watch()
    }

    /// True when all live members have the same live set, by what each of them published last.
    pub fn converged(&self) -> bool {
        keeper::converged(&self.view())
    }

    /// Tells all nodes what this one is up to. The ring of this node has changed when this returns.
    pub async fn set_state(&self, state: State) {
        self.keeper.gossip.set_state(state).await;
        self.keeper.update_ring();
    }

    /// Tells all nodes a value of this one under a key; it is in [`crate::membership::Member::published`] there within
    /// half a second. [`VIEW_KEY`] is taken.
    pub async fn publish(&self, key: &str, value: String) -> Result<(), MembershipError> {
        self.keeper.gossip.publish(key, value).await
    }

    /// True when no other node is live.
    pub fn alone(&self) -> bool {
        keeper::alone(&self.view())
    }

    /// What is known about the way to each seed.
    pub fn reachability(&self) -> Vec<SeedStatus> {
        self.keeper.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes nothing new from now on: out of the ring, still there to finish.
    pub async fn drain(&self) {
        self.set_state(State::Draining).await;
    }

    /// Says goodbye, gives two rounds of gossip to spread it, and closes the link.
    pub async fn leave(&self) {
        self.running.stop.cancel();
        self.running.tasks.close();
        self.running.tasks.wait().await;
        self.keeper.gossip.leave().await;
        self.keeper.update_ring();
        self.keeper.link.close().await;
    }
}
