//! The membership by chitchat: scuttlebutt reconciliation and a phi-accrual failure detector.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use chitchat::transport::Transport;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, Heartbeat, ListenerHandle,
};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::keys::{self, Presence};
use super::view::{Heard, State, View};
use super::{Membership, MembershipError};
use crate::identity::Identity;

/// The pace of gossip. The defaults make a crash known to all of three nodes within a second.
#[derive(Clone, Debug)]
pub struct GossipSettings {
    /// One round of gossip, with up to three live nodes.
    pub interval: Duration,
    /// How many usual pauses between heartbeats make a node dead.
    pub phi: f64,
    /// How long a dead node is remembered, and so may come back under the same generation.
    pub dead_grace: Duration,
}

impl Default for GossipSettings {
    fn default() -> Self {
        GossipSettings { interval: Duration::from_millis(200), phi: 8.0, dead_grace: Duration::from_secs(15 * 60) }
    }
}

impl GossipSettings {
    fn failure_detector(&self) -> FailureDetectorConfig {
        FailureDetectorConfig {
            phi_threshold: self.phi,
            sampling_window_size: 1000,
            // A pause that was nearly a death says nothing about the usual pace; counted, it would make the next
            // death take many times longer to notice.
            max_interval: self.interval * 10,
            // Anything longer makes the first death of a young pair take that much longer.
            initial_interval: self.interval,
            dead_node_grace_period: self.dead_grace,
        }
    }
}

/// The membership of this node; dropping it ends it without a word to the others.
pub struct Gossip {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

struct Shared {
    identity: Identity,
    address: SocketAddr,
    settings: GossipSettings,
    transport: Box<dyn Transport>,
    running: ArcSwap<Running>,
    /// What this node says of itself; outlives the gossip task, which may have to be started anew.
    own: Mutex<BTreeMap<String, String>>,
    hearts: Mutex<HashMap<ChitchatId, Heart>>,
    origin: Instant,
    changed: Arc<Notify>,
    view: watch::Sender<Arc<View>>,
}

/// One run of chitchat.
struct Running {
    handle: ChitchatHandle,
    _listener: ListenerHandle,
}

struct Heart {
    beat: Heartbeat,
    heard: Heard,
}

impl Gossip {
    /// Starts to gossip from `address`, the one that peers dial. Must be called inside a tokio runtime.
    pub async fn start(
        identity: Identity,
        address: SocketAddr,
        presence: &Presence,
        settings: GossipSettings,
        transport: impl Transport,
    ) -> Result<Gossip, MembershipError> {
        let transport: Box<dyn Transport> = Box::new(transport);
        let own = keys::initial(presence, identity.incarnation);
        let changed = Arc::new(Notify::new());
        let running =
            Running::start(&identity, 0, address, &settings, own.clone(), transport.as_ref(), &changed).await?;
        let shared = Arc::new(Shared {
            identity,
            address,
            settings,
            transport,
            running: ArcSwap::from_pointee(running),
            own: Mutex::new(own),
            hearts: Mutex::default(),
            origin: Instant::now(),
            changed,
            view: watch::Sender::new(Arc::default()),
        });
        shared.refresh().await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(&shared).run(stop.clone()));
        Ok(Gossip { shared, tasks, _stop_on_drop: stop.clone().drop_guard(), stop })
    }
}

#[async_trait]
impl Membership for Gossip {
    fn view(&self) -> Arc<View> {
        self.shared.view.borrow().clone()
    }

    fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    fn meet(&self, address: SocketAddr) {
        if let Err(error) = self.shared.running.load().handle.gossip(address) {
            tracing::debug!(%address, %error, "gossip is not running at the moment");
        }
    }

    async fn publish(&self, key: &str, value: String) -> Result<(), MembershipError> {
        let name = keys::published(&lock(&self.shared.own), key, &value)?;
        self.shared.say(name, value).await;
        Ok(())
    }

    async fn set_state(&self, state: State) {
        self.shared.say(keys::STATE.to_owned(), state.to_string()).await;
    }

    async fn leave(&self) {
        let others: Vec<SocketAddr> = self.view().members.iter().map(|member| member.address).collect();
        self.set_state(State::Left).await;
        others.into_iter().filter(|address| *address != self.shared.address).for_each(|address| self.meet(address));
        tokio::time::sleep(self.shared.settings.interval * 2).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Shared {
    async fn say(&self, key: String, value: String) {
        let running = self.running.load_full();
        running
            .handle
            .with_chitchat(|chitchat| {
                // Both under chitchat's lock, so that the two never tell different stories.
                lock(&self.own).insert(key.clone(), value.clone());
                chitchat.self_node_state().set(&key, &value);
            })
            .await;
        self.refresh().await;
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut restarts = 0;
        while let Some(end) = self.follow(&stop).await {
            tracing::error!(
                node = %self.identity.node_id, error = %end,
                "gossip has ended unexpectedly; starting it again (the cluster takes this node for dead meanwhile)"
            );
            loop {
                restarts += 1;
                // Peers ignore a heart that beats below the one they know, so the new run is a new generation.
                let own = lock(&self.own).clone();
                let (identity, settings) = (&self.identity, &self.settings);
                let transport = self.transport.as_ref();
                match Running::start(identity, restarts, self.address, settings, own, transport, &self.changed).await {
                    Ok(running) => {
                        self.running.store(Arc::new(running));
                        break;
                    }
                    Err(error) => tracing::error!(node = %self.identity.node_id, %error, "gossip does not start"),
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
            self.refresh().await;
        }
        let _ = self.running.load().handle.initiate_shutdown();
    }

    /// Keeps the view up to date until gossip ends (and says why) or it is told to stop.
    async fn follow(&self, stop: &CancellationToken) -> Option<String> {
        let running = self.running.load_full();
        let mut live = running.handle.chitchat().lock().await.live_nodes_watcher();
        let ended = running.handle.termination_watcher();
        tokio::pin!(ended);
        let mut pulse = tokio::time::interval(self.settings.interval);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                end = &mut ended => {
                    return Some(end.err().map_or_else(|| "it was shut down".to_owned(), |error| error.to_string()));
                }
                // Only a signal: the map inside is a copy of everything that everybody says.
                Ok(()) = live.changed() => self.refresh().await,
                () = self.changed.notified() => self.refresh().await,
                _ = pulse.tick() => self.listen().await,
            }
        }
    }

    async fn refresh(&self) {
        let chitchat = self.running.load().handle.chitchat();
        // Held until the view is out, so that an older view never follows a newer one.
        let chitchat = chitchat.lock().await;
        self.hear(&chitchat);
        let view = self.derive(&chitchat);
        self.view.send_if_modified(|current| {
            let differs = **current != view;
            if differs {
                *current = Arc::new(view);
            }
            differs
        });
    }

    async fn listen(&self) {
        let chitchat = self.running.load().handle.chitchat();
        self.hear(&*chitchat.lock().await);
    }

    fn hear(&self, chitchat: &Chitchat) {
        let mut hearts = lock(&self.hearts);
        hearts.retain(|id, _| chitchat.node_state(id).is_some());
        for (id, node) in chitchat.node_states() {
            match hearts.get_mut(id) {
                Some(heart) if heart.beat == node.heartbeat() => {}
                Some(heart) => {
                    heart.beat = node.heartbeat();
                    heart.heard.beat();
                }
                None => {
                    let heart = Heart { beat: node.heartbeat(), heard: Heard::now(self.origin) };
                    hearts.insert(id.clone(), heart);
                }
            }
        }
    }

    fn derive(&self, chitchat: &Chitchat) -> View {
        let mut newest: BTreeMap<&str, &ChitchatId> = BTreeMap::new();
        for id in chitchat.live_nodes() {
            let known = newest.entry(&id.node_id).or_insert(id);
            if known.generation_id < id.generation_id {
                *known = id;
            }
        }
        let hearts = lock(&self.hearts);
        let members = newest.into_values().filter_map(|id| {
            let heard = match hearts.get(id) {
                Some(heart) if id != chitchat.self_chitchat_id() => heart.heard.clone(),
                _ => Heard::oneself(self.origin),
            };
            keys::member(chitchat.node_state(id)?, heard).filter(|member| member.state != State::Left)
        });
        View { members: members.collect() }
    }
}

impl Running {
    async fn start(
        identity: &Identity,
        restarts: u64,
        address: SocketAddr,
        settings: &GossipSettings,
        own: BTreeMap<String, String>,
        transport: &dyn Transport,
        changed: &Arc<Notify>,
    ) -> Result<Running, MembershipError> {
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(identity.node_id.as_str(), identity.generation.0 + restarts, address),
            cluster_id: identity.cluster.to_string(),
            gossip_interval: settings.interval,
            listen_addr: address,
            // Discovery introduces peers by `meet`: chitchat's own seeds know no SRV, no files, and look again once a
            // minute.
            seed_nodes: Vec::new(),
            failure_detector_config: settings.failure_detector(),
            marked_for_deletion_grace_period: settings.dead_grace,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        let handle = chitchat::spawn_chitchat(config, own.into_iter().collect(), transport)
            .await
            .map_err(|error| MembershipError::Start { address, reason: format!("{error:#}") })?;
        let changed = Arc::clone(changed);
        // Runs under chitchat's lock: a signal and no more.
        let listener = handle
            .with_chitchat(|chitchat| {
                chitchat.subscribe_event("", {
                    let changed = Arc::clone(&changed);
                    move |_| changed.notify_one()
                })
            })
            .await;
        Ok(Running { handle, _listener: listener })
    }
}

// A panic elsewhere leaves these maps whole: each change of them is one insert.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
