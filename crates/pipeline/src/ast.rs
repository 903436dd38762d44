//! The syntax tree: what the parser builds, the printer prints and the checker walks.
//!
//! Operators of one precedence level form one flat [`Chain`], so a sum of ten thousand terms is as
//! shallow as a sum of two and only real nesting costs depth.

use kafkamq_point::Text;

use crate::span::Span;

/// A script: statements in order.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The statements of the outermost block.
    pub(crate) statements: Vec<Statement>,
    /// How many levels blocks, brackets and operators nest.
    pub(crate) levels: usize,
}

/// A statement with its place.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// What it is.
    pub(crate) kind: StatementKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// The kinds of statements.
#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    /// An expression evaluated for its effects.
    Expression(Expr),
    /// `target op value`.
    Assign(Assign),
    /// `if` with all its `elif` branches and the optional `else` block.
    If {
        /// Condition and block of `if` and of each `elif`.
        branches: Vec<(Expr, Vec<Statement>)>,
        /// The `else` block.
        otherwise: Option<Vec<Statement>>,
    },
    /// `for name in source { }`.
    ForIn {
        /// The loop variable, a name unless the script is wrong.
        target: Expr,
        /// What is walked.
        source: Expr,
        /// The statements of one round.
        body: Vec<Statement>,
    },
    /// `for init; condition; step { }`.
    For {
        /// Runs once before the loop.
        init: Option<Box<Statement>>,
        /// Checked before each round; absent means true.
        condition: Option<Expr>,
        /// Runs after each round.
        step: Option<Box<Statement>>,
        /// The statements of one round.
        body: Vec<Statement>,
    },
    /// `break`.
    Break,
    /// `continue`.
    Continue,
}

/// `target = value`, or with an operator such as `+=`.
#[derive(Debug, Clone)]
pub(crate) struct Assign {
    /// What stands left of the operator; one name or index expression unless the script is wrong.
    pub(crate) targets: Vec<Expr>,
    /// `None` for `=`, the arithmetic operator for a compound assignment.
    pub(crate) operator: Option<BinaryOp>,
    /// Where the operator stands.
    pub(crate) operator_span: Span,
    /// What stands right of the operator.
    pub(crate) values: Vec<Expr>,
}

/// An expression with its place.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    /// What it is.
    pub(crate) kind: ExprKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// The kinds of expressions.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// `nil` or `null`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer literal, its sign folded in.
    Int(i64),
    /// A float literal, its sign folded in.
    Float(f64),
    /// A string literal, escapes resolved.
    Str(Text),
    /// A variable or a key of the point.
    Name(Text),
    /// An attribute expression such as `a.b[0].c` or `.[0].c`.
    Path(Vec<PathPart>),
    /// `name[index]...`.
    Index {
        /// The name that is indexed.
        base: Name,
        /// The indexes, outermost last; each span includes the brackets.
        indexes: Vec<Index>,
    },
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{"k": v}`.
    Map(Vec<(Expr, Expr)>),
    /// `(e)`.
    Paren(Box<Expr>),
    /// `name(arguments)`.
    Call(Box<Call>),
    /// `object[start:end:step]`.
    Slice(Box<Slice>),
    /// `!e`, `-e`, `+e`.
    Unary(UnaryOp, Box<Expr>),
    /// Operators of one precedence level, from left to right.
    Chain(Box<Chain>),
}

/// An identifier with its place.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    /// The text, without backquotes.
    pub(crate) text: Text,
    /// Where it stands.
    pub(crate) span: Span,
}

/// One `[e]` of an index expression.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// The expression between the brackets.
    pub(crate) expr: Expr,
}

/// One dot-separated part of an attribute expression.
#[derive(Debug, Clone)]
pub(crate) struct PathPart {
    /// The name; `None` for the leading `.` of `.[0]`.
    pub(crate) name: Option<Name>,
    /// The indexes that follow the name.
    pub(crate) indexes: Vec<Index>,
}

/// A function call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The function's name.
    pub(crate) name: Name,
    /// The arguments as written.
    pub(crate) arguments: Vec<Argument>,
}

/// An argument as written.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    /// The name of a named argument.
    pub(crate) name: Option<Name>,
    /// The expression.
    pub(crate) value: Expr,
}

/// A slice expression.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    /// What is sliced.
    pub(crate) object: Expr,
    /// The first bound.
    pub(crate) start: Option<Expr>,
    /// The second bound.
    pub(crate) end: Option<Expr>,
    /// The third bound.
    pub(crate) step: Option<Expr>,
    /// Where the opening bracket stands.
    pub(crate) bracket: Span,
}

/// Operators of one precedence level applied from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The leftmost operand.
    pub(crate) first: Expr,
    /// Each operator with its place and its right operand.
    pub(crate) rest: Vec<(BinaryOp, Span, Expr)>,
}

/// A unary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    /// `!`
    Not,
    /// `-`
    Minus,
    /// `+`
    Plus,
}

impl UnaryOp {
    /// The operator as written.
    #[must_use]
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Minus => "-",
            Self::Plus => "+",
        }
    }
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `in`
    In,
    /// `&&`
    And,
    /// `||`
    Or,
}

impl BinaryOp {
    /// The operator as written.
    #[must_use]
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::And => "&&",
            Self::Or => "||",
        }
    }
}

impl Expr {
    /// The place errors point at: the first token, which for a slice is its bracket.
    #[must_use]
    pub(crate) fn start(&self) -> Span {
        match &self.kind {
            ExprKind::Slice(slice) => slice.bracket,
            ExprKind::Chain(chain) => chain.first.start(),
            ExprKind::Call(call) => call.name.span,
            ExprKind::Index { base, .. } => base.span,
            _ => self.span,
        }
    }

    /// The text of a string literal.
    #[must_use]
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a bare identifier.
    #[must_use]
    pub(crate) fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(text) => Some(text),
            _ => None,
        }
    }

    /// The value of an int or float literal.
    #[must_use]
    pub(crate) const fn as_number(&self) -> Option<f64> {
        match &self.kind {
            ExprKind::Int(number) => Some(*number as f64),
            ExprKind::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of a list literal.
    #[must_use]
    pub(crate) fn as_list(&self) -> Option<&[Expr]> {
        match &self.kind {
            ExprKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// What this is in words, for messages.
    #[must_use]
    pub(crate) const fn describe(&self) -> &'static str {
        match &self.kind {
            ExprKind::Nil => "nil",
            ExprKind::Bool(_) => "a bool",
            ExprKind::Int(_) => "an int",
            ExprKind::Float(_) => "a float",
            ExprKind::Str(_) => "a string",
            ExprKind::Name(_) => "a name",
            ExprKind::Path(_) => "an attribute expression",
            ExprKind::Index { .. } => "an index expression",
            ExprKind::List(_) => "a list",
            ExprKind::Map(_) => "a map",
            ExprKind::Paren(_) => "an expression in parentheses",
            ExprKind::Call(_) => "a call",
            ExprKind::Slice(_) => "a slice",
            ExprKind::Unary(..) | ExprKind::Chain(_) => "an expression",
        }
    }
}
