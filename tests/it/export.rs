//! The outputs of a build.

mod annotation;
mod docker;
mod local;
mod oci;
mod result;
mod squash;
mod tar;
