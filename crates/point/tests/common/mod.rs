//! Random points for the codec tests.

use kafkamq_point::codec::{DecodeOptions, Precision};
use kafkamq_point::{Category, Entry, Point, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// What every test tells the decoders: nothing in a body is guessed.
pub(crate) const OPTIONS: DecodeOptions = DecodeOptions {
    category: Category::Logging,
    precision: Some(Precision::Nanoseconds),
    now_ns: 77,
};

/// Text rich in the characters that any of the formats treats specially.
pub(crate) fn wild_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_.]{1,12}",
        "[ab,= \"\\\\\n\r\t#\\[\\]{}:é\u{1F600}\u{0}]{0,24}",
        any::<String>(),
    ]
}

fn scalars() -> [BoxedStrategy<Value>; 6] {
    [
        any::<i64>().prop_map(Value::Int).boxed(),
        any::<u64>().prop_map(Value::Uint).boxed(),
        any::<f64>().prop_map(Value::Float).boxed(),
        any::<bool>().prop_map(Value::Bool).boxed(),
        wild_text().prop_map(|text| Value::Str(text.into())).boxed(),
        vec(any::<u8>(), 1..20)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    ]
}

/// A value every typed format can hold: arrays have one type and at least one element.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let scalar = proptest::strategy::Union::new(scalars());
    let arrays = scalars().map(|scalar| {
        vec(scalar, 1..5)
            .prop_map(|values| Value::Array(values.into()))
            .boxed()
    });
    prop_oneof![4 => scalar, 1 => proptest::strategy::Union::new(arrays)]
}

/// Any value a point can hold, those without a text in some formats included.
pub(crate) fn wild_value() -> impl Strategy<Value = Value> {
    let scalar = proptest::strategy::Union::new(scalars());
    let element =
        prop_oneof![3 => scalar, 1 => Just(Value::Nil), 1 => Just(Value::Float(f64::NAN))];
    prop_oneof![
        4 => value(),
        1 => vec(element, 0..4).prop_map(|values| Value::Array(values.into())),
        1 => Just(Value::Nil),
        1 => Just(Value::Bytes(Box::new([]))),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)].prop_map(Value::Float),
    ]
}

/// Points with at least one field, in which only what `text` and `value` make can be special.
pub(crate) fn points(
    text: impl Strategy<Value = String> + 'static,
    value: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Point> {
    let text = text.boxed();
    let tag = (text.clone(), text.clone());
    let field = (text.clone(), value);
    // Zero stands for an absent time.
    let time = any::<i64>().prop_filter("a time", |time| *time != 0);
    (text, time, vec(tag, 0..5), vec(field, 1..6)).prop_map(|(name, time, tags, fields)| {
        let mut point = Point::new(name, Category::Logging, time);
        for (key, text) in tags {
            point.set_tag(key, text);
        }
        for (key, value) in fields {
            point.set_field(key, value);
        }
        point
    })
}

/// A name the line protocol can write without correcting it.
pub(crate) fn line_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_.]{1,12}", "[ab,= \"\\\\\r\té]{0,12}[a-z\"é,= ]"].prop_map(|name: String| {
        name.strip_prefix(['\t', '#', '\0'])
            .map_or(name.clone(), |rest| format!("x{rest}"))
    })
}

/// The point with its entries in the order the line protocol writes.
pub(crate) fn sorted(mut point: Point) -> Point {
    point
        .entries_mut()
        .sort_by(|a: &Entry, b: &Entry| (!a.tag, &a.key).cmp(&(!b.tag, &b.key)));
    point
}
