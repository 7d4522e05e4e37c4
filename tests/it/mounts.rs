//! `RUN --mount` and `--volume`.

mod bind;
mod cache;
mod exported;
mod owners;
mod secret;
mod tmpfs;
mod volume;
