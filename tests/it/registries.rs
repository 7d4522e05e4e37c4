//! Builds that begin with images of a registry and end in one: what is asked for, what is sent, and what happens
//! when nobody answers.

mod append;
mod from;
mod local;
mod push;
