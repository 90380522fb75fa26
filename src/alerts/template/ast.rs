//! What a parsed template is made of.

/// One part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Printed as it stands.
    Text(String),
    /// `{{ pipeline }}`: printed, unless it sets a variable.
    Action(Pipeline),
    /// `{{ if }}`, with `{{ else if }}` as an `If` of its own in `otherwise`.
    If(Branch),
    /// `{{ with }}`
    With(Branch),
    /// `{{ range }}`
    Range(Branch),
    /// `{{ template "name" pipeline }}`
    Template { name: String, argument: Option<Pipeline>, at: usize },
    /// `{{ break }}`
    Break,
    /// `{{ continue }}`
    Continue,
}

/// A pipeline that decides which of two bodies runs.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    /// Variables that are set, without the dollar.
    pub(super) variables: Vec<String>,
    /// Whether they are known already (`=`) or begin here (`:=`).
    pub(super) assigns: bool,
    /// Each hands its result to the next as last argument; never empty.
    pub(super) commands: Vec<Command>,
}

/// An operand, and the arguments that it is called with.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) operand: Operand,
    pub(super) arguments: Vec<Operand>,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

/// A term and the fields taken of it: `$labels.job`, `(query "up" | first).Value`.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) term: Term,
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Dot,
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
    Bool(bool),
    Integer(i64),
    Float(f64),
    Literal(String),
    Nil,
}
