//! Opaque binary frames for the user's handle, with and without the header that `header_check`
//! looks at: byte 0 is 0xEF or byte 2 is 0, and byte 3 is 40 or 70.

use super::{Faker, Sample, lane_key};
use crate::expect::Rule;
use crate::record::RecordId;

fn frame(header: [u8; 4], id: RecordId, faker: &mut Faker) -> Sample {
    let mut value = header.to_vec();
    let text = id.to_string();
    value.extend_from_slice(&(text.len() as u16).to_be_bytes());
    value.extend_from_slice(text.as_bytes());
    value.push(0);
    for _ in 0..=faker.below(8) {
        value.extend_from_slice(&faker.bytes::<16>());
    }
    Sample::new(id, lane_key(id), value)
}

/// Whether `header_check` lets a record pass.
#[cfg(test)]
pub(crate) fn passes_check(value: &[u8]) -> bool {
    matches!(value, [first, _, third, fourth, ..]
        if (*first == 0xEF || *third == 0) && matches!(fourth, 40 | 70))
}

/// A binary frame of no known format.
#[must_use]
pub(crate) fn opaque(id: RecordId, faker: &mut Faker) -> Sample {
    let header = faker.bytes();
    frame(header, id, faker)
}

/// A frame that passes `header_check` in the lenient and in the strict reading.
#[must_use]
pub(crate) fn checked(id: RecordId, faker: &mut Faker) -> Sample {
    let version = faker.below(4) as u8;
    let kind = if faker.one_in(2) { 40 } else { 70 };
    frame([0xEF, version, 0, kind], id, faker)
}

/// A frame that fails `header_check` in either reading: the wrong magic, or the wrong type.
#[must_use]
pub(crate) fn rejected(id: RecordId, faker: &mut Faker) -> Sample {
    let header = if faker.one_in(2) {
        [0xEE, 1, 1, 40]
    } else {
        [0xEF, 1, 0, 41]
    };
    Sample {
        rule: Some(Rule::HeaderCheck),
        ..frame(header, id, faker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Route;

    #[test]
    fn frames_pass_or_fail_the_check_as_their_names_say() {
        let mut faker = Faker::new(3, 0);
        for n in 0..50 {
            let id = RecordId::new(Route::HandleFramed, 0, n);
            assert!(passes_check(&checked(id, &mut faker).value));
            assert!(!passes_check(&rejected(id, &mut faker).value));
        }
        assert!(passes_check(&[0, 1, 0, 70]) && !passes_check(&[0xEF, 0, 0]));
    }
}
