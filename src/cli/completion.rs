//! What a shell completes a command line with: `careen completion SHELL` and the hidden `careen __complete`.
//!
//! A script tells the shell to ask the program itself at each tab: what can be typed is in one definition, and what there
//! is (stages, builders, images, steps, builds) is looked at when it is asked for.
//!
//! ```text
//! careen __complete SHELL NUMBER WORD…       NUMBER counts the words up to the one that is typed, from 0
//!
//! careen-completion ⇥ values                 or `parts`, which have no blank behind them; or `files`, or `directories`: of
//!                                            these the shell knows more than we do
//! BEFORE                                     how the word begins that the names of those follow
//! VALUE ⇥ DESCRIPTION                        the whole word; one that ends in `=`, `,`, `:` or `/` goes on
//! ```
//!
//! Nothing is written, no store is made, no server is asked, and nothing is said on standard error: where something
//! cannot be read, there is nothing to complete. Values that a shell would take for more than a word are left out: a
//! Dockerfile may be a stranger's, and a completed word is carried out with the next key.

mod candidate;
mod found;
mod keys;
mod line;
mod shell;
mod value;

use std::ffi::OsString;

use clap::{Command, CommandFactory as _};

pub(crate) use shell::script;

use crate::args::{Arguments, DockerArguments, ShellArgument};
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::spelling;
use candidate::Offer;
use found::Found;
use line::Line;

/// The hidden command.
const ASKED: &str = "__complete";

/// What a shell asks.
#[derive(Debug)]
pub(crate) struct Question {
    shell: ShellArgument,
    number: usize,
    words: Vec<String>,
}

impl Question {
    /// Understands the arguments of the program; `None` where they ask for something else.
    pub(crate) fn of(arguments: &[OsString]) -> Option<Self> {
        let mut words = arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        (words.nth(1)? == ASKED).then_some(())?;
        let (shell, number) = (words.next()?, words.next()?);
        Some(Self {
            shell: shell::named(&shell)?,
            number: number.parse().ok()?,
            words: words.collect(),
        })
    }
}

/// Answers a shell; whatever goes wrong, there is nothing to complete.
pub(crate) fn answer(question: Question, arguments: &[OsString]) -> u8 {
    let env = Environment::read();
    let offer = offer(question, &mut definition(arguments), &env);
    // Whoever closes our output has read what they wanted.
    drop(format::print(&offer.to_string()));
    exit::DONE
}

/// Returns what can be typed under the name that the program was started by.
fn definition(arguments: &[OsString]) -> Command {
    if spelling::is_docker(arguments) {
        DockerArguments::command()
    } else {
        Arguments::command()
    }
}

fn offer(question: Question, definition: &mut Command, env: &Environment) -> Offer {
    definition.build();
    let Question {
        shell,
        number,
        words,
    } = question;
    let words = shell::unquoted(shell, words);
    let line = Line::read(definition, &words, number);
    let found = Found::new(env, &line.given);
    value::offer(&line, &found)
}

/// Returns the words that are offered at the end of a line, where there is nothing but the definition.
#[cfg(test)]
pub(crate) fn offered(definition: &mut Command, line: &str) -> Vec<String> {
    tests::values(&tests::asked(definition, line, &Environment::default()))
}

#[cfg(test)]
mod tests;
