//! All patterns of a set as one automaton: a path is read once, however many patterns there are.
//!
//! Patterns that begin alike share their beginning, so that what is followed while a path is read are not patterns but
//! *places*: of `**/*.a` and `**/*.b` they are the same three until the last letter.
//!
//! ```text
//! a/*.o    ●─a─●─/─●─*─◌─.─●─o─●           ◌ stays on any character but a slash
//! a/*.c            (the same)  └─c─●       ◎ stays on any character
//!
//! **/x     ●─┬──────────►●─x─●             `**/` is nothing, or anything up to a slash
//!            └─◎────/────┘
//! ```
//!
//! The cost of a character is the number of places that it is followed from: one for each wildcard that has been begun
//! and one for the text behind it. Only patterns whose `[…]` differ at the same place are tried one by one.

use super::glob::{Glob, Token};

/// A place in patterns: what has been read so far fits them up to there.
pub(super) type Place = usize;

/// Where a set begins.
const START: Place = 0;

/// The automaton of a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
}

/// What is known of one place.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Where a character leads, sorted by it.
    literals: Vec<(char, Place)>,
    /// Where `?` and `[…]` lead.
    classes: Vec<(Token, Place)>,
    /// The place behind a `*` here, reached without a character.
    many: Option<Place>,
    /// The place behind a `**` here, reached without a character.
    anything: Option<Place>,
    /// The place behind a `**/` here, reached without a character.
    directories: Option<Place>,
    stays: Stays,
    /// The last pattern that ends here.
    ends: Option<usize>,
    /// The last pattern with `!` that ends here or further on.
    takes_back: Option<usize>,
}

/// On which characters a place is not left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stays {
    #[default]
    Never,
    InName,
    Always,
}

impl Stays {
    const fn accepts(self, character: char) -> bool {
        match self {
            Self::Never => false,
            Self::InName => character != '/',
            Self::Always => true,
        }
    }
}

impl Automaton {
    /// Adds a pattern, which has to come after those that are there.
    pub(super) fn add(&mut self, glob: &Glob, index: usize, takes_back: bool) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut place = START;
        self.pass(place, index, takes_back);
        for token in glob.tokens() {
            place = self.next(place, token, (index, takes_back));
            self.pass(place, index, takes_back);
        }
        self.nodes[place].ends = Some(index);
    }

    /// Notes what can be reached from a place.
    fn pass(&mut self, place: Place, index: usize, takes_back: bool) {
        if takes_back {
            self.nodes[place].takes_back = Some(index);
        }
    }

    /// Returns where a token leads from a place.
    fn next(&mut self, place: Place, token: &Token, pattern: (usize, bool)) -> Place {
        match token {
            Token::Exactly(character) => self.literal(place, *character),
            Token::One | Token::Class { .. } => self.class(place, token),
            Token::Many => self.many(place),
            Token::Anything => self.anything(place),
            Token::Directories => self.directories(place, pattern),
        }
    }

    fn new_place(&mut self, stays: Stays) -> Place {
        self.nodes.push(Node {
            stays,
            ..Node::default()
        });
        self.nodes.len() - 1
    }

    fn literal(&mut self, place: Place, character: char) -> Place {
        let literals = &self.nodes[place].literals;
        match literals.binary_search_by_key(&character, |(literal, _)| *literal) {
            Ok(at) => literals[at].1,
            Err(at) => {
                let target = self.new_place(Stays::Never);
                self.nodes[place].literals.insert(at, (character, target));
                target
            }
        }
    }

    fn class(&mut self, place: Place, token: &Token) -> Place {
        let classes = &self.nodes[place].classes;
        if let Some((_, target)) = classes.iter().find(|(class, _)| class == token) {
            return *target;
        }
        let target = self.new_place(Stays::Never);
        self.nodes[place].classes.push((token.clone(), target));
        target
    }

    fn many(&mut self, place: Place) -> Place {
        if let Some(target) = self.nodes[place].many {
            return target;
        }
        let target = self.new_place(Stays::InName);
        self.nodes[place].many = Some(target);
        target
    }

    fn anything(&mut self, place: Place) -> Place {
        if let Some(target) = self.nodes[place].anything {
            return target;
        }
        let target = self.new_place(Stays::Always);
        self.nodes[place].anything = Some(target);
        target
    }

    fn directories(&mut self, place: Place, (index, takes_back): (usize, bool)) -> Place {
        let within = self.anything(place);
        self.pass(within, index, takes_back);
        if let Some(target) = self.nodes[place].directories {
            return target;
        }
        let target = self.literal(within, '/');
        self.nodes[place].directories = Some(target);
        target
    }

    /// Returns the places before anything was read.
    pub(super) fn start(&self) -> Vec<Place> {
        if self.nodes.is_empty() {
            return Vec::new();
        }
        self.closed(vec![START])
    }

    /// Returns the places that a character leads to.
    pub(super) fn step(&self, places: &[Place], character: char) -> Vec<Place> {
        let mut reached = Vec::with_capacity(places.len() + 1);
        for place in places {
            let node = &self.nodes[*place];
            if node.stays.accepts(character) {
                reached.push(*place);
            }
            let literal = node
                .literals
                .binary_search_by_key(&character, |(literal, _)| *literal);
            reached.extend(literal.map(|at| node.literals[at].1));
            let classes = node.classes.iter();
            let fitting = classes.filter(|(class, _)| class.accepts(character));
            reached.extend(fitting.map(|(_, target)| *target));
        }
        reached.sort_unstable();
        reached.dedup();
        self.closed(reached)
    }

    /// Adds the places that are reached without a character, and drops doubled ones.
    fn closed(&self, mut places: Vec<Place>) -> Vec<Place> {
        let mut at = 0;
        while let Some(place) = places.get(at).copied() {
            let node = &self.nodes[place];
            let free = [node.many, node.anything, node.directories];
            places.extend(free.into_iter().flatten());
            at += 1;
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Returns the last pattern that fits what was read.
    pub(super) fn last(&self, places: &[Place]) -> Option<usize> {
        places
            .iter()
            .filter_map(|place| self.nodes[*place].ends)
            .max()
    }

    /// Returns the last pattern with `!` that may fit what comes behind a directory.
    pub(super) fn last_below(&self, directory: &[Place]) -> Option<usize> {
        let below = self.step(directory, '/');
        below
            .iter()
            .filter_map(|place| self.nodes[*place].takes_back)
            .max()
    }
}

#[cfg(test)]
mod tests;
