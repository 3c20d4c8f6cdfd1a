//! Models in this process, out of a folder: all-MiniLM-L6-v2, or another BERT of its kind, that makes vectors, and a BERT
//! that classifies pairs of texts.
//!
//! - [`Folder`]: what is in the folder, read and checked; in every build.
//! - [`PairFolder`]: the same of a classifier.
//! - [`Local`], [`PairModel`] and `bert`: the models themselves, in builds with the feature `local-embedder`; [`Threads`]:
//!   where they run.

#[cfg(feature = "local-embedder")]
mod bert;
mod folder;
#[cfg(feature = "local-embedder")]
mod model;
mod pair_folder;
#[cfg(feature = "local-embedder")]
mod pair_model;
#[cfg(feature = "local-embedder")]
mod threads;

pub use folder::{Folder, FolderError, Shape};
#[cfg(feature = "local-embedder")]
pub use model::{Local, local_bounds};
pub use pair_folder::PairFolder;
#[cfg(feature = "local-embedder")]
pub use pair_model::PairModel;
#[cfg(feature = "local-embedder")]
pub use threads::Threads;
