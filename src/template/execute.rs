//! A tree and a value → text.

use crate::ast::{Branch, BranchKind, Command, Node, Operand, OperandKind, Pipe, Setting};
use crate::call;
use crate::limits::{OUTPUT_MAX_BYTES, STEPS_MAX};
use crate::parse::place;
use crate::print;
use crate::template::{MissingKey, Mode};
use crate::value::{Member, Value};

/// Why a template gives no text for a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// Something in it cannot be evaluated.
    #[error("template: {line}:{column}: at <{part}>: {message}")]
    Evaluate {
        /// The line, from 1 on.
        line: usize,
        /// The character of the line, from 1 on.
        column: usize,
        /// The part of the template.
        part: String,
        /// What is wrong with it.
        message: String,
    },
    /// It does more than [`STEPS_MAX`] steps.
    #[error("the template takes more than {STEPS_MAX} steps")]
    TooManySteps,
    /// It gives more than [`OUTPUT_MAX_BYTES`].
    #[error("the template gives more than {OUTPUT_MAX_BYTES} bytes")]
    TooLong,
}

/// What a template is carried out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Data.
    Row,
    /// The titles of the columns.
    Titles,
}

/// Carries a template out.
pub(crate) fn render(
    source: &str,
    nodes: &[Node],
    mode: Mode,
    data: &Value,
    pass: Pass,
) -> Result<String, ExecuteError> {
    let mut run = Run {
        source,
        mode,
        pass,
        variables: vec![("$".to_owned(), data.clone())],
        output: String::new(),
        steps: 0,
    };
    run.list(data, nodes)?;
    Ok(run.output)
}

/// Where it goes on after a node.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'a> {
    source: &'a str,
    mode: Mode,
    pass: Pass,
    variables: Vec<(String, Value)>,
    output: String,
    steps: usize,
}

type Evaluated = Result<Value, ExecuteError>;

impl Run<'_> {
    fn step(&mut self) -> Result<(), ExecuteError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(ExecuteError::TooManySteps);
        }
        if self.output.len() > OUTPUT_MAX_BYTES {
            return Err(ExecuteError::TooLong);
        }
        Ok(())
    }

    fn fail<T>(&self, span: &std::ops::Range<usize>, message: String) -> Result<T, ExecuteError> {
        let (line, column) = place(self.source, span.start);
        Err(ExecuteError::Evaluate {
            line,
            column,
            part: self.source.get(span.clone()).unwrap_or_default().to_owned(),
            message,
        })
    }

    fn list(&mut self, dot: &Value, nodes: &[Node]) -> Result<Flow, ExecuteError> {
        for node in nodes {
            self.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.output.push_str(text);
                    Flow::Next
                }
                Node::Action(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        self.output.push_str(&print::action(&value));
                    }
                    Flow::Next
                }
                Node::Branch(branch) => self.branch(dot, branch)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, dot: &Value, branch: &Branch) -> Result<Flow, ExecuteError> {
        let known = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = match branch.kind {
            BranchKind::Range => self.range(dot, branch, &value),
            _ if value.is_empty() => self.list(dot, &branch.otherwise),
            BranchKind::If => self.list(dot, &branch.then),
            BranchKind::With => self.list(&value, &branch.then),
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, dot: &Value, branch: &Branch, value: &Value) -> Result<Flow, ExecuteError> {
        let elements: Vec<(Value, Value)> = match value {
            Value::List(items) => {
                let items = items.iter().flat_map(|items| items.iter().cloned());
                (0_i64..).map(Value::Int).zip(items).collect()
            }
            Value::Map(map) => {
                let entries = map.entries();
                entries
                    .map(|(key, value)| (Value::from(key), value.clone()))
                    .collect()
            }
            Value::Absent | Value::Null => Vec::new(),
            other => {
                let message = format!("range can't iterate over {}", print::plain(other));
                return self.fail(&branch.pipe.span, message);
            }
        };
        if elements.is_empty() {
            return self.list(dot, &branch.otherwise);
        }
        let known = self.variables.len();
        for (key, element) in elements {
            self.step()?;
            self.bind_element(&branch.pipe, key, &element);
            let flow = self.list(&element, &branch.then)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Gives the variables of a `range` their values: the element, or the key and the element.
    fn bind_element(&mut self, pipe: &Pipe, key: Value, element: &Value) {
        let values = match pipe.variables.len() {
            0 => return,
            1 => vec![element.clone()],
            _ => vec![key, element.clone()],
        };
        for (name, value) in pipe.variables.iter().zip(values) {
            self.set(pipe.setting, name, value);
        }
    }

    fn set(&mut self, setting: Setting, name: &str, value: Value) {
        if setting == Setting::Declare {
            self.variables.push((name.to_owned(), value));
        } else if let Some(known) = self
            .variables
            .iter_mut()
            .rev()
            .find(|known| known.0 == name)
        {
            known.1 = value;
        }
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Evaluated {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(dot, command, last)?);
        }
        let value = last.unwrap_or(Value::Absent);
        // The variables of a `range` are those of each element.
        if pipe.variables.len() == 1 {
            for name in &pipe.variables {
                self.set(pipe.setting, name, value.clone());
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &Command, last: Option<Value>) -> Evaluated {
        self.step()?;
        let first = &command.first;
        if let OperandKind::Function(name) = &first.kind {
            return self.function(dot, name, command, last);
        }
        let (receiver, names) = match &first.kind {
            OperandKind::Field(names) => (dot.clone(), names),
            OperandKind::Variable(name, names) => (self.variable(name), names),
            OperandKind::Chain(operand, names) => (self.operand(dot, operand)?, names),
            OperandKind::Nil => return self.fail(&first.span, "nil is not a command".to_owned()),
            _ => {
                self.refuse_arguments(command, last.is_some())?;
                return self.operand(dot, first);
            }
        };
        if names.is_empty() {
            self.refuse_arguments(command, last.is_some())?;
            return Ok(receiver);
        }
        let mut arguments = self.arguments(dot, &command.arguments)?;
        arguments.extend(last);
        self.fields(&first.span, receiver, names, &arguments)
    }

    fn refuse_arguments(&self, command: &Command, is_piped: bool) -> Result<(), ExecuteError> {
        if command.arguments.is_empty() && !is_piped {
            return Ok(());
        }
        let span = &command.first.span;
        let text = self.source.get(span.clone()).unwrap_or_default();
        self.fail(span, format!("can't give argument to non-function {text}"))
    }

    fn arguments(&mut self, dot: &Value, operands: &[Operand]) -> Result<Vec<Value>, ExecuteError> {
        operands
            .iter()
            .map(|operand| self.operand(dot, operand))
            .collect()
    }

    fn variable(&self, name: &str) -> Value {
        let known = self.variables.iter().rev().find(|known| known.0 == name);
        known.map_or(Value::Absent, |known| known.1.clone())
    }

    fn operand(&mut self, dot: &Value, operand: &Operand) -> Evaluated {
        self.step()?;
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Null),
            OperandKind::Bool(value) => Ok(Value::Bool(*value)),
            OperandKind::Int(number) => Ok(Value::Int(*number)),
            OperandKind::Float(number) => Ok(Value::Float(*number)),
            OperandKind::Text(text) => Ok(text.into()),
            OperandKind::Field(names) => self.fields(&operand.span, dot.clone(), names, &[]),
            OperandKind::Variable(name, names) => {
                self.fields(&operand.span, self.variable(name), names, &[])
            }
            OperandKind::Chain(inner, names) => {
                let value = self.operand(dot, inner)?;
                self.fields(&operand.span, value, names, &[])
            }
            OperandKind::Pipe(pipe) => self.pipe(dot, pipe),
            OperandKind::Function(name) => {
                let command = Command {
                    first: operand.clone(),
                    arguments: Vec::new(),
                };
                self.function(dot, name, &command, None)
            }
        }
    }

    /// Follows names from a value; the arguments are for the last one.
    fn fields(
        &self,
        span: &std::ops::Range<usize>,
        receiver: Value,
        names: &[String],
        arguments: &[Value],
    ) -> Evaluated {
        let mut value = receiver;
        for (at, name) in names.iter().enumerate() {
            let arguments = if at + 1 == names.len() {
                arguments
            } else {
                &[]
            };
            value = self
                .field(&value, name, arguments)
                .or_else(|message| self.fail(span, message))?;
        }
        Ok(value)
    }

    fn field(&self, receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let found = match receiver {
            Value::Struct(value) => match value.member(name) {
                Some(Member::Method(method)) => return method(arguments),
                Some(Member::Field(value)) => value.clone(),
                None => {
                    let type_name = value.type_name();
                    return Err(format!("can't evaluate field {name} in type {type_name}"));
                }
            },
            Value::Map(map) => match (map.get(name), self.mode.missing) {
                (Some(value), _) => value.clone(),
                (None, MissingKey::NoValue) => Value::Absent,
                (None, MissingKey::Error) => {
                    return Err(format!("map has no entry for key {name:?}"));
                }
            },
            Value::Absent if self.mode.missing == MissingKey::Error => {
                return Err(format!("nil data; no entry for key {name:?}"));
            }
            Value::Absent => Value::Absent,
            Value::Null => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Nil(type_name) => {
                return Err(format!("nil pointer evaluating {type_name}.{name}"));
            }
            other => {
                let type_name = other.type_name();
                return Err(format!("can't evaluate field {name} in type {type_name}"));
            }
        };
        if arguments.is_empty() {
            return Ok(found);
        }
        Err(format!("{name} is not a method but has arguments"))
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        command: &Command,
        last: Option<Value>,
    ) -> Evaluated {
        let span = &command.first.span;
        if matches!(name, "and" | "or") {
            return self.short_circuit(dot, name == "and", command, last);
        }
        let mut arguments = self.arguments(dot, &command.arguments)?;
        arguments.extend(last);
        if let (Pass::Titles, true, Some(first)) =
            (self.pass, call::is_for_looks(name), arguments.first())
        {
            return Ok(first.clone());
        }
        call::call(name, &arguments, self.mode.json).or_else(|message| self.fail(span, message))
    }

    /// `and` and `or`: the first argument that decides; what is behind it is not evaluated.
    fn short_circuit(
        &mut self,
        dot: &Value,
        is_and: bool,
        command: &Command,
        last: Option<Value>,
    ) -> Evaluated {
        let mut value = None;
        for operand in &command.arguments {
            let found = self.operand(dot, operand)?;
            if found.is_empty() == is_and {
                return Ok(found);
            }
            value = Some(found);
        }
        if let Some(value) = last.or(value) {
            return Ok(value);
        }
        let name = if is_and { "and" } else { "or" };
        let message = format!("wrong number of args for {name}: want at least 1 got 0");
        self.fail(&command.first.span, message)
    }
}
