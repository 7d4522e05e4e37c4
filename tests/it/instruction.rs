//! What each instruction makes.

mod add;
mod add_git;
mod add_url;
mod arg;
mod config;
mod copy;
mod copy_destination;
mod copy_link;
mod copy_owner;
mod copy_parents;
mod ignore;
mod onbuild;
mod run;
mod workdir;
