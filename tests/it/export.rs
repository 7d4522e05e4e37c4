//! The outputs of a build.

mod oci;
