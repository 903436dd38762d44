//! The parsed form of a regular expression, the one thing both engines are built from.
//!
//! Flags are already applied: a literal under `(?i)` is a class, `.` and `$` have their final
//! meaning, greediness is resolved. Groups carry dense numbers from 1; names live outside.

use regex_syntax::hir::{Capture, Class, ClassUnicode, Hir, Literal, Look, Repetition};

/// A node of a parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Matches the empty text.
    Empty,
    /// One code point.
    Char(char),
    /// One code point out of a set; an empty set never matches.
    Class(ClassUnicode),
    /// An assertion about the surroundings.
    Look(Look),
    /// `min` to `max` (`None`: any number of) copies, as many as possible if `greedy`.
    Repeat {
        min: u32,
        max: Option<u32>,
        greedy: bool,
        node: Box<Self>,
    },
    /// A capture group by number.
    Group(u32, Box<Self>),
    /// One after the other.
    Concat(Vec<Self>),
    /// The first branch that leads to a match.
    Alternate(Vec<Self>),
}

impl Node {
    /// Whether the node can match the empty text.
    pub(super) fn nullable(&self) -> bool {
        match self {
            Self::Empty | Self::Look(_) => true,
            Self::Char(_) | Self::Class(_) => false,
            Self::Repeat { min, node, .. } => *min == 0 || node.nullable(),
            Self::Group(_, node) => node.nullable(),
            Self::Concat(nodes) => nodes.iter().all(Self::nullable),
            Self::Alternate(nodes) => nodes.iter().any(Self::nullable),
        }
    }

    /// About how many states an engine that walks all of them in step has to look at for one byte.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Empty | Self::Look(_) | Self::Char(_) => 1,
            Self::Class(_) => 2,
            Self::Repeat { min, max, node, .. } => {
                let copies = max.unwrap_or(*min).max(*min).max(1);
                node.weight()
                    .saturating_add(1)
                    .saturating_mul(u64::from(copies))
            }
            Self::Group(_, node) => node.weight().saturating_add(2),
            Self::Concat(nodes) | Self::Alternate(nodes) => nodes
                .iter()
                .fold(1, |sum, node| node.weight().saturating_add(sum)),
        }
    }

    /// Gives the groups that are left dense numbers from 1 in order of appearance; `kept[old - 1]`
    /// becomes the new number.
    pub(super) fn renumber(&mut self, next: &mut u32, kept: &mut [Option<u32>]) {
        match self {
            Self::Empty | Self::Char(_) | Self::Class(_) | Self::Look(_) => {}
            Self::Repeat { node, .. } => node.renumber(next, kept),
            Self::Group(number, node) => {
                *next += 1;
                if let Some(slot) = kept.get_mut(*number as usize - 1) {
                    *slot = Some(*next);
                }
                *number = *next;
                node.renumber(next, kept);
            }
            Self::Concat(nodes) | Self::Alternate(nodes) => {
                for node in nodes {
                    node.renumber(next, kept);
                }
            }
        }
    }

    /// The same expression for the linear-time engine.
    pub(super) fn to_hir(&self) -> Hir {
        match self {
            Self::Empty => Hir::empty(),
            Self::Char(c) => literal(*c),
            Self::Class(set) => Hir::class(Class::Unicode(set.clone())),
            Self::Look(look) => Hir::look(*look),
            Self::Repeat {
                min,
                max,
                greedy,
                node,
            } => Hir::repetition(Repetition {
                min: *min,
                max: *max,
                greedy: *greedy,
                sub: Box::new(node.to_hir()),
            }),
            Self::Group(index, node) => Hir::capture(Capture {
                index: *index,
                name: None,
                sub: Box::new(node.to_hir()),
            }),
            Self::Concat(nodes) => Hir::concat(nodes.iter().map(Self::to_hir).collect()),
            Self::Alternate(nodes) => Hir::alternation(nodes.iter().map(Self::to_hir).collect()),
        }
    }
}

fn literal(c: char) -> Hir {
    let mut buffer = [0; 4];
    let Literal(bytes) = Literal(c.encode_utf8(&mut buffer).as_bytes().into());
    Hir::literal(bytes)
}
