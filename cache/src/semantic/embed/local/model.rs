//! The model at work: texts of one length together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::bert::Bert;
use super::{Folder, FolderError, Threads};
use crate::semantic::embed::wordpiece::pieces_in;
use crate::semantic::embed::{Bounds, Model, unit};

/// Texts that run through the layers together: enough to keep the arithmetic busy, few enough that what is added to the
/// shorter ones stays little.
const TOGETHER: usize = 8;

/// A model out of a folder.
#[derive(Debug)]
pub struct Local {
    encoder: Arc<Encoder>,
    threads: Threads,
    space: String,
}

/// What suits a model in this process that has so many threads.
#[must_use]
pub fn local_bounds(threads: usize) -> Bounds {
    Bounds { batch: 32, calls: threads.max(1), waiting: 256, deadline: Duration::from_secs(1), ..Bounds::default() }
}

impl Local {
    /// Reads the weights. Takes a good part of a second: not to be called by who serves requests.
    pub fn load(folder: &Folder, threads: &Threads) -> Result<Self, FolderError> {
        let bytes = folder.weights()?;
        let digest = blake3::hash(&bytes).to_hex();
        let space = format!("local:{}/{}", folder.shape.hidden_size, &digest[..16]);
        let bert = Bert::load(&bytes, folder.prefix, &folder.shape).map_err(|error| folder.unusable(error))?;
        let encoder = Encoder {
            bert,
            begin: folder.begin,
            end: folder.end,
            vocabulary: folder.vocabulary.clone(),
            most_tokens: folder.most_tokens,
        };
        Ok(Self { encoder: Arc::new(encoder), threads: threads.clone(), space })
    }
}

#[async_trait]
impl Model for Local {
    fn space(&self) -> &str {
        &self.space
    }

    async fn vectors(&self, texts: &[Arc<str>]) -> Vec<Result<Arc<[f32]>, String>> {
        let (encoder, count) = (Arc::clone(&self.encoder), texts.len());
        let texts = texts.to_vec();
        let told = self.threads.run(move || encoder.vectors(&texts)).await;
        told.unwrap_or_else(|| vec![Err("the model failed; the log says where".to_owned()); count])
    }
}

#[derive(Debug)]
struct Encoder {
    bert: Bert,
    begin: u32,
    end: u32,
    vocabulary: HashMap<Box<str>, u32>,
    most_tokens: usize,
}

impl Encoder {
    /// The tokens of a text, as the model is used to them.
    fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = vec![self.begin];
        let number = |piece: &str| self.vocabulary.get(piece).copied();
        pieces_in(&number, text, &mut tokens);
        tokens.truncate(self.most_tokens - 1);
        tokens.push(self.end);
        tokens
    }

    fn vectors(&self, texts: &[Arc<str>]) -> Vec<Result<Arc<[f32]>, String>> {
        let mut tokens: Vec<(usize, Vec<u32>)> = texts.iter().map(|text| self.tokens(text)).enumerate().collect();
        tokens.sort_by_key(|(_, tokens)| tokens.len());
        let mut told = vec![Err(String::new()); texts.len()];
        for together in tokens.chunks(TOGETHER) {
            let rows: Vec<&[u32]> = together.iter().map(|(_, tokens)| tokens.as_slice()).collect();
            let places = together.iter().map(|(place, _)| *place);
            match self.bert.means(&rows) {
                Ok(means) => {
                    for (place, mean) in places.zip(means) {
                        told[place] = unit(mean).ok_or_else(|| "the vector has no direction".to_owned());
                    }
                }
                Err(error) => places.for_each(|place| told[place] = Err(error.to_string())),
            }
        }
        told
    }
}
