//! Records that state what has to become of them.
//!
//! What is right is read from the payload alone: the record says which of its elements are too old,
//! dropped by their script or poison, and how many points each of the others makes. An item carries the
//! name of its record, so receivers know what they got.

/// What has to become of an element, and of the points made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its points arrive.
    Sent,
    /// Receivers refuse its points for their content (400, 413, 422).
    Clear,
    /// Receivers fail at its points without a reason (500, 504, a reset).
    Unclear,
    /// Its time is too far from now.
    TooOld,
    /// Its script drops it.
    Dropped,
    /// It cannot be converted.
    Poison,
}

impl Fate {
    const ALL: [(Self, char); 6] = [
        (Self::Sent, 's'),
        (Self::Clear, 'c'),
        (Self::Unclear, 'u'),
        (Self::TooOld, 'o'),
        (Self::Dropped, 'd'),
        (Self::Poison, 'p'),
    ];

    fn letter(self) -> char {
        let own = Self::ALL.iter().find(|(fate, _)| *fate == self);
        own.map_or('s', |(_, letter)| *letter)
    }

    fn of(letter: char) -> Option<Self> {
        let own = Self::ALL.iter().find(|(_, own)| *own == letter);
        own.map(|(fate, _)| *fate)
    }

    /// Whether points are made from it that go to outputs.
    pub(crate) const fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Clear | Self::Unclear)
    }
}

/// How a record is treated as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is one element.
    Whole,
    /// It is split into its elements.
    Split,
    /// Whoever works on it dies.
    Deadly,
}

/// A record that states its fates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stated {
    /// Its name, unique in a run.
    pub(crate) id: u64,
    /// How it is treated.
    pub(crate) form: Form,
    /// The lane within which its order counts.
    pub(crate) lane: u8,
    /// Its elements, each with the number of points made from it.
    pub(crate) elements: Vec<(Fate, u8)>,
    /// Bytes of padding.
    pub(crate) padding: usize,
}

impl Stated {
    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let form = match self.form {
            Form::Whole => 'w',
            Form::Split => 's',
            Form::Deadly => 'k',
        };
        let mut text = format!("{}|{form}|{}|", self.id, self.lane);
        for (fate, points) in &self.elements {
            text.push(fate.letter());
            text.push(char::from(b'0' + points.min(&9)));
        }
        text.push('|');
        text.extend(std::iter::repeat_n('x', self.padding));
        text.into_bytes()
    }

    /// Reads what [`Stated::encode`] wrote.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.splitn(5, '|');
        let id = words.next()?.parse().ok()?;
        let form = match words.next()? {
            "w" => Form::Whole,
            "s" => Form::Split,
            "k" => Form::Deadly,
            _ => return None,
        };
        let lane = words.next()?.parse().ok()?;
        let mut letters = words.next()?.chars();
        let mut elements = Vec::new();
        while let (Some(letter), Some(points)) = (letters.next(), letters.next()) {
            elements.push((Fate::of(letter)?, u8::try_from(points.to_digit(10)?).ok()?));
        }
        Some(Self {
            id,
            form,
            lane,
            elements,
            padding: words.next()?.len(),
        })
    }
}

/// What an item says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) element: u32,
    pub(crate) point: u16,
    pub(crate) fate: Fate,
}

impl Told {
    /// Appends the item to `buffer`, with `padding` bytes behind it.
    pub(crate) fn write(self, padding: usize, buffer: &mut Vec<u8>) {
        let Self {
            id,
            element,
            point,
            fate,
        } = self;
        let text = format!("{id}.{element}.{point}.{}", fate.letter());
        buffer.extend_from_slice(text.as_bytes());
        buffer.extend(std::iter::repeat_n(b'.', padding));
    }

    /// Reads an item.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(body).ok()?.splitn(5, '.');
        Some(Self {
            id: words.next()?.parse().ok()?,
            element: words.next()?.parse().ok()?,
            point: words.next()?.parse().ok()?,
            fate: Fate::of(words.next()?.chars().next()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_states_its_fates_and_an_item_names_its_record() {
        let stated = Stated {
            id: 17,
            form: Form::Split,
            lane: 3,
            elements: vec![(Fate::Sent, 2), (Fate::TooOld, 1), (Fate::Unclear, 1)],
            padding: 5,
        };
        assert_eq!(Stated::parse(&stated.encode()), Some(stated));
        assert_eq!(Stated::parse(b"nothing"), None);
        let told = Told {
            id: 17,
            element: 2,
            point: 1,
            fate: Fate::Clear,
        };
        let mut body = Vec::new();
        told.write(4, &mut body);
        assert_eq!(Told::read(&body), Some(told));
    }
}
