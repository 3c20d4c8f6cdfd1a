//! Promises that hold for every ladder, whatever the route and the state of its targets.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::gateway::Plan;

const PROVIDERS: usize = 4;
const MODELS: [(&str, Option<u64>); 3] = [("short", Some(100)), ("long", Some(10_000)), ("unknown", None)];

/// The standing of each provider.
#[derive(Debug)]
struct Standings([Standing; PROVIDERS]);

impl Observed for Standings {
    fn of_key(&self, target: &Target, _: Option<&Arc<str>>) -> Facts {
        let index: usize = target.upstream.name[1..].parse().unwrap();
        Facts { standing: self.0[index].clone(), ..Facts::default() }
    }
}

fn plan(strategy: &str, lists: &[Vec<(usize, usize)>; 3]) -> Plan {
    let prices = tempfile::NamedTempFile::new().unwrap();
    let mut rows = "models:\n".to_owned();
    for provider in 0..PROVIDERS {
        for (model, window) in MODELS {
            let Some(window) = window else { continue };
            rows +=
                &format!("  - {{ provider: p{provider}, model: {model}, input: 1, output: 1, context: {window} }}\n");
        }
    }
    std::fs::write(prices.path(), rows).unwrap();
    let provider = |index: usize| json!({"name": format!("p{index}"), "type": "openai_compatible", "base_url": "https://p.example/v1"});
    let targets = |list: &[(usize, usize)]| -> Value {
        list.iter()
            .map(|(provider, model)| json!({"provider": format!("p{provider}"), "model": MODELS[*model].0}))
            .collect()
    };
    let config = json!({
        "providers": (0..PROVIDERS).map(provider).collect::<Vec<_>>(),
        "prices": {"file": prices.path()},
        "routes": [{"model": "route", "strategy": strategy, "targets": targets(&lists[0]),
            "fallbacks": targets(&lists[1]), "context_fallbacks": targets(&lists[2])}],
    });
    Plan::compile(&serde_json::from_value(config).unwrap(), 1).unwrap()
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![Just(Standing::Up), Just(Standing::ProbeDue), Just(Standing::Down("it is".to_owned()))]
}

fn list(least: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((0..PROVIDERS, 0..MODELS.len()), least..5)
}

fn window(target: &Target) -> Option<u64> {
    MODELS.iter().find(|(name, _)| *name == &*target.model).and_then(|(_, window)| *window)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_ladder_keeps_its_promises(
        strategy in prop_oneof![Just("weighted"), Just("adaptive"), Just("fastest"), Just("cheapest"), Just("least_in_flight")],
        lists in [list(1), list(0), list(0)],
        named in list(0),
        standings in [standing(), standing(), standing(), standing()],
        session in any::<Option<u16>>(),
        prompt_tokens in prop_oneof![Just(10_u64), Just(1_000), Just(100_000)],
    ) {
        let plan = plan(strategy, &lists);
        let route = plan.routes.resolve("route").unwrap();
        let fallbacks: Vec<Arc<Route>> = named.iter().map(|(provider, model)| {
            plan.routes.resolve(&format!("p{provider}/{}", MODELS[*model].0)).unwrap()
        }).collect();
        let request = LadderRequest {
            session: session.map(|id| Session::new("key", &id.to_le_bytes())),
            fallbacks: &fallbacks,
            size: &Told { prompt_tokens, output_tokens: None },
            prices: &plan.prices,
            weighs: &|_| 1.0,
            observed: &Standings(standings),
            explain: true,
        };
        let ladder = route.ladder(&request);
        let names: Vec<String> = ladder.targets().iter().map(Target::name).collect();

        // Each target at most once, and none that nobody named.
        let known: BTreeSet<String> = lists.iter().flatten().chain(&named).map(|(provider, model)| {
            format!("p{provider}/{}", MODELS[*model].0)
        }).collect();
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        prop_assert!(names.iter().all(|name| known.contains(name)));

        // Whoever is left fits if anybody does, and nobody is left out otherwise.
        let fits = |target: &Target| window(target).is_none_or(|window| prompt_tokens <= window);
        let any_fits = known.iter().any(|name| plan.routes.resolve(name).unwrap().targets().all(fits));
        prop_assert_eq!(ladder.targets().iter().all(fits), any_fits);
        prop_assert!(any_fits || names.len() == known.len());

        // Going up after failures ends, starts with what is up where something is, and asks what is down last.
        let mut way = Vec::new();
        let mut next = ladder.first();
        while let Some(rung) = next {
            way.push(request.observed.of_target(&ladder.targets()[rung]).standing);
            next = ladder.next(rung, Why::Failed);
            prop_assert!(next.is_none_or(|next| next > rung));
        }
        let rank = |standing: &Standing| matches!(standing, Standing::Down(_));
        prop_assert!(way.iter().map(rank).is_sorted(), "{way:?}");

        // A longer window is all that helps against too short a one.
        for rung in 0..names.len() {
            if let Some(next) = ladder.next(rung, Why::ContextExceeded) {
                let [here, there] = [rung, next].map(|rung| window(&ladder.targets()[rung]));
                let is_for_context = ladder.explanation().unwrap().candidates[next].role == "context_fallback";
                prop_assert!(is_for_context || there > here, "{here:?} {there:?}");
            }
        }

        // The explanation tells the same, and of everybody.
        let told = ladder.explanation().unwrap();
        let placed: Vec<&String> =
            told.candidates.iter().filter(|one| one.place.is_some()).map(|one| &one.target).collect();
        prop_assert_eq!(placed, names.iter().collect::<Vec<_>>());
        prop_assert_eq!(told.candidates.len(), known.len());

        // A session's ladder is the same again.
        if session.is_some() {
            let again: Vec<String> = route.ladder(&request).targets().iter().map(Target::name).collect();
            prop_assert_eq!(again, names);
        }
    }
}

#[test]
fn what_is_left_out_later_is_told_too() {
    let plan = plan("weighted", &[vec![(0, 0), (1, 0)], vec![(2, 0)], vec![]]);
    let route = plan.routes.resolve("route").unwrap();
    let mut ladder = route.ladder(&LadderRequest {
        session: None,
        fallbacks: &[],
        size: &Told::default(),
        prices: &plan.prices,
        weighs: &|_| 1.0,
        observed: &Unobserved,
        explain: true,
    });
    ladder.retain("nobody likes it", |target| &*target.upstream.name != "p1");
    assert_eq!(ladder.targets().iter().map(Target::name).collect::<Vec<_>>(), ["p0/short", "p2/short"]);
    let told: Vec<(Option<usize>, &str)> =
        ladder.explanation().unwrap().candidates.iter().map(|one| (one.place, &*one.target)).collect();
    assert_eq!(told, [(Some(1), "p0/short"), (Some(2), "p2/short"), (None, "p1/short")]);
    assert_eq!(ladder.explanation().unwrap().candidates[2].why, "nobody likes it");
}

#[test]
fn a_keys_weights_steer_among_the_providers_of_a_route() {
    let plan = plan("weighted", &[vec![(0, 0), (1, 0), (2, 0)], vec![], vec![]]);
    let route = plan.routes.resolve("route").unwrap();
    let weighs = |provider: &str| match provider {
        "p0" => 6.0,
        "p1" => 3.0,
        _ => 1.0,
    };
    let request = LadderRequest {
        session: None,
        fallbacks: &[],
        size: &Told::default(),
        prices: &plan.prices,
        observed: &Unobserved,
        weighs: &weighs,
        explain: true,
    };
    let ladder = route.ladder(&request);
    let mut told: Vec<(&str, f64, Option<f64>)> =
        ladder.explanation().unwrap().candidates.iter().map(|one| (&*one.target, one.weight, one.share)).collect();
    told.sort_by(|one, two| one.0.cmp(two.0));
    assert_eq!(told, [("p0/short", 6.0, Some(0.6)), ("p1/short", 3.0, Some(0.3)), ("p2/short", 1.0, Some(0.1))]);
    // Sessions spread by the same.
    let first = |session: u16| {
        let session = Some(Session::new("key", &session.to_le_bytes()));
        route.ladder(&LadderRequest { session, ..request }).targets()[0].name()
    };
    let at_p0 = (0..1_000).filter(|session| first(*session) == "p0/short").count();
    assert!((500..700).contains(&at_p0), "{at_p0}");
}
