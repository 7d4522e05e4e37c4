//! careen as its users run it, from end to end.
//!
//! Each test has its own context, store and home ([`support::Bench`]). Neither a network nor root is needed;
//! what a test needs of the machine it says in its first line ([`support::needs!`]). The modules are marked as tests
//! so that their helpers may panic too (clippy.toml).

#[cfg(test)]
mod actions_cache;
#[cfg(test)]
mod alone;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod authorities;
#[cfg(test)]
mod bases;
#[cfg(test)]
mod builders;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod caches;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod chroot;
#[cfg(test)]
mod command;
#[cfg(test)]
mod contexts;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod crowded;
#[cfg(test)]
mod debug;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod earlier;
#[cfg(test)]
mod emulation;
#[cfg(test)]
mod environments;
#[cfg(test)]
mod escapes;
#[cfg(test)]
mod export;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod files;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod history;
#[cfg(test)]
mod id_range;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod indexes;
#[cfg(test)]
mod instruction;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod login;
#[cfg(test)]
mod mounts;
#[cfg(test)]
mod network;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod progress;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registries;
#[cfg(test)]
mod reproducible;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod served;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod stages;
#[cfg(test)]
mod stood;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod unsynced;
#[cfg(test)]
mod windows;

use support::Bench;

/// Makes the directory of a test.
fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_careen"))
}
