//! Prices of models: the operator's file over the table that comes with the gateway.
//!
//! **Looking one up.** The table knows models by vendor (`name::vendor` tells which one a configured provider is); the
//! file's `provider` may be a vendor or the name of a provider in the configuration, the latter first. Names are tried
//! from the most to the least exact, and for each of them the file before the table:
//! 1. the model's name as the provider is asked for it,
//! 2. that name without its date (`name::undated`),
//! 3. `*`, which stands for every other model of a provider.
//!
//! Nothing found is no price: not a price of zero.

mod name;
mod row;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Price;
use crate::config::{self, Config, ConfigErrors};
use row::PriceFile;

const BUILTIN: &str = include_str!("builtin.yaml");
const BUILTIN_NAME: &str = "the built-in price table";
const ANY_OTHER: &str = "*";

/// The prices of one configuration's models.
#[derive(Debug, Default)]
pub struct PriceBook {
    providers: HashMap<String, Vec<Arc<Models>>>,
}

/// Prices by model.
type Models = HashMap<String, Arc<Price>>;

impl PriceBook {
    /// Reads `prices.file` if there is one. What is wrong with it is told with line and column.
    pub fn load(config: &Config) -> Result<Self, ConfigErrors> {
        let file = config.prices.file.as_deref().map(read).transpose()?.unwrap_or_default();
        let table = by_provider(config::document(BUILTIN_NAME, BUILTIN, PriceFile::judge)?);
        let providers = config.providers.iter().map(|provider| {
            let vendor = name::vendor(provider);
            let own = file.get(&provider.name);
            let vendors = [&file, &table].into_iter().filter_map(|prices| prices.get(vendor?));
            (provider.name.clone(), own.into_iter().chain(vendors).map(Arc::clone).collect())
        });
        Ok(Self { providers: providers.collect() })
    }

    /// The price of a model at a configured provider.
    pub fn find(&self, provider: &str, model: &str) -> Option<&Arc<Price>> {
        let layers = self.providers.get(provider)?;
        let names = [Some(model), name::undated(model), Some(ANY_OTHER)];
        names.into_iter().flatten().find_map(|name| layers.iter().find_map(|models| models.get(name)))
    }
}

fn read(path: &Path) -> Result<HashMap<String, Arc<Models>>, ConfigErrors> {
    config::document_file(path, PriceFile::judge).map(by_provider)
}

fn by_provider(file: PriceFile) -> HashMap<String, Arc<Models>> {
    let mut providers: HashMap<String, Models> = HashMap::new();
    for row in file.models {
        let price = Arc::new(row.price());
        providers.entry(row.provider).or_default().insert(row.model, price);
    }
    providers.into_iter().map(|(provider, models)| (provider, Arc::new(models))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai::Usage;
    use crate::governance::{Limits, Mode};

    fn table() -> PriceFile {
        config::document(BUILTIN_NAME, BUILTIN, PriceFile::judge).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn config(providers: serde_json::Value, file: Option<&Path>) -> Config {
        serde_json::from_value(serde_json::json!({ "providers": providers, "prices": { "file": file } })).unwrap()
    }

    /// Providers of every vendor, and two that are nobody's.
    fn book(file: &str) -> PriceBook {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prices.yaml");
        std::fs::write(&path, file).unwrap();
        let compatible = |name: &str, base_url: &str| serde_json::json!({ "name": name, "type": "openai_compatible", "base_url": base_url });
        let providers = serde_json::json!([
            { "name": "main", "type": "openai" },
            { "name": "demo", "type": "simulated", "base_url": "http://127.0.0.1:8280/v1" },
            compatible("google", "https://generativelanguage.googleapis.com/v1beta/openai"),
            compatible("anthropic", "https://api.anthropic.com/v1"),
            compatible("groq", "https://api.groq.com/openai/v1"),
            compatible("openai", "http://10.0.0.7:8000/v1"),
        ]);
        PriceBook::load(&config(providers, Some(&path))).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn cost(
        book: &PriceBook,
        provider: &str,
        model: &str,
        prompt_tokens: u64,
        completion_tokens: u64,
    ) -> Option<String> {
        let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        book.find(provider, model).map(|price| price.cost(&usage, Mode::Standard).to_string())
    }

    #[test]
    fn the_table_is_whole() {
        let table = table();
        assert!(table.models.len() >= 40, "{}", table.models.len());
        for row in &table.models {
            let name = format!("{}/{}", row.provider, row.model);
            assert!(row.source.is_some(), "{name} has no source");
            let date = row.date.as_deref().unwrap_or_default();
            assert!(matches!(date.len(), 7 | 10) && date.starts_with("202"), "{name}: {date}");
            let price = row.price();
            let simulated = row.provider == "simulated";
            assert!(simulated || price.rates.output >= price.rates.input, "{name}: output is cheaper than input");
            assert!(price.rates.cached_input <= price.rates.input, "{name}: the cache costs more");
            if let Limits { context: Some(context), max_output_tokens: Some(most) } = price.limits {
                assert!(most <= context, "{name}: more output than context");
            }
            if let Some((over, long)) = &price.long {
                assert!(*over >= 100_000 && long.input >= price.rates.input, "{name}: {over}");
                assert!(price.limits.context.is_none_or(|context| *over < context), "{name}: never long");
            }
        }
    }

    #[test]
    fn simulated_models_cost_what_the_simulated_provider_charges() {
        let book = book("");
        for model in ["echo", "slow", "anything-else"] {
            let bill = peerway_simulated_provider::price(model);
            let nano = 1_234 * bill.prompt + 567 * bill.completion;
            let expected = super::super::NanoUsd::new(nano).to_string();
            assert_eq!(cost(&book, "demo", model, 1_234, 567), Some(expected), "{model}");
        }
    }

    #[test]
    fn golden_costs_of_known_models() {
        let book = book("");
        for (provider, model, expected) in [
            ("main", "gpt-4o", "0.0075"),
            ("main", "gpt-4o-mini", "0.00045"),
            ("main", "gpt-4.1-nano", "0.0003"),
            ("anthropic", "claude-sonnet-4-6", "0.0105"),
            ("anthropic", "claude-opus-4-1", "0.0525"),
            ("google", "gemini-2.5-pro", "0.00625"),
            ("groq", "llama-3.1-8b-instant", "0.00009"),
        ] {
            assert_eq!(cost(&book, provider, model, 1_000, 500).as_deref(), Some(expected), "{provider}/{model}");
        }
    }

    #[test]
    fn a_date_is_left_out_only_if_the_dated_name_is_unknown() {
        let book = book("");
        assert_eq!(cost(&book, "main", "gpt-4o-2024-11-20", 1_000_000, 0).as_deref(), Some("2.5"));
        assert_eq!(
            cost(&book, "main", "gpt-4o-2024-05-13", 1_000_000, 0).as_deref(),
            Some("5"),
            "it has its own price"
        );
        assert_eq!(cost(&book, "anthropic", "claude-sonnet-4-5-20250929", 100_000, 0).as_deref(), Some("0.3"));
    }

    #[test]
    fn unknown_is_not_zero() {
        let book = book("");
        assert_eq!(cost(&book, "main", "gpt-99", 1, 1), None);
        assert_eq!(cost(&book, "nobody", "gpt-4o", 1, 1), None);
        assert_eq!(cost(&book, "openai", "gpt-4o", 1, 1), None, "only its name is a vendor's");
    }

    #[test]
    fn the_file_lies_over_the_table() {
        let file = r#"
models:
  - { provider: openai, model: gpt-4o, input: "1", output: 2.000000001 }   # the vendor, and a provider's name
  - { provider: main, model: gpt-4o-mini, input: "3", cached_input: "0", output: "4", request: "0.01" }
  - { provider: openai, model: "*", input: "0", output: "0" }
  - { provider: demo, model: echo, input: "7", output: "7", max_output_tokens: 9 }
"#;
        let book = book(file);
        assert_eq!(cost(&book, "main", "gpt-4o", 1_000_000, 1_000_000).as_deref(), Some("3.000000001"));
        assert_eq!(cost(&book, "main", "gpt-4o-2024-11-20", 1_000_000, 0).as_deref(), Some("1"));
        assert_eq!(cost(&book, "main", "gpt-4o-2024-05-13", 1_000_000, 0).as_deref(), Some("5"), "named exactly");
        assert_eq!(cost(&book, "main", "gpt-4o-mini", 1_000_000, 0).as_deref(), Some("3.01"));
        assert_eq!(
            cost(&book, "main", "gpt-4.1", 1_000_000, 0).as_deref(),
            Some("2"),
            "the table's, not the file's `*`"
        );
        assert_eq!(cost(&book, "main", "gpt-99", 1_000_000, 0).as_deref(), Some("0"));
        assert_eq!(cost(&book, "openai", "gpt-4o", 1_000_000, 0).as_deref(), Some("1"), "by the provider's own name");
        assert_eq!(book.find("demo", "echo").unwrap().limits.max_output_tokens, Some(9));
        assert_eq!(cost(&book, "demo", "slow", 1, 1).as_deref(), Some("0.00001"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told_with_its_place() {
        let told = |text: &str| config::document("prices.yaml", text, PriceFile::judge).unwrap_err().to_string();
        let text = "models:
  - { provider: a, model: m, input: \"1\", output: \"2\", outptu: \"3\" }
  - { provider: a, model: n, input: \"1.\", output: \"-2\" }
  - { provider: a, model: o, input: 1e300, output: 2000000 }
  - { provider: a, model: p, input: \"1\" }
";
        let errors = told(text);
        for part in [
            "prices.yaml:2:55: unknown key `outptu`",
            "did you mean `output`",
            "prices.yaml:3:37: not a sum of dollars",
            "prices.yaml:3:51: not a sum of dollars",
            "prices.yaml:4:37: not a sum of dollars",
            "prices.yaml:4:52: more than 1000000",
            "prices.yaml:5:5: `output` is missing",
        ] {
            assert!(errors.contains(part), "{part:?} is not in\n{errors}");
        }
        let twice = "models:
  - { provider: a, model: m, input: \"1\", output: \"2\" }
  - { provider: a, model: m, input: \"1\", output: \"2\" }
  - { provider: \"\", model: m, input: \"1\", output: \"2\", batch_percent: 101, date: yesterday }
";
        let errors = told(twice);
        for part in [
            "prices.yaml:3:27: `a/m` has a price already, at models[0]",
            "prices.yaml:4:17: the provider is empty",
            "prices.yaml:4:",
            "at most 100",
            "write e.g. 2026-11-21",
        ] {
            assert!(errors.contains(part), "{part:?} is not in\n{errors}");
        }
        let missing = PriceBook::load(&config(serde_json::json!([]), Some(Path::new("/no/such/prices.yaml"))));
        assert!(missing.unwrap_err().to_string().starts_with("/no/such/prices.yaml: cannot read the file: "));
    }
}
