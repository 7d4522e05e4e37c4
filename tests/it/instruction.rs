//! What each instruction makes.

mod add;
mod add_git;
mod add_url;
mod arg;
mod config;
mod copy;
mod copy_destination;
mod copy_owner;
mod ignore;
mod onbuild;
mod run;
mod workdir;
