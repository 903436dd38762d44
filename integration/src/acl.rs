//! Grants rights at a broker: `CreateAcls` of version 1 (KIP-140, KIP-290).

use anyhow::{Context, Result, bail};

use crate::request::Request;

/// A name is meant literally; `*` means all.
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic.
    Topic(&'a str),
    /// A consumer group.
    Group(&'a str),
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read records of a topic or be a member of a group; implies [`Right::Describe`].
    Read,
    /// Know of it.
    Describe,
}

/// Allows `user`, such as `User:reader`, something at the broker that listens in clear on `address`.
///
/// # Errors
/// The broker refuses or does not answer.
pub fn grant(address: &str, user: &str, resource: Resource<'_>, right: Right) -> Result<()> {
    let (kind, name) = match resource {
        Resource::Topic(name) => (2, name),
        Resource::Group(name) => (3, name),
    };
    let operation = match right {
        Right::Read => 3,
        Right::Describe => 8,
    };
    let request = Request::new(30, 1, false)
        .list(1)
        .int8(kind)
        .text(name)
        .int8(LITERAL)
        .text(user)
        // From any host.
        .text("*")
        .int8(operation)
        .int8(ALLOW);
    let answer = request.ask(address)?;
    // Throttle time and the count of results come first.
    let code = answer.get(8..10).context("the answer is too short")?;
    match code {
        [0, 0] => Ok(()),
        code => bail!("{user} gets no right to {resource:?}: error {code:?}"),
    }
}
