//! Who may use the gateway, and what requests cost: prices, the cost of what was used, and the estimate of what will be.
//!
//! `money` is the unit; `prices` finds a model's price, in the operator's file or in the table that comes with the
//! gateway; `cost` turns usage into money; `estimate` bounds a request before it is sent; `access` knows the virtual
//! keys, teams and customers. All of it is a function of its inputs: only `prices` reads a file, and only when a
//! configuration is loaded, and only `access` follows what is changed at run time.

pub mod access;
pub mod cost;
pub mod estimate;
pub mod money;
pub mod prices;

pub use access::{Access, CurrentAccess, KeyMissing, Unusable, VirtualKey};
pub use cost::{Limits, Mode, Price, Rates};
pub use estimate::{Estimate, EstimateError};
pub use money::{MoneyError, NanoUsd};
pub use prices::PriceBook;
