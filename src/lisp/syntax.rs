//! Forms as they were read: a flat tree, every node with its place in a note.

use std::sync::Arc;

use super::names::{self, Sym};

/// A node's number.
pub type Id = u32;

/// What a node is.
#[derive(Clone, Debug)]
pub enum Node {
    Sym(Sym),
    Key(Sym),
    Int(i64),
    Float(f64),
    Char(char),
    Str(Arc<str>),
    /// A list: where its children stand, and how many.
    List(u32, u32),
    /// A list whose last child is its tail.
    Dotted(u32, u32),
}

/// A place: the number of a text, a line in its file, bytes in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub text: u32,
    pub line: u32,
    pub start: u32,
    pub end: u32,
}

/// All that was read.
#[derive(Default)]
pub struct Tree {
    nodes: Vec<(Node, Span)>,
    children: Vec<Id>,
    /// Set on nodes that the compiler made.
    made: Vec<bool>,
}

impl Tree {
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn add(&mut self, node: Node, span: Span, made: bool) -> Id {
        let id = Id::try_from(self.nodes.len()).unwrap_or(Id::MAX);
        self.nodes.push((node, span));
        self.made.push(made);
        id
    }

    pub fn add_list(&mut self, items: &[Id], span: Span, made: bool, dotted: bool) -> Id {
        let at = u32::try_from(self.children.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(items.len()).unwrap_or(u32::MAX);
        self.children.extend_from_slice(items);
        self.add(if dotted { Node::Dotted(at, len) } else { Node::List(at, len) }, span, made)
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize].0
    }

    pub fn span(&self, id: Id) -> Span {
        self.nodes[id as usize].1
    }

    pub fn is_made(&self, id: Id) -> bool {
        self.made[id as usize]
    }

    /// The children of a list, or of `nil` none.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match *self.node(id) {
            Node::List(at, len) => Some(&self.children[at as usize..(at + len) as usize]),
            Node::Sym(names::NIL) => Some(&[]),
            _ => None,
        }
    }

    /// The children of a dotted list, the last of them its tail.
    pub fn dotted(&self, id: Id) -> Option<&[Id]> {
        match *self.node(id) {
            Node::Dotted(at, len) => Some(&self.children[at as usize..(at + len) as usize]),
            _ => None,
        }
    }

    pub fn symbol(&self, id: Id) -> Option<Sym> {
        match *self.node(id) {
            Node::Sym(sym) => Some(sym),
            _ => None,
        }
    }

    /// The symbol at the head of a list.
    pub fn head(&self, id: Id) -> Option<Sym> {
        self.items(id)?.first().and_then(|first| self.symbol(*first))
    }

    /// Every list in the tree, as its head and its children.
    pub fn lists(&self) -> impl Iterator<Item = &[Id]> {
        self.nodes.iter().filter_map(|(node, _)| match *node {
            Node::List(at, len) => Some(&self.children[at as usize..(at + len) as usize]),
            _ => None,
        })
    }
}
