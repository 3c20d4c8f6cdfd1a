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
    /// Of each place, with the kind of the only text added.
    places: Tensor,
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
struct Tensors<'a> {
    all: HashMap<String, Tensor>,
    prefix: &'a str,
    epsilon: f64,
}

impl Tensors<'_> {
    fn take(&mut self, name: &str) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        let found = self.all.remove(&name);
        found.ok_or_else(|| candle_core::Error::Msg(format!("no tensor {name}")))?.to_dtype(DType::F32)
    }

    fn linear(&mut self, name: &str) -> Result<Linear> {
        Ok(Linear::new(self.take(&format!("{name}.weight"))?, Some(self.take(&format!("{name}.bias"))?)))
    }

    fn norm(&mut self, name: &str) -> Result<LayerNorm> {
        let (weight, bias) = (self.take(&format!("{name}.weight"))?, self.take(&format!("{name}.bias"))?);
        Ok(LayerNorm::new(weight, bias, self.epsilon))
    }
}

impl Bert {
    pub(super) fn load(bytes: &[u8], prefix: &str, shape: &Shape) -> Result<Self> {
        let all = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        let mut tensors = Tensors { all, prefix, epsilon: shape.layer_norm_eps };
        let kind = tensors.take("embeddings.token_type_embeddings.weight")?.get(0)?;
        Ok(Self {
            words: tensors.take("embeddings.word_embeddings.weight")?,
            places: tensors.take("embeddings.position_embeddings.weight")?.broadcast_add(&kind)?,
            norm: tensors.norm("embeddings.LayerNorm")?,
            layers: (0..shape.num_hidden_layers)
                .map(|layer| Layer::load(&mut tensors, &format!("encoder.layer.{layer}"), shape.num_attention_heads))
                .collect::<Result<_>>()?,
        })
    }

    /// The mean of each text's tokens; texts are rows of token numbers, none of them empty.
    pub(super) fn means(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let row = |text: &&[u32], token: fn(u32) -> u32, none: u32| {
            let tokens = text.iter().map(move |&number| token(number));
            tokens.chain(std::iter::repeat_n(none, longest - text.len())).collect::<Vec<u32>>()
        };
        let size = (texts.len(), longest);
        let numbers: Vec<u32> = texts.iter().flat_map(|text| row(text, |number| number, 0)).collect();
        let tokens: Vec<u32> = texts.iter().flat_map(|text| row(text, |_| 1, 0)).collect();
        let tokens = Tensor::from_vec(tokens, size, &Device::Cpu)?.to_dtype(DType::F32)?;
        let hidden = self.hidden(&Tensor::from_vec(numbers, size.0 * size.1, &Device::Cpu)?, &tokens)?;
        let sums = hidden.broadcast_mul(&tokens.unsqueeze(D::Minus1)?)?.sum(1)?;
        sums.broadcast_div(&tokens.sum_keepdim(1)?)?.to_vec2()
    }

    /// The state of each token behind the last layer: (texts, tokens, hidden).
    fn hidden(&self, numbers: &Tensor, tokens: &Tensor) -> Result<Tensor> {
        let (texts, longest) = tokens.dims2()?;
        let words = self.words.index_select(numbers, 0)?.reshape((texts, longest, ()))?;
        let mut x = self.norm.forward(&words.broadcast_add(&self.places.narrow(0, 0, longest)?)?)?;
        // 0 for tokens.
        let mask = tokens.affine(-f64::from(NOT_A_TOKEN), f64::from(NOT_A_TOKEN))?.reshape((texts, 1, 1, longest))?;
        for layer in &self.layers {
            x = layer.forward(&x, &mask)?;
        }
        Ok(x)
    }
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
