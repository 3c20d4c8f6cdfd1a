//! Who may use the gateway, and what requests cost: prices, the cost of what was used, and the estimate of what will be.
//!
//! `money` is the unit; `prices` finds a model's price, in the operator's file or in the table that comes with the
//! gateway; `cost` turns usage into money; `estimate` bounds a request before it is sent; `count` counts what a model
//! wrote where its provider does not; `account` adds up what one request cost, whichever way it went; `access` knows the
//! virtual keys, teams and customers; `charges` says which budgets and limits a request goes to. All of it is a function
//! of its inputs: only `prices` reads a file, and only when a configuration is loaded, and only `access` follows what is
//! changed at run time.

pub mod access;
pub mod account;
pub mod alerts;
pub mod charges;
pub mod cost;
pub mod count;
pub mod estimate;
mod ledger;
pub mod local;
pub mod moment;
pub mod money;
pub mod prices;

pub use access::{Access, CurrentAccess, KeyMissing, Unusable, VirtualKey};
pub use account::{Account, Reason};
pub use alerts::{AlertCounts, Alerts};
pub use charges::{Amounts, Charge, Charges, Reserve, Reserved};
pub use cost::{Limits, Mode, Price, Rates};
pub use count::Written;
pub use estimate::{Estimate, EstimateError};
pub use moment::rfc3339;
pub use money::{MoneyError, NanoUsd};
pub use prices::PriceBook;
