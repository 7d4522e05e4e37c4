//! Checks of the project itself that no lint can make.
//!
//! * `cargo xtask layers`: which crate depends on which, against the table of ARCHITECTURE.md;
//! * `cargo xtask modules`: makes the list of modules in ARCHITECTURE.md anew;
//! * `cargo xtask performance`: makes the table of docs/performance.md anew, from the record of a run;
//! * `cargo xtask tidy`: sizes, module documentation, owners, and every drawing and table that stands
//!   both in a page and in the code.
//!
//! The pages are the truth: what may depend on what, and who owns what, is read from them and not
//! written here again.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use checkout::Checkout;
use finding::{Finding, Severity};
use workspace::Package;

mod checkout;
mod finding;
mod layers;
mod markdown;
mod modules;
mod performance;
mod rust_text;
mod tidy;
mod workspace;

const USAGE: &str = "usage: cargo xtask layers | modules | performance | tidy";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    match run(&task) {
        Ok(code) => code,
        Err(error) => {
            // There is nobody to tell when standard error is closed.
            drop(writeln!(std::io::stderr(), "xtask {task}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &str) -> Result<ExitCode, Box<dyn Error>> {
    let root = root();
    let checkout = || Checkout::read(&root);
    let packages = || workspace::packages(&root);
    let findings = match task {
        "layers" => layers::findings(&checkout()?, &packages()?),
        "modules" => renew_modules(&checkout()?, &packages()?)?,
        "performance" => renew_performance(&checkout()?)?,
        "tidy" => tidy::findings(&checkout()?, &packages()?),
        _ => return Err(USAGE.into()),
    };
    print(task, &findings)?;
    let failed = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn renew_modules(checkout: &Checkout, packages: &[Package]) -> std::io::Result<Vec<Finding>> {
    match modules::renewed_page(checkout, packages) {
        Some(page) => {
            std::fs::write(checkout.root.join(modules::PAGE), page)?;
            Ok(Vec::new())
        }
        None => Ok(vec![Finding::error(
            modules::PAGE,
            "has no section for the modules",
        )]),
    }
}

fn renew_performance(checkout: &Checkout) -> Result<Vec<Finding>, Box<dyn Error>> {
    let page = performance::renewed_page(checkout)?;
    std::fs::write(checkout.root.join(performance::PAGE), page)?;
    Ok(Vec::new())
}

/// Returns the top of the checkout, which is where this program was compiled.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

fn print(task: &str, findings: &[Finding]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    writeln!(out, "xtask {task}: {errors} errors, {warnings} warnings")
}
