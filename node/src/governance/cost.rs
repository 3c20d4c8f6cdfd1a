//! What usage costs, in integers.
//!
//! A price is nano-USD per million tokens. Each kind of token is multiplied by its price and rounded *up* to a whole
//! nano-USD by itself, then the kinds are added: a request's cost is never below the exact one, and above it by less
//! than one nano-USD per kind. Sums beyond what 64 bits hold stay at the largest sum; they never wrap around to little.
//!
//! A provider's usage counts all choices together, so `n` is no factor here; it is one in the estimate.

use super::NanoUsd;
use crate::dialect::openai::Usage;

const PER: u128 = 1_000_000;
/// How many kinds of token are rounded by themselves.
const KINDS: u64 = 9;
/// What is written to be kept for an hour costs so many times as much as plain input, at Anthropic, which alone tells it.
const HOUR: u64 = 2;

/// Nano-USD per million tokens, by kind. A kind that a provider does not price apart has the price of its larger kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub input: NanoUsd,
    pub cached_input: NanoUsd,
    pub cache_write: NanoUsd,
    pub audio_input: NanoUsd,
    pub image_input: NanoUsd,
    pub output: NanoUsd,
    pub reasoning: NanoUsd,
    pub audio_output: NanoUsd,
}

/// What a model takes and gives at most, where that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub context: Option<u64>,
    pub max_output_tokens: Option<u64>,
}

/// How a request is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Standard,
    /// Part of a batch, at the batch's discount.
    Batch,
}

/// A model's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// Prompts of more tokens than this pay these rates, on all their tokens.
    pub long: Option<(u64, Rates)>,
    /// For each answered request, whatever it used.
    pub request: NanoUsd,
    /// What a batch pays of all this, in percent.
    pub batch_percent: u8,
    pub limits: Limits,
}

impl Price {
    /// The cost of what a provider says was used. Zero tokens cost nothing; usage that was not stated is not zero, so
    /// there is no cost without a [`Usage`].
    pub fn cost(&self, usage: &Usage, mode: Mode) -> NanoUsd {
        let rates = match &self.long {
            Some((over, long)) if usage.prompt_tokens > *over => long,
            _ => &self.rates,
        };
        // Parts of the prompt, each at most what the others leave of it: a provider's details may contradict its sums.
        let mut prompt = usage.prompt_tokens;
        let audio_input = take(&mut prompt, usage.prompt_audio_tokens);
        let image_input = take(&mut prompt, usage.prompt_image_tokens);
        let cached = take(&mut prompt, usage.cached_tokens);
        let for_an_hour = take(&mut prompt, usage.cache_write_1h_tokens.min(usage.cache_write_tokens));
        let written =
            take(&mut prompt, usage.cache_write_tokens - usage.cache_write_1h_tokens.min(usage.cache_write_tokens));
        // Some providers leave the reasoning out of `completion_tokens`, and only the total tells.
        let stated = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        let unlisted = usage.total_tokens.saturating_sub(stated);
        let mut completion = usage.completion_tokens;
        let audio_output = take(&mut completion, usage.completion_audio_tokens);
        let reasoning = take(&mut completion, usage.reasoning_tokens.saturating_sub(unlisted));
        let kinds = [
            (rates.audio_input, audio_input),
            (rates.image_input, image_input),
            (rates.cached_input, cached),
            (rates.cache_write, written),
            (for_an_hour_rate(rates), for_an_hour),
            (rates.input, prompt),
            (rates.audio_output, audio_output),
            (rates.reasoning, reasoning.saturating_add(unlisted)),
            (rates.output, completion),
        ];
        let sum = kinds.into_iter().fold(self.request, |sum, (rate, tokens)| sum.saturating_add(of(rate, tokens)));
        self.billed(sum, mode)
    }

    /// The most that a request of up to so many tokens can cost, whichever kinds they turn out to be of.
    pub fn worst_case(&self, prompt_tokens: u64, output_tokens: u64, mode: Mode) -> NanoUsd {
        self.worst_of(prompt_tokens, output_tokens, mode, |_| NanoUsd::ZERO)
    }

    /// The same of a request that may write to the provider's cache for an hour.
    pub fn worst_case_for_an_hour(&self, prompt_tokens: u64, output_tokens: u64, mode: Mode) -> NanoUsd {
        self.worst_of(prompt_tokens, output_tokens, mode, for_an_hour_rate)
    }

    fn worst_of(&self, prompt_tokens: u64, output_tokens: u64, mode: Mode, more: fn(&Rates) -> NanoUsd) -> NanoUsd {
        let long = self.long.as_ref().filter(|(over, _)| prompt_tokens > *over).map(|(_, rates)| rates);
        let tiers = || [Some(&self.rates), long].into_iter().flatten();
        let input = tiers()
            .flat_map(|r| [r.input, r.cached_input, r.cache_write, r.audio_input, r.image_input, more(r)])
            .fold(NanoUsd::ZERO, NanoUsd::max);
        let output = tiers().flat_map(|r| [r.output, r.reasoning, r.audio_output]).fold(NanoUsd::ZERO, NanoUsd::max);
        let sum = of(input, prompt_tokens)
            .saturating_add(of(output, output_tokens))
            .saturating_add(self.request)
            // Each kind of the real usage is rounded up by itself.
            .saturating_add(NanoUsd::new(KINDS));
        self.billed(sum, mode)
    }

    fn billed(&self, sum: NanoUsd, mode: Mode) -> NanoUsd {
        match mode {
            Mode::Standard => sum,
            Mode::Batch => bounded((u128::from(sum.get()) * u128::from(self.batch_percent)).div_ceil(100)),
        }
    }
}

fn for_an_hour_rate(rates: &Rates) -> NanoUsd {
    NanoUsd::new(rates.input.get().saturating_mul(HOUR)).max(rates.cache_write)
}

/// Takes up to `wanted` out of what is left.
fn take(left: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

fn of(rate: NanoUsd, tokens: u64) -> NanoUsd {
    // 64 bits times 64 bits always fit 128.
    bounded((u128::from(rate.get()) * u128::from(tokens)).div_ceil(PER))
}

fn bounded(nano: u128) -> NanoUsd {
    u64::try_from(nano).map_or(NanoUsd::MAX, NanoUsd::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_kept_for_an_hour_costs_twice_the_input_and_is_reserved_so() {
        let rates = Rates { cache_write: usd("1.25"), ..rates("1.00", "0.10", "5.00") };
        let limits = Limits::default();
        let price = Price { rates, long: None, request: NanoUsd::ZERO, batch_percent: 100, limits };
        let written = Usage { cache_write_tokens: 3_000, cache_write_1h_tokens: 1_000, ..used(4_000, 0) };
        assert_eq!(
            price.cost(&written, Mode::Standard),
            usd("0.0055"),
            "1,000 plain, 2,000 for minutes, 1,000 for an hour"
        );
        let all = Usage { cache_write_tokens: 4_000, cache_write_1h_tokens: 4_000, ..used(4_000, 0) };
        assert!(price.worst_case_for_an_hour(4_000, 0, Mode::Standard) >= price.cost(&all, Mode::Standard));
    }

    fn usd(text: &str) -> NanoUsd {
        text.parse().unwrap()
    }

    fn rates(input: &str, cached: &str, output: &str) -> Rates {
        let (input, output) = (usd(input), usd(output));
        Rates {
            input,
            cached_input: usd(cached),
            cache_write: input,
            audio_input: input,
            image_input: input,
            output,
            reasoning: output,
            audio_output: output,
        }
    }

    fn price(rates: Rates) -> Price {
        Price { rates, long: None, request: NanoUsd::ZERO, batch_percent: 100, limits: Limits::default() }
    }

    fn used(prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage { prompt_tokens, completion_tokens, ..Usage::default() }
    }

    #[test]
    fn golden_costs() {
        let plain = price(rates("2.50", "1.25", "10.00"));
        let cost = |usage: &Usage| plain.cost(usage, Mode::Standard).to_string();
        assert_eq!(cost(&used(1_000_000, 1_000_000)), "12.5");
        assert_eq!(cost(&used(1_000, 500)), "0.0075");
        assert_eq!(cost(&Usage { cached_tokens: 600, ..used(1_000, 500) }), "0.00675");
        assert_eq!(cost(&Usage { reasoning_tokens: 400, total_tokens: 1_500, ..used(1_000, 500) }), "0.0075");
        assert_eq!(cost(&used(0, 0)), "0", "an explicit zero is a zero");
    }

    #[test]
    fn kinds_with_a_price_of_their_own_pay_it() {
        let rates = Rates {
            cache_write: usd("3"),
            audio_input: usd("40"),
            image_input: usd("5"),
            reasoning: usd("20"),
            audio_output: usd("80"),
            ..rates("2", "1", "10")
        };
        let usage = Usage {
            prompt_audio_tokens: 1,
            prompt_image_tokens: 2,
            cached_tokens: 3,
            cache_write_tokens: 4,
            completion_audio_tokens: 5,
            reasoning_tokens: 6,
            ..used(20, 20)
        };
        // 1x40 + 2x5 + 3x1 + 4x3 + 10x2 and 5x80 + 6x20 + 9x10, in micro-USD.
        assert_eq!(price(rates).cost(&usage, Mode::Standard), usd("0.000695"));
    }

    #[test]
    fn each_kind_is_rounded_up_by_itself() {
        // A third of a nano-USD and a little more, three times.
        let plain = price(rates("0.000333334", "0.000333334", "0.000333334"));
        assert_eq!(plain.cost(&used(1, 0), Mode::Standard), NanoUsd::new(1));
        assert_eq!(plain.cost(&used(1, 1), Mode::Standard), NanoUsd::new(2));
        assert_eq!(plain.cost(&used(3, 0), Mode::Standard), NanoUsd::new(2), "1.000002 is more than 1");
        assert_eq!(plain.cost(&Usage { cached_tokens: 1, ..used(2, 0) }, Mode::Standard), NanoUsd::new(2));
    }

    #[test]
    fn a_long_prompt_pays_more_on_every_token() {
        let mut price = price(rates("1.25", "0.125", "10"));
        price.long = Some((200_000, rates("2.50", "0.25", "15")));
        assert_eq!(price.cost(&used(200_000, 1_000), Mode::Standard), usd("0.26"));
        assert_eq!(price.cost(&used(200_001, 1_000), Mode::Standard), usd("0.5150025"));
        let cached = Usage { cached_tokens: 200_000, ..used(200_001, 0) };
        assert_eq!(price.cost(&cached, Mode::Standard), usd("0.0500025"), "cached tokens count towards the length");
    }

    #[test]
    fn reasoning_that_only_the_total_knows_is_paid() {
        let plain = price(rates("1", "1", "2"));
        let outside = Usage { reasoning_tokens: 300, total_tokens: 450, ..used(100, 50) };
        assert_eq!(plain.cost(&outside, Mode::Standard), usd("0.0008"), "100 in, 350 out");
        let inside = Usage { reasoning_tokens: 30, total_tokens: 150, ..used(100, 50) };
        assert_eq!(plain.cost(&inside, Mode::Standard), usd("0.0002"), "100 in, 50 out");
    }

    #[test]
    fn fees_and_discounts() {
        let mut price = price(rates("1", "1", "2"));
        price.request = usd("0.01");
        assert_eq!(price.cost(&used(0, 0), Mode::Standard), usd("0.01"));
        price.batch_percent = 50;
        assert_eq!(price.cost(&used(1, 0), Mode::Batch), usd("0.0050005"));
    }

    #[test]
    fn absurd_counts_cost_the_most_there_is() {
        let dear = price(rates("1000000", "1000000", "1000000"));
        assert_eq!(dear.cost(&used(u64::MAX, u64::MAX), Mode::Standard), NanoUsd::MAX);
        assert_eq!(dear.cost(&used(u64::MAX, 0), Mode::Standard), NanoUsd::MAX, "of one kind alone");
        assert_eq!(dear.worst_case(u64::MAX, u64::MAX, Mode::Standard), NanoUsd::MAX);
    }

    prop_compose! {
        fn any_rates()(nano in proptest::array::uniform8(0..=u64::MAX)) -> Rates {
            let [input, cached_input, cache_write, audio_input, image_input, output, reasoning, audio_output] =
                nano.map(NanoUsd::new);
            Rates { input, cached_input, cache_write, audio_input, image_input, output, reasoning, audio_output }
        }
    }

    prop_compose! {
        fn any_usage(most: u64)(t in proptest::array::uniform9(0..=most)) -> Usage {
            Usage {
                prompt_tokens: t[0], completion_tokens: t[1], total_tokens: t[2], cached_tokens: t[3],
                cache_write_tokens: t[4], cache_write_1h_tokens: t[4] / 2, prompt_audio_tokens: t[5], prompt_image_tokens: t[6],
                reasoning_tokens: t[7], completion_audio_tokens: t[8],
            }
        }
    }

    proptest! {
        #[test]
        fn never_overflows_and_grows_with_use(
            rates in any_rates(), long in proptest::option::of((any::<u64>(), any_rates())),
            usage in any_usage(u64::MAX), request in any::<u64>(),
        ) {
            let price = Price { long, request: NanoUsd::new(request), ..price(rates) };
            let cost = price.cost(&usage, Mode::Standard);
            prop_assert!(cost >= price.request);
            let more = Usage { completion_tokens: usage.completion_tokens.saturating_add(1), total_tokens: 0, ..usage };
            let less = Usage { total_tokens: 0, ..usage };
            prop_assert!(price.cost(&more, Mode::Standard) >= price.cost(&less, Mode::Standard));
        }

        /// Against arithmetic in a wider type: exact, or the largest sum; never what is left after wrapping around.
        #[test]
        fn one_kind_is_exact_or_the_most_there_is(nano in any::<u64>(), tokens in any::<u64>(), shift in 0..64_u32) {
            let rate = NanoUsd::new(nano >> shift);
            let exact = (u128::from(rate.get()) * u128::from(tokens)).div_ceil(PER);
            prop_assert_eq!(u128::from(of(rate, tokens).get()), exact.min(u128::from(u64::MAX)));
        }

        /// What a reservation relies on.
        #[test]
        fn the_worst_case_is_never_exceeded(
            rates in any_rates(), over in 0..5_000_u64, long in proptest::option::of(any_rates()),
            usage in any_usage(10_000), percent in 0..=100_u8,
        ) {
            let price = Price { long: long.map(|rates| (over, rates)), batch_percent: percent, ..price(rates) };
            let output = usage.completion_tokens.max(usage.total_tokens.saturating_sub(usage.prompt_tokens));
            for mode in [Mode::Standard, Mode::Batch] {
                prop_assert!(price.worst_case_for_an_hour(usage.prompt_tokens, output, mode) >= price.cost(&usage, mode));
            }
        }

        /// Rounded up, by less than one nano-USD for each kind.
        #[test]
        fn rounding_is_up_and_small(usage in any_usage(1 << 30), nano in proptest::array::uniform3(0..1_u64 << 40)) {
            let [input, cached, output] = nano.map(NanoUsd::new);
            let rates = Rates {
                input, cached_input: cached, cache_write: input, audio_input: input, image_input: input,
                output, reasoning: output, audio_output: output,
            };
            let usage =
                Usage { prompt_audio_tokens: 0, prompt_image_tokens: 0, cache_write_1h_tokens: 0, ..usage };
            let cached_tokens = usage.cached_tokens.min(usage.prompt_tokens);
            let produced = usage.completion_tokens.max(usage.total_tokens.saturating_sub(usage.prompt_tokens));
            let exact = u128::from(usage.prompt_tokens - cached_tokens) * u128::from(input.get())
                + u128::from(cached_tokens) * u128::from(cached.get())
                + u128::from(produced) * u128::from(output.get());
            let cost = u128::from(price(rates).cost(&usage, Mode::Standard).get()) * PER;
            prop_assert!(cost >= exact && cost < exact + u128::from(KINDS) * PER);
        }
    }
}
