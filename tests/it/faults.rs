//! What is left when a build is ended, and what becomes of a store that is damaged.

mod beside;
mod damage;
mod fsck;
mod interrupt;
mod kill;
mod output;
mod registry;
