//! The second opinion: what it makes a hit and what it does not, that the guard stays first, and that who fails, is late or
//! makes no sense changes nothing.

#![allow(clippy::unwrap_used, reason = "for tests")]

mod support;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerway_cache::semantic::confirm::{ConfirmError, ConfirmStats, PromptPair, Standing};
use peerway_cache::semantic::{Asks, Confirm, Confirmer, Guard, Reason, StaticEmbedder};
use peerway_cache::{CacheConfig, Measure, Question, Refused, RingCache, SemanticConfig, Similar, TenantScope};
use support::{Simulation, entry, node_id, scope};

/// Nothing contradicts, and the guard is far from sure.
const KEPT: &str = "My puppy keeps chewing the furniture. How do I stop it?";
const DOUBTED: &str = "How can I get my young dog to quit gnawing on chairs and tables?";
const SURE: &str = "My puppy keeps chewing the furniture, how do I stop it";
const THERE: &str = "flights from Paris to Rome";
const BACK: &str = "flights from Rome to Paris";

/// Gives its answers in turn, the last one for ever.
#[derive(Debug)]
struct Scripted {
    kind: Confirmer,
    model: String,
    deadline: Duration,
    answers: Mutex<VecDeque<Result<f32, ConfirmError>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(kind: Confirmer, answers: impl IntoIterator<Item = Result<f32, ConfirmError>>) -> Arc<Self> {
        let (model, deadline) = ("m".to_owned(), Duration::from_secs(60));
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self { kind, model, deadline, answers, asked: AtomicUsize::new(0) })
    }

    fn judge(sure: f32) -> Arc<Self> {
        Self::new(Confirmer::Judge, [Ok(sure)])
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Confirm for Scripted {
    fn kind(&self) -> Confirmer {
        self.kind
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn threshold(&self) -> f32 {
        0.9
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    async fn confirm(&self, _: PromptPair<'_>) -> Result<f32, ConfirmError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.deadline.is_zero() {
            std::future::pending::<()>().await;
        }
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.pop_front().unwrap();
        if answers.is_empty() {
            answers.push_back(answer.clone());
        }
        answer
    }
}

fn failed(why: &str) -> Result<f32, ConfirmError> {
    Err(ConfirmError::Failed(why.to_owned()))
}

/// One node, with a model of its own or without.
fn node(cross_encoder: Option<Arc<dyn Confirm>>) -> (Arc<Simulation>, RingCache) {
    let simulation = Simulation::start_with(&["a"], |config: &mut CacheConfig| {
        let embedder = Arc::new(StaticEmbedder::new());
        let cross_encoder = cross_encoder.clone();
        let deadline = Duration::from_secs(10);
        config.semantic = Some(SemanticConfig { deadline, cross_encoder, ..SemanticConfig::new(embedder) });
    });
    let cache = simulation.cache(&node_id("a"));
    (simulation, cache)
}

fn question(cache: &RingCache, scope: &TenantScope, text: &str) -> Question {
    let (_, namespace) = cache.identify(scope, "faq", "chat/completions", b"{}").unwrap();
    Question { namespace, context: [7; 32], text: text.into() }
}

async fn keep(cache: &RingCache, number: usize, text: &str) {
    let entry = entry(cache, number, 100);
    cache.put(entry.clone()).await;
    cache.learn(question(cache, &scope(), text), &entry).await;
}

async fn find(cache: &RingCache, text: &str, measure: Measure<'_>) -> Similar {
    cache.find_similar(&question(cache, &scope(), text), measure).await
}

fn by(judge: &Scripted) -> Measure<'_> {
    Measure { judge: Some(judge), ..Measure::from(0.85) }
}

/// Who decided for a hit; none: the guard alone.
fn decided(similar: &Similar) -> Option<Confirmer> {
    let Similar::Hit { by, .. } = similar else { panic!("no hit: {similar:?}") };
    *by
}

fn refused(similar: &Similar) -> Refused {
    let Similar::Miss(Some(refused)) = similar else { panic!("not refused: {similar:?}") };
    *refused
}

fn stats(cache: &RingCache, of: Confirmer) -> ConfirmStats {
    cache.semantic_stats().unwrap().confirmations.iter().find(|(who, _)| *who == of).unwrap().1
}

#[test]
fn the_texts_stand_where_these_tests_need_them() {
    let of = |second| Standing::of(&Guard::new().judge(KEPT, second), 0.85);
    assert_eq!((of(DOUBTED), of(SURE)), (Standing::Doubt, Standing::Sure));
    assert_eq!(Standing::of(&Guard::new().judge(THERE, BACK), 0.0), Standing::Refused);
}

#[tokio::test]
async fn a_doubt_that_is_confirmed_is_a_hit_and_one_that_is_not_is_none() {
    for (sure, is_hit) in [(1.0, true), (0.9, true), (0.89, false), (0.0, false)] {
        let (_simulation, cache) = node(None);
        keep(&cache, 0, KEPT).await;
        assert_eq!(refused(&find(&cache, DOUBTED, 0.85.into()).await).by, None, "nobody is asked");
        let judge = Scripted::judge(sure);
        let found = find(&cache, DOUBTED, by(&judge)).await;
        let similarity = Guard::new().judge(KEPT, DOUBTED).similarity;
        if is_hit {
            let Similar::Hit { similarity: told, by, .. } = found else { panic!("{sure}: {found:?}") };
            assert_eq!((told, by), (similarity, Some(Confirmer::Judge)), "the guard's own similarity is told");
        } else {
            let Refused { similarity: told, reason, by, .. } = refused(&found);
            assert_eq!((told, reason, by), (similarity, Reason::Doubt, Some(Confirmer::Judge)));
        }
        assert_eq!(judge.asked(), 1);
    }
}

#[tokio::test]
async fn what_a_check_contradicts_is_never_asked_about() {
    let cross_encoder = Scripted::new(Confirmer::CrossEncoder, [Ok(1.0)]);
    let (_simulation, cache) = node(Some(cross_encoder.clone()));
    keep(&cache, 0, THERE).await;
    let judge = Scripted::judge(1.0);
    for asks in [Asks::Doubts, Asks::All] {
        for threshold in [0.0, 0.001, 0.85] {
            let measure = Measure { asks, threshold, ..by(&judge) };
            let found = refused(&find(&cache, BACK, measure).await);
            assert_eq!((found.reason, found.by), (Reason::Direction, None));
        }
    }
    assert_eq!((judge.asked(), cross_encoder.asked()), (0, 0));
}

#[tokio::test]
async fn what_the_guard_is_sure_of_is_asked_about_where_that_is_wanted() {
    for (asks, sure, hit) in
        [(Asks::Doubts, 0.0, Some(None)), (Asks::All, 0.0, None), (Asks::All, 1.0, Some(Some(Confirmer::Judge)))]
    {
        let (_simulation, cache) = node(None);
        keep(&cache, 0, KEPT).await;
        let judge = Scripted::judge(sure);
        let found = find(&cache, SURE, Measure { asks, ..by(&judge) }).await;
        match hit {
            Some(who) => assert_eq!(decided(&found), who, "{asks:?}"),
            None => assert_eq!(refused(&found).by, Some(Confirmer::Judge)),
        }
        assert_eq!(judge.asked(), usize::from(asks == Asks::All));
    }
}

#[tokio::test]
async fn who_wants_to_be_surer_is_not_given_what_was_doubted() {
    let (_simulation, cache) = node(None);
    keep(&cache, 0, KEPT).await;
    let judge = Scripted::judge(1.0);
    let found = find(&cache, DOUBTED, Measure { raises: false, ..by(&judge) }).await;
    assert_eq!((refused(&found).by, judge.asked()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_the_guards_own_verdict_and_gives_a_rest() {
    for answer in [failed("it is broken"), Ok(f32::NAN), Ok(1.5), Ok(-0.1)] {
        let (_simulation, cache) = node(None);
        keep(&cache, 0, KEPT).await;
        let judge = Scripted::new(Confirmer::Judge, [answer, Ok(1.0)]);
        let all = Measure { asks: Asks::All, ..by(&judge) };
        assert_eq!(decided(&find(&cache, SURE, all).await), None, "as sure as without it");
        assert_eq!(judge.asked(), 1);
        // It rests.
        assert_eq!(refused(&find(&cache, DOUBTED, all).await).by, None);
        assert_eq!(judge.asked(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(decided(&find(&cache, DOUBTED, all).await), Some(Confirmer::Judge));
        let told = ConfirmStats { agreed: 1, failed: 1, unasked: 1, ..ConfirmStats::default() };
        assert_eq!(stats(&cache, Confirmer::Judge), told);
    }
}

#[tokio::test]
async fn a_late_answer_is_none() {
    let (_simulation, cache) = node(None);
    keep(&cache, 0, KEPT).await;
    let late = Scripted { deadline: Duration::ZERO, ..Arc::into_inner(Scripted::judge(1.0)).unwrap() };
    assert_eq!(refused(&find(&cache, DOUBTED, by(&late)).await).by, None);
    assert_eq!(stats(&cache, Confirmer::Judge).failed, 1);
}

#[tokio::test]
async fn one_that_cannot_pay_is_no_failure_for_others() {
    let (_simulation, cache) = node(None);
    keep(&cache, 0, KEPT).await;
    let judge = Scripted::new(Confirmer::Judge, [Err(ConfirmError::Declined("no money".to_owned())), Ok(1.0)]);
    assert_eq!(refused(&find(&cache, DOUBTED, by(&judge)).await).by, None);
    assert_eq!(decided(&find(&cache, DOUBTED, by(&judge)).await), Some(Confirmer::Judge), "and not remembered");
    let told = ConfirmStats { agreed: 1, unasked: 1, ..ConfirmStats::default() };
    assert_eq!(stats(&cache, Confirmer::Judge), told);
}

#[tokio::test]
async fn nothing_is_asked_twice_but_of_another_model() {
    let (_simulation, cache) = node(None);
    keep(&cache, 0, KEPT).await;
    for (sure, count) in [(1.0, 5), (0.0, 5)] {
        let judge = Scripted { model: format!("m{sure}"), ..Arc::into_inner(Scripted::judge(sure)).unwrap() };
        for _ in 0..count {
            let found = find(&cache, DOUBTED, by(&judge)).await;
            assert_eq!(matches!(found, Similar::Hit { .. }), sure > 0.5, "remembered as it was answered");
        }
        assert_eq!(judge.asked(), 1);
    }
    let told = ConfirmStats { agreed: 5, refused: 5, remembered: 8, ..ConfirmStats::default() };
    assert_eq!(stats(&cache, Confirmer::Judge), told);
}

#[tokio::test]
async fn all_must_agree_and_who_costs_nothing_is_asked_first() {
    for (local, judge, hit, asked) in [
        (Ok(1.0), Ok(1.0), Some(Confirmer::Judge), (1, 1)),
        (Ok(1.0), Ok(0.0), None, (1, 1)),
        (Ok(0.0), Ok(1.0), None, (1, 0)),
        (failed("broken"), Ok(1.0), None, (1, 0)),
        (Ok(1.0), failed("broken"), None, (1, 1)),
    ] {
        let cross_encoder = Scripted::new(Confirmer::CrossEncoder, [local]);
        let (_simulation, cache) = node(Some(cross_encoder.clone()));
        keep(&cache, 0, KEPT).await;
        let judge = Scripted::new(Confirmer::Judge, [judge]);
        match (find(&cache, DOUBTED, by(&judge)).await, hit) {
            (Similar::Hit { by, .. }, Some(who)) => assert_eq!(by, Some(who)),
            (Similar::Miss(_), None) => {}
            (found, _) => panic!("{found:?}"),
        }
        assert_eq!((cross_encoder.asked(), judge.asked()), asked);
    }
}

#[tokio::test]
async fn at_most_two_candidates_are_asked_about() {
    let (_simulation, cache) = node(None);
    let alike = [KEPT.to_owned(), KEPT.to_lowercase(), KEPT.replace('?', " ?"), KEPT.replace('.', "!")];
    for (number, text) in alike.iter().enumerate() {
        keep(&cache, number, text).await;
    }
    let judge = Scripted::judge(0.0);
    let measure = Measure { asks: Asks::All, ..by(&judge) };
    assert_eq!(refused(&find(&cache, SURE, measure).await).by, Some(Confirmer::Judge));
    assert_eq!(judge.asked(), 2);
}

#[tokio::test]
async fn a_comparison_tells_who_would_be_asked_and_asks_no_judge() {
    let cross_encoder = Scripted::new(Confirmer::CrossEncoder, [Ok(0.95)]);
    let (_simulation, cache) = node(Some(cross_encoder.clone()));
    let judge = Scripted::judge(1.0);
    let told = cache.compare(KEPT, DOUBTED, by(&judge)).await.unwrap().unwrap();
    assert_eq!(told.standing, Standing::Doubt);
    let heard: Vec<_> = told.heard.iter().map(|heard| (heard.who, heard.sure)).collect();
    assert_eq!(heard, [(Confirmer::CrossEncoder, Some(0.95)), (Confirmer::Judge, None)]);
    assert!(cache.compare(KEPT, SURE, by(&judge)).await.unwrap().unwrap().heard.is_empty());
    assert!(cache.compare(THERE, BACK, by(&judge)).await.unwrap().unwrap().heard.is_empty());
    assert_eq!((cross_encoder.asked(), judge.asked()), (1, 0));
}
