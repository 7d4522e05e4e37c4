//! The client against servers that do what each test says.

mod auth;
mod delete;
mod drills;
mod hosts;
mod lists;
mod pull;
mod push;
