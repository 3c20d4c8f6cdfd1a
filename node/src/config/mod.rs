//! Configuration: from a YAML file, the environment and flags to one checked [`Config`].
//!
//! In the order of a file's way: [`braces`] makes `${NAME}` fit to be parsed anywhere, [`tree`] parses into values that
//! know their places and replaces references ([`interpolate`]), [`decode`] fits the tree into the [`model`], [`verify`]
//! judges whether the values make sense together, [`load`] runs these. What is wrong comes out as [`Finding`]s with
//! line, column and a hint; [`source`] keeps secrets out of the lines that are shown.

mod braces;
mod decode;
mod environment;
mod finding;
mod interpolate;
mod load;
mod model;
mod scalar;
mod source;
mod suggest;
mod tree;
mod verify;

pub use finding::{ConfigErrors, Finding};
pub use interpolate::Variables;
pub use load::{
    Loaded, document, document_file, from_environment, from_environment_with, from_variables, load, load_with, parse,
    verify,
};
pub use model::*;
pub use scalar::{ByteSize, Moment, Period, Secret};
pub use verify::{Known, Problem, verify_customer, verify_key, verify_team};
