//! `cache.semantic.cross_encoder` and `cache.semantic.judge`: who is asked for a second opinion.

use super::super::Verdict;
use crate::config::model::{Config, CrossEncoder, Judge, Semantic};
use crate::config::suggest;

pub(super) fn verify(config: &Config, semantic: &Semantic, verdict: &mut Verdict) {
    if let Some(settings) = &semantic.cross_encoder {
        cross_encoder(settings, verdict);
    }
    if let Some(settings) = &semantic.judge {
        judge(config, settings, verdict);
    }
}

fn cross_encoder(settings: &CrossEncoder, verdict: &mut Verdict) {
    const PATH: &str = "cache.semantic.cross_encoder";
    let threshold = settings.threshold;
    if !(threshold > 0.0 && threshold <= 1.0) {
        let why = format!("a threshold is above 0 and at most 1, not {threshold}");
        verdict.error(format!("{PATH}.threshold"), why);
    }
    if settings.deadline.get().is_zero() {
        verdict.error(format!("{PATH}.deadline"), "no answer comes within 0 s");
    }
    if !cfg!(feature = "local-embedder") {
        let hint = "build it with `--features local-embedder`, or leave the cross encoder out".to_owned();
        verdict.error_with(PATH, "this program was built without the local embedder, which runs it", hint);
    }
}

fn judge(config: &Config, settings: &Judge, verdict: &mut Verdict) {
    const PATH: &str = "cache.semantic.judge";
    if settings.deadline.get().is_zero() {
        verdict.error(format!("{PATH}.deadline"), "no answer comes within 0 s");
    }
    let path = format!("{PATH}.model");
    let Some((provider, model)) = settings.model.split_once('/').filter(|(_, model)| !model.is_empty()) else {
        let why = format!("`{}` is not a `provider/model`", settings.model);
        return verdict.error_with(path, why, "e.g. openai/gpt-4o-mini".to_owned());
    };
    verdict.word(path.clone(), "model", model);
    if !config.providers.iter().any(|one| one.name == provider) {
        let names: Vec<&str> = config.providers.iter().map(|one| one.name.as_str()).collect();
        let hint = suggest::hint(provider, "providers", &names);
        verdict.error_with(path, format!("unknown provider `{provider}`"), hint);
    }
}
