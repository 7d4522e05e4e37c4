//! A command line that is still typed, understood as far as it goes: which command it is of, what was given, and what
//! the word at the cursor can be. Mistakes in it are passed over.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

/// What was given to a command, by the ids of its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given(BTreeMap<String, Vec<String>>);

impl Given {
    /// Returns what was given last.
    pub(super) fn last(&self, id: &str) -> Option<&str> {
        self.all(id).last().map(String::as_str)
    }

    /// Returns all that was given.
    pub(super) fn all(&self, id: &str) -> &[String] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, argument: &Arg, value: Option<&str>) {
        let values = self.0.entry(argument.get_id().to_string()).or_default();
        values.extend(value.map(str::to_owned));
    }

    /// Tells whether an argument was given that can be given once.
    pub(super) fn has_enough(&self, argument: &Arg) -> bool {
        let is_repeated = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count);
        !is_repeated && self.0.contains_key(argument.get_id().as_str())
    }
}

/// What the word at the cursor can be.
#[derive(Debug, Clone)]
pub(super) enum Asked<'d> {
    /// A flag.
    Flag,
    /// The value of an argument, which has so many before it; in the word, this stands before the value.
    Value {
        argument: &'d Arg,
        count: usize,
        before: String,
    },
    /// A command below this one, or what the command takes.
    Word(Option<(&'d Arg, usize)>),
    /// What no command takes.
    Nothing,
}

/// A command line.
#[derive(Debug)]
pub(super) struct Line<'d> {
    /// The command that it is of.
    pub(super) command: &'d Command,
    /// What was given to it.
    pub(super) given: Given,
    /// What is typed.
    pub(super) asked: Asked<'d>,
    /// The part of the word that the value begins with, or all of it.
    pub(super) typed: String,
}

/// A walk along the words.
#[derive(Debug)]
struct Walk<'d> {
    command: &'d Command,
    given: Given,
    /// The flag whose value is the next word.
    pending: Option<&'d Arg>,
    /// Whether `--` was there.
    is_escaped: bool,
    /// How many words there were that are no flags.
    count: usize,
}

impl<'d> Line<'d> {
    /// Reads the words of a line, the program's name first; the one with this number is at the cursor.
    pub(super) fn read(definition: &'d Command, words: &[String], number: usize) -> Self {
        let mut walk = Walk {
            command: definition,
            given: Given::default(),
            pending: None,
            is_escaped: false,
            count: 0,
        };
        for word in words.iter().take(number).skip(1) {
            walk.take(word);
        }
        let word = words.get(number).map_or("", String::as_str);
        let command = walk.command;
        let (asked, typed) = walk.asked(word);
        let is_flag = matches!(asked, Asked::Flag);
        // What stands behind the cursor may say which Dockerfile is meant. An empty word is none yet.
        if walk.pending.take().is_none() && !is_flag && !word.is_empty() {
            walk.count += 1;
        }
        for word in words.iter().skip(number + 1) {
            if walk.command.find_subcommand(word).is_none() {
                walk.take(word);
            }
        }
        Self {
            command,
            given: walk.given,
            asked,
            typed,
        }
    }
}

impl<'d> Walk<'d> {
    /// Takes a whole word.
    fn take(&mut self, word: &str) {
        if let Some(argument) = self.pending.take() {
            self.given.note(argument, Some(word));
        } else if self.is_foreign() || self.is_escaped {
            self.take_value(word);
        } else if word == "--" {
            self.is_escaped = true;
        } else if let Some(long) = word.strip_prefix("--") {
            self.take_long(long);
        } else if word.len() > 1 && word.starts_with('-') {
            self.take_short(word);
        } else if self.count == 0
            && let Some(below) = self.command.find_subcommand(word)
        {
            self.descend(below);
        } else {
            self.take_value(word);
        }
    }

    /// Goes on with a command below; what was given counts on if the command takes it too.
    fn descend(&mut self, below: &'d Command) {
        self.command = below;
        self.given.0.retain(|id, _| {
            let mut arguments = below.get_arguments();
            arguments.any(|argument| argument.is_global_set() && argument.get_id() == id.as_str())
        });
    }

    fn take_value(&mut self, word: &str) {
        if let Some((argument, _)) = self.next_value() {
            self.given.note(argument, Some(word));
        }
        self.count += 1;
    }

    fn take_long(&mut self, long: &str) {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        if let Some(argument) = self.long(name) {
            match value {
                None if wants_next(argument) => self.pending = Some(argument),
                value => self.given.note(argument, value),
            }
        }
    }

    fn take_short(&mut self, word: &str) {
        if let Some((argument, at)) = self.short_with_value(word) {
            match word.get(at..).filter(|value| !value.is_empty()) {
                None if wants_next(argument) => self.pending = Some(argument),
                value => self
                    .given
                    .note(argument, value.map(|value| value.trim_start_matches('='))),
            }
        }
        for letter in word.chars().skip(1) {
            match self.short(letter) {
                Some(argument) if !argument.get_action().takes_values() => {
                    self.given.note(argument, None);
                }
                _ => break,
            }
        }
    }

    /// Tells what a word at the cursor is, and the part of it that matters.
    fn asked(&self, word: &str) -> (Asked<'d>, String) {
        if let Some(argument) = self.pending {
            return value_of(argument, 0, "", word);
        }
        let positional = self.next_value();
        if !self.is_foreign() && !self.is_escaped && word.starts_with('-') {
            let long = word.split_once('=');
            if let Some((name, value)) = long
                && let Some(argument) = name.strip_prefix("--").and_then(|name| self.long(name))
            {
                return value_of(argument, 0, &format!("{name}="), value);
            }
            if let Some((argument, at)) = self.short_with_value(word)
                && at < word.len()
                && let Some((before, value)) = word.split_at_checked(at)
            {
                return value_of(argument, 0, before, value);
            }
            return (Asked::Flag, word.to_owned());
        }
        let has_commands = self.count == 0 && !self.is_escaped && self.command.has_subcommands();
        match positional {
            positional if has_commands => (Asked::Word(positional), word.to_owned()),
            Some((argument, count)) => value_of(argument, count, "", word),
            None => (Asked::Nothing, word.to_owned()),
        }
    }

    /// Tells whether the words are another program's by now.
    fn is_foreign(&self) -> bool {
        self.next_value()
            .is_some_and(|(argument, count)| argument.is_trailing_var_arg_set() && count > 0)
    }

    /// Returns what the next word is that is no flag, and how many of it there are.
    fn next_value(&self) -> Option<(&'d Arg, usize)> {
        let mut left = self.count;
        for argument in self.command.get_positionals() {
            let max = argument
                .get_num_args()
                .map_or(1, |range| range.max_values());
            if left < max {
                return Some((argument, left));
            }
            left -= max;
        }
        None
    }

    fn long(&self, name: &str) -> Option<&'d Arg> {
        let has = |argument: &&Arg| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_long() == Some(name) || aliases.contains(&name)
        };
        self.command.get_arguments().find(has)
    }

    fn short(&self, letter: char) -> Option<&'d Arg> {
        let has = |argument: &&Arg| {
            let aliases = argument.get_all_short_aliases().unwrap_or_default();
            argument.get_short() == Some(letter) || aliases.contains(&letter)
        };
        self.command.get_arguments().find(has)
    }

    /// Returns the flag among those of `-abc` that has the rest for its value, and where that begins.
    fn short_with_value(&self, word: &str) -> Option<(&'d Arg, usize)> {
        for (at, letter) in word.char_indices().skip(1) {
            let argument = self.short(letter)?;
            if argument.get_action().takes_values() {
                return Some((argument, at + letter.len_utf8()));
            }
        }
        None
    }
}

/// Returns the value that a word is or ends in.
fn value_of<'d>(argument: &'d Arg, count: usize, before: &str, word: &str) -> (Asked<'d>, String) {
    let cut = argument
        .get_value_delimiter()
        .and_then(|delimiter| Some(word.rfind(delimiter)? + delimiter.len_utf8()));
    let (listed, typed) = word.split_at(cut.unwrap_or(0));
    let before = format!("{before}{listed}");
    let asked = Asked::Value {
        argument,
        count,
        before,
    };
    (asked, typed.to_owned())
}

/// Tells whether the value of a flag is the next word where it does not stand behind `=`.
fn wants_next(argument: &Arg) -> bool {
    argument.get_action().takes_values()
        && !argument.is_require_equals_set()
        && argument
            .get_num_args()
            .is_none_or(|range| range.min_values() > 0)
}
