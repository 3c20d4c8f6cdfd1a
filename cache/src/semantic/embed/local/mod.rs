//! A sentence model in this process: all-MiniLM-L6-v2, or another BERT of its kind, out of a folder.
//!
//! - [`Folder`]: what is in the folder, read and checked; in every build.
//! - [`Local`] and `bert`: the model itself, in builds with the feature `local-embedder`.

#[cfg(feature = "local-embedder")]
mod bert;
mod folder;
#[cfg(feature = "local-embedder")]
mod model;

pub use folder::{Folder, FolderError, Shape};
#[cfg(feature = "local-embedder")]
pub use model::{Local, local_bounds};
