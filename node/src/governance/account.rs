//! What one request has cost, over all its attempts, whichever way they ended.
//!
//! | how an attempt ended | what is charged |
//! |---|---|
//! | the provider states a usage | that; a stated zero is zero |
//! | whole, but without a usage | the prompt by [`Estimate`], what was written by [`Written`] |
//! | a stream that broke off, or that nobody could wait for | the same, of what had come, and no less than what was stated so far |
//! | speech, of which nobody says how much it is | the same, a token for so many bytes of it, but no more than was reserved |
//! | an answer whose end is missing | the prompt, and all the output that could be asked for: the provider had written it |
//! | no answer, though the request was sent | the prompt: the provider may have begun |
//! | refused with an error status, or never sent | nothing |
//!
//! All but the first and the last are estimates, and flagged as such. They are upper bounds: a budget that holds must
//! not be charged less than the provider bills.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use peerway_dialect::Dialect;
use tracing::warn;

use super::{Estimate, Limits, Mode, NanoUsd, Price, Written};
use crate::dialect::openai::Usage;

/// Larger bodies are not kept for an estimate that is seldom needed.
const KEEP: usize = 16 << 10;

/// No model takes or writes more tokens for one request: a usage beyond it is a mistake, and must not use a budget up for
/// good.
const MOST_TOKENS: u64 = 100_000_000;

/// Why a charge is an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The provider did not state what was used.
    NoUsage,
    /// The provider broke its stream off.
    Cut,
    /// The client went away, and the answer's end was not waited for.
    ClientGone,
    /// A timeout of the provider's passed after the request was sent.
    Deadline,
    /// The connection was lost after the request was sent.
    Transport,
    /// The answer could not be read, or was longer than the gateway takes.
    Malformed,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::NoUsage, Self::Cut, Self::ClientGone, Self::Deadline, Self::Transport, Self::Malformed];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoUsage => "no_usage",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
            Self::Deadline => "deadline",
            Self::Transport => "transport",
            Self::Malformed => "malformed",
        }
    }
}

/// What is known of a request before it is sent. The estimate takes a walk through the body, so it is made only when
/// it is asked for.
#[derive(Debug)]
pub struct Asked {
    dialect: Dialect,
    body: Option<Bytes>,
    length: usize,
    estimate: OnceLock<Estimate>,
    /// Output tokens of an operation that has no words for how many there may be, whatever its body says.
    output: Option<u64>,
    /// Output tokens where neither the request nor the model bounds them.
    default_output: u64,
    /// Output tokens a choice that the gateway asks for, because its budgets cannot pay for more.
    cap: Option<u64>,
}

impl Asked {
    pub fn new(dialect: Dialect, body: Bytes, default_output: u64) -> Self {
        Self {
            dialect,
            length: body.len(),
            body: Some(body),
            estimate: OnceLock::new(),
            output: None,
            default_output,
            cap: None,
        }
    }

    /// A request that has been estimated already.
    pub fn estimated(estimate: Estimate, default_output: u64) -> Self {
        let estimate = OnceLock::from(estimate);
        Self { dialect: Dialect::OpenAiChat, length: 0, body: None, estimate, output: None, default_output, cap: None }
    }

    /// Of an answer that has so many output tokens, whatever the body says.
    pub fn with_output(self, output: u64) -> Self {
        let estimate = self.estimate.into_inner().map(|estimate| Estimate { asked_output: Some(output), ..estimate });
        let estimate = estimate.map_or_else(OnceLock::new, OnceLock::from);
        Self { estimate, output: Some(output), ..self }
    }

    pub fn estimate(&self) -> &Estimate {
        self.estimate.get_or_init(|| {
            let read = self.body.as_ref().map(|body| {
                Estimate::read(self.dialect, body).unwrap_or_else(|_| Estimate::of_unread(self.dialect, body))
            });
            // A third of a token a byte is what text is estimated at.
            let by_length = || Estimate::of_prompt(self.length as u64 / 3 + 8);
            let estimate = read.unwrap_or_else(by_length);
            Estimate { asked_output: self.output.or(estimate.asked_output), ..estimate }
        })
    }

    pub fn worst_output(&self, limits: &Limits) -> u64 {
        let worst = self.estimate().worst_output(limits, self.default_output);
        match self.cap {
            Some(cap) => worst.min(cap.saturating_mul(self.estimate().choices)),
            None => worst,
        }
    }

    /// Whether the request leaves it to others how long its answer is.
    pub fn is_open_ended(&self) -> bool {
        self.estimate().asked_output.is_none()
    }

    /// How long the gateway lets the answer be, a choice.
    pub fn cap(&self) -> Option<u64> {
        self.cap
    }

    pub fn set_cap(&mut self, cap: Option<u64>) {
        self.cap = cap;
    }

    /// From here on only an unusual end asks for the estimate, and a stream can be long: lets a large body go.
    fn rest(&mut self) {
        if self.length > KEEP || self.estimate.get().is_some() {
            self.body = None;
        }
    }
}

/// One charge for a request that no answer tells the cost of.
#[derive(Debug, Clone, Copy)]
pub struct Estimated {
    pub reason: Reason,
    pub cost: NanoUsd,
}

/// An exchange's costs so far.
#[derive(Debug)]
pub struct Account {
    asked: Asked,
    /// The attempt that was sent and has not ended, with its model's price.
    open: Option<Option<Arc<Price>>>,
    sent: u32,
    charges: u32,
    cost: NanoUsd,
    is_priced: bool,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// The last charge that is an estimate, and the sum of all that are.
    estimated: Option<Estimated>,
}

impl Account {
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            open: None,
            sent: 0,
            charges: 0,
            cost: NanoUsd::ZERO,
            is_priced: true,
            prompt_tokens: 0,
            completion_tokens: 0,
            estimated: None,
        }
    }

    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    pub fn asked_mut(&mut self) -> &mut Asked {
        &mut self.asked
    }

    /// An attempt is about to be sent, to a model of this price; `None`: nobody knows it.
    pub fn begin(&mut self, price: Option<Arc<Price>>) {
        debug_assert!(self.open.is_none(), "the attempt before has been closed");
        self.open = Some(price);
        self.sent += 1;
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The answer is under way.
    pub fn answering(&mut self) {
        self.asked.rest();
    }

    /// The attempt was refused, or never sent.
    pub fn nothing(&mut self) {
        self.open = None;
    }

    /// The attempt has cost what the provider says.
    pub fn stated(&mut self, usage: &Usage) {
        let most = usage.prompt_tokens.max(usage.completion_tokens).max(usage.total_tokens);
        if most <= MOST_TOKENS {
            return self.charge(usage, None);
        }
        warn!(tokens = most, "a provider states a usage that cannot be: charged as {MOST_TOKENS} tokens");
        let usage = Usage {
            prompt_tokens: usage.prompt_tokens.min(MOST_TOKENS),
            completion_tokens: usage.completion_tokens.min(MOST_TOKENS),
            ..Usage::default()
        };
        self.charge(&usage, Some(Reason::Malformed));
    }

    /// The answer is whole, or as much of it as will ever come, and this was `written`. What was `stated` before that
    /// end is a part of it.
    pub fn counted(&mut self, written: &Written, stated: Option<&Usage>, reason: Reason) {
        let mut usage = stated.copied().unwrap_or_default();
        if usage.prompt_tokens == 0 {
            usage.prompt_tokens = self.prompt_tokens();
        }
        usage.completion_tokens = usage.completion_tokens.max(written.tokens());
        self.charge(&usage, Some(reason));
    }

    /// The answer's end is missing although its provider has written all of it.
    pub fn worst_case(&mut self, written: &Written, reason: Reason) {
        let completion_tokens = self.worst_output().max(written.tokens());
        let usage = Usage { prompt_tokens: self.prompt_tokens(), completion_tokens, ..Usage::default() };
        self.charge(&usage, Some(reason));
    }

    /// Sound has come that nobody states a usage of: as many tokens as its bytes can be, but no more than can be asked
    /// for.
    pub fn sounded(&mut self, tokens: u64, reason: Reason) {
        let tokens = tokens.min(self.worst_output());
        let usage = Usage {
            prompt_tokens: self.prompt_tokens(),
            completion_tokens: tokens,
            completion_audio_tokens: tokens,
            ..Usage::default()
        };
        self.charge(&usage, Some(reason));
    }

    /// Nothing came back.
    pub fn prompt_only(&mut self, reason: Reason) {
        self.charge(&Usage { prompt_tokens: self.prompt_tokens(), ..Usage::default() }, Some(reason));
    }

    fn prompt_tokens(&self) -> u64 {
        self.asked.estimate().prompt_tokens
    }

    /// Of the attempt that is open.
    fn worst_output(&self) -> u64 {
        let limits = self.open.as_ref().and_then(Option::as_ref).map_or(Limits::default(), |price| price.limits);
        self.asked.worst_output(&limits)
    }

    fn charge(&mut self, usage: &Usage, reason: Option<Reason>) {
        // Closed is closed: nothing is charged twice.
        let Some(price) = self.open.take() else { return };
        self.charges += 1;
        self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens);
        let cost = price.map(|price| price.cost(usage, Mode::Standard));
        self.is_priced &= cost.is_some();
        let cost = cost.unwrap_or_default();
        self.cost = self.cost.saturating_add(cost);
        if let Some(reason) = reason {
            let before = self.estimated.map_or(NanoUsd::ZERO, |estimated| estimated.cost);
            self.estimated = Some(Estimated { reason, cost: before.saturating_add(cost) });
        }
    }

    /// Known once an attempt has been charged and none is under way; an unknown price is not nothing.
    pub fn cost(&self) -> Option<NanoUsd> {
        (self.charges > 0 && self.open.is_none() && self.is_priced).then_some(self.cost)
    }

    /// The sum of what is known, though there may be more to come.
    pub fn known_cost(&self) -> NanoUsd {
        self.cost
    }

    /// How many attempts were sent, whatever became of them.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Prompt and completion tokens of all attempts.
    pub fn tokens(&self) -> Option<(u64, u64)> {
        (self.charges > 0).then_some((self.prompt_tokens, self.completion_tokens))
    }

    pub fn estimated(&self) -> Option<Estimated> {
        self.estimated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governance::Rates;

    const USD: u64 = 1_000_000_000;

    /// A dollar a million prompt tokens, ten a million completion tokens: 1,000 and 10,000 nano-USD a token.
    fn price() -> Option<Arc<Price>> {
        let (input, output) = (NanoUsd::new(USD), NanoUsd::new(10 * USD));
        let rates = Rates {
            input,
            cached_input: input,
            cache_write: input,
            audio_input: input,
            image_input: input,
            output,
            reasoning: output,
            audio_output: output,
        };
        let limits = Limits { context: None, max_output_tokens: Some(500) };
        Some(Arc::new(Price { rates, long: None, request: NanoUsd::ZERO, batch_percent: 100, limits }))
    }

    fn account() -> Account {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":100,"n":2}"#;
        let mut account = Account::new(Asked::new(Dialect::OpenAiChat, Bytes::from_static(body.as_bytes()), 4_096));
        account.begin(price());
        account
    }

    fn used(prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage { prompt_tokens, completion_tokens, ..Usage::default() }
    }

    fn written(text: &str) -> Written {
        let mut written = Written::default();
        written.text(text);
        written
    }

    #[test]
    fn what_is_stated_is_charged_and_a_zero_is_a_zero() {
        let mut stated = account();
        assert_eq!(stated.cost(), None, "not before its end");
        stated.stated(&used(10, 5));
        assert_eq!((stated.cost(), stated.tokens()), (Some(NanoUsd::new(60_000)), Some((10, 5))));
        assert!(stated.estimated().is_none());
        let mut zero = account();
        zero.stated(&used(0, 0));
        assert_eq!(zero.cost(), Some(NanoUsd::ZERO));
    }

    #[test]
    fn what_is_not_stated_is_counted_and_flagged() {
        let mut counted = account();
        let prompt = counted.asked().estimate().prompt_tokens;
        counted.counted(&written("one two three"), None, Reason::NoUsage);
        let (prompt_tokens, completion_tokens) = counted.tokens().unwrap();
        assert_eq!(prompt_tokens, prompt);
        assert!(completion_tokens >= 4, "{completion_tokens}");
        let estimated = counted.estimated().unwrap();
        assert_eq!((estimated.reason, Some(estimated.cost)), (Reason::NoUsage, counted.cost()));
    }

    #[test]
    fn a_broken_stream_costs_no_less_than_was_stated() {
        let mut cut = account();
        cut.counted(&written("one"), Some(&used(3, 40)), Reason::Cut);
        assert_eq!(cut.tokens(), Some((3, 40)), "the provider knows its prompt better than the estimate");
        let mut cut = account();
        cut.counted(&written(&"word ".repeat(100)), Some(&used(3, 40)), Reason::Cut);
        assert!(cut.tokens().unwrap().1 >= 110);
    }

    #[test]
    fn an_answer_without_its_end_costs_the_most_that_was_asked_for() {
        let mut worst = account();
        worst.worst_case(&written("a"), Reason::Malformed);
        assert_eq!(worst.tokens().unwrap().1, 200, "max_tokens, twice");
        let mut endless = account();
        endless.worst_case(&written(&"again ".repeat(1_000)), Reason::Malformed);
        assert!(endless.tokens().unwrap().1 >= 1_100, "a provider that does not keep to it");
    }

    #[test]
    fn sound_costs_what_its_bytes_can_be_and_no_more_than_was_asked_for() {
        for (tokens, expected) in [(7, 7), (1_000, 200)] {
            let mut spoken = account();
            spoken.sounded(tokens, Reason::NoUsage);
            assert_eq!(spoken.tokens().unwrap().1, expected);
            assert_eq!(spoken.estimated().unwrap().reason, Reason::NoUsage);
        }
    }

    #[test]
    fn every_attempt_that_was_sent_is_charged_once() {
        let mut account = account();
        let prompt = account.asked().estimate().prompt_tokens;
        account.prompt_only(Reason::Deadline);
        account.prompt_only(Reason::Deadline);
        account.begin(price());
        account.nothing();
        account.begin(price());
        account.stated(&used(10, 5));
        assert_eq!(account.tokens(), Some((prompt + 10, 5)));
        assert_eq!(account.cost(), Some(NanoUsd::new(prompt * 1_000 + 60_000)));
        assert_eq!(account.estimated().unwrap().cost, NanoUsd::new(prompt * 1_000));
    }

    #[test]
    fn an_unknown_price_is_not_nothing() {
        let mut account = account();
        account.stated(&used(10, 5));
        account.begin(None);
        account.stated(&used(1, 1));
        assert_eq!((account.cost(), account.tokens()), (None, Some((11, 6))));
    }

    #[test]
    fn an_absurd_usage_does_not_use_a_budget_up_for_good() {
        let mut absurd = account();
        absurd.stated(&used(10, u64::MAX));
        assert_eq!(absurd.tokens(), Some((10, MOST_TOKENS)));
        assert_eq!(absurd.estimated().unwrap().reason, Reason::Malformed);
    }

    #[test]
    fn a_body_that_cannot_be_read_is_estimated_by_its_length() {
        let asked = Asked::new(Dialect::OpenAiChat, Bytes::from(vec![b'x'; 3_000]), 7);
        assert_eq!(asked.estimate().prompt_tokens, 1_008);
        assert_eq!(asked.worst_output(&Limits::default()), 7);
    }
}
