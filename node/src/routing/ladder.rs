//! The targets of one request in the order in which they are tried.

use std::sync::Arc;

use rand::RngExt;

use super::explanation::{Considered, Explanation};
use super::size::need;
use super::strategy::{Candidate, order, shares};
use super::{Facts, Observed, Route, Session, Size, Standing, Target, keys};
use crate::config::Strategy;
use crate::governance::{Mode, NanoUsd, PriceBook};
use crate::provider::UpstreamKey;

/// Rungs beyond this are left out: nobody waits for so many failures.
const HIGHEST: usize = 32;
/// An answer's length where the request says nothing of it, for comparing prices.
const USUAL_OUTPUT: u64 = 1_000;

/// What an order depends on, besides the route.
#[derive(Clone, Copy)]
pub struct LadderRequest<'a> {
    pub session: Option<Session>,
    /// Of the request, in its order.
    pub fallbacks: &'a [Arc<Route>],
    pub size: &'a dyn Size,
    pub prices: &'a PriceBook,
    /// What its key makes of a provider's weight.
    pub weighs: &'a dyn Fn(&str) -> f64,
    pub observed: &'a dyn Observed,
    /// Whether somebody wants to know why.
    pub explain: bool,
}

impl std::fmt::Debug for LadderRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { session, explain, fallbacks, .. } = self;
        let fallbacks = fallbacks.len();
        write!(f, "LadderRequest {{ session: {session:?}, fallbacks: {fallbacks}, explain: {explain} }}")
    }
}

/// How a target came to its rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Target,
    /// Named in the request's body.
    RequestFallback,
    RouteFallback,
    /// Only for requests that are longer than others take.
    ContextFallback,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::RequestFallback => "request_fallback",
            Self::RouteFallback => "route_fallback",
            Self::ContextFallback => "context_fallback",
        }
    }
}

/// Why the next target is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// This one cannot answer.
    Failed,
    /// This one has answered that the request is longer than its context window: only a longer one can help.
    ContextExceeded,
}

/// The targets of one request in the order in which they are tried.
#[derive(Debug)]
pub struct Ladder {
    targets: Vec<Target>,
    /// Of each target.
    rungs: Vec<Rung>,
    session: Option<Session>,
    explanation: Option<Box<Explanation>>,
}

#[derive(Debug, Clone, Copy)]
struct Rung {
    role: Role,
    /// The model's context window, where it is known.
    window: Option<u64>,
}

impl Ladder {
    /// One target and nothing else.
    fn single(target: Target, role: Role, session: Option<Session>) -> Self {
        Self { targets: vec![target], rungs: vec![Rung { role, window: None }], session, explanation: None }
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The first to try. None: nothing is left that may be tried.
    pub fn first(&self) -> Option<usize> {
        (!self.targets.is_empty()).then_some(0)
    }

    /// The target to try after the one on this rung; none: what it answered is the answer.
    pub fn next(&self, rung: usize, why: Why) -> Option<usize> {
        let later = rung + 1..self.targets.len();
        let is_for_context = |rung: &usize| self.rungs[*rung].role == Role::ContextFallback;
        match why {
            Why::Failed if is_for_context(&rung) => later.into_iter().find(is_for_context),
            Why::Failed => later.into_iter().find(|rung| !is_for_context(rung)),
            Why::ContextExceeded => {
                let window = self.rungs[rung].window;
                let is_longer = |rung: &usize| window.is_some() && self.rungs[*rung].window > window;
                later.clone().find(is_for_context).or_else(|| later.clone().find(is_longer))
            }
        }
    }

    /// Whether the first failure is what the client is told when all have failed: its own fallbacks are a second choice,
    /// and what became of them would answer another question.
    pub fn tells_of_the_first(&self) -> bool {
        self.rungs.iter().any(|rung| rung.role == Role::RequestFallback)
    }

    /// The provider's key to send on this rung, leaving out those that have failed this request. `None` inside: the
    /// provider needs no key. `None` outside: no key is left.
    pub fn key(&self, rung: usize, failed: &[Arc<str>], observed: &dyn Observed) -> Option<Option<&UpstreamKey>> {
        keys::choose(&self.targets[rung], failed, self.session.as_ref(), observed, &mut random)
    }

    /// Leaves out the targets that do not pass.
    pub fn retain(&mut self, why_not: &str, mut keep: impl FnMut(&Target) -> bool) {
        let kept: Vec<bool> = self.targets.iter().map(&mut keep).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        let mut is_kept = kept.iter();
        self.targets.retain(|_| is_kept.next() == Some(&true));
        let mut is_kept = kept.iter();
        self.rungs.retain(|_| is_kept.next() == Some(&true));
        if let Some(explanation) = &mut self.explanation {
            explanation.pass_over(&kept, why_not);
        }
    }

    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_deref()
    }
}

fn random() -> f64 {
    rand::rng().random()
}

/// A target on its way to a rung.
struct Step {
    target: Target,
    role: Role,
    facts: Facts,
    window: Option<u64>,
    why: &'static str,
    cost: Option<u64>,
    share: Option<f64>,
}

impl Step {
    /// What goes behind what: a breaker that is half open is tried by those only whom it is meant for.
    fn rank(&self) -> u8 {
        match self.facts.standing {
            _ if self.role == Role::ContextFallback => 3,
            Standing::Up => 0,
            Standing::ProbeDue => 1,
            Standing::Down(_) => 2,
        }
    }
}

impl Route {
    /// Its targets as the request's session or the route's strategy orders them, the fallbacks of the request, those of
    /// the route; what is down behind what is up. Where the request is longer than some of them take, these are left out.
    pub fn ladder(&self, request: &LadderRequest<'_>) -> Ladder {
        self.ladder_drawn(request, &mut random)
    }

    pub(super) fn ladder_drawn(&self, request: &LadderRequest<'_>, draw: &mut dyn FnMut() -> f64) -> Ladder {
        if let ([target], [], [], [], false) =
            (&*self.targets, &*self.fallbacks, &*self.context_fallbacks, request.fallbacks, request.explain)
        {
            return Ladder::single(target.clone(), Role::Target, request.session);
        }
        let mut steps = self.ordered(Role::Target, request, draw);
        for route in request.fallbacks {
            steps.extend(route.ordered(Role::RequestFallback, request, draw));
            steps.extend(in_turn(&route.fallbacks, Role::RequestFallback, "fallback named in the request", request));
        }
        steps.extend(in_turn(&self.fallbacks, Role::RouteFallback, "fallback of the route", request));
        let why = "only for requests that are longer than another target takes";
        steps.extend(in_turn(&self.context_fallbacks, Role::ContextFallback, why, request));
        let mut steps = without_doubles(steps);
        steps.truncate(HIGHEST);
        let passed_over = pass_over_too_short(&mut steps, request.size);
        put_what_is_down_behind(&mut steps, request.session.is_some());
        let explanation = request.explain.then(|| Box::new(self.explain(&steps, &passed_over, request)));
        let (targets, rungs) =
            steps.into_iter().map(|step| (step.target, Rung { role: step.role, window: step.window })).unzip();
        Ladder { targets, rungs, session: request.session, explanation }
    }

    /// The route's own targets.
    fn ordered(&self, role: Role, request: &LadderRequest<'_>, draw: &mut dyn FnMut() -> f64) -> Vec<Step> {
        let candidates: Vec<Candidate> = self
            .targets
            .iter()
            .map(|target| {
                let needs_cost = self.strategy == Strategy::Cheapest || request.explain;
                let cost = if needs_cost { cost(target, request) } else { None };
                let weight = target.weight * (request.weighs)(&target.upstream.name);
                Candidate { weight, facts: request.observed.of_target(target), cost }
            })
            .collect();
        let shares = if request.explain { shares(self.strategy, &candidates) } else { None };
        let order = match request.session {
            Some(session) => {
                let targets = self.targets.iter().zip(&candidates);
                session.order(targets.map(|(target, it)| ([&*target.upstream.name, &*target.model], it.weight)))
            }
            None => order(self.strategy, &candidates, draw),
        };
        let why = if request.session.is_some() { "by the session's hash" } else { reason(self.strategy) };
        let step = |index: usize| Step {
            target: Target { weight: candidates[index].weight, ..self.targets[index].clone() },
            role,
            facts: candidates[index].facts.clone(),
            window: window(&self.targets[index], request),
            why,
            cost: candidates[index].cost,
            share: shares.as_ref().map(|shares| shares[index]),
        };
        order.into_iter().map(step).collect()
    }

    fn explain(&self, steps: &[Step], passed_over: &[Step], request: &LadderRequest<'_>) -> Explanation {
        let considered = |step: &Step| Considered {
            target: step.target.name(),
            role: step.role.as_str(),
            place: None,
            why: match &step.facts.standing {
                Standing::Up => step.why.to_owned(),
                Standing::ProbeDue => "its breaker is half open: one request tries it".to_owned(),
                Standing::Down(reason) => format!("last, as it is down: {reason}"),
            },
            weight: step.target.weight,
            share: step.share,
            health: step.facts.health,
            latency_ms: step.facts.latency.map(|latency| latency.as_millis() as u64),
            in_flight: step.facts.in_flight,
            cost_usd: step.cost.map(|cost| NanoUsd::new(cost).to_string()),
            context: step.window,
            key: request.session.as_ref().and_then(|session| {
                let key = keys::choose(&step.target, &[], Some(session), request.observed, &mut || 0.0);
                key.flatten().map(|key| key.id.to_string())
            }),
        };
        let placed = steps.iter().enumerate().map(|(index, step)| {
            let place = Some(index + 1);
            Considered { place, ..considered(step) }
        });
        let left_out = passed_over.iter().map(|step| {
            let why = format!("about {} tokens do not fit its context window", need(request.size));
            Considered { why, ..considered(step) }
        });
        Explanation {
            route: self.label.to_string(),
            strategy: self.strategy.as_str(),
            session: request.session.is_some(),
            candidates: placed.chain(left_out).collect(),
            more: 0,
        }
    }
}

/// The first of those that are the same.
fn without_doubles(steps: Vec<Step>) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        if !kept.iter().any(|one| one.target.is_same(&step.target)) {
            kept.push(step);
        }
    }
    kept
}

fn reason(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Weighted => "drawn by weight",
        Strategy::Adaptive => "drawn by weight and health",
        Strategy::Fastest => "by latency",
        Strategy::Cheapest => "by price",
        Strategy::LeastInFlight => "the lesser in flight of two drawn by weight",
    }
}

/// Targets that have an order of their own.
fn in_turn<'a>(
    targets: &'a [Target],
    role: Role,
    why: &'static str,
    request: &'a LadderRequest<'_>,
) -> impl Iterator<Item = Step> + 'a {
    targets.iter().map(move |target| Step {
        target: target.clone(),
        role,
        facts: request.observed.of_target(target),
        window: window(target, request),
        why,
        cost: if request.explain { cost(target, request) } else { None },
        share: None,
    })
}

fn window(target: &Target, request: &LadderRequest<'_>) -> Option<u64> {
    request.prices.find(&target.upstream.name, &target.model)?.limits.context
}

/// What the request may cost at most, in nano-USD.
fn cost(target: &Target, request: &LadderRequest<'_>) -> Option<u64> {
    let price = request.prices.find(&target.upstream.name, &target.model)?;
    let output = request.size.output_tokens().unwrap_or(USUAL_OUTPUT);
    Some(price.worst_case(request.size.prompt_tokens(), output, Mode::Standard).get())
}

/// Takes out the targets whose window is known to be too short, if another one is left; where only a context fallback is
/// left, it is a target like any other. Counts the request only where the windows differ.
fn pass_over_too_short(steps: &mut Vec<Step>, size: &dyn Size) -> Vec<Step> {
    let [first, others @ ..] = steps.as_slice() else { return Vec::new() };
    if others.iter().all(|step| step.window == first.window) {
        return Vec::new();
    }
    let need = need(size);
    let fits = |step: &Step| step.window.is_none_or(|window| need <= window);
    if !steps.iter().any(fits) || steps.iter().all(fits) {
        return Vec::new();
    }
    let passed_over = steps.extract_if(.., |step| !fits(step)).collect();
    if steps.iter().all(|step| step.role == Role::ContextFallback) {
        for step in steps {
            step.role = Role::RouteFallback;
            step.why = "context fallback: the request fits no other target";
        }
    }
    passed_over
}

/// What is down goes behind all that is up. Of the targets with a half-open breaker the first comes first: somebody must
/// try it. In a session that is nobody's but the session's own target, so that it stays where it is.
fn put_what_is_down_behind(steps: &mut Vec<Step>, in_session: bool) {
    let may_probe = if in_session { 1 } else { steps.len() };
    let is_probe = |step: &Step| step.role == Role::Target && step.facts.standing == Standing::ProbeDue;
    let probe = steps.iter().take(may_probe).position(is_probe).map(|index| steps.remove(index));
    steps.sort_by_key(Step::rank);
    if let Some(probe) = probe {
        steps.insert(0, probe);
    }
}
