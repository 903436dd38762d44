//! A parsed document as the query engine sees it.

use roxmltree::{Document, Node as Element};
use std::cmp::Ordering;
use xpath_eval::{ExpandedName, Node, NodeKind};

/// A document, or the part of it below one element.
pub(super) struct Tree<'a> {
    text: &'a str,
    top: Element<'a, 'a>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(document: &'a Document<'a>, top: Element<'a, 'a>) -> Self {
        Self {
            text: document.input_text(),
            top,
        }
    }

    pub(super) fn root(&self) -> View<'a> {
        View {
            text: self.text,
            top: self.top,
            node: self.top,
            attribute: None,
        }
    }
}

/// A node of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    text: &'a str,
    top: Element<'a, 'a>,
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
                let rest = self.text.get(start..)?;
                let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
                start..start + end?
            }
        };
        self.text.get(range)
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
        } else if self.node == self.top {
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
        if self.node == self.top {
            return None;
        }
        self.node.parent().map(|node| self.with(node, None))
    }

    fn children(self) -> impl Iterator<Item = Self> + 'a {
        let node = self.attribute.is_none().then_some(self.node);
        node.into_iter()
            .flat_map(|node| node.children())
            .map(move |child| self.with(child, None))
    }

    fn attributes(self) -> impl Iterator<Item = Self> + 'a {
        let count = match self.kind() {
            NodeKind::Element => self.node.attributes().len(),
            _ => 0,
        };
        (0..count).map(move |at| self.with(self.node, Some(at)))
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
        match self.attribute {
            Some(at) => {
                let attribute = self.node.attributes().nth(at);
                attribute.map_or_else(String::new, |attribute| attribute.value().to_owned())
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

    fn document_order(self, other: Self) -> Ordering {
        let place = |view: Self| (view.node.id().get(), view.attribute.map_or(0, |at| at + 1));
        place(self).cmp(&place(other))
    }
}
