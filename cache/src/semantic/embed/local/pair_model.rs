//! A classifier of pairs at work: how surely two texts mean the same.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use candle_nn::{Linear, Module as _, ops};

use super::bert::{Bert, Tensors};
use super::{FolderError, PairFolder, Threads};
use crate::semantic::embed::wordpiece::pieces_in;

/// A model out of a folder.
#[derive(Debug)]
pub struct PairModel {
    classifier: Arc<Classifier>,
    threads: Threads,
    name: String,
}

impl PairModel {
    /// Reads the weights. Takes a good part of a second: not to be called by who serves requests.
    pub fn load(folder: &PairFolder, threads: &Threads) -> std::result::Result<Self, FolderError> {
        let PairFolder { folder, label } = folder;
        let bytes = folder.weights()?;
        // Another label of the same weights is another model.
        let digest = blake3::hash(&bytes).to_hex();
        let name = format!("{}/{}", &digest[..16], label.map_or_else(String::new, |label| label.to_string()));
        let classifier = || -> Result<Classifier> {
            let mut tensors = Tensors::read(&bytes, folder.prefix, &folder.shape)?;
            let bert = Bert::take(&mut tensors, &folder.shape)?;
            let pooler = tensors.linear("pooler.dense")?;
            let head = tensors.unprefixed().linear("classifier")?;
            let (begin, end, most_tokens) = (folder.begin, folder.end, folder.most_tokens);
            let vocabulary = folder.vocabulary.clone();
            Ok(Classifier { bert, pooler, head, label: *label, begin, end, vocabulary, most_tokens })
        };
        let classifier = Arc::new(classifier().map_err(|error| folder.unusable(error))?);
        Ok(Self { classifier, threads: threads.clone(), name })
    }

    /// Names the weights, and the label that is read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How surely two texts mean the same, 0 to 1; none: they are longer than the model can read, so that what parts them may
    /// be in what it does not see. The pair is read both ways, and the less sure one counts.
    pub async fn sure(&self, first: &str, second: &str) -> std::result::Result<Option<f32>, String> {
        let classifier = Arc::clone(&self.classifier);
        let (first, second) = (first.to_owned(), second.to_owned());
        let told = self.threads.run(move || classifier.sure(&first, &second)).await;
        told.ok_or("the model failed; the log says where")?.map_err(|error| error.to_string())
    }
}

#[derive(Debug)]
struct Classifier {
    bert: Bert,
    pooler: Linear,
    head: Linear,
    label: Option<usize>,
    begin: u32,
    end: u32,
    vocabulary: HashMap<Box<str>, u32>,
    most_tokens: usize,
}

impl Classifier {
    fn sure(&self, first: &str, second: &str) -> Result<Option<f32>> {
        let (first, second) = (self.pieces(first), self.pieces(second));
        if first.len() + second.len() + 3 > self.most_tokens {
            return Ok(None);
        }
        let (one, other) = (self.pair(&first, &second), self.pair(&second, &first));
        let states = self.bert.first_states(&[(&one, first.len() + 2), (&other, second.len() + 2)])?;
        let logits = self.head.forward(&self.pooler.forward(&states)?.tanh()?)?;
        let sure = match self.label {
            None => ops::sigmoid(&logits)?.squeeze(D::Minus1)?,
            Some(label) => ops::softmax_last_dim(&logits)?.narrow(1, label, 1)?.squeeze(1)?,
        };
        Ok(Some(least(&sure)?))
    }

    fn pieces(&self, text: &str) -> Vec<u32> {
        let mut pieces = Vec::new();
        pieces_in(&|piece: &str| self.vocabulary.get(piece).copied(), text, &mut pieces);
        pieces
    }

    /// As the model is used to pairs: each text with its mark behind it.
    fn pair(&self, first: &[u32], second: &[u32]) -> Vec<u32> {
        let end = [self.end];
        [&[self.begin], first, &end, second, &end].concat()
    }
}

/// The least of some numbers; what is no number is passed on, for who asks to refuse it.
fn least(sure: &Tensor) -> Result<f32> {
    Ok(sure
        .to_vec1::<f32>()?
        .into_iter()
        .fold(1.0, |least, sure| if sure.is_nan() || sure < least { sure } else { least }))
}
