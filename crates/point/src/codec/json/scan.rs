//! Finding the end of a JSON value (RFC 8259) in text that is known to be JSON, without reading it.

/// `text` without white space in front.
#[must_use]
pub fn without_space(text: &[u8]) -> &[u8] {
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let spaces = text.iter().take_while(space).count();
    text.get(spaces..).unwrap_or_default()
}

/// Where the value ends that `text` begins with; `None` if it does not end.
#[must_use]
pub fn value_end(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => string_end(text),
        b'[' | b'{' => {
            let (mut at, mut depth) = (0, 0usize);
            loop {
                match text.get(at)? {
                    b'"' => at += string_end(text.get(at..)?)?,
                    b'[' | b'{' => {
                        depth += 1;
                        at += 1;
                    }
                    b']' | b'}' => {
                        depth = depth.checked_sub(1)?;
                        at += 1;
                        if depth == 0 {
                            return Some(at);
                        }
                    }
                    _ => at += 1,
                }
            }
        }
        _ => {
            let ends =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            Some(text.iter().position(ends).unwrap_or(text.len()))
        }
    }
}

/// Where the string ends that `text` begins with, quotes included.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            // Whatever is escaped ends nothing.
            _ => at += 2,
        }
    }
}
