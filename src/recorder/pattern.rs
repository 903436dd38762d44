//! Names of feeds as operators write them.

/// Whether `pattern` names `name`: `*` is any text and `?` any character; a pattern also names all
/// feeds below it, so that `kafkamq` means `kafkamq.orders`, too.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let below = (0..name.len()).filter(|at| name.get(*at) == Some(&'.'));
    below
        .chain([name.len()])
        .any(|end| name.get(..end).is_some_and(|name| glob(&pattern, name)))
}

fn glob(pattern: &[char], name: &[char]) -> bool {
    // Where the last star stood, and how much of the name it covers so far.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, covered)) => {
                    *covered += 1;
                    (p, n) = (*at + 1, *covered);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_globs_and_what_is_below() {
        for (pattern, name) in [
            ("kafkamq.orders", "kafkamq.orders"),
            ("kafkamq.*", "kafkamq.orders"),
            ("kafkamq", "kafkamq.orders"),
            ("kafkamq.shop", "kafkamq.shop.orders"),
            ("*orders", "kafkamq.orders"),
            ("*o*e*s", "kafkamq.orders"),
            ("kafkamq.order?", "kafkamq.orders"),
            ("*", "x"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("kafkamq", "kafkamq_handle"),
            ("orders", "kafkamq.orders"),
            ("kafkamq.?", "kafkamq.orders"),
            ("", "kafkamq.orders"),
            ("*x", "kafkamq.orders"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
