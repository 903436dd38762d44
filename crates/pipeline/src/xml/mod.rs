//! XPath queries on XML text.
//!
//! Owns compiled queries and the view of a parsed document as the query engine wants it. Names match as
//! they are written, prefix included, whatever name space the prefix stands for. Every text and every
//! query has an answer; nothing here recurses with the depth of a document.

#[cfg(test)]
mod tests;
mod tree;

use encoding_rs::Encoding;
use roxmltree::Document;
use std::borrow::Cow;
use tree::{Tree, View};
use xpath_eval::{
    AdditiveOp, EqualityOp, EvaluationContext, Expr, FilterExpr, FunctionCall, LocationPath, Node,
    PathExpr, PrimaryExpr, QName, Value,
};

/// The longest query, in bytes, and how deep its brackets nest.
const MAX_QUERY: usize = 2048;
const MAX_DEPTH: usize = 40;

/// A compiled query.
#[derive(Debug)]
pub(crate) struct Query(Expr);

impl Query {
    /// Compiles an XPath 1.0 expression, `None` if it is none.
    pub(crate) fn compile(text: &str) -> Option<Self> {
        if text.len() > MAX_QUERY || depth(text) > MAX_DEPTH {
            return None;
        }
        let mut expression = xpath_eval::parse(text).ok()?;
        rewrite(&mut expression);
        Some(Self(expression))
    }

    /// The text of the first node the query selects in a document.
    pub(crate) fn first(&self, xml: &str) -> Option<String> {
        let xml = prepare(xml)?;
        let document = match Document::parse(&xml) {
            Ok(document) => document,
            // Fragments have several roots, or text around them.
            Err(_) => return self.first_of_fragment(&xml),
        };
        self.select(&Tree::new(&document, document.root()))
    }

    fn first_of_fragment(&self, xml: &str) -> Option<String> {
        let body = match xml.trim_start().strip_prefix("<?xml") {
            Some(declared) => declared.split_once("?>")?.1,
            None => xml,
        };
        let wrapped = format!("<fragment>{body}</fragment>");
        let document = Document::parse(&wrapped).ok()?;
        // Text that closes the wrapper itself would have left more than one root, an error above.
        let root = document.root_element();
        root.children()
            .any(|child| child.is_element())
            .then(|| self.select(&Tree::new(&document, root)))?
    }

    fn select(&self, tree: &Tree<'_>) -> Option<String> {
        let prefix = |prefix: &str| Some(prefix.to_owned());
        let mut context = EvaluationContext::new(tree.root());
        context.namespaces = Some(&prefix);
        match xpath_eval::evaluate(&self.0, &context).ok()? {
            Value::NodeSet(nodes) => nodes
                .into_iter()
                .min_by(|a, b| a.document_order(*b))
                .map(View::string_value),
            _ => None,
        }
    }
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
