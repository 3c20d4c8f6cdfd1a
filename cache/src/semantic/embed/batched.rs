//! Stands between those who ask and a model that is dear to ask: equal texts are asked once, what waits is asked together.
//!
//! A vector that is known is given at once. A text whose vector is not waits in a bounded queue until one of a few calls is
//! free, which takes all that waits, so that calls grow with the load and nobody waits for a batch to fill.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{EmbedError, Embedder, bounded};

/// A text is cut here: beyond it a prompt is no hit but for the same one, and no service refuses it for its length.
const LONGEST_TEXT: usize = 8 * 1024;
/// What a known vector takes beside its numbers.
const OVERHEAD: usize = 128;

/// Gives vectors for many texts at once.
#[async_trait]
pub trait Model: std::fmt::Debug + Send + Sync + 'static {
    /// As [`Embedder::space`].
    fn space(&self) -> &str;

    /// A vector of length 1 for each text, in their order, or why there is none. Takes bounded time.
    async fn vectors(&self, texts: &[Arc<str>]) -> Vec<Result<Arc<[f32]>, String>>;
}

/// How much is taken on.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Texts in one call.
    pub batch: usize,
    /// Calls at once.
    pub calls: usize,
    /// Texts that wait for a call; one more is an error.
    pub waiting: usize,
    /// How long anybody waits for a vector.
    pub deadline: Duration,
    /// Memory for vectors that are known.
    pub known_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { batch: 64, calls: 4, waiting: 1024, deadline: Duration::from_secs(2), known_bytes: 16 << 20 }
    }
}

/// A [`Model`] as an [`Embedder`].
#[derive(Debug, Clone)]
pub struct Batched {
    inner: Arc<Inner>,
}

type Key = [u8; 32];
type Told = Result<Arc<[f32]>, EmbedError>;
type Answer = Shared<oneshot::Receiver<Told>>;

#[derive(Debug)]
struct Inner {
    model: Arc<dyn Model>,
    bounds: Bounds,
    runtime: Handle,
    known: moka::sync::Cache<Key, Arc<[f32]>>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<Text>,
    /// What others asked for and do not have yet.
    answers: HashMap<Key, WeakShared<oneshot::Receiver<Told>>>,
    calls: usize,
}

#[derive(Debug)]
struct Text {
    key: Key,
    text: Arc<str>,
    tell: oneshot::Sender<Told>,
}

impl Batched {
    /// Calls to the model run on `runtime`.
    #[must_use]
    pub fn new(model: Arc<dyn Model>, bounds: Bounds, runtime: Handle) -> Self {
        let known = moka::sync::Cache::builder()
            .weigher(|_: &Key, vector: &Arc<[f32]>| {
                u32::try_from(size_of_val::<[f32]>(vector) + OVERHEAD).unwrap_or(u32::MAX)
            })
            .max_capacity(bounds.known_bytes)
            .build();
        Self { inner: Arc::new(Inner { model, bounds, runtime, known, waiting: Mutex::default() }) }
    }
}

#[async_trait]
impl Embedder for Batched {
    fn space(&self) -> &str {
        self.inner.model.space()
    }

    async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        let text = bounded(text, LONGEST_TEXT);
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        if let Some(vector) = self.inner.known.get(&key) {
            return Ok(vector);
        }
        let answer = self.inner.ask(key, text)?;
        let deadline = self.inner.bounds.deadline;
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => Err(self.inner.failed("the call was given up")),
            Err(_) => Err(self.inner.failed(format!("no vector within {deadline:?}"))),
        }
    }
}

impl Inner {
    fn failed(&self, reason: impl Into<String>) -> EmbedError {
        EmbedError { embedder: self.model.space().to_owned(), reason: reason.into() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits with those who ask for the same text already, or puts it in the queue.
    fn ask(self: &Arc<Self>, key: Key, text: &str) -> Result<Answer, EmbedError> {
        let mut waiting = self.waiting();
        if let Some(answer) = waiting.answers.get(&key).and_then(WeakShared::upgrade) {
            return Ok(answer);
        }
        if waiting.texts.len() >= self.bounds.waiting {
            waiting.forget_abandoned();
        }
        if waiting.texts.len() >= self.bounds.waiting {
            return Err(self.failed(format!("{} texts wait already", self.bounds.waiting)));
        }
        let (tell, told) = oneshot::channel();
        let answer = told.shared();
        waiting.answers.extend(answer.downgrade().map(|weak| (key, weak)));
        waiting.texts.push_back(Text { key, text: text.into(), tell });
        if waiting.calls < self.bounds.calls {
            waiting.calls += 1;
            drop(waiting);
            let call = Call { inner: Arc::clone(self), over: false };
            self.runtime.spawn(call.run());
        }
        Ok(answer)
    }
}

impl Waiting {
    /// Lets go of texts for which nobody waits any more.
    fn forget_abandoned(&mut self) {
        let Self { texts, answers, .. } = self;
        texts.retain(|text| {
            let wanted = !text.tell.is_closed();
            if !wanted {
                answers.remove(&text.key);
            }
            wanted
        });
    }
}

/// One of the calls that may run at once.
#[derive(Debug)]
struct Call {
    inner: Arc<Inner>,
    over: bool,
}

impl Call {
    async fn run(mut self) {
        // Those who ask in the same moment go into the same call.
        tokio::task::yield_now().await;
        while let Some(batch) = self.take() {
            let texts: Vec<Arc<str>> = batch.iter().map(|text| Arc::clone(&text.text)).collect();
            let mut vectors = self.inner.model.vectors(&texts).await.into_iter();
            for text in batch {
                let told = vectors.next().unwrap_or_else(|| Err("a vector is missing".to_owned()));
                self.inner.tell(text, told);
            }
        }
    }

    /// What waits, up to the bound; none: the call is over.
    fn take(&mut self) -> Option<Vec<Text>> {
        let mut waiting = self.inner.waiting();
        waiting.forget_abandoned();
        let count = waiting.texts.len().min(self.inner.bounds.batch.max(1));
        if count == 0 {
            waiting.calls -= 1;
            self.over = true;
            return None;
        }
        Some(waiting.texts.drain(..count).collect())
    }
}

// A model that panics must not take a place among the calls for ever.
impl Drop for Call {
    fn drop(&mut self) {
        if !self.over {
            self.inner.waiting().calls -= 1;
        }
    }
}

impl Inner {
    fn tell(&self, text: Text, told: Result<Arc<[f32]>, String>) {
        let told = told.map_err(|reason| self.failed(reason));
        if let Ok(vector) = &told {
            self.known.insert(text.key, Arc::clone(vector));
        }
        self.waiting().answers.remove(&text.key);
        // Nobody may be waiting any more.
        let _ = text.tell.send(told);
    }
}
