//! The HTTP plane: listener, data-plane threads, errors as clients read them, graceful drain.

pub mod accept;
pub mod drain;
pub mod error;
pub mod error_form;
pub mod request_id;
pub mod worker;
