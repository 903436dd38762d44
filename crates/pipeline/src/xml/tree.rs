//! A parsed document as the query engine sees it.

use roxmltree::{Document, Node as Element};
use std::cell::Cell;
use std::cmp::Ordering;
use xpath_eval::{ExpandedName, Node, NodeKind};

use super::cost::Habits;
use crate::meter::{Meter, Spent};

/// A document, or the part of it below one element, and what looking at it costs. Every step from a
/// node to others and every text taken is paid for; when the budget is used up there are no further
/// nodes, so that the evaluator comes to its end.
pub(super) struct Tree<'a> {
    text: &'a str,
    top: Element<'a, 'a>,
    meter: &'a Meter,
    spent: Cell<Option<Spent>>,
    /// Units for each text that is compared, and units for 64 bytes of text.
    compared: u64,
    taken: u64,
}

impl<'a> Tree<'a> {
    pub(super) fn new(
        document: &'a Document<'a>,
        top: Element<'a, 'a>,
        habits: Habits,
        meter: &'a Meter,
    ) -> Self {
        let nodes = document.descendants().len() as u64;
        Self {
            text: document.input_text(),
            top,
            meter,
            spent: Cell::new(None),
            compared: if habits.pairs { nodes / 4 } else { 1 },
            taken: TAKEN
                + match habits.translated {
                    None => 0,
                    Some(known) => known.unwrap_or(document.input_text().len() as u64),
                },
        }
    }

    pub(super) fn root(&'a self) -> View<'a> {
        View {
            tree: self,
            node: self.top,
            attribute: None,
        }
    }

    /// What was used up, if the budget did not last.
    pub(super) const fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    /// Pays; whether there was enough.
    fn pay(&self, units: u64) -> bool {
        if self.spent.get().is_some() {
            return false;
        }
        match self.meter.pay(units) {
            Ok(()) => true,
            Err(spent) => {
                self.spent.set(Some(spent));
                false
            }
        }
    }
}

/// Units for 64 bytes of a node's text: it is put together from nodes, and copied by the evaluator.
const TAKEN: u64 = 16;

/// A node of a tree.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    tree: &'a Tree<'a>,
    node: Element<'a, 'a>,
    /// The attribute of `node` by position.
    attribute: Option<usize>,
}

impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node && self.attribute == other.attribute
    }
}

impl Eq for View<'_> {}

impl<'a> View<'a> {
    fn with(self, node: Element<'a, 'a>, attribute: Option<usize>) -> Self {
        Self {
            node,
            attribute,
            ..self
        }
    }

    /// The name as written, prefix included.
    fn written(self) -> Option<&'a str> {
        let range = match self.attribute {
            Some(at) => self.node.attributes().nth(at)?.range_qname(),
            None => {
                let start = self.node.range().start + 1;
                let rest = self.tree.text.get(start..)?;
                let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
                start..start + end?
            }
        };
        self.tree.text.get(range)
    }

    fn name(self) -> Option<(Option<&'a str>, &'a str)> {
        match self.kind() {
            NodeKind::Element | NodeKind::Attribute => {
                let written = self.written()?;
                Some(match written.split_once(':') {
                    Some((prefix, local)) => (Some(prefix), local),
                    None => (None, written),
                })
            }
            NodeKind::ProcessingInstruction => self.node.pi().map(|pi| (None, pi.target)),
            _ => None,
        }
    }
}

impl<'a> Node<'a> for View<'a> {
    fn kind(self) -> NodeKind {
        if self.attribute.is_some() {
            NodeKind::Attribute
        } else if self.node == self.tree.top {
            NodeKind::Root
        } else if self.node.is_element() {
            NodeKind::Element
        } else if self.node.is_text() {
            NodeKind::Text
        } else if self.node.is_comment() {
            NodeKind::Comment
        } else {
            NodeKind::ProcessingInstruction
        }
    }

    fn parent(self) -> Option<Self> {
        if self.attribute.is_some() {
            return Some(self.with(self.node, None));
        }
        if self.node == self.tree.top {
            return None;
        }
        if !self.tree.pay(1) {
            return None;
        }
        self.node.parent().map(|node| self.with(node, None))
    }

    fn children(self) -> impl Iterator<Item = Self> + 'a {
        let node = self.attribute.is_none().then_some(self.node);
        node.into_iter()
            .flat_map(|node| node.children())
            .take_while(move |_| self.tree.pay(1))
            .map(move |child| self.with(child, None))
    }

    fn attributes(self) -> impl Iterator<Item = Self> + 'a {
        let count = match self.kind() {
            NodeKind::Element => self.node.attributes().len(),
            _ => 0,
        };
        (0..count)
            .take_while(move |_| self.tree.pay(1))
            .map(move |at| self.with(self.node, Some(at)))
    }

    fn namespaces(self) -> impl Iterator<Item = Self> + 'a {
        std::iter::empty()
    }

    fn expanded_name(self) -> Option<ExpandedName> {
        let (prefix, local) = self.name()?;
        Some(ExpandedName {
            namespace_uri: prefix.map(str::to_owned),
            local_name: local.to_owned(),
        })
    }

    fn has_expanded_name(self, namespace_uri: Option<&str>, local_name: &str) -> bool {
        self.name() == Some((namespace_uri, local_name))
    }

    fn string_value(self) -> String {
        let bytes = match self.attribute {
            Some(_) => 0,
            // Not all of it is text; but all of it is walked.
            None => self.node.range().len(),
        };
        if !self.tree.pay(1 + bytes as u64 * self.tree.taken / 64) {
            return String::new();
        }
        match self.attribute {
            Some(at) => {
                let attribute = self.node.attributes().nth(at);
                let text = attribute.map_or("", |attribute| attribute.value());
                if !self.tree.pay(text.len() as u64 * self.tree.taken / 64) {
                    return String::new();
                }
                text.to_owned()
            }
            None if self.node.is_comment() => self.node.text().unwrap_or_default().to_owned(),
            None => match self.node.pi() {
                Some(pi) => pi.value.unwrap_or_default().to_owned(),
                None => self
                    .node
                    .descendants()
                    .filter(Element::is_text)
                    .filter_map(|node| node.text())
                    .collect(),
            },
        }
    }

    fn with_string_value<R>(self, f: impl FnOnce(&str) -> R) -> R {
        match self.tree.pay(self.tree.compared) {
            true => f(&self.string_value()),
            false => f(""),
        }
    }

    fn document_order(self, other: Self) -> Ordering {
        let place = |view: Self| (view.node.id().get(), view.attribute.map_or(0, |at| at + 1));
        place(self).cmp(&place(other))
    }
}
