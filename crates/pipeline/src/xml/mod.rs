//! XPath queries on XML text.
//!
//! Owns compiled queries and the view of a parsed document as the query engine wants it. Names match as
//! they are written, prefix included, whatever name space the prefix stands for. Every text and every
//! query has an answer; nothing here recurses with the depth of a document.

mod cost;
#[cfg(test)]
mod tests;
mod tree;

use crate::meter::{Meter, Spent};
use crate::stack;
use cost::Habits;

use encoding_rs::Encoding;
use roxmltree::Document;
use std::borrow::Cow;
use tree::{Tree, View};
use xpath_eval::{
    AdditiveOp, Axis, EqualityOp, EvaluationContext, Expr, FilterExpr, FunctionCall, LocationPath,
    Node, PathExpr, PrimaryExpr, QName, Value,
};

/// The longest query, in bytes, and how deep its brackets nest.
const MAX_QUERY: usize = 2048;
const MAX_DEPTH: usize = 40;

/// A compiled query.
#[derive(Debug)]
pub(crate) struct Query {
    expression: Expr,
    /// The path taken apart where it goes backwards; absent where it never does.
    parts: Option<Parts>,
    habits: Habits,
    /// How deep it may nest.
    levels: usize,
}

impl Query {
    /// Compiles an XPath 1.0 expression; `None` if it is not one.
    pub(crate) fn compile(text: &str) -> Option<Self> {
        if text.len() > MAX_QUERY || depth(text) > MAX_DEPTH {
            return None;
        }
        // A chain of operators nests as deep as it is long.
        let levels = text.len() / 2;
        stack::levels(levels, || {
            let mut expression = xpath_eval::parse(text).ok()?;
            rewrite(&mut expression);
            Some(Self {
                parts: Parts::of(&expression),
                habits: Habits::of(&expression),
                expression,
                levels,
            })
        })
    }

    /// The text of the first node the query selects in a document. Where a path goes backwards
    /// (`preceding`, `ancestor`) the first is the nearest.
    ///
    /// # Errors
    /// When the meter's budget is used up.
    pub(crate) fn first(&self, xml: &str, meter: &Meter) -> Result<Option<String>, Spent> {
        let Some(xml) = prepare(xml) else {
            return Ok(None);
        };
        cost::pay_parsing(&xml, meter)?;
        let document = match Document::parse(&xml) {
            Ok(document) => document,
            // Fragments have several roots, or text around them.
            Err(_) => return self.first_of_fragment(&xml, meter),
        };
        self.select(&Tree::new(&document, document.root(), self.habits, meter))
    }

    fn first_of_fragment(&self, xml: &str, meter: &Meter) -> Result<Option<String>, Spent> {
        let body = match xml.trim_start().strip_prefix("<?xml") {
            Some(declared) => match declared.split_once("?>") {
                Some((_, body)) => body,
                None => return Ok(None),
            },
            None => xml,
        };
        let wrapped = format!("<fragment>{body}</fragment>");
        cost::pay_parsing(&wrapped, meter)?;
        let Ok(document) = Document::parse(&wrapped) else {
            return Ok(None);
        };
        // Text that closes the wrapper itself would have left more than one root, an error above.
        let root = document.root_element();
        if !root.children().any(|child| child.is_element()) {
            return Ok(None);
        }
        self.select(&Tree::new(&document, root, self.habits, meter))
    }

    fn select<'a>(&self, tree: &'a Tree<'a>) -> Result<Option<String>, Spent> {
        let found = stack::levels(self.levels, || match &self.parts {
            Some(parts) => parts.first(tree.root()),
            None => nodes(&self.expression, tree.root())
                .and_then(|nodes| nodes.into_iter().min_by(|a, b| a.document_order(*b))),
        });
        let text = found.map(View::string_value);
        tree.spent().map_or(Ok(text), Err)
    }
}

/// The nodes an expression selects from a node, in the order of the document.
fn nodes<'a>(expression: &Expr, from: View<'a>) -> Option<Vec<View<'a>>> {
    let prefix = |prefix: &str| Some(prefix.to_owned());
    let mut context = EvaluationContext::new(from);
    context.namespaces = Some(&prefix);
    match xpath_eval::evaluate(expression, &context).ok()? {
        Value::NodeSet(nodes) => Some(nodes),
        _ => None,
    }
}

/// A path in pieces: up to a step that goes backwards, that step, and so on. Its nodes are met nearest
/// first, where the evaluator would bring all into the order of the document.
#[derive(Debug)]
struct Parts(Vec<Part>);

#[derive(Debug)]
struct Part {
    path: Expr,
    backwards: bool,
}

impl Parts {
    fn of(expression: &Expr) -> Option<Self> {
        let Expr::Path(path) = expression else {
            return None;
        };
        let (start, path) = match path {
            PathExpr::Location(path) => (None, path),
            PathExpr::FilterLocation(filter, path) => (Some(filter), path),
            PathExpr::Filter(_) => return None,
        };
        if !path.steps.iter().any(|step| is_backwards(step.axis)) {
            return None;
        }
        let mut parts = Vec::new();
        if let Some(filter) = start {
            parts.push(Part {
                path: Expr::Path(PathExpr::Filter(filter.clone())),
                backwards: false,
            });
        }
        let mut absolute = path.is_absolute;
        for steps in path
            .steps
            .chunk_by(|a, b| !is_backwards(a.axis) && !is_backwards(b.axis))
        {
            parts.push(Part {
                backwards: steps.iter().any(|step| is_backwards(step.axis)),
                path: Expr::Path(PathExpr::Location(LocationPath {
                    is_absolute: std::mem::take(&mut absolute),
                    steps: steps.to_vec(),
                })),
            });
        }
        Some(Self(parts))
    }

    /// The node met first.
    fn first<'a>(&self, root: View<'a>) -> Option<View<'a>> {
        // Nodes still to go on from, the next one last, with the number of the part that follows.
        let mut open = vec![(root, 0)];
        while let Some((node, at)) = open.pop() {
            let Some(part) = self.0.get(at) else {
                return Some(node);
            };
            let mut found = nodes(&part.path, node)?;
            if !part.backwards {
                found.reverse();
            }
            open.extend(found.into_iter().map(|node| (node, at + 1)));
        }
        None
    }
}

const fn is_backwards(axis: Axis) -> bool {
    matches!(
        axis,
        Axis::Ancestor | Axis::AncestorOrSelf | Axis::Preceding | Axis::PrecedingSibling
    )
}

/// The document without its type declaration; `None` if it declares an encoding that does not exist.
fn prepare(xml: &str) -> Option<Cow<'_, str>> {
    if let Some(declared) = xml.strip_prefix("<?xml") {
        let (declared, _) = declared.split_once("?>")?;
        if let Some((_, name)) = declared.split_once("encoding=") {
            let quote = name.chars().next()?;
            let name = name.get(1..)?.split(quote).next()?;
            Encoding::for_label(name.as_bytes())?;
        }
    }
    let Some(start) = xml.find("<!DOCTYPE") else {
        return Some(Cow::Borrowed(xml));
    };
    let mut brackets = 0u32;
    let mut quote = None;
    for (at, c) in xml.char_indices().skip_while(|(at, _)| *at < start) {
        match (quote, c) {
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => brackets += 1,
            (None, ']') => brackets = brackets.saturating_sub(1),
            (None, '>') if brackets == 0 => {
                let before = xml.get(..start)?;
                return Some(Cow::Owned(before.to_owned() + xml.get(at + 1..)?));
            }
            _ => {}
        }
    }
    None
}

fn depth(text: &str) -> usize {
    let mut deepest = 0;
    let mut open = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' => open += 1,
            b')' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// Replaces calls of `ends-with`, which XPath 1.0 lacks, by what it has.
fn rewrite(expression: &mut Expr) {
    match expression {
        Expr::Or(a, b)
        | Expr::And(a, b)
        | Expr::Equality(a, _, b)
        | Expr::Relational(a, _, b)
        | Expr::Additive(a, _, b)
        | Expr::Multiplicative(a, _, b)
        | Expr::Union(a, b) => {
            rewrite(a);
            rewrite(b);
        }
        Expr::Negate(a) => rewrite(a),
        Expr::Path(PathExpr::Location(path)) => rewrite_path(path),
        Expr::Path(PathExpr::FilterLocation(filter, path)) => {
            rewrite_filter(filter);
            rewrite_path(path);
        }
        Expr::Path(PathExpr::Filter(filter)) => {
            rewrite_filter(filter);
            if let (PrimaryExpr::Function(FunctionCall { name, args }), []) =
                (&filter.primary, filter.predicates.as_slice())
                && name.prefix.is_none()
                && name.local == "ends-with"
                && let [text, end] = args.as_slice()
            {
                *expression = ends_with(text, end);
            }
        }
    }
}

fn rewrite_path(path: &mut LocationPath) {
    for step in &mut path.steps {
        step.predicates.iter_mut().for_each(rewrite);
    }
}

fn rewrite_filter(filter: &mut FilterExpr) {
    filter.predicates.iter_mut().for_each(rewrite);
    match &mut filter.primary {
        PrimaryExpr::Parenthesized(inner) => rewrite(inner),
        PrimaryExpr::Function(function) => function.args.iter_mut().for_each(rewrite),
        PrimaryExpr::Variable(_) | PrimaryExpr::Literal(_) | PrimaryExpr::Number(_) => {}
    }
}

/// `substring(text, string-length(text) - string-length(end) + 1) = string(end)`
fn ends_with(text: &Expr, end: &Expr) -> Expr {
    let primary = |primary| {
        Expr::Path(PathExpr::Filter(FilterExpr {
            primary,
            predicates: Vec::new(),
        }))
    };
    let call = |name: &str, args| {
        let name = QName {
            prefix: None,
            local: name.to_owned(),
        };
        primary(PrimaryExpr::Function(FunctionCall { name, args }))
    };
    let length = |of: &Expr| Box::new(call("string-length", vec![of.clone()]));
    let start = Expr::Additive(
        Box::new(Expr::Additive(length(text), AdditiveOp::Sub, length(end))),
        AdditiveOp::Add,
        Box::new(primary(PrimaryExpr::Number(1.0))),
    );
    Expr::Equality(
        Box::new(call("substring", vec![text.clone(), start])),
        EqualityOp::Eq,
        Box::new(call("string", vec![end.clone()])),
    )
}
