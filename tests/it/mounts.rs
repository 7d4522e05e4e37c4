//! `RUN --mount` and `--volume`.

mod bind;
mod cache;
mod secret;
mod tmpfs;
mod volume;
