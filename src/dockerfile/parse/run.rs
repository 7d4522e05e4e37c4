//! `RUN [flags] command`

use crate::ast::{
    DeviceFlag, InstructionKind, MountFlag, NetworkMode, RunInstruction, SecurityMode, Word,
};
use crate::csv;
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::number;
use crate::parse::flag::{Flags, Known, Takes};
use crate::source::Spanned;
use crate::suggest;

const FLAGS: [Known; 4] = [
    ("mount", Takes::Texts),
    ("network", Takes::Text),
    ("security", Takes::Text),
    ("device", Takes::Texts),
];

const NETWORKS: [(&str, NetworkMode); 3] = [
    ("default", NetworkMode::Default),
    ("none", NetworkMode::None),
    ("host", NetworkMode::Host),
];

const SECURITIES: [(&str, SecurityMode); 2] = [
    ("sandbox", SecurityMode::Sandbox),
    ("insecure", SecurityMode::Insecure),
];

pub(super) fn run(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> InstructionKind {
    let flags = Flags::read(node, &FLAGS, diagnostics);
    let mounts = flags.texts("mount").into_iter();
    let mounts = mounts.filter_map(|word| mount(word, diagnostics)).collect();
    let network = mode("network", &flags, &NETWORKS, diagnostics);
    let security = mode("security", &flags, &SECURITIES, diagnostics);
    let devices = flags.texts("device").into_iter();
    let devices = devices
        .filter_map(|word| device(&word, diagnostics))
        .collect();
    let command = super::command::command_form(node, super::words(node));
    InstructionKind::Run(RunInstruction {
        mounts,
        network,
        security,
        devices,
        command,
    })
}

fn mount(word: Word, diagnostics: &mut Vec<Diagnostic>) -> Option<MountFlag> {
    match MountFlag::parse(word) {
        Ok(mount) => Some(mount),
        Err(error) => {
            diagnostics.push(error.to_diagnostic());
            None
        }
    }
}

/// Returns the value of a flag that has to be one of a few words.
fn mode<T: Copy>(
    flag: &str,
    flags: &Flags<'_>,
    modes: &[(&'static str, T)],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Spanned<T>> {
    let word = flags.texts(flag).into_iter().next()?;
    if let Some((_, mode)) = modes.iter().find(|(name, _)| *name == word.value) {
        return Some(word.map(|_| *mode));
    }
    let names: Vec<_> = modes.iter().map(|(name, _)| *name).collect();
    let near = suggest::nearest(&word.value, names.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `--{flag}={near}`?"),
        None => format!("use one of {}", names.join(", ")),
    };
    let title = format!("unknown value of `--{flag}`: {}", quoted(&word.value));
    diagnostics.push(Diagnostic::error(title, word.span).with_help(help));
    None
}

fn device(word: &Word, diagnostics: &mut Vec<Diagnostic>) -> Option<DeviceFlag> {
    let result = device_fields(word);
    result
        .map_err(|message| diagnostics.push(Diagnostic::error(message, word.span)))
        .ok()
}

/// Reads `name[,required[=bool]]` or `name=…`.
fn device_fields(word: &Word) -> Result<DeviceFlag, String> {
    let bad = |why: &str| {
        format!(
            "{} cannot be read: {why}",
            quoted(&format!("--device={}", word.value))
        )
    };
    let fields = csv::fields(&word.value).map_err(|error| bad(&error.to_string()))?;
    let mut name = None;
    let mut required = false;
    for csv::Field { value, .. } in fields {
        match value.split_once('=') {
            None if value == "required" => required = true,
            Some(("required", flag)) => {
                required = number::parse_bool(flag)
                    .ok_or_else(|| bad("`required` is neither true nor false"))?;
            }
            Some(("name", device)) if name.is_none() => name = Some(device.to_owned()),
            _ if name.is_none() => name = Some(value),
            _ => return Err(bad(&format!("{} is no option", quoted(&value)))),
        }
    }
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| bad("it names no device"))?;
    Ok(DeviceFlag {
        name: Spanned::new(name, word.span),
        required,
    })
}
