//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead, Read as _, Write as _};

use runtime::{CallError, TerminalSettings};

/// More than this is no answer that somebody typed, in bytes.
const ANSWER_LIMIT_BYTES: u64 = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Standard input is no terminal.
    #[error("there is no terminal to ask at")]
    NoTerminal,
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The terminal cannot be set.
    #[error("set the terminal")]
    Terminal(#[source] CallError),
    /// The answer cannot be read.
    #[error("read the answer")]
    Read(#[source] io::Error),
}

/// Asks for a line that is shown while it is typed.
pub(crate) fn line(prompt: &str) -> Result<String, AskError> {
    let terminal = TerminalSettings::of(io::stdin()).map_err(AskError::Terminal)?;
    terminal.ok_or(AskError::NoTerminal)?;
    show(prompt);
    let mut answer = String::new();
    let stdin = io::stdin().lock();
    stdin
        .take(ANSWER_LIMIT_BYTES)
        .read_line(&mut answer)
        .map_err(AskError::Read)?;
    Ok(answer.trim().to_owned())
}

/// Asks a question that is answered by `y` or by anything else, also by what a script says.
pub(crate) fn is_confirmed(question: &str) -> bool {
    let mut out = io::stdout().lock();
    // Whoever does not see the question does not answer it.
    drop(
        out.write_all(question.as_bytes())
            .and_then(|()| out.flush()),
    );
    let mut answer = String::new();
    let read = io::stdin()
        .lock()
        .take(ANSWER_LIMIT_BYTES)
        .read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Asks for a line that is not shown.
pub(crate) fn secret(prompt: &str) -> Result<String, AskError> {
    let terminal = TerminalSettings::of(io::stdin()).map_err(AskError::Terminal)?;
    let terminal = terminal.ok_or(AskError::NoTerminal)?;
    // Every key comes as it is, Ctrl-C as well: a signal would leave the terminal mute.
    let raw = terminal.into_raw().map_err(AskError::Terminal)?;
    show(prompt);
    let typed = typed(io::stdin().lock().take(ANSWER_LIMIT_BYTES));
    drop(raw);
    show("\n");
    typed
}

/// Puts the keys together that somebody pressed, until the line ends.
fn typed<K: BufRead>(keys: K) -> Result<String, AskError> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const BACKSPACE: u8 = 8;
    const CTRL_U: u8 = 21;
    const DELETE: u8 = 127;
    let mut answer = Vec::new();
    for key in keys.bytes() {
        match key.map_err(AskError::Read)? {
            b'\r' | b'\n' | CTRL_D => break,
            CTRL_C => return Err(AskError::Interrupted),
            CTRL_U => answer.clear(),
            BACKSPACE | DELETE => remove_last(&mut answer),
            byte => answer.push(byte),
        }
    }
    String::from_utf8(answer).map_err(|_secret| AskError::Read(io::ErrorKind::InvalidData.into()))
}

/// Removes the last character, which may have several bytes.
fn remove_last(answer: &mut Vec<u8>) {
    while let Some(byte) = answer.pop() {
        let is_continuation = byte & 0b1100_0000 == 0b1000_0000;
        if !is_continuation {
            break;
        }
    }
}

/// Reads a secret that a program writes to standard input: all of it but the end of its line.
pub(crate) fn piped_secret() -> Result<String, AskError> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(ANSWER_LIMIT_BYTES);
    stdin.read_to_string(&mut text).map_err(AskError::Read)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn show(text: &str) {
    // Nobody sees standard error; the question is asked all the same.
    let mut stderr = io::stderr().lock();
    drop(write!(stderr, "{text}").and_then(|()| stderr.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_a_line() {
        let cases: [(&[u8], &str); 7] = [
            (b"secret\rmore", "secret"),
            (b"secret\nmore", "secret"),
            (b"secret", "secret"),
            (b"se\x04cret\r", "se"),
            (b"wrong\x15right\r", "right"),
            (b"ab\x7f\x08\x08c\r", "c"),
            ("p\u{e4}\u{20ac}\u{7f}x\r".as_bytes(), "p\u{e4}x"),
        ];
        for (keys, expected) in cases {
            assert_eq!(typed(keys).unwrap(), expected);
        }
        assert!(matches!(
            typed(&b"a\x03b\r"[..]),
            Err(AskError::Interrupted)
        ));
        assert!(matches!(typed(&b"\xff\r"[..]), Err(AskError::Read(_))));
    }
}
