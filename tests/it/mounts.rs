//! `RUN --mount` and `--volume`.

mod bind;
mod cache;
mod exported;
mod secret;
mod tmpfs;
mod volume;
