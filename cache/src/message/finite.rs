//! Floats on the wire: finite, or the message is not one. So no comparison with one of them ever goes astray.

use std::sync::Arc;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// A number that is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Finite(pub f32);

impl Encode for Finite {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for Finite {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let number = f32::decode(decoder)?;
        if number.is_finite() { Ok(Finite(number)) } else { Err(not_finite()) }
    }
}

bincode::impl_borrow_decode!(Finite);

/// A vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Components(pub Arc<[f32]>);

impl Encode for Components {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for Components {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let numbers = Vec::<f32>::decode(decoder)?;
        if numbers.iter().all(|number| number.is_finite()) { Ok(Components(numbers.into())) } else { Err(not_finite()) }
    }
}

bincode::impl_borrow_decode!(Components);

fn not_finite() -> DecodeError {
    DecodeError::Other("a number is not finite")
}
