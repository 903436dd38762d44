//! The parser of the dialect: RE2 syntax with the Perl extras that log patterns use.
//!
//! Promises: every text either parses or gives an error with its byte position; the nesting depth
//! and every repeat count (also of nested repeats multiplied) are bounded, so that what parses can be
//! compiled.

use super::ast::Node;
use super::class;
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, Look};

/// How deep groups may be nested.
const MAX_DEPTH: u32 = 250;
/// The largest repeat count, and the largest product of nested ones.
const MAX_REPEAT: u32 = 1000;

/// Why a text is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {at} of the expression")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: &'static str,
    /// Where: a byte offset into the expression.
    pub at: usize,
}

/// Which groups are captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Groups {
    /// Only `(?P<name>...)` and `(?<name>...)`; plain groups cost nothing.
    Named,
    /// Every group that is not `(?:...)`.
    All,
}

/// A parsed expression.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// The name of each group, group 1 first; names may repeat.
    pub(super) names: Vec<Option<Box<str>>>,
    /// For each group as counted in the text, from 1: its number, or `None` if it was removed
    /// (inside a repeat of zero times).
    pub(super) numbers: Vec<Option<u32>>,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_newline: bool,
    ungreedy: bool,
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
    flags: Flags,
    groups: Groups,
    names: Vec<Option<Box<str>>>,
    depth: u32,
}

type Outcome<T> = Result<T, SyntaxError>;

/// Parses an expression.
pub(super) fn parse(text: &str, groups: Groups) -> Outcome<Parsed> {
    let mut parser = Parser {
        text,
        at: 0,
        flags: Flags::default(),
        groups,
        names: Vec::new(),
        depth: 0,
    };
    let mut node = parser.alternation()?;
    if parser.peek().is_some() {
        return parser.fail("unexpected `)`");
    }
    check_repeats(&node, MAX_REPEAT).map_err(|message| SyntaxError { message, at: 0 })?;
    let names = parser.names;
    let mut numbers = vec![None; names.len()];
    node.renumber(&mut 0, &mut numbers);
    Ok(Parsed {
        node,
        names,
        numbers,
    })
}

/// Checks that nested repeat counts multiplied stay within `limit`.
fn check_repeats(node: &Node, limit: u32) -> Result<(), &'static str> {
    match node {
        Node::Repeat { min, max, node, .. } => {
            let count = max.unwrap_or(*min).max(*min);
            if count > limit {
                return Err("repeat count is too large");
            }
            check_repeats(node, if count > 1 { limit / count } else { limit })
        }
        Node::Group(_, node) => check_repeats(node, limit),
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().try_for_each(|node| check_repeats(node, limit))
        }
        Node::Empty | Node::Char(_) | Node::Class(_) | Node::Look(_) => Ok(()),
    }
}

impl Parser<'_> {
    fn fail<T>(&self, message: &'static str) -> Outcome<T> {
        Err(SyntaxError {
            message,
            at: self.at,
        })
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Branches up to the end of the text or an unconsumed `)`.
    fn alternation(&mut self) -> Outcome<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("groups are nested too deeply");
        }
        let mut branches = Vec::new();
        loop {
            branches.push(self.branch()?);
            if !self.eat("|") {
                break;
            }
        }
        self.depth -= 1;
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Node::Empty),
            _ => Node::Alternate(branches),
        })
    }

    fn branch(&mut self) -> Outcome<Node> {
        let mut items: Vec<Node> = Vec::new();
        let mut repeated = false;
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            if let Some((min, max)) = self.repeat_operator()? {
                let greedy = !self.eat("?") ^ self.flags.ungreedy;
                if repeated {
                    return self.fail("a repeat cannot be repeated");
                }
                let Some(last) = items.pop() else {
                    return self.fail("nothing to repeat");
                };
                items.push(repeat(last, min, max, greedy));
                repeated = true;
                continue;
            }
            repeated = false;
            self.item(&mut items)?;
        }
        Ok(match items.len() {
            0 => Node::Empty,
            1 => items.pop().unwrap_or(Node::Empty),
            _ => Node::Concat(items),
        })
    }

    /// `*`, `+`, `?` or a valid `{n,m}`, consumed; `None` for anything else, also a literal `{`.
    fn repeat_operator(&mut self) -> Outcome<Option<(u32, Option<u32>)>> {
        let bounds = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let Some((min, max, length)) = counted(self.rest()) else {
                    return Ok(None);
                };
                let too_large = min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT);
                if too_large || max.is_some_and(|max| max < min) {
                    return self.fail("invalid repeat count");
                }
                self.at += length;
                return Ok(Some((min, max)));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(bounds))
    }

    /// One literal, class, assertion, group, flag change or `\Q...\E`.
    fn item(&mut self, items: &mut Vec<Node>) -> Outcome<()> {
        let Some(c) = self.peek() else { return Ok(()) };
        let node = match c {
            '(' => match self.group()? {
                Some(node) => node,
                None => return Ok(()),
            },
            '[' => Node::Class(self.bracket()?),
            '.' => {
                self.at += 1;
                let mut any = class::set(&[('\0', char::MAX)]);
                if !self.flags.dot_newline {
                    any.difference(&class::set(&[('\n', '\n')]));
                }
                Node::Class(any)
            }
            '^' => {
                self.at += 1;
                Node::Look(if self.flags.multi_line {
                    Look::StartLF
                } else {
                    Look::Start
                })
            }
            '$' => {
                self.at += 1;
                Node::Look(if self.flags.multi_line {
                    Look::EndLF
                } else {
                    Look::End
                })
            }
            '\\' => {
                let Some(letter) = self.rest().chars().nth(1) else {
                    return self.fail("the expression ends in a backslash");
                };
                match letter {
                    'A' | 'z' | 'b' | 'B' => {
                        self.at += 2;
                        Node::Look(match letter {
                            'A' => Look::Start,
                            'z' => Look::End,
                            'b' => Look::WordAscii,
                            _ => Look::WordAsciiNegate,
                        })
                    }
                    'Q' => {
                        self.at += 2;
                        while !self.eat("\\E") {
                            let Some(c) = self.next() else { break };
                            let node = self.literal(c);
                            items.push(node);
                        }
                        return Ok(());
                    }
                    _ => match self.class_escape()? {
                        Some(set) => Node::Class(set),
                        None => {
                            let c = self.char_escape()?;
                            self.literal(c)
                        }
                    },
                }
            }
            _ => {
                self.at += c.len_utf8();
                self.literal(c)
            }
        };
        items.push(node);
        Ok(())
    }

    fn literal(&self, c: char) -> Node {
        if self.flags.fold {
            let set = folded(class::set(&[(c, c)]));
            if set.ranges().len() > 1 {
                return Node::Class(set);
            }
        }
        Node::Char(c)
    }

    /// A group, or `None` for a flag change, which applies to the rest of the enclosing group.
    fn group(&mut self) -> Outcome<Option<Node>> {
        let saved = self.flags;
        let number = if self.eat("(?P<") || (self.rest().starts_with("(?<") && self.eat("(?<")) {
            let Some(end) = self.rest().find('>') else {
                return self.fail("a group name has no `>`");
            };
            let name: Box<str> = self.rest().get(..end).unwrap_or_default().into();
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(valid) {
                return self.fail("invalid group name");
            }
            self.at += end + 1;
            self.names.push(Some(name));
            Some(self.names.len())
        } else if self.eat("(?") {
            if !self.flag_change()? {
                return Ok(None);
            }
            None
        } else {
            self.at += 1;
            match self.groups {
                Groups::Named => None,
                Groups::All => {
                    self.names.push(None);
                    Some(self.names.len())
                }
            }
        };
        let node = self.alternation()?;
        if !self.eat(")") {
            return self.fail("a group has no `)`");
        }
        self.flags = saved;
        Ok(Some(match number.and_then(|n| u32::try_from(n).ok()) {
            Some(number) => Node::Group(number, Box::new(node)),
            None => node,
        }))
    }

    /// The flags after `(?`, applied; true if a group body follows, false after `)`.
    fn flag_change(&mut self) -> Outcome<bool> {
        let mut flags = self.flags;
        let mut on = true;
        let mut any = true;
        loop {
            let Some(c) = self.next() else {
                return self.fail("a group has no `)`");
            };
            match c {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.ungreedy = on,
                '-' if on => {
                    on = false;
                    any = false;
                    continue;
                }
                ':' | ')' if any => {
                    self.flags = flags;
                    return Ok(c == ':');
                }
                _ => return self.fail("unsupported group syntax"),
            }
            any = true;
        }
    }

    /// `\d`, `\p{...}` and the like at this place, consumed; `None` if it is another escape.
    fn class_escape(&mut self) -> Outcome<Option<ClassUnicode>> {
        let mut chars = self.rest().chars().skip(1);
        let Some(letter) = chars.next() else {
            return self.fail("the expression ends in a backslash");
        };
        if let Some(mut set) = class::perl(letter.to_ascii_lowercase()) {
            self.at += 2;
            self.fold(&mut set);
            if letter.is_ascii_uppercase() {
                set.negate();
            }
            return Ok(Some(set));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        let mut negated = letter == 'P';
        let start = self.at;
        self.at += 2;
        let name = match self.next() {
            Some('{') => {
                let Some(end) = self.rest().find('}') else {
                    return self.fail("`\\p{` has no `}`");
                };
                let name = self.rest().get(..end).unwrap_or_default().to_owned();
                self.at += end + 1;
                name
            }
            Some(c) => c.to_string(),
            None => return self.fail("`\\p` needs a name"),
        };
        let name = match name.strip_prefix('^') {
            Some(rest) => {
                negated = !negated;
                rest
            }
            None => &name,
        };
        let Some(mut set) = class::property(name) else {
            self.at = start;
            return self.fail("unknown Unicode property");
        };
        self.fold(&mut set);
        if negated {
            set.negate();
        }
        Ok(Some(set))
    }

    fn fold(&self, set: &mut ClassUnicode) {
        if self.flags.fold {
            *set = folded(std::mem::replace(set, class::set(&[])));
        }
    }

    /// An escape that stands for one code point, consumed.
    fn char_escape(&mut self) -> Outcome<char> {
        self.at += 1;
        let Some(c) = self.next() else {
            return self.fail("the expression ends in a backslash");
        };
        Ok(match c {
            'a' => '\x07',
            'f' => '\x0c',
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\x0b',
            'x' => return self.hexadecimal(),
            '0'..='7' => {
                let octal = |c: Option<char>| c.and_then(|c| c.to_digit(8));
                let mut value = c.to_digit(8).unwrap_or(0);
                if c != '0' && octal(self.peek()).is_none() {
                    return self.fail("back references are not supported");
                }
                for _ in 0..2 {
                    let Some(digit) = octal(self.peek()) else {
                        break;
                    };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                char::from_u32(value).unwrap_or('\0')
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return self.fail("unknown escape"),
        })
    }

    fn hexadecimal(&mut self) -> Outcome<char> {
        let digits = if self.eat("{") {
            let Some(end) = self.rest().find('}') else {
                return self.fail("`\\x{` has no `}`");
            };
            let digits = self.rest().get(..end).unwrap_or_default().to_owned();
            self.at += end + 1;
            digits
        } else {
            let Some(digits) = self.rest().get(..2).map(str::to_owned) else {
                return self.fail("`\\x` needs two digits");
            };
            self.at += 2;
            digits
        };
        let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| valid);
        match value.and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => self.fail("invalid hexadecimal escape"),
        }
    }

    /// `[...]` at this place, consumed.
    fn bracket(&mut self) -> Outcome<ClassUnicode> {
        self.at += 1;
        let negated = self.eat("^");
        let mut set = class::set(&[]);
        let mut first = true;
        loop {
            match self.peek() {
                None => return self.fail("a set has no `]`"),
                Some(']') if !first => break,
                _ => {}
            }
            first = false;
            if let Some(named) = self.posix()? {
                set.union(&named);
                continue;
            }
            if self.peek() == Some('\\')
                && let Some(class) = self.class_escape()?
            {
                set.union(&class);
                continue;
            }
            let from = self.bracket_char()?;
            let mut to = from;
            let mut ahead = self.rest().chars();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.at += 1;
                to = self.bracket_char()?;
                if to < from {
                    return self.fail("inverted range");
                }
            }
            let mut range = class::set(&[]);
            range.push(ClassUnicodeRange::new(from, to));
            self.fold(&mut range);
            set.union(&range);
        }
        self.at += 1;
        if negated {
            set.negate();
        }
        Ok(set)
    }

    fn posix(&mut self) -> Outcome<Option<ClassUnicode>> {
        let Some(inner) = self.rest().strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(end) = inner.find(":]") else {
            return Ok(None);
        };
        let name = inner.get(..end).unwrap_or_default();
        let (negated, name) = match name.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let Some(mut set) = class::posix(name) else {
            return self.fail("unknown character class");
        };
        self.at += end + 4;
        self.fold(&mut set);
        if negated {
            set.negate();
        }
        Ok(Some(set))
    }

    fn bracket_char(&mut self) -> Outcome<char> {
        match self.peek() {
            None => self.fail("a set has no `]`"),
            Some('\\') => self.char_escape(),
            Some(c) => {
                self.at += c.len_utf8();
                Ok(c)
            }
        }
    }
}

fn folded(mut set: ClassUnicode) -> ClassUnicode {
    // Fails only without the folding tables, which this build has.
    let _complete = set.try_case_fold_simple();
    set
}

fn repeat(node: Node, min: u32, max: Option<u32>, greedy: bool) -> Node {
    match (min, max) {
        (_, Some(0)) => Node::Empty,
        (1, Some(1)) => node,
        _ => Node::Repeat {
            min,
            max,
            greedy,
            node: Box::new(node),
        },
    }
}

/// The bounds of `{n}`, `{n,}` or `{n,m}` at the start of `text` and its length.
fn counted(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find('}')?;
    let body = inner.get(..end)?;
    let (min, max) = match body.split_once(',') {
        None => {
            let count = number(body)?;
            (count, Some(count))
        }
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((min, max, end + 2))
}

/// Digits without a leading zero; huge numbers saturate.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().unwrap_or(u32::MAX))
}
