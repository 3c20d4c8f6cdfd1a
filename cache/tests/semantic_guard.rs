//! The guard tells a paraphrase from a near-miss: held over the pairs that come with the repository, and over any text.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]
#![allow(clippy::cast_precision_loss, reason = "counts of some hundred pairs")]

use peerway_cache::semantic::{Guard, Reason, Verdict};
use proptest::prelude::*;

/// The threshold that the configuration has by default.
const THRESHOLD: f32 = 0.85;

struct Pair {
    a: String,
    b: String,
    same: bool,
    kind: String,
    lang: String,
}

fn pairs() -> Vec<Pair> {
    let line = |line: &str| {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| pair[key].as_str().unwrap().to_owned();
        Pair {
            a: text("a"),
            b: text("b"),
            same: pair["same"].as_bool().unwrap(),
            kind: text("type"),
            lang: text("lang"),
        }
    };
    include_str!("data/semantic_pairs.jsonl").lines().map(line).collect()
}

fn judge(a: &str, b: &str) -> Verdict {
    Guard::new().judge(a, b)
}

#[test]
fn near_misses_are_refused_and_paraphrases_served() {
    let (mut served, mut right, mut light, mut lights, mut wrong) = (0, 0, 0, 0, Vec::new());
    for pair in pairs() {
        let hit = judge(&pair.a, &pair.b).similarity >= THRESHOLD;
        match (pair.same, hit) {
            (true, _) => {
                right += 1;
                served += usize::from(hit);
                lights += usize::from(pair.kind == "light_change");
                light += usize::from(hit && pair.kind == "light_change");
            }
            (false, true) => wrong.push(pair.a),
            (false, false) => {}
        }
    }
    assert!(wrong.len() <= 2, "near-misses served: {wrong:#?}");
    assert!(served * 100 >= right * SERVED_PERCENT, "{served} of {right} paraphrases served");
    assert!(light * 100 >= lights * 85, "{light} of {lights} light changes served");
}

/// Percent of the paraphrases that must be served; a little below what is reached.
const SERVED_PERCENT: usize = 72;

#[test]
fn a_judgement_is_the_same_both_ways() {
    for pair in pairs() {
        let (there, back) = (judge(&pair.a, &pair.b), judge(&pair.b, &pair.a));
        assert_eq!(there.similarity >= THRESHOLD, back.similarity >= THRESHOLD, "{} / {}", pair.a, pair.b);
    }
}

#[test]
fn a_text_answers_itself_in_any_language_and_case_of_its_last_mark() {
    for pair in pairs() {
        assert!((judge(&pair.a, &pair.a).similarity - 1.0).abs() < f32::EPSILON);
        if pair.lang != "en" {
            let trimmed = pair.a.trim_end_matches(['.', '?', '!', '。', '？']);
            assert!(judge(&pair.a, trimmed).similarity >= THRESHOLD, "{}", pair.a);
        }
    }
}

#[test]
fn each_contradiction_has_its_reason() {
    let cases = [
        ("flights from Paris to Rome", "flights from Rome to Paris", Reason::Direction),
        ("What is the refund window, 30 days?", "What is the refund window, 60 days?", Reason::Number),
        ("How do I enable dark mode?", "How do I disable dark mode?", Reason::Antonym),
        ("Which files contain the word error?", "Which files do not contain the word error?", Reason::Negation),
        ("What is the capital of Austria?", "What is the capital of Australia?", Reason::Entity),
        ("How do I read a file in Python 2?", "How do I read a file in Python 3?", Reason::Version),
        ("Translate this poem into French.", "Translate this poem into Spanish.", Reason::Language),
        ("What does \"carpe diem\" mean?", "What does \"memento mori\" mean?", Reason::Quoted),
        ("What does parseInt do?", "What does parseFloat do?", Reason::Identifier),
        ("Did Disney acquire Pixar?", "Did Pixar acquire Disney?", Reason::Order),
        ("Run the job if the file exists.", "Run the job unless the file exists.", Reason::Condition),
        (
            "Show all orders that cost more than 50 euros.",
            "Show all orders that cost less than 50 euros.",
            Reason::Comparison,
        ),
        ("Show all of my invoices of this year.", "Show only my invoices of this year.", Reason::Scope),
        ("Show the orders that came in before Monday.", "Show the orders that came in after Monday.", Reason::Time),
        ("Convert 10 stone to kilograms.", "Convert 10 stone to grams.", Reason::Unit),
        ("Is this reaction exothermic?", "Is this reaction endothermic?", Reason::Antonym),
        (
            "Does the insurance pay if I cancel because of an illness?",
            "Does the insurance pay if I cancel because my employer wants me back?",
            Reason::Condition,
        ),
        ("Can I get a refund if I cancel in time?", "Can I get a refund even if I cancel late?", Reason::Condition),
        ("List students who passed all exams", "List students who passed at least one exam", Reason::Scope),
        ("Who was the president of France?", "Who is the president of France?", Reason::Time),
        ("Does the shop open next Sunday?", "Does the shop open this Sunday?", Reason::Time),
        (
            "Recommend a telescope for a child",
            "Recommend a telescope for a child with a tripod and a warranty",
            Reason::Constraint,
        ),
    ];
    for (a, b, reason) in cases {
        let verdict = judge(a, b);
        let contradictions: Vec<_> = verdict
            .checks
            .iter()
            .filter(|check| check.verdict == peerway_cache::semantic::CheckVerdict::Contradicts)
            .map(|check| check.name)
            .collect();
        assert!(verdict.similarity == 0.0 && verdict.reason.is_some(), "{a} / {b}: {verdict:?}");
        assert!(contradictions.contains(&reason), "{a} / {b}: {contradictions:?}");
    }
}

#[test]
fn what_is_asked_for_is_told_from_what_it_is_about() {
    let benefits = "What are the benefits of microservices architecture?";
    assert!(judge(benefits, "Why should I use a microservices pattern?").similarity >= THRESHOLD);
    for other in [
        "What are the drawbacks of a microservices architecture?",
        "Why should I not use a microservices pattern?",
        "How do I deploy a microservices architecture?",
        "Why should I use a monolith?",
    ] {
        assert!(judge(benefits, other).similarity < THRESHOLD, "{other}");
    }
    assert!(judge("What causes inflation?", "How can I stop inflation?").similarity < THRESHOLD);
}

#[test]
fn slips_are_seen_through_and_words_that_look_alike_are_not_slips() {
    for (a, b) in [
        ("How do I merge two dictionaries in Python?", "hwo do i merge two dictionaries in pyhton"),
        ("What is the boiling temperature of water?", "waht is teh boiling temprature of watre"),
    ] {
        assert!(judge(a, b).similarity >= THRESHOLD, "{a} / {b}: {:?}", judge(a, b));
    }
    for (a, b) in [
        ("Is nitrite toxic for fish?", "Is nitrate toxic for fish?"),
        ("What is hyperthermia?", "What is hypothermia?"),
    ] {
        assert!(judge(a, b).similarity < THRESHOLD, "{a} / {b}");
    }
}

#[test]
fn accents_that_are_left_out_altogether_do_not_matter() {
    let typed = "quels sont les effets de l'ibuprofene sur l'estomac";
    assert!(judge("Quels sont les effets de l'ibuprofène sur l'estomac ?", typed).similarity >= THRESHOLD);
    assert!(judge("¿Cuántos años tiene?", "¿Cuántos anos tiene?").similarity < THRESHOLD);
}

#[test]
fn texts_beyond_the_bound_are_a_miss_and_cost_nothing() {
    let long = "How do I deploy to Kubernetes? ".repeat(3_500);
    assert!(long.len() > 100_000);
    let other = format!("{long}!");
    assert_eq!(judge(&long, &other).reason, Some(Reason::TooLong));
    assert!((judge(&long, &long).similarity - 1.0).abs() < f32::EPSILON);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_texts_are_judged_without_a_panic(a in any::<String>(), b in any::<String>()) {
        let verdict = judge(&a, &b);
        prop_assert!((0.0..=1.0).contains(&verdict.similarity));
        prop_assert_eq!(verdict.reason.is_none(), verdict.similarity >= THRESHOLD);
    }

    #[test]
    fn prompts_of_odd_tokens_are_judged_without_a_panic(a in "[a-z0-9'\".,:/=<>()%°²€$½ \\-A-Z_\n]{0,80}", b in "(one|half past|two|1/2|12:30|\"|“|«|from|to|not|n't|k8s|é|漢| |-|½){0,20}") {
        let verdict = judge(&a, &b);
        prop_assert!((0.0..=1.0).contains(&verdict.similarity));
        prop_assert!((judge(&b, &b).similarity - 1.0).abs() < f32::EPSILON);
    }
}
