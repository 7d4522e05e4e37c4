//! Tests of what happens on disk, with hostile archives and GNU tar as the judge.

mod archive;
mod compare;
mod gnu;
mod hostile;
mod index;
mod merge;
mod objects;
mod pack;
mod recipe;
mod roundtrip;
mod settle;
mod stash;
mod support;
