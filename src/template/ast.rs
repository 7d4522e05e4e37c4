//! The tree of a template.

use std::ops::Range;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Text, as it stands.
    Text(String),
    /// `{{pipeline}}`: prints it, unless it sets a variable.
    Action(Pipe),
    /// `{{if}}`, `{{with}}` and `{{range}}`.
    Branch(Branch),
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
}

/// What a branch does with its pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BranchKind {
    /// Takes the first list when it is true.
    If,
    /// The same, with the dot set to it.
    With,
    /// Takes the first list for each element.
    Range,
}

/// An action with lists of nodes in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    pub(crate) kind: BranchKind,
    pub(crate) pipe: Pipe,
    pub(crate) then: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// How a pipeline sets its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Commands, each of which gets what the one before gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipe {
    pub(crate) span: Range<usize>,
    pub(crate) variables: Vec<String>,
    pub(crate) setting: Setting,
    pub(crate) commands: Vec<Command>,
}

/// An operand with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) first: Operand,
    pub(crate) arguments: Vec<Operand>,
}

/// Something with a value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) span: Range<usize>,
    pub(crate) kind: OperandKind,
}

/// The kinds of operands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OperandKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`
    Bool(bool),
    /// `7`, `'a'`
    Int(i64),
    /// `0.5`
    Float(f64),
    /// `"text"`
    Text(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A`
    Variable(String, Vec<String>),
    /// `len`
    Function(String),
    /// `(pipeline)`
    Pipe(Box<Pipe>),
    /// `(pipeline).A`
    Chain(Box<Operand>, Vec<String>),
}
