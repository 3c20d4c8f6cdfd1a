//! The configuration file, read again on SIGHUP and when it changes, or a file that it names. A bad file keeps the old
//! configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blake3::Hash;
use notify::{RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigErrors, Http, Loaded, Provider, ProviderKey};
use crate::gateway::{Gateway, Plan};
use crate::serve::Embeddings;

/// Editors and Kubernetes write in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(200);
/// How often the files are looked at without being told: those in other folders, and where nobody tells.
const LOOK: Duration = Duration::from_secs(10);

/// A file, and how it is read: with the same flags over it as at the start.
pub struct Source {
    pub file: PathBuf,
    pub load: Box<dyn Fn() -> Result<Loaded, ConfigErrors> + Send + Sync>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.file).finish()
    }
}

#[derive(Debug)]
pub struct Reload {
    source: Source,
    current: Config,
    /// The price file that was named last, so that its repair is noticed too.
    prices: Option<PathBuf>,
    workers: usize,
    gateway: Arc<Gateway>,
    /// What the embedder asks for vectors.
    embeddings: Option<Arc<Embeddings>>,
    success: Arc<AtomicBool>,
}

impl Reload {
    pub(crate) fn new(
        source: Source,
        current: Config,
        workers: usize,
        gateway: Arc<Gateway>,
        embeddings: Option<Arc<Embeddings>>,
        success: Arc<AtomicBool>,
    ) -> Self {
        let prices = current.prices.file.clone();
        Self { source, current, prices, workers, gateway, embeddings, success }
    }

    /// Watches from now on, in the background.
    pub fn start(self) {
        tokio::spawn(self.watch());
    }

    async fn watch(mut self) {
        let changed = Arc::new(Notify::new());
        let _watcher = watch_folder(&self.source.file, Arc::clone(&changed));
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return warn!(%error, "SIGHUP cannot be listened to: the configuration is not read again"),
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.contents();
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = changed.notified() => false,
                _ = look.tick() => false,
            };
            // The folder is watched, so most changes are of other files.
            if !asked && self.contents() == last {
                continue;
            }
            if !asked {
                tokio::time::sleep(SETTLE).await;
            }
            last = self.contents();
            self.apply();
        }
    }

    /// What a change is told by: the configuration, the prices and the secrets that it names.
    fn contents(&self) -> Vec<Option<Hash>> {
        let text = read(&self.source.file);
        let secrets = text.as_deref().map(|text| named_files(&String::from_utf8_lossy(text))).unwrap_or_default();
        let others: Vec<Option<Vec<u8>>> = self.prices.iter().chain(&secrets).map(|file| read(file)).collect();
        std::iter::once(text).chain(others).map(|bytes| bytes.map(|bytes| blake3::hash(&bytes))).collect()
    }

    fn apply(&mut self) {
        let loaded = match (self.source.load)() {
            Ok(loaded) => loaded,
            Err(errors) => {
                error!(%errors, "the changed configuration is not valid: the old one stays in force");
                return self.success.store(false, Ordering::Relaxed);
            }
        };
        self.prices.clone_from(&loaded.config.prices.file);
        let plan = self.gateway.plan.load_full();
        let before = |provider: &Provider| {
            let same = self.current.providers.iter().find(|before| *before == provider)?;
            plan.routes.upstreams().iter().find(|upstream| *upstream.name == *same.name).cloned()
        };
        match Plan::compile_after(&loaded.config, self.workers, before) {
            Ok(plan) => {
                self.gateway.plan.store(Arc::new(plan));
                self.gateway.access.reload(&loaded.config);
                self.gateway.health.reload(&loaded.config.health);
                if let Some(embeddings) = &self.embeddings {
                    embeddings.reload(&loaded.config);
                }
                for (provider, key) in replaced_keys(&self.current, &loaded.config) {
                    self.gateway.health.renew_key(provider, key);
                }
                self.success.store(true, Ordering::Relaxed);
                info!(file = %self.source.file.display(), "the changed configuration is in force");
                for setting in needs_restart(&self.current, &loaded.config) {
                    warn!(setting, "this setting takes effect at the next start only");
                }
                self.current = loaded.config;
            }
            Err(error) => {
                error!(%error, "the changed configuration cannot be used: the old one stays in force");
                self.success.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// What is in a file. A pipe is none: it would be read to its end, and wait for it.
fn read(file: &Path) -> Option<Vec<u8>> {
    std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    std::fs::read(file).ok()
}

/// The files that a configuration's text names as `file:///...`. Those whose names hold variables are left to SIGHUP.
fn named_files(text: &str) -> Vec<PathBuf> {
    let end = |rest: &str| rest.find(|c: char| c.is_whitespace() || "\"',]}".contains(c)).unwrap_or(rest.len());
    let names = text.split("file://").skip(1).filter(|rest| rest.starts_with('/')).map(|rest| &rest[..end(rest)]);
    names.map(PathBuf::from).collect()
}

/// Keys of providers, by provider and id, that have another value than before.
fn replaced_keys<'n>(old: &Config, new: &'n Config) -> Vec<(&'n str, &'n str)> {
    let secrets = |key: &ProviderKey| (key.value.clone(), key.access_key_id.clone(), key.session_token.clone());
    let keys = new.providers.iter().flat_map(|provider| provider.keys.iter().map(move |key| (provider, key)));
    let is_replaced = |(provider, key): &(&Provider, &ProviderKey)| {
        let before = old.providers.iter().find(|before| before.name == provider.name);
        let before = before.and_then(|before| before.keys.iter().find(|before| before.id == key.id));
        before.is_some_and(|before| secrets(before) != secrets(key))
    };
    keys.filter(is_replaced).map(|(provider, key)| (provider.name.as_str(), key.id.as_str())).collect()
}

/// Settings that only the start looks at, if they differ.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let text = |value: Result<serde_json::Value, _>| {
        value.map_or_else(|_: serde_json::Error| String::new(), |v| v.to_string())
    };
    let differ = |old, new| text(old) != text(new);
    let mut settings = Vec::new();
    if differ(serde_json::to_value(&old.node), serde_json::to_value(&new.node)) {
        settings.push("node");
    }
    // All of the block but how bodies are read.
    let as_before = Http { max_body: old.http.max_body, decompress: old.http.decompress, ..new.http.clone() };
    if differ(serde_json::to_value(&old.http), serde_json::to_value(&as_before)) {
        settings.push("http, but for http.max_body and http.decompress");
    }
    if old.admin.listen != new.admin.listen || old.admin.token != new.admin.token {
        settings.push("admin");
    }
    // A secret is no text that could be compared.
    let secret = |config: &Config| config.cluster.as_ref().and_then(|cluster| cluster.secret.clone());
    if differ(serde_json::to_value(&old.cluster), serde_json::to_value(&new.cluster)) || secret(old) != secret(new) {
        settings.push("cluster");
    }
    if old.governance.gather != new.governance.gather {
        settings.push("governance.gather");
    }
    if old.cache.max_memory != new.cache.max_memory || old.cache.max_entry != new.cache.max_entry {
        settings.push("cache.max_memory, cache.max_entry");
    }
    if old.cache.backend != new.cache.backend {
        settings.push("cache.backend");
    }
    let (before, after) = (&old.cache.semantic, &new.cache.semantic);
    if before.embedder != after.embedder || before.vectors != after.vectors {
        settings.push("cache.semantic.embedder, cache.semantic.vectors");
    }
    if before.cross_encoder != after.cross_encoder {
        settings.push("cache.semantic.cross_encoder");
    }
    if differ(serde_json::to_value(&old.observability), serde_json::to_value(&new.observability)) {
        settings.push("observability");
    }
    settings
}

/// Watches the folder, not the file: editors and Kubernetes replace the file, and a watch goes with the inode.
fn watch_folder(file: &Path, changed: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watched {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!(%error, folder = %folder.display(), "the configuration's folder cannot be watched: use SIGHUP");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Config {
        let mut config = json!({
            "http": {"max_body": "1MiB"},
            "cluster": {"secret": "a secret of sixteen"},
            "providers": [
                {"name": "p", "type": "openai", "keys": [{"id": "a", "value": "sk-1"}, {"id": "b", "value": "sk-2"}]},
                {"name": "q", "type": "openai", "keys": [{"id": "a", "value": "sk-1"}]},
            ],
        });
        change(&mut config);
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn a_key_is_replaced_by_another_value_under_its_id() {
        let old = config(|_| {});
        assert!(replaced_keys(&old, &config(|_| {})).is_empty());
        let new = config(|new| {
            new["providers"][0]["keys"][1]["value"] = json!("sk-3");
            new["providers"][1]["keys"][0]["id"] = json!("other");
        });
        assert_eq!(replaced_keys(&old, &new), [("p", "b")]);
    }

    #[test]
    fn files_are_found_by_their_names() {
        let text =
            "a: file:///run/secrets/a\nb: { c: \"file:///b/c\", d: 'file:///d', e: [file:///e,file:///f] } # file://no";
        assert_eq!(named_files(text), ["/run/secrets/a", "/b/c", "/d", "/e", "/f"].map(PathBuf::from));
    }

    #[test]
    fn what_waits_for_the_next_start_is_told() {
        let old = config(|_| {});
        let told = |change: fn(&mut Value)| needs_restart(&old, &config(change)).join("; ");
        assert_eq!(told(|new| new["http"]["max_body"] = json!("2MiB")), "");
        assert_eq!(told(|new| new["providers"] = json!([])), "");
        assert_eq!(
            told(|new| new["cache"] = json!({"ttl": "1m", "semantic": {"enabled": false, "threshold": 0.9}})),
            ""
        );
        for (change, setting) in [
            ((|new| new["http"]["max_concurrent"] = json!(7)) as fn(&mut Value), "http"),
            (|new| new["http"]["timeouts"] = json!({"idle": "9s"}), "http"),
            (|new| new["cluster"]["secret"] = json!("another of sixteen"), "cluster"),
            (|new| new["governance"] = json!({"gather": "9ms"}), "governance.gather"),
            (|new| new["cache"] = json!({"max_entry": "1MiB"}), "cache.max_memory"),
            (|new| new["cache"] = json!({"backend": {"type": "redis", "url": "redis://a"}}), "cache.backend"),
        ] {
            assert!(told(change).starts_with(setting), "{setting}: {}", told(change));
        }
    }
}
