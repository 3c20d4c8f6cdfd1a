//! Configuration: from a YAML file, the environment and flags to one checked [`Config`].

mod model;
mod scalar;

pub use model::*;
pub use scalar::{ByteSize, Period, Secret};
