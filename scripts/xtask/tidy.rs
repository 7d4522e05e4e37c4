//! What review would otherwise have to count, look up and compare.

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::workspace::Package;
use crate::{modules, performance};

mod escape;
mod example;
mod limit;
mod owner;
mod page;
mod shape;
mod table;

/// Runs every check.
pub(crate) fn findings(checkout: &Checkout, packages: &[Package]) -> Vec<Finding> {
    [
        shape::file_sizes(checkout),
        shape::module_documentation(checkout),
        owner::forbids_unsafe(checkout, packages),
        owner::of_unsafe(checkout),
        owner::of_std_fs(checkout),
        owner::machine_paths(checkout),
        escape::rows_and_tests(checkout),
        limit::rows_and_constants(checkout),
        table::cache_keys(checkout),
        table::exit_codes(checkout),
        modules::findings(checkout, packages),
        performance::findings(checkout),
        page::tree(checkout, packages),
        page::readme_commands(checkout),
        page::links(checkout),
        example::findings(checkout),
    ]
    .concat()
}
