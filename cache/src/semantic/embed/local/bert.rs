//! A BERT as it is published: embeddings, layers of attention, and the mean over a text's tokens.

use std::collections::HashMap;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module as _, ops};

use super::folder::Shape;

/// Added to the scores of what is no token, so that nothing attends to it.
const NOT_A_TOKEN: f32 = -1e9;

#[derive(Debug)]
pub(super) struct Bert {
    words: Tensor,
    /// Of each place, with the kind of the first text added.
    places: Tensor,
    /// What the kind of a pair's second text adds to that.
    second: Option<Tensor>,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    heads: usize,
    attended: Linear,
    attended_norm: LayerNorm,
    inner: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// The tensors of a file, taken out by name.
pub(super) struct Tensors<'a> {
    all: HashMap<String, Tensor>,
    prefix: &'a str,
    epsilon: f64,
}

impl<'a> Tensors<'a> {
    pub(super) fn read(bytes: &[u8], prefix: &'a str, shape: &Shape) -> Result<Self> {
        let all = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        Ok(Self { all, prefix, epsilon: shape.layer_norm_eps })
    }

    /// Where the names of the tensors stand for themselves.
    pub(super) fn unprefixed(self) -> Tensors<'static> {
        Tensors { all: self.all, prefix: "", epsilon: self.epsilon }
    }

    fn take(&mut self, name: &str) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        let found = self.all.remove(&name);
        found.ok_or_else(|| candle_core::Error::Msg(format!("no tensor {name}")))?.to_dtype(DType::F32)
    }

    pub(super) fn linear(&mut self, name: &str) -> Result<Linear> {
        Ok(Linear::new(self.take(&format!("{name}.weight"))?, Some(self.take(&format!("{name}.bias"))?)))
    }

    fn norm(&mut self, name: &str) -> Result<LayerNorm> {
        let (weight, bias) = (self.take(&format!("{name}.weight"))?, self.take(&format!("{name}.bias"))?);
        Ok(LayerNorm::new(weight, bias, self.epsilon))
    }
}

impl Bert {
    pub(super) fn load(bytes: &[u8], prefix: &str, shape: &Shape) -> Result<Self> {
        Self::take(&mut Tensors::read(bytes, prefix, shape)?, shape)
    }

    pub(super) fn take(tensors: &mut Tensors<'_>, shape: &Shape) -> Result<Self> {
        let kinds = tensors.take("embeddings.token_type_embeddings.weight")?;
        let kind = kinds.get(0)?;
        let second = if shape.type_vocab_size > 1 { Some((kinds.get(1)? - &kind)?) } else { None };
        Ok(Self {
            second,
            words: tensors.take("embeddings.word_embeddings.weight")?,
            places: tensors.take("embeddings.position_embeddings.weight")?.broadcast_add(&kind)?,
            norm: tensors.norm("embeddings.LayerNorm")?,
            layers: (0..shape.num_hidden_layers)
                .map(|layer| Layer::load(tensors, &format!("encoder.layer.{layer}"), shape.num_attention_heads))
                .collect::<Result<_>>()?,
        })
    }

    /// The mean of each text's tokens; texts are rows of token numbers, none of them empty.
    pub(super) fn means(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let numbers = rows(texts, longest, |_, number| number)?.flatten_all()?;
        let tokens = rows(texts, longest, |_, _| 1)?.to_dtype(DType::F32)?;
        let hidden = self.hidden(&numbers, &tokens, None)?;
        let sums = hidden.broadcast_mul(&tokens.unsqueeze(D::Minus1)?)?.sum(1)?;
        sums.broadcast_div(&tokens.sum_keepdim(1)?)?.to_vec2()
    }

    /// The state of the first token of each pair: (pairs, hidden). Pairs are rows of token numbers, and where in the row the
    /// second text begins.
    pub(super) fn first_states(&self, pairs: &[(&[u32], usize)]) -> Result<Tensor> {
        let texts: Vec<&[u32]> = pairs.iter().map(|(tokens, _)| *tokens).collect();
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let numbers = rows(&texts, longest, |_, number| number)?.flatten_all()?;
        let tokens = rows(&texts, longest, |_, _| 1)?.to_dtype(DType::F32)?;
        let is_second = |(row, place): (usize, usize), _| u32::from(place >= pairs[row].1);
        let second = rows(&texts, longest, is_second)?.to_dtype(DType::F32)?;
        self.hidden(&numbers, &tokens, Some(&second))?.narrow(1, 0, 1)?.squeeze(1)
    }

    /// The state of each token behind the last layer: (texts, tokens, hidden). `second`: which tokens are of a pair's second
    /// text.
    fn hidden(&self, numbers: &Tensor, tokens: &Tensor, second: Option<&Tensor>) -> Result<Tensor> {
        let (texts, longest) = tokens.dims2()?;
        let mut words = self.words.index_select(numbers, 0)?.reshape((texts, longest, ()))?;
        if let (Some(second), Some(kind)) = (second, &self.second) {
            words = (words + second.unsqueeze(D::Minus1)?.broadcast_mul(kind)?)?;
        }
        let mut x = self.norm.forward(&words.broadcast_add(&self.places.narrow(0, 0, longest)?)?)?;
        // 0 for tokens.
        let mask = tokens.affine(-f64::from(NOT_A_TOKEN), f64::from(NOT_A_TOKEN))?.reshape((texts, 1, 1, longest))?;
        for layer in &self.layers {
            x = layer.forward(&x, &mask)?;
        }
        Ok(x)
    }
}

/// Texts as rows of one length; what is no token is 0.
fn rows(texts: &[&[u32]], longest: usize, of: impl Fn((usize, usize), u32) -> u32) -> Result<Tensor> {
    let mut all = Vec::with_capacity(texts.len() * longest);
    for (row, text) in texts.iter().enumerate() {
        all.extend(text.iter().enumerate().map(|(place, &number)| of((row, place), number)));
        all.resize((row + 1) * longest, 0);
    }
    Tensor::from_vec(all, (texts.len(), longest), &Device::Cpu)
}

impl Layer {
    fn load(tensors: &mut Tensors<'_>, at: &str, heads: usize) -> Result<Self> {
        Ok(Self {
            query: tensors.linear(&format!("{at}.attention.self.query"))?,
            key: tensors.linear(&format!("{at}.attention.self.key"))?,
            value: tensors.linear(&format!("{at}.attention.self.value"))?,
            heads,
            attended: tensors.linear(&format!("{at}.attention.output.dense"))?,
            attended_norm: tensors.norm(&format!("{at}.attention.output.LayerNorm"))?,
            inner: tensors.linear(&format!("{at}.intermediate.dense"))?,
            output: tensors.linear(&format!("{at}.output.dense"))?,
            output_norm: tensors.norm(&format!("{at}.output.LayerNorm"))?,
        })
    }

    fn forward(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (texts, tokens, hidden) = x.dims3()?;
        let size = hidden / self.heads;
        let heads = |x: Tensor| x.reshape((texts, tokens, self.heads, size))?.transpose(1, 2)?.contiguous();
        let query = (heads(self.query.forward(x)?)? / (size as f64).sqrt())?;
        let key = heads(self.key.forward(x)?)?.transpose(2, 3)?;
        let scores = ops::softmax_last_dim(&query.matmul(&key)?.broadcast_add(mask)?)?;
        let mixed =
            scores.matmul(&heads(self.value.forward(x)?)?)?.transpose(1, 2)?.reshape((texts, tokens, hidden))?;
        let x = self.attended_norm.forward(&(x + self.attended.forward(&mixed)?)?)?;
        let inner = self.inner.forward(&x)?.gelu_erf()?;
        self.output_norm.forward(&(&x + self.output.forward(&inner)?)?)
    }
}
