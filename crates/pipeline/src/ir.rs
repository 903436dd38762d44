//! The compiled form of a script: an immutable tree in which every name is resolved to variable
//! slots, every call is bound to its function and every literal is a ready value.

use std::any::Any;
use std::sync::Arc;

use kafkamq_point::Text;
use smallvec::SmallVec;

use crate::ast::{BinaryOp, UnaryOp};
use crate::functions::FunctionSpec;
use crate::span::Span;
use crate::value::{Constant, Types};

/// What a function's check hook made of a call site's literals, handed back at each call.
pub type Prepared = Arc<dyn Any + Send + Sync>;

/// A name a script reads: the variable slots it can mean, innermost first, and the point's key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key's text, `message` for `_`.
    pub(crate) name: Text,
    /// Slots of the enclosing scopes that can hold a variable of this name.
    pub(crate) slots: SmallVec<[u32; 4]>,
}

impl Key {
    /// The key's text; `_` has become `message`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// The place errors about this expression point at.
    pub(crate) span: Span,
}

impl Node {
    /// Whether this is the call of a function that never has a result.
    pub(crate) fn yields_nothing(&self) -> bool {
        matches!(&self.kind, NodeKind::Call(site) if site.spec.returns == Types::NONE)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    Constant(Constant),
    Load(Box<Key>),
    Index(Box<IndexNode>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Call(Box<CallSite>),
    Slice(Box<SliceNode>),
    Unary(UnaryOp, Box<Node>),
    /// Arithmetic, comparison and membership, from left to right.
    Chain(Box<Node>, Box<[Link]>),
    /// `&&` or `||`, from left to right.
    Logic(Box<Node>, Box<[Link]>),
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) op: BinaryOp,
    pub(crate) span: Span,
    pub(crate) right: Node,
}

#[derive(Debug, Clone)]
pub(crate) struct IndexNode {
    pub(crate) base: Key,
    pub(crate) base_span: Span,
    pub(crate) indexes: Box<[Node]>,
}

#[derive(Debug, Clone)]
pub(crate) struct SliceNode {
    pub(crate) object: Node,
    pub(crate) start: Option<Node>,
    pub(crate) end: Option<Node>,
    pub(crate) step: Option<Node>,
}

/// A call bound to its function.
#[derive(Clone)]
pub(crate) struct CallSite {
    pub(crate) spec: &'static FunctionSpec,
    pub(crate) name_span: Span,
    pub(crate) args: Box<[Arg]>,
    pub(crate) prepared: Option<Prepared>,
}

impl std::fmt::Debug for CallSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallSite")
            .field("function", &self.spec.name)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

/// One argument, in the order of the function's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Arg {
    pub(crate) kind: ArgKind,
    pub(crate) span: Span,
    pub(crate) given: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum ArgKind {
    /// A key: not evaluated.
    Key(Key),
    /// A literal or a default.
    Constant(Constant),
    /// An expression evaluated when the function asks for it.
    Value(Node),
}

/// A statement.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Eval(Node),
    /// `name = value`: the slots to look for an existing variable in, the last resort first.
    Store {
        target: Key,
        own: u32,
        value: Node,
    },
    /// `name op= value`.
    Update {
        target: Key,
        own: u32,
        op: BinaryOp,
        span: Span,
        value: Node,
    },
    /// `name[..] = value` and `name[..] op= value`.
    StoreIndex {
        target: Box<IndexNode>,
        op: Option<BinaryOp>,
        span: Span,
        value: Node,
    },
    If(Box<IfOp>),
    ForIn(Box<ForInOp>),
    For(Box<ForOp>),
    Break,
    Continue,
}

#[derive(Debug, Clone)]
pub(crate) struct IfOp {
    pub(crate) branches: Box<[(Node, Block)]>,
    pub(crate) otherwise: Option<Block>,
}

#[derive(Debug, Clone)]
pub(crate) struct ForInOp {
    pub(crate) target: Key,
    pub(crate) own: u32,
    pub(crate) source: Node,
    pub(crate) body: Block,
}

#[derive(Debug, Clone)]
pub(crate) struct ForOp {
    /// Slots of the header's scope.
    pub(crate) header: SlotRange,
    pub(crate) init: Option<Op>,
    pub(crate) condition: Option<Node>,
    pub(crate) step: Option<Op>,
    pub(crate) body: Block,
}

/// Statements with a scope of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    /// The variables of this block; emptied when the block is entered.
    pub(crate) slots: SlotRange,
    pub(crate) ops: Box<[Op]>,
}

/// A run of variable slots.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SlotRange {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// A compiled script without its surroundings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code {
    pub(crate) body: Block,
    /// How many levels it nests.
    pub(crate) levels: usize,
    /// How many slots a run needs.
    pub(crate) slot_count: u32,
}
