//! Operators on values: arithmetic, comparison, membership, slices.

use std::cmp::Ordering;

use kafkamq_point::Text;

use crate::ast::{BinaryOp, UnaryOp};
use crate::diagnostic::Code;
use crate::meter::Meter;
use crate::value::Value;

/// Why an operator refused: code and message; the place is the operator's.
pub(crate) type Refusal = (Code, String);

/// A number as arithmetic sees it; a bool counts as 0 or 1.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    const fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Float(number) => Some(Self::Float(*number)),
            Value::Bool(truth) => Some(Self::Int(*truth as i64)),
            _ => None,
        }
    }

    const fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// Applies an arithmetic, comparison or membership operator.
#[inline]
pub(crate) fn binary(
    op: BinaryOp,
    left: Value,
    right: &Value,
    meter: &Meter,
) -> Result<Value, Refusal> {
    match op {
        BinaryOp::Equal => Ok(Value::Bool(equal(&left, right, meter))),
        BinaryOp::NotEqual => Ok(Value::Bool(!equal(&left, right, meter))),
        BinaryOp::Less => order(op, &left, right, |o| o == Ordering::Less),
        BinaryOp::LessEqual => order(op, &left, right, |o| o != Ordering::Greater),
        BinaryOp::Greater => order(op, &left, right, |o| o == Ordering::Greater),
        BinaryOp::GreaterEqual => order(op, &left, right, |o| o != Ordering::Less),
        BinaryOp::In => contains(&left, right, meter).map(Value::Bool),
        _ => arithmetic(op, left, right),
    }
}

fn arithmetic(op: BinaryOp, left: Value, right: &Value) -> Result<Value, Refusal> {
    let (a, b) = match (Number::of(&left), Number::of(right)) {
        (Some(a), Some(b)) => (a, b),
        _ => {
            if let (BinaryOp::Add, Value::Str(mut a), Value::Str(b)) = (op, left.clone(), right) {
                drop(left);
                a.push_str(b);
                return Ok(Value::Str(a));
            }
            return Err(refuse(op, &left, right));
        }
    };
    if let (Number::Int(a), Number::Int(b)) = (a, b) {
        return Ok(Value::Int(match op {
            BinaryOp::Add => a.wrapping_add(b),
            BinaryOp::Subtract => a.wrapping_sub(b),
            BinaryOp::Multiply => a.wrapping_mul(b),
            BinaryOp::Divide if b != 0 => a.wrapping_div(b),
            BinaryOp::Remainder if b != 0 => a.wrapping_rem(b),
            _ => return Err(by_zero()),
        }));
    }
    let (a, b) = (a.float(), b.float());
    Ok(Value::Float(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide if b != 0.0 => a / b,
        BinaryOp::Divide => return Err(by_zero()),
        _ => return Err(refuse(op, &left, right)),
    }))
}

#[cold]
fn by_zero() -> Refusal {
    (Code::DividedByZero, "division by zero".to_owned())
}

#[cold]
fn refuse(op: BinaryOp, left: &Value, right: &Value) -> Refusal {
    (
        Code::Operands,
        format!(
            "`{}` does not take {} and {}",
            op.symbol(),
            left.type_name(),
            right.type_name()
        ),
    )
}

/// `==`, which never fails: numbers compare by value, containers deep and type-strict.
pub(crate) fn equal(left: &Value, right: &Value, meter: &Meter) -> bool {
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => a == b,
        (Some(a), Some(b)) => a.float() == b.float(),
        _ => left.same_within(right, meter),
    }
}

fn order(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    holds: impl Fn(Ordering) -> bool,
) -> Result<Value, Refusal> {
    let ordering = match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => Some(a.cmp(&b)),
        (Some(a), Some(b)) => a.float().partial_cmp(&b.float()),
        _ => return Err(refuse(op, left, right)),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
}

fn contains(needle: &Value, hay: &Value, meter: &Meter) -> Result<bool, Refusal> {
    match (hay, needle) {
        (Value::Str(hay), Value::Str(needle)) => {
            meter.note(hay.len());
            Ok(memchr::memmem::find(hay.as_bytes(), needle.as_bytes()).is_some())
        }
        (Value::Map(map), Value::Str(key)) => Ok(map.contains(key)),
        (Value::List(list), any) => {
            Ok(list.with(|items| items.iter().any(|item| item.same_within(any, meter))))
        }
        _ => Err(refuse(BinaryOp::In, needle, hay)),
    }
}

/// Applies a unary operator.
pub(crate) fn unary(op: UnaryOp, value: &Value) -> Result<Value, Refusal> {
    match (op, Number::of(value)) {
        (UnaryOp::Not, _) => Ok(Value::Bool(!value.truth())),
        (UnaryOp::Plus, Some(Number::Int(number))) => Ok(Value::Int(number)),
        (UnaryOp::Plus, Some(Number::Float(number))) => Ok(Value::Float(number)),
        (UnaryOp::Minus, Some(Number::Int(number))) => Ok(Value::Int(number.wrapping_neg())),
        (UnaryOp::Minus, Some(Number::Float(number))) => Ok(Value::Float(-number)),
        (_, None) => Err((
            Code::Operands,
            format!("`{}` does not take {}", op.symbol(), value.type_name()),
        )),
    }
}

/// The indexes a slice of `length` elements selects, in order; `step` is not zero.
fn selection(length: usize, start: Option<i64>, end: Option<i64>, step: i64) -> (i64, i64, i64) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let clamp = |bound: i64, low: i64, high: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(length)
        } else {
            bound
        };
        bound.clamp(low, high)
    };
    if step > 0 {
        (
            start.map_or(0, |at| clamp(at, 0, length)),
            end.map_or(length, |at| clamp(at, 0, length)),
            step,
        )
    } else {
        (
            start.map_or(length - 1, |at| clamp(at, -1, length - 1)),
            end.map_or(-1, |at| clamp(at, -1, length - 1)),
            step,
        )
    }
}

fn walk(from: i64, to: i64, step: i64) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(from), move |at| at.checked_add(step))
        .take_while(move |&at| if step > 0 { at < to } else { at > to })
        .filter_map(|at| usize::try_from(at).ok())
}

/// The elements of a list slice.
pub(crate) fn slice_list(
    items: &[Value],
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Vec<Value> {
    let (from, to, step) = selection(items.len(), start, end, step);
    walk(from, to, step)
        .filter_map(|at| items.get(at).cloned())
        .collect()
}

/// The characters of a text slice.
pub(crate) fn slice_text(text: &str, start: Option<i64>, end: Option<i64>, step: i64) -> Text {
    if text.is_ascii() {
        let (from, to, step) = selection(text.len(), start, end, step);
        if step == 1 {
            let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
            return text.get(range).unwrap_or("").into();
        }
        return walk(from, to, step)
            .filter_map(|at| text.as_bytes().get(at).map(|&byte| char::from(byte)))
            .collect();
    }
    let chars: Vec<char> = text.chars().collect();
    let (from, to, step) = selection(chars.len(), start, end, step);
    walk(from, to, step)
        .filter_map(|at| chars.get(at))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_python() {
        for (start, end, step, want) in [
            (None, None, 1, "abcdef"),
            (Some(1), Some(-1), 1, "bcde"),
            (None, None, -1, "fedcba"),
            (Some(4), Some(1), -1, "edc"),
            (Some(4), Some(1), 1, ""),
            (Some(-99), Some(99), 2, "ace"),
            (Some(-99), None, -1, ""),
            (Some(i64::MIN), Some(i64::MAX), i64::MAX, "a"),
            (Some(i64::MAX), Some(i64::MIN), i64::MIN, "f"),
        ] {
            assert_eq!(slice_text("abcdef", start, end, step), want);
        }
        assert_eq!(slice_text("日本語", Some(1), None, 1), "本語");
    }

    #[test]
    fn integers_wrap_and_stay_exact() {
        let int = |op, a, b| {
            binary(op, Value::Int(a), &Value::Int(b), &Meter::unbounded()).map(|v| v.as_int())
        };
        assert_eq!(int(BinaryOp::Divide, i64::MIN, -1), Ok(Some(i64::MIN)));
        assert_eq!(int(BinaryOp::Remainder, i64::MIN, -1), Ok(Some(0)));
        assert_eq!(int(BinaryOp::Remainder, -7, 3), Ok(Some(-1)));
        assert!(int(BinaryOp::Remainder, 1, 0).is_err());
        let equal = |a, b| equal(&a, &b, &Meter::unbounded());
        assert!(!equal(Value::Int((1 << 53) + 1), Value::Int(1 << 53)));
        assert!(equal(Value::Bool(true), Value::Float(1.0)));
    }
}
