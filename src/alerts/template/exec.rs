//! Runs a tree. Every limit of a run is enforced here.

use super::ast::{Branch, Command, Node, Operand, Pipeline, Term};
use super::functions::{self, Call};
use super::parse::Tree;
use super::value::{TEXT_BYTES_MAX, Value, bounded};
use super::{TemplateContext, TemplateError};

/// How deep bodies, parentheses and calls of `template` may be within each other, so that no
/// text exhausts the stack.
const DEPTH_MAX: usize = 128;
/// Commands and rounds of one run, so that nested loops end.
const STEPS_MAX: usize = 20_000;

/// Runs a template.
pub(super) fn run(
    source: &str,
    tree: &Tree,
    context: &TemplateContext<'_>,
    variables: Vec<(String, Value)>,
    dot: &Value,
) -> Result<String, TemplateError> {
    let output = String::new();
    let mut run = Run { tree, context, output, variables, depth: 0, steps: 0 };
    run.variables.insert(0, (String::new(), dot.clone()));
    match run.nodes(&tree.body, dot) {
        Ok(_) => Ok(run.output),
        Err(failure) => Err(TemplateError::run(source, failure.at, failure.message)),
    }
}

struct Run<'a> {
    tree: &'a Tree,
    context: &'a TemplateContext<'a>,
    output: String,
    /// A stack; the innermost of a name counts.
    variables: Vec<(String, Value)>,
    depth: usize,
    steps: usize,
}

struct Failure {
    at: usize,
    message: String,
}

/// What a body tells the loop around it.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Run<'_> {
    fn step(&mut self, at: usize) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Failure { at, message: format!("more than {STEPS_MAX} steps") });
        }
        Ok(())
    }

    fn print(&mut self, at: usize, text: &str) -> Result<(), Failure> {
        if self.output.len() + text.len() > TEXT_BYTES_MAX {
            let message = format!("the text is longer than {TEXT_BYTES_MAX} bytes");
            return Err(Failure { at, message });
        }
        self.output.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Failure> {
        self.deeper(0, |run| run.nodes_in_order(nodes, dot))
    }

    fn deeper<T>(
        &mut self,
        at: usize,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.depth == DEPTH_MAX {
            return Err(Failure { at, message: format!("nested deeper than {DEPTH_MAX}") });
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn nodes_in_order(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Failure> {
        for node in nodes {
            match node {
                Node::Text(text) => self.print(0, text)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let at = pipeline.at();
                        let text = bounded(format_args!("{value}"))
                            .map_err(|message| Failure { at, message })?;
                        self.print(at, &text)?;
                    }
                }
                Node::Template { name, argument, at } => {
                    self.template(name, argument.as_ref(), *at, dot)?;
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    let known = self.variables.len();
                    let flow = match node {
                        Node::Range(_) => self.range(branch, dot),
                        Node::With(_) => self.choose(branch, dot, true),
                        _ => self.choose(branch, dot, false),
                    };
                    self.variables.truncate(known);
                    match flow? {
                        Flow::Next => {}
                        other => return Ok(other),
                    }
                }
            }
        }
        Ok(Flow::Next)
    }

    fn choose(&mut self, branch: &Branch, dot: &Value, moves_dot: bool) -> Result<Flow, Failure> {
        let value = self.pipeline(&branch.pipeline, dot)?;
        if !value.is_true() {
            return self.nodes(&branch.otherwise, dot);
        }
        self.nodes(&branch.body, if moves_dot { &value } else { dot })
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Failure> {
        let at = branch.pipeline.at();
        let over = self.pipeline_value(&branch.pipeline, dot)?;
        let items = items(&over).map_err(|message| Failure { at, message })?;
        let known = self.variables.len();
        let mut is_empty = true;
        for (index, item) in items {
            is_empty = false;
            self.step(at)?;
            self.set_items(&branch.pipeline, index, &item);
            let flow = self.nodes(&branch.body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        if is_empty {
            return self.nodes(&branch.otherwise, dot);
        }
        Ok(Flow::Next)
    }

    /// Sets the variables of a range: the last is the item, one before it the index.
    fn set_items(&mut self, pipeline: &Pipeline, index: Value, item: &Value) {
        match pipeline.variables.as_slice() {
            [] => {}
            [one] => self.set(one, pipeline.assigns, item.clone()),
            [first, second, ..] => {
                self.set(first, pipeline.assigns, index);
                self.set(second, pipeline.assigns, item.clone());
            }
        }
    }

    fn set(&mut self, name: &str, assigns: bool, value: Value) {
        if assigns && let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            slot.1 = value;
        } else {
            self.variables.push((name.to_owned(), value));
        }
    }

    fn template(
        &mut self,
        name: &str,
        argument: Option<&Pipeline>,
        at: usize,
        dot: &Value,
    ) -> Result<(), Failure> {
        let tree = self.tree;
        let Some(body) = tree.defined.get(name) else {
            return Err(Failure { at, message: format!("template {name:?} is not defined") });
        };
        self.step(at)?;
        let dot = match argument {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        let outside = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
        let result = self.nodes(body, &dot);
        self.variables = outside;
        result.map(|_| ())
    }

    /// Evaluates a pipeline and sets its variable.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Failure> {
        let value = self.pipeline_value(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, pipeline.assigns, value.clone());
        }
        Ok(value)
    }

    fn pipeline_value(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Failure> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Failure> {
        let at = command.at;
        self.step(at)?;
        if let Term::Function(name) = &command.operand.term
            && command.operand.fields.is_empty()
        {
            return self.call(name, &command.arguments, piped, at, dot);
        }
        let mut arguments = Vec::new();
        for argument in &command.arguments {
            arguments.push(self.operand(argument, &[], at, dot)?);
        }
        arguments.extend(piped);
        self.operand(&command.operand, &arguments, at, dot)
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Operand],
        piped: Option<Value>,
        at: usize,
        dot: &Value,
    ) -> Result<Value, Failure> {
        let function = functions::find(name).expect("the parser has found the function");
        let count = arguments.len() + usize::from(piped.is_some());
        let fail = |message: String| Failure { at, message: format!("{name}: {message}") };
        if count < function.arguments_min || count > function.arguments_max {
            let wanted = function.wants();
            return Err(fail(format!("takes {wanted}, not {count}")));
        }
        let call = match function.call {
            Call::Stops { at_true } => {
                return self.until(arguments, piped, at_true, at, dot);
            }
            Call::Eager(call) => call,
        };
        let mut values = Vec::with_capacity(count);
        for argument in arguments {
            values.push(self.operand(argument, &[], at, dot)?);
        }
        values.extend(piped);
        call(self.context, &values).map_err(fail)
    }

    /// `and`, `or`: the first argument whose truth is `at_true`, else the last; the others are not
    /// evaluated.
    fn until(
        &mut self,
        arguments: &[Operand],
        piped: Option<Value>,
        at_true: bool,
        at: usize,
        dot: &Value,
    ) -> Result<Value, Failure> {
        let mut last = Value::Nil;
        for argument in arguments {
            last = self.operand(argument, &[], at, dot)?;
            if last.is_true() == at_true {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    /// Evaluates an operand; `arguments` go to its last field, if that is a method.
    fn operand(
        &mut self,
        operand: &Operand,
        arguments: &[Value],
        at: usize,
        dot: &Value,
    ) -> Result<Value, Failure> {
        let mut value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => self.variable(name),
            Term::Function(name) => self.call(name, &[], None, at, dot)?,
            Term::Pipeline(pipeline) => self.deeper(at, |run| run.pipeline(pipeline, dot))?,
            Term::Bool(value) => Value::Bool(*value),
            Term::Integer(value) => Value::Integer(*value),
            Term::Float(value) => Value::Float(*value),
            Term::Literal(text) => Value::text(text.as_str()),
            Term::Nil => Value::Nil,
        };
        for (index, name) in operand.fields.iter().enumerate() {
            let is_last = index + 1 == operand.fields.len();
            let arguments = if is_last { arguments } else { &[] };
            value = value.field(name, arguments).map_err(|message| Failure { at, message })?;
        }
        Ok(value)
    }

    fn variable(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map_or(Value::Nil, |(_, value)| value.clone())
    }
}

impl Pipeline {
    fn at(&self) -> usize {
        self.commands.first().map_or(0, |command| command.at)
    }
}

/// Returns what `range` goes over, with index or key.
fn items(over: &Value) -> Result<Box<dyn Iterator<Item = (Value, Value)>>, String> {
    Ok(match over.clone() {
        Value::Nil | Value::Absent => Box::new(std::iter::empty()),
        Value::Integer(count) => {
            Box::new((0..count).map(|index| (Value::Integer(index), Value::Integer(index))))
        }
        Value::List(list) => Box::new(
            (0..list.len()).map(move |index| (Value::Integer(index as i64), list[index].clone())),
        ),
        Value::Labels(labels) => {
            let pairs: Vec<_> = labels
                .iter()
                .map(|(name, value)| (Value::text(name), Value::text(value)))
                .collect();
            Box::new(pairs.into_iter())
        }
        Value::Map(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(name, value)| (Value::text(name.as_str()), value.clone()))
                .collect();
            Box::new(pairs.into_iter())
        }
        other => return Err(format!("cannot range over a {}", other.kind())),
    })
}
