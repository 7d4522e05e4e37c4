//! `STOPSIGNAL signal`

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;
use crate::suggest;

/// The names of Linux signals, signal(7), without `SIG`. Real-time signals are named apart.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

pub(super) fn lower(stage: &mut StageLowering<'_>, signal: &Word) -> Lowered {
    let name = stage.text(signal)?;
    if !is_signal(&name) {
        let wanted = name.to_uppercase();
        let near = suggest::nearest(without_prefix(&wanted), NAMES);
        let help = near.map(|near| format!("did you mean `SIG{near}`?"));
        let fault = Diagnostic::error(format!("unknown signal: `{name}`"), signal.span);
        return Err(vec![fault.with_help(help)]);
    }
    stage.state.record(format!("STOPSIGNAL {name}"), true);
    stage.config().stop_signal = Some(name);
    Ok(())
}

/// Tells whether the text is a signal's number, or its name in any case, with or without `SIG`.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = without_prefix(&upper);
    NAMES.contains(&name) || is_real_time(name)
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix("SIG").unwrap_or(name)
}

/// Tells whether the name is `RTMIN+1` … `RTMIN+15` or `RTMAX-14` … `RTMAX-1`.
fn is_real_time(name: &str) -> bool {
    let offset = |prefix| {
        name.strip_prefix(prefix)
            .and_then(|rest: &str| rest.parse::<u8>().ok())
    };
    let above = offset("RTMIN+").is_some_and(|offset| (1..=15).contains(&offset));
    let below = offset("RTMAX-").is_some_and(|offset| (1..=14).contains(&offset));
    above || below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        for (text, expected) in [
            ("SIGTERM", true),
            ("term", true),
            ("9", true),
            ("SIGRTMIN+3", true),
            ("RTMAX-14", true),
            ("RTMAX", true),
            ("0", false),
            ("-9", false),
            ("SIGRTMIN+16", false),
            ("SIGSIGTERM", false),
            ("TREM", false),
            ("", false),
        ] {
            assert_eq!(is_signal(text), expected, "{text}");
        }
    }
}
