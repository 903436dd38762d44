//! The points of a body, one after the other, so that a body of very many points never has to be held
//! as points all at once.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::error::{DecodeError, DecodeErrors, Fault, Position};
use super::{DecodeOptions, Encoding, json, line_protocol, protobuf};
use crate::Point;

/// Reads the points of a body in order.
///
/// Where it stands can be asked for, and a later reader can go on there. Unlike
/// [`Encoding::decode`] it gives out the points in front of a fault.
#[derive(Debug)]
pub struct PointReader<'a> {
    kind: Kind<'a>,
    options: DecodeOptions,
}

#[derive(Debug)]
enum Kind<'a> {
    Lines {
        text: Cow<'a, str>,
        at: usize,
        counted: (usize, usize),
    },
    Json {
        body: &'a [u8],
        at: usize,
    },
    Protobuf {
        body: &'a [u8],
        at: usize,
    },
}

impl<'a> PointReader<'a> {
    /// Reads `body` from byte `at` on, which is 0 or what [`position`](Self::position) said before. An
    /// empty body holds no points, as for [`Encoding::decode`].
    ///
    /// # Errors
    /// A body that is JSON and not an array.
    pub fn new(
        encoding: Encoding,
        body: &'a [u8],
        at: usize,
        options: DecodeOptions,
    ) -> Result<Self, DecodeErrors> {
        let kind = match encoding {
            Encoding::LineProtocol => Kind::Lines {
                text: String::from_utf8_lossy(body),
                at,
                counted: (0, 1),
            },
            // As in `decode`, anything but an array is refused.
            Encoding::Json | Encoding::PbJson if at == 0 && !body.is_empty() => {
                let checked = serde_json::from_slice::<Vec<IgnoredAny>>(body);
                checked.map_err(|error| json::fault(&error))?;
                let start = body.len() - json::without_space(body).len() + 1;
                Kind::Json { body, at: start }
            }
            Encoding::Json | Encoding::PbJson => Kind::Json { body, at },
            Encoding::Protobuf => Kind::Protobuf { body, at },
        };
        Ok(Self { kind, options })
    }

    /// Where the next point begins, at or behind this byte.
    #[must_use]
    pub const fn position(&self) -> usize {
        match &self.kind {
            Kind::Lines { at, .. } | Kind::Json { at, .. } | Kind::Protobuf { at, .. } => *at,
        }
    }
}

impl Iterator for PointReader<'_> {
    type Item = Result<Point, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.kind {
            Kind::Lines { text, at, counted } => {
                let mut lines = line_protocol::Lines::at(text, self.options, *at, *counted);
                let point = lines.next();
                (*at, *counted) = lines.stand();
                point
            }
            Kind::Json { body, at } => {
                let rest = body.get(*at..)?;
                let element = json::without_space(rest);
                let start = body.len() - element.len();
                if matches!(element.first(), None | Some(b']')) {
                    return None;
                }
                let end = json::value_end(element).unwrap_or(element.len());
                let behind = json::without_space(element.get(end..).unwrap_or_default());
                *at = body.len() - behind.len() + usize::from(behind.first() == Some(&b','));
                let text = element.get(..end).unwrap_or_default();
                Some(
                    json::decode_one(text, &self.options).map_err(|fault| DecodeError {
                        position: Position::Byte(start),
                        fault,
                    }),
                )
            }
            Kind::Protobuf { body, at } => {
                let (point, next) = protobuf::decode_at(body, *at, &self.options);
                *at = next;
                point.map(|point| {
                    point.map_err(|(offset, fault): (usize, Fault)| DecodeError {
                        position: Position::Byte(offset),
                        fault,
                    })
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::OPTIONS;
    use crate::{Category, Value};

    #[test]
    fn points_come_one_by_one_and_go_on_where_a_reader_stopped() {
        let points: Vec<Point> = (1..=5)
            .map(|n| {
                let mut point = Point::new(format!("m{n}"), Category::Logging, n);
                point.set_field("f", 0.5);
                point
            })
            .collect();
        for encoding in Encoding::ALL {
            let mut inside = Vec::new();
            for point in &points {
                encoding.append(point, &mut inside).unwrap();
            }
            let body = encoding.framing().wrap(&inside).concat();
            let (mut read, mut at) = (Vec::new(), 0);
            // A reader of its own for each point.
            while let Some(point) = {
                let mut reader = PointReader::new(encoding, &body, at, OPTIONS).unwrap();
                let point = reader.next();
                at = reader.position();
                point
            } {
                read.push(point.unwrap());
            }
            assert_eq!(read, points, "{encoding}");
            assert_eq!(encoding.decode(&body, &OPTIONS).unwrap(), points);
        }
    }

    #[test]
    fn an_empty_body_holds_no_points_and_garbage_is_an_error() {
        for encoding in Encoding::ALL {
            let empty = PointReader::new(encoding, b"", 0, OPTIONS).unwrap();
            assert_eq!(empty.count(), 0, "{encoding}");
            assert_eq!(encoding.decode(b"", &OPTIONS).unwrap(), [], "{encoding}");
            let garbage = PointReader::new(encoding, b"no fields", 0, OPTIONS);
            let is_refused = garbage.map_or(true, |mut reader| reader.any(|point| point.is_err()));
            assert!(is_refused, "{encoding}");
        }
    }

    #[test]
    fn a_fault_is_found_wherever_it_is() {
        for (encoding, body) in [
            (Encoding::LineProtocol, &b"m f=1i\nm"[..]),
            (
                Encoding::Json,
                br#"[{"measurement":"m","fields":{"f":1}}, 5]"#,
            ),
            (Encoding::Protobuf, &[0x0a, 3, 0x0a, 1, b'm', 0x0a, 9]),
        ] {
            let reader = PointReader::new(encoding, body, 0, OPTIONS).unwrap();
            let last = reader.last().unwrap();
            assert!(last.is_err(), "{encoding}");
            assert!(encoding.decode(body, &OPTIONS).is_err());
        }
        assert!(PointReader::new(Encoding::Json, b"{}", 0, OPTIONS).is_err());
    }

    #[test]
    fn odd_members_of_json_do_not_refuse_a_body() {
        let body = br#"[{"Measurement":"a","TAGS":{"t":null,"s":"\ud83c"},"fields":{"f":1},"fields":{"g":"x\ud83d\ude00"}}]"#;
        let body = [&body[..], b""].concat();
        let points = Encoding::Json.decode(&body, &OPTIONS).unwrap();
        let point = &points[0];
        assert_eq!(point.name(), "a");
        assert_eq!(
            point.tags().collect::<Vec<_>>(),
            [("t", ""), ("s", "\u{fffd}")]
        );
        assert_eq!(point.get("g").unwrap().value, Value::from("x\u{1f600}"));
        let bytes = b"[{\"measurement\":\"\xff\",\"fields\":{\"f\":1}}]";
        assert_eq!(
            Encoding::Json.decode(bytes, &OPTIONS).unwrap()[0].name(),
            "\u{fffd}"
        );
    }
}
