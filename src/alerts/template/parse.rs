//! Tokens to a tree. Unknown functions and variables are errors here, before anything fires.

use std::collections::BTreeMap;

use super::TemplateError;
use super::ast::{Branch, Command, Node, Operand, Pipeline, Term};
use super::functions;
use super::lex::{Kind, Token, lex};

/// Deeper nesting of actions and parentheses is an error, so that no text exhausts the stack.
const DEPTH_MAX: usize = 64;

/// The tree of a template, and of those that it defines.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) body: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// Parses a template in which `variables` are known besides `$`.
pub(super) fn parse(source: &str, variables: &[&str]) -> Result<Tree, TemplateError> {
    let mut parser = Parser {
        source,
        tokens: lex(source)?,
        at: 0,
        variables: variables.iter().map(|&name| name.to_owned()).collect(),
        defined: BTreeMap::new(),
        depth: 0,
        ranges: 0,
    };
    let (body, stop) = parser.list()?;
    if let Stop::Else | Stop::End = stop {
        return Err(parser.fail_before("`end` or `else` without an `if`, `range` or `with`"));
    }
    Ok(Tree { body, defined: parser.defined })
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// Variables in scope.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    /// How many `range` bodies are open.
    ranges: usize,
}

/// What ended a list of nodes. The keyword is taken; what follows `else` is not.
#[derive(Debug, PartialEq)]
enum Stop {
    Text,
    End,
    Else,
}

enum Item {
    Node(Node),
    Nothing,
    Stop(Stop),
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.source.len(), |token| token.at)
    }

    fn fail(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::syntax(self.source, self.position(), message)
    }

    fn fail_before(&self, message: impl Into<String>) -> TemplateError {
        let at = self.at.checked_sub(1).map_or(0, |at| self.tokens[at].at);
        TemplateError::syntax(self.source, at, message)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek() == Some(kind);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        self.take(&Kind::Space);
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Word(word)) if word == wanted);
        self.at += usize::from(found);
        found
    }

    fn end_of_action(&mut self, of: &str) -> Result<(), TemplateError> {
        self.skip_space();
        if self.take(&Kind::End) {
            return Ok(());
        }
        Err(self.fail(format!("unexpected {} in {of}", self.describe())))
    }

    fn describe(&self) -> String {
        match self.peek() {
            None => "end of the template".to_owned(),
            Some(Kind::End) => "}}".to_owned(),
            Some(Kind::Word(word)) => format!("`{word}`"),
            Some(Kind::Variable(name)) => format!("`${name}`"),
            Some(Kind::Field(name)) => format!("`.{name}`"),
            Some(Kind::Literal(text)) => format!("{text:?}"),
            Some(Kind::Pipe) => "`|`".to_owned(),
            Some(Kind::Open) => "`(`".to_owned(),
            Some(Kind::Close) => "`)`".to_owned(),
            Some(Kind::Declare) => "`:=`".to_owned(),
            Some(Kind::Assign) => "`=`".to_owned(),
            Some(Kind::Comma) => "`,`".to_owned(),
            Some(Kind::Dot) => "`.`".to_owned(),
            Some(Kind::Integer(_) | Kind::Float(_)) => "a number".to_owned(),
            Some(Kind::Text(_) | Kind::Start | Kind::Space) => "text".to_owned(),
        }
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Parses nodes up to `end`, `else` or the end of the text.
    fn list(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if let Kind::Text(text) = &token.kind {
                nodes.push(Node::Text(text.clone()));
                continue;
            }
            match self.action()? {
                Item::Node(node) => nodes.push(node),
                Item::Nothing => {}
                Item::Stop(stop) => return Ok((nodes, stop)),
            }
        }
        Ok((nodes, Stop::Text))
    }

    /// Parses what follows `{{`.
    fn action(&mut self) -> Result<Item, TemplateError> {
        self.skip_space();
        let keyword = match self.peek() {
            Some(Kind::Word(word)) => word.clone(),
            _ => String::new(),
        };
        self.at += 1; // given back below where it is no keyword
        match keyword.as_str() {
            "end" => {
                self.end_of_action("end")?;
                Ok(Item::Stop(Stop::End))
            }
            "else" => Ok(Item::Stop(Stop::Else)),
            "if" => self.branch("if").map(|branch| Item::Node(Node::If(branch))),
            "with" => self.branch("with").map(|branch| Item::Node(Node::With(branch))),
            "range" => self.branch("range").map(|branch| Item::Node(Node::Range(branch))),
            "define" => self.define(),
            "template" => self.template(),
            "block" => self.block(),
            "break" | "continue" => {
                if self.ranges == 0 {
                    return Err(self.fail_before(format!("`{keyword}` outside of `range`")));
                }
                self.end_of_action(&keyword)?;
                Ok(Item::Node(if keyword == "break" { Node::Break } else { Node::Continue }))
            }
            _ => {
                self.at -= 1;
                let pipeline = self.pipeline("an action")?;
                self.end_of_action("an action")?;
                Ok(Item::Node(Node::Action(pipeline)))
            }
        }
    }

    /// Parses what follows `if`, `with` or `range`, up to and with its `end`.
    fn branch(&mut self, keyword: &str) -> Result<Branch, TemplateError> {
        self.deeper(|parser| {
            let known = parser.variables.len();
            let branch = parser.branch_in_scope(keyword);
            parser.variables.truncate(known);
            branch
        })
    }

    fn branch_in_scope(&mut self, keyword: &str) -> Result<Branch, TemplateError> {
        let pipeline = self.pipeline(keyword)?;
        self.end_of_action(keyword)?;
        let known = self.variables.len();
        let is_range = usize::from(keyword == "range");
        self.ranges += is_range;
        let body = self.list();
        self.ranges -= is_range;
        let (body, stop) = body?;
        self.variables.truncate(known);
        let otherwise = match stop {
            Stop::End => Vec::new(),
            Stop::Else => self.otherwise(keyword)?,
            Stop::Text => return Err(self.fail(format!("`{keyword}` without its `end`"))),
        };
        Ok(Branch { pipeline, body, otherwise })
    }

    /// Parses what follows `else`: `}}`, or another `if` or `with` that shares our `end`.
    fn otherwise(&mut self, keyword: &str) -> Result<Vec<Node>, TemplateError> {
        self.skip_space();
        if keyword != "range" && self.take_word("if") {
            return Ok(vec![Node::If(self.branch("if")?)]);
        }
        if keyword == "with" && self.take_word("with") {
            return Ok(vec![Node::With(self.branch("with")?)]);
        }
        self.end_of_action("else")?;
        match self.list()? {
            (nodes, Stop::End) => Ok(nodes),
            (_, Stop::Else) => Err(self.fail_before("a second `else`")),
            (_, Stop::Text) => Err(self.fail(format!("`{keyword}` without its `end`"))),
        }
    }

    fn name_of(&mut self, keyword: &str) -> Result<String, TemplateError> {
        self.skip_space();
        match self.peek() {
            Some(Kind::Literal(name)) => {
                let name = name.clone();
                self.at += 1;
                self.skip_space();
                Ok(name)
            }
            _ => Err(self.fail(format!("`{keyword}` needs a name in quotes"))),
        }
    }

    fn define(&mut self) -> Result<Item, TemplateError> {
        if self.depth > 0 {
            return Err(self.fail_before("`define` must stand outside of other actions"));
        }
        let name = self.name_of("define")?;
        self.end_of_action("define")?;
        self.body_of(name, "define")?;
        Ok(Item::Nothing)
    }

    /// Parses a template's own body. It sees no variable of its surroundings.
    fn body_of(&mut self, name: String, keyword: &str) -> Result<(), TemplateError> {
        let outside = (std::mem::take(&mut self.variables), std::mem::take(&mut self.ranges));
        let body = self.deeper(Self::list);
        (self.variables, self.ranges) = outside;
        match body? {
            (nodes, Stop::End) => {
                self.defined.insert(name, nodes);
                Ok(())
            }
            _ => Err(self.fail(format!("`{keyword}` without its `end`"))),
        }
    }

    fn argument_of(&mut self, keyword: &str) -> Result<Option<Pipeline>, TemplateError> {
        let argument = match self.peek() {
            Some(Kind::End) => None,
            _ => Some(self.pipeline(keyword)?),
        };
        self.end_of_action(keyword)?;
        Ok(argument)
    }

    fn template(&mut self) -> Result<Item, TemplateError> {
        let at = self.position();
        let name = self.name_of("template")?;
        let argument = self.argument_of("template")?;
        Ok(Item::Node(Node::Template { name, argument, at }))
    }

    fn block(&mut self) -> Result<Item, TemplateError> {
        let at = self.position();
        let name = self.name_of("block")?;
        let argument = self.argument_of("block")?;
        self.body_of(name.clone(), "block")?;
        Ok(Item::Node(Node::Template { name, argument, at }))
    }

    fn pipeline(&mut self, of: &str) -> Result<Pipeline, TemplateError> {
        self.skip_space();
        let (variables, assigns) = self.targets(of == "range")?;
        let mut commands = vec![self.command(of)?];
        while self.take(&Kind::Pipe) {
            commands.push(self.command(of)?);
        }
        if let Some(Command { at, .. }) =
            commands.iter().skip(1).find(|command| !command.operand.may_take_arguments())
        {
            let message = "only a function or a method can stand after `|`";
            return Err(TemplateError::syntax(self.source, *at, message));
        }
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { variables, assigns, commands })
    }

    /// Parses `$a :=`, `$a =`, and in a range `$a, $b :=`, if one stands here.
    fn targets(&mut self, in_range: bool) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Kind::Variable(name)) = self.peek() {
            names.push(name.clone());
            self.at += 1;
            self.skip_space();
            if self.take(&Kind::Declare) {
                return self.checked_targets(names, in_range).map(|names| (names, false));
            }
            if self.take(&Kind::Assign) {
                for name in &names {
                    self.check_known(name)?;
                }
                return self.checked_targets(names, in_range).map(|names| (names, true));
            }
            if !self.take(&Kind::Comma) {
                break;
            }
            self.skip_space();
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn checked_targets(
        &self,
        names: Vec<String>,
        in_range: bool,
    ) -> Result<Vec<String>, TemplateError> {
        if names.len() > 1 + usize::from(in_range) {
            return Err(self.fail_before("too many variables before `:=` or `=`"));
        }
        if names.iter().any(String::is_empty) {
            return Err(self.fail_before("`$` cannot be set"));
        }
        Ok(names)
    }

    fn check_known(&self, name: &str) -> Result<(), TemplateError> {
        if name.is_empty() || self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        let known = self.variables.iter().map(String::as_str);
        let help = match crate::lang::nearest(name, known) {
            Some(near) => format!("; did you mean `${near}`?"),
            None => String::new(),
        };
        Err(self.fail(format!("undefined variable `${name}`{help}")))
    }

    fn command(&mut self, of: &str) -> Result<Command, TemplateError> {
        self.skip_space();
        let at = self.position();
        let Some(operand) = self.operand()? else {
            return Err(self.fail(format!("missing value in {of}: found {}", self.describe())));
        };
        let mut arguments = Vec::new();
        loop {
            let spaced = self.take(&Kind::Space);
            let Some(argument) = self.operand()? else { break };
            if !spaced {
                return Err(self.fail_before("arguments are separated by blanks"));
            }
            arguments.push(argument);
        }
        if !arguments.is_empty() && !operand.may_take_arguments() {
            let message = "cannot give an argument to what is no function";
            return Err(TemplateError::syntax(self.source, at, message));
        }
        Ok(Command { operand, arguments, at })
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let mut fields = Vec::new();
        let Some(kind) = self.peek().cloned() else { return Ok(None) };
        let term = match kind {
            Kind::Dot => Term::Dot,
            Kind::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Kind::Variable(name) => {
                self.check_known(&name)?;
                Term::Variable(name)
            }
            Kind::Word(word) => match word.as_str() {
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                "nil" => Term::Nil,
                _ => self.function(word)?,
            },
            Kind::Literal(text) => Term::Literal(text),
            Kind::Integer(number) => Term::Integer(number),
            Kind::Float(number) => Term::Float(number),
            Kind::Open => return self.parenthesised().map(Some),
            _ => return Ok(None),
        };
        self.at += 1;
        self.fields(&mut fields);
        Ok(Some(Operand { term, fields }))
    }

    fn parenthesised(&mut self) -> Result<Operand, TemplateError> {
        self.at += 1;
        let pipeline = self.deeper(|parser| parser.pipeline("parentheses"))?;
        self.skip_space();
        if !self.take(&Kind::Close) {
            return Err(self.fail(format!("expected `)`, found {}", self.describe())));
        }
        let mut fields = Vec::new();
        self.fields(&mut fields);
        Ok(Operand { term: Term::Pipeline(Box::new(pipeline)), fields })
    }

    fn fields(&mut self, fields: &mut Vec<String>) {
        while let Some(Kind::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
    }

    fn function(&self, name: String) -> Result<Term, TemplateError> {
        if functions::find(&name).is_some() {
            return Ok(Term::Function(name));
        }
        let help = match crate::lang::nearest(&name, functions::names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Err(self.fail(format!("function `{name}` is not defined{help}")))
    }
}

impl Operand {
    fn may_take_arguments(&self) -> bool {
        match self.term {
            Term::Function(_) => true,
            Term::Dot | Term::Variable(_) | Term::Pipeline(_) => !self.fields.is_empty(),
            _ => false,
        }
    }
}
