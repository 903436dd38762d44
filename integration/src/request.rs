//! One request of Kafka's protocol, for the few that the client library for Rust has no call for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

const LIMIT: Duration = Duration::from_secs(30);

/// A request under construction, big-endian as on the wire.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    is_flexible: bool,
}

impl Request {
    /// `api` in `version`; flexible versions (KIP-482) have compact texts and lists, and tags.
    pub(crate) fn new(api: i16, version: i16, is_flexible: bool) -> Self {
        let mut request = Self {
            bytes: Vec::new(),
            is_flexible,
        };
        let client = b"kafkamq-integration";
        request.bytes.extend(api.to_be_bytes());
        request.bytes.extend(version.to_be_bytes());
        request.bytes.extend(1i32.to_be_bytes());
        // The name of the client is never compact.
        request.bytes.extend((client.len() as i16).to_be_bytes());
        request.bytes.extend(client);
        request.tags()
    }

    pub(crate) fn int8(mut self, value: i8) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn int32(mut self, value: i32) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        match self.is_flexible {
            true => self.varint(text.len() as u64 + 1),
            false => self.bytes.extend((text.len() as i16).to_be_bytes()),
        }
        self.bytes.extend(text.as_bytes());
        self
    }

    /// The length of a list, whose items follow.
    pub(crate) fn list(mut self, length: usize) -> Self {
        match self.is_flexible {
            true => self.varint(length as u64 + 1),
            false => self.bytes.extend((length as i32).to_be_bytes()),
        }
        self
    }

    /// No tagged fields, at the end of a structure.
    pub(crate) fn tags(mut self) -> Self {
        if self.is_flexible {
            self.bytes.push(0);
        }
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Sends it to the broker that listens in clear on `address`; returns the answer behind the
    /// correlation id.
    ///
    /// # Errors
    /// No answer.
    pub(crate) fn ask(self, address: &str) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let length = i32::try_from(self.bytes.len())?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&self.bytes)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        stream.read_exact(&mut answer)?;
        Ok(answer.split_off(4))
    }
}
