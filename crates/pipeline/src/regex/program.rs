//! The compiler of the direct matcher: from a parsed expression to instructions that walk the text
//! byte by byte and back up where a choice was wrong.
//!
//! What makes it fast is decided here, from the sets of bytes with which each continuation can begin:
//! branches that cannot start with the next byte are never entered, and a repeat whose bytes cannot begin
//! what follows never gives anything back. Expressions it does not take (repeats of something
//! that can be empty, very large ones) are left to the linear engine; see [`super::Regex`].

use super::ast::Node;
use regex_syntax::hir::{ClassUnicode, Look};
use std::collections::HashMap;

/// With more instructions than this a second program is not compiled.
const MAX_INSTRUCTIONS: usize = 20_000;
/// Branches of one choice that a mask of bits can hold.
const MAX_BRANCHES: usize = 32;

/// Which bytes are in a set. The second half stands for bytes of longer code points.
pub(super) type Table = [bool; 256];

/// The bytes with which something can begin, and whether it can begin at the end of the text. Bytes that
/// continue a code point are never in the set: everything begins at a code point.
#[derive(Clone, Copy)]
struct First {
    bytes: [u64; 4],
    end: bool,
}

impl First {
    const NONE: Self = Self {
        bytes: [0; 4],
        end: false,
    };
    const ALL: Self = Self {
        bytes: [u64::MAX, u64::MAX, 0, u64::MAX],
        end: true,
    };

    const fn insert(&mut self, byte: u8) {
        self.bytes[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    const fn has(&self, byte: u8) -> bool {
        self.bytes[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    fn union(mut self, other: Self) -> Self {
        for (word, more) in self.bytes.iter_mut().zip(other.bytes) {
            *word |= more;
        }
        self.end |= other.end;
        self
    }

    fn table(&self) -> Table {
        std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| self.has(byte)))
    }

    fn single(&self) -> Option<u8> {
        let count: u32 = self.bytes.iter().map(|word| word.count_ones()).sum();
        if count != 1 || self.end {
            return None;
        }
        (0..=u8::MAX).find(|&byte| self.has(byte))
    }
}

/// Where a run of bytes out of a set ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stop {
    /// Only at the end of the text.
    Never,
    /// At this byte.
    One(u8),
    /// At one of these bytes.
    Two(u8, u8),
    /// Wherever the table says.
    Table,
}

/// A set of code points that bytes decide: ASCII code points, with all others or none of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Set {
    pub(super) table: Box<Table>,
    /// Whether every code point beyond ASCII is in the set.
    pub(super) high: bool,
    pub(super) stop: Stop,
}

/// How a run takes its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// As much as there is, never giving back: what follows cannot begin inside the run.
    All,
    /// As much as possible, giving back when the rest fails.
    Most,
    /// As little as possible.
    Least,
}

/// A run of code points out of one set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) set: u32,
    pub(super) min: u32,
    /// `u32::MAX`: no bound.
    pub(super) max: u32,
    pub(super) share: Share,
    /// The bytes with which the rest can begin: an index into the tables.
    pub(super) follow: u32,
    /// Whether the rest can begin at the end of the text.
    pub(super) follow_end: bool,
    /// The one byte the rest begins with.
    pub(super) follow_byte: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Match,
    Byte(u8),
    /// Bytes `from..to` of the literals.
    Literal(u32, u32),
    /// One code point of a byte-decided set.
    One(u32),
    /// One code point of any set: an index into the wide sets.
    Wide(u32),
    Run(u32),
    /// The position goes into this slot.
    Save(u32),
    Look(Look),
    /// An ordered choice: an index into the choices.
    Choice(u32),
    /// No text matches.
    Fail,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Inst {
    pub(super) op: Op,
    pub(super) next: u32,
}

/// An ordered choice of at most 32 branches.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// For each next byte, the branches that can begin with it: bit 0 is the preferred one.
    pub(super) masks: Box<[u32; 256]>,
    /// The branches possible at the end of the text.
    pub(super) end: u32,
    pub(super) targets: Box<[u32]>,
}

/// A program of the direct matcher.
pub(super) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) literals: Vec<u8>,
    pub(super) sets: Vec<Set>,
    pub(super) wide: Vec<Box<[(u32, u32)]>>,
    pub(super) runs: Vec<Run>,
    pub(super) tables: Vec<Table>,
    pub(super) choices: Vec<Choice>,
    pub(super) entry: u32,
    /// Bytes with which a match can begin; `None` if it can be empty.
    pub(super) first: Option<Box<Table>>,
    pub(super) first_byte: Option<u8>,
    pub(super) start: Start,
    pub(super) slots: usize,
}

/// Where a match can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Anywhere,
    /// Only at the start of the text.
    Text,
    /// The expression starts with any number of non-LF characters: if it fails at one place, it
    /// fails at every later one of the same line.
    Line,
}

struct Compiler {
    program: Program,
    firsts: Vec<First>,
    set_index: HashMap<Set, u32>,
    table_index: HashMap<Box<Table>, u32>,
}

/// The expression is not for the direct matcher.
struct Declined;

/// Compiles an expression with groups `1..=groups`, or declines.
pub(super) fn compile(node: &Node, groups: usize) -> Option<Program> {
    let mut compiler = Compiler {
        program: Program {
            insts: Vec::new(),
            literals: Vec::new(),
            sets: Vec::new(),
            wide: Vec::new(),
            runs: Vec::new(),
            tables: Vec::new(),
            choices: Vec::new(),
            entry: 0,
            first: None,
            first_byte: None,
            start: start_of(node),
            slots: 2 + 2 * groups,
        },
        firsts: Vec::new(),
        set_index: HashMap::new(),
        table_index: HashMap::new(),
    };
    let end = compiler.push(Op::Match, 0, First::ALL).ok()?;
    let entry = compiler.node(node, end).ok()?;
    let first = compiler.first(entry);
    let mut program = compiler.program;
    program.entry = entry;
    if !first.end && !node.nullable() {
        program.first_byte = first.single();
        program.first = Some(Box::new(first.table()));
    }
    Some(program)
}

fn start_of(node: &Node) -> Start {
    match node {
        Node::Look(Look::Start) => Start::Text,
        Node::Repeat {
            min: 0,
            max: None,
            node,
            ..
        } => match &**node {
            Node::Class(set) if *set == dot() => Start::Line,
            _ => Start::Anywhere,
        },
        Node::Group(_, node) => start_of(node),
        Node::Concat(nodes) => nodes.first().map_or(Start::Anywhere, start_of),
        _ => Start::Anywhere,
    }
}

fn dot() -> ClassUnicode {
    let mut dot = super::class::set(&[('\n', '\n')]);
    dot.negate();
    dot
}

impl Compiler {
    fn first(&self, at: u32) -> First {
        self.firsts.get(at as usize).copied().unwrap_or(First::ALL)
    }

    fn push(&mut self, op: Op, next: u32, first: First) -> Result<u32, Declined> {
        if self.program.insts.len() >= MAX_INSTRUCTIONS {
            return Err(Declined);
        }
        self.program.insts.push(Inst { op, next });
        self.firsts.push(first);
        Ok(index(self.program.insts.len() - 1))
    }

    fn node(&mut self, node: &Node, next: u32) -> Result<u32, Declined> {
        match node {
            Node::Empty => Ok(next),
            Node::Char(c) => {
                let mut buffer = [0; 4];
                self.literal(c.encode_utf8(&mut buffer).as_bytes(), next)
            }
            Node::Class(class) => self.class(class, next),
            Node::Look(look) => {
                let mut first = self.first(next);
                if *look == Look::End {
                    first = First::NONE;
                    first.end = true;
                }
                self.push(Op::Look(*look), next, first)
            }
            Node::Group(number, node) => {
                let first = self.first(next);
                let close = self.push(Op::Save(2 * number + 1), next, first)?;
                let body = self.node(node, close)?;
                let first = self.first(body);
                self.push(Op::Save(2 * number), body, first)
            }
            Node::Concat(nodes) => self.concat(nodes, next),
            Node::Alternate(nodes) => {
                let targets = nodes
                    .iter()
                    .map(|node| self.node(node, next))
                    .collect::<Result<Vec<_>, _>>()?;
                self.choice(&targets)
            }
            Node::Repeat {
                min,
                max,
                greedy,
                node,
            } => self.repeat(node, *min, *max, *greedy, next),
        }
    }

    fn concat(&mut self, nodes: &[Node], mut next: u32) -> Result<u32, Declined> {
        let mut at = nodes.len();
        while let Some(node) = at.checked_sub(1).and_then(|last| nodes.get(last)) {
            at -= 1;
            if let Node::Char(_) = node {
                while at > 0 && matches!(nodes.get(at - 1), Some(Node::Char(_))) {
                    at -= 1;
                }
                let text: String = nodes
                    .get(at..)
                    .unwrap_or_default()
                    .iter()
                    .map_while(|node| match node {
                        Node::Char(c) => Some(*c),
                        _ => None,
                    })
                    .collect();
                next = self.literal(text.as_bytes(), next)?;
            } else {
                next = self.node(node, next)?;
            }
        }
        Ok(next)
    }

    fn literal(&mut self, bytes: &[u8], next: u32) -> Result<u32, Declined> {
        let Some(&head) = bytes.first() else {
            return Ok(next);
        };
        let mut first = First::NONE;
        first.insert(head);
        if bytes.len() == 1 {
            return self.push(Op::Byte(head), next, first);
        }
        let from = index(self.program.literals.len());
        self.program.literals.extend_from_slice(bytes);
        let to = index(self.program.literals.len());
        self.push(Op::Literal(from, to), next, first)
    }

    fn class(&mut self, class: &ClassUnicode, next: u32) -> Result<u32, Declined> {
        let first = class_first(class);
        if class.ranges().is_empty() {
            return self.push(Op::Fail, next, first);
        }
        if let Some(set) = byte_set(class) {
            let set = self.set(set);
            return self.push(Op::One(set), next, first);
        }
        let ranges = class
            .ranges()
            .iter()
            .map(|range| (u32::from(range.start()), u32::from(range.end())))
            .collect();
        self.program.wide.push(ranges);
        let wide = index(self.program.wide.len() - 1);
        self.push(Op::Wide(wide), next, first)
    }

    fn repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        greedy: bool,
        next: u32,
    ) -> Result<u32, Declined> {
        if let Node::Class(class) = node
            && let Some(set) = byte_set(class)
        {
            return self.run(set, class, min, max, greedy, next);
        }
        if let Node::Char(c) = node
            && c.is_ascii()
        {
            let class = super::class::set(&[(*c, *c)]);
            if let Some(set) = byte_set(&class) {
                return self.run(set, &class, min, max, greedy, next);
            }
        }
        if max != Some(1) && node.nullable() {
            return Err(Declined);
        }
        let mut at = next;
        match max {
            None => at = self.star(node, greedy, at)?,
            Some(max) => {
                for _ in min..max {
                    let body = self.node(node, at)?;
                    // Each optional copy leads into the next one, and all leave to the same place.
                    at = self.either(body, next, greedy)?;
                }
            }
        }
        for _ in 0..min {
            at = self.node(node, at)?;
        }
        Ok(at)
    }

    fn either(&mut self, body: u32, skip: u32, greedy: bool) -> Result<u32, Declined> {
        if greedy {
            self.choice(&[body, skip])
        } else {
            self.choice(&[skip, body])
        }
    }

    fn star(&mut self, node: &Node, greedy: bool, next: u32) -> Result<u32, Declined> {
        // The loop head is needed before its body exists; what it can begin with is known already.
        let first = node_first(node).union(self.first(next));
        let head = self.push(Op::Fail, next, first)?;
        let body = self.node(node, head)?;
        let choice = self.either(body, next, greedy)?;
        let op = match self.program.insts.get(choice as usize) {
            Some(inst) => *inst,
            None => return Err(Declined),
        };
        if let Some(slot) = self.program.insts.get_mut(head as usize) {
            *slot = op;
        }
        Ok(head)
    }

    fn choice(&mut self, targets: &[u32]) -> Result<u32, Declined> {
        if targets.len() > MAX_BRANCHES {
            let (head, tail) = targets.split_at(MAX_BRANCHES - 1);
            let rest = self.choice(tail)?;
            let mut all = head.to_vec();
            all.push(rest);
            return self.choice(&all);
        }
        let firsts: Vec<First> = targets.iter().map(|&target| self.first(target)).collect();
        let mut masks = Box::new([0u32; 256]);
        for (byte, mask) in (0..=u8::MAX).zip(masks.iter_mut()) {
            for (bit, first) in firsts.iter().enumerate() {
                *mask |= u32::from(first.has(byte)) << bit;
            }
        }
        let end = firsts
            .iter()
            .enumerate()
            .fold(0, |mask, (bit, first)| mask | u32::from(first.end) << bit);
        self.program.choices.push(Choice {
            masks,
            end,
            targets: targets.into(),
        });
        let union = firsts.into_iter().fold(First::NONE, First::union);
        let choice = index(self.program.choices.len() - 1);
        self.push(Op::Choice(choice), 0, union)
    }

    fn run(
        &mut self,
        set: Set,
        class: &ClassUnicode,
        min: u32,
        max: Option<u32>,
        greedy: bool,
        next: u32,
    ) -> Result<u32, Declined> {
        let follow = self.first(next);
        let begins = class_first(class);
        let disjoint = follow
            .bytes
            .iter()
            .zip(begins.bytes)
            .all(|(a, b)| a & b == 0);
        let share = match (greedy, disjoint) {
            // Within the run nothing else can begin, so least and most are the same.
            (_, true) if max.is_none() => Share::All,
            (true, true) => Share::All,
            (true, false) => Share::Most,
            (false, _) => Share::Least,
        };
        let mut first = begins;
        if min == 0 {
            first = first.union(follow);
        }
        let table = Box::new(follow.table());
        let tables = &mut self.program.tables;
        let table = *self.table_index.entry(table).or_insert_with_key(|table| {
            tables.push(**table);
            index(tables.len() - 1)
        });
        let run = Run {
            set: self.set(set),
            min,
            max: max.unwrap_or(u32::MAX),
            share,
            follow: table,
            follow_end: follow.end,
            follow_byte: follow.single(),
        };
        self.program.runs.push(run);
        let run = index(self.program.runs.len() - 1);
        self.push(Op::Run(run), next, first)
    }

    fn set(&mut self, set: Set) -> u32 {
        let sets = &mut self.program.sets;
        *self.set_index.entry(set).or_insert_with_key(|set| {
            sets.push(set.clone());
            index(sets.len() - 1)
        })
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The set as a table of bytes, if ASCII bytes plus all or none of the rest describe it.
fn byte_set(class: &ClassUnicode) -> Option<Set> {
    let last = class.ranges().last()?;
    let high = last.end() == char::MAX && last.start() <= '\u{80}';
    if !high && last.end() > '\x7f' {
        return None;
    }
    let mut table = Box::new([false; 256]);
    for range in class.ranges() {
        for c in range.start()..=range.end().min('\x7f') {
            if let Some(entry) = table.get_mut(c as usize) {
                *entry = true;
            }
        }
    }
    if high {
        for entry in table.iter_mut().skip(128) {
            *entry = true;
        }
    }
    let mut out = (0..=u8::MAX).filter(|&byte| !table.get(usize::from(byte)).is_some_and(|&x| x));
    let stop = match (out.next(), out.next(), out.next()) {
        (None, ..) => Stop::Never,
        (Some(a), None, _) => Stop::One(a),
        (Some(a), Some(b), None) => Stop::Two(a, b),
        _ => Stop::Table,
    };
    Some(Set { table, high, stop })
}

fn class_first(class: &ClassUnicode) -> First {
    let mut first = First::NONE;
    for range in class.ranges() {
        let lead = |c: char| {
            let mut buffer = [0; 4];
            c.encode_utf8(&mut buffer);
            buffer[0]
        };
        for byte in lead(range.start())..=lead(range.end()) {
            if !(0x80..0xC0).contains(&byte) {
                first.insert(byte);
            }
        }
    }
    first
}

/// The bytes with which a node that cannot be empty begins.
fn node_first(node: &Node) -> First {
    match node {
        Node::Empty | Node::Look(_) => First::NONE,
        Node::Char(c) => class_first(&super::class::set(&[(*c, *c)])),
        Node::Class(class) => class_first(class),
        Node::Repeat { node, .. } | Node::Group(_, node) => node_first(node),
        Node::Alternate(nodes) => nodes.iter().map(node_first).fold(First::NONE, First::union),
        Node::Concat(nodes) => {
            let mut first = First::NONE;
            for node in nodes {
                first = first.union(node_first(node));
                if !node.nullable() {
                    break;
                }
            }
            first
        }
    }
}
