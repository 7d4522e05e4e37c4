//! The commands beside `build`.

mod image_ls;
mod load;
mod registry_serve;
