//! The commands beside `build`.

mod image;
mod load;
mod registry_serve;
