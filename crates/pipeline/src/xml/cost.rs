//! What a document and a query cost at worst, known before the foreign parser and the foreign
//! evaluator see them.

use xpath_eval::{Expr, FilterExpr, LocationPath, PathExpr, PrimaryExpr};

use crate::meter::{Meter, Spent};

/// Comparisons of names that one unit pays for.
const NAMES_PER_UNIT: u64 = 8;

/// Pays for parsing a document: a pass, and what the parser does for each pair of attributes of one
/// element (it looks for a name given twice) and for each name and name space (it looks for the prefix).
///
/// # Errors
/// When the budget is used up.
pub(super) fn pay_parsing(xml: &str, meter: &Meter) -> Result<(), Spent> {
    /// A parser takes some nanoseconds a byte.
    const PASSES: usize = 8;
    meter.pass(xml.len().saturating_mul(PASSES))?;
    let bytes = xml.as_bytes();
    let spaces = memchr::memmem::find_iter(bytes, b"xmlns").count() as u64;
    let (mut names, mut pairs) = (0u64, 0u64);
    let mut at = 0;
    while let Some(open) = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        at += open + 1;
        let attributes = attributes(bytes, &mut at);
        names = names.saturating_add(1 + attributes);
        pairs = pairs.saturating_add(attributes.saturating_mul(attributes));
    }
    let look_ups = names.saturating_add(spaces).saturating_mul(spaces);
    meter.pay(pairs.saturating_add(look_ups) / NAMES_PER_UNIT)
}

/// How many attributes the tag at `at` has at most; goes to its end.
fn attributes(bytes: &[u8], at: &mut usize) -> u64 {
    let mut count = 0;
    let mut quote = None;
    while let Some(&byte) = bytes.get(*at) {
        *at += 1;
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'=') => count += 1,
            (None, b'>') => break,
            _ => {}
        }
    }
    count
}

/// What the evaluator does beyond what the nodes are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Two sets of nodes are compared, each text of one with each of the other.
    pub(super) pairs: bool,
    /// The most characters each character of a text is compared with; `None`: those of another text.
    pub(super) translated: Option<Option<u64>>,
}

impl Habits {
    pub(super) fn of(expression: &Expr) -> Self {
        let mut habits = Self::default();
        habits.expression(expression);
        habits
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Equality(a, _, b) | Expr::Relational(a, _, b) => {
                self.pairs |= is_set(a) && is_set(b);
                self.expression(a);
                self.expression(b);
            }
            Expr::Or(a, b)
            | Expr::And(a, b)
            | Expr::Additive(a, _, b)
            | Expr::Multiplicative(a, _, b)
            | Expr::Union(a, b) => {
                self.expression(a);
                self.expression(b);
            }
            Expr::Negate(a) => self.expression(a),
            Expr::Path(PathExpr::Location(path)) => self.path(path),
            Expr::Path(PathExpr::Filter(filter)) => self.filter(filter),
            Expr::Path(PathExpr::FilterLocation(filter, path)) => {
                self.filter(filter);
                self.path(path);
            }
        }
    }

    fn path(&mut self, path: &LocationPath) {
        for predicate in path.steps.iter().flat_map(|step| &step.predicates) {
            self.expression(predicate);
        }
    }

    fn filter(&mut self, filter: &FilterExpr) {
        for predicate in &filter.predicates {
            self.expression(predicate);
        }
        match &filter.primary {
            PrimaryExpr::Parenthesized(inner) => self.expression(inner),
            PrimaryExpr::Function(call) => {
                if call.name.local == "translate" {
                    let known = call
                        .args
                        .get(1)
                        .and_then(literal)
                        .map(|text| text.len() as u64);
                    self.translated = Some(match (self.translated, known) {
                        (Some(None), _) | (_, None) => None,
                        (Some(Some(before)), Some(known)) => Some(before.max(known)),
                        (None, Some(known)) => Some(known),
                    });
                }
                for argument in &call.args {
                    self.expression(argument);
                }
            }
            PrimaryExpr::Variable(_) | PrimaryExpr::Literal(_) | PrimaryExpr::Number(_) => {}
        }
    }
}

/// Whether an expression may give a set of nodes.
fn is_set(expression: &Expr) -> bool {
    match expression {
        Expr::Union(..) | Expr::Path(PathExpr::Location(_) | PathExpr::FilterLocation(..)) => true,
        Expr::Path(PathExpr::Filter(filter)) => match &filter.primary {
            PrimaryExpr::Parenthesized(inner) => is_set(inner),
            PrimaryExpr::Function(call) => call.name.local == "id",
            _ => false,
        },
        _ => false,
    }
}

fn literal(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Path(PathExpr::Filter(FilterExpr {
            primary: PrimaryExpr::Literal(text),
            ..
        })) => Some(text),
        _ => None,
    }
}
