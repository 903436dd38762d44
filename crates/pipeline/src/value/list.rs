//! The shared list.

use std::cell::RefCell;
use std::rc::Rc;

use super::Value;

/// A list shared by everyone who holds it; cloning shares, it does not copy.
#[derive(Debug, Clone, Default)]
pub struct List(Rc<Items>);

#[derive(Debug, Default)]
struct Items(RefCell<Vec<Value>>);

impl List {
    /// A list of these elements.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self(Rc::new(Items(RefCell::new(items))))
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.0.borrow().len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.borrow().is_empty()
    }

    /// The element at an index from 0.
    #[must_use]
    pub(crate) fn get(&self, at: usize) -> Option<Value> {
        self.0.0.borrow().get(at).cloned()
    }

    /// Replaces the element at an index; false when there is none.
    pub(crate) fn set(&self, at: usize, value: Value) -> bool {
        let old = match self.0.0.borrow_mut().get_mut(at) {
            Some(place) => std::mem::replace(place, value),
            None => return false,
        };
        drop(old);
        true
    }

    /// Adds an element at the end.
    pub fn push(&self, value: Value) {
        self.0.0.borrow_mut().push(value);
    }

    /// A copy of the elements; nested containers are shared.
    #[must_use]
    pub(crate) fn to_vec(&self) -> Vec<Value> {
        self.0.0.borrow().clone()
    }

    /// Looks at the elements in place; the list must not be changed meanwhile.
    pub fn with<R>(&self, look: impl FnOnce(&[Value]) -> R) -> R {
        look(&self.0.0.borrow())
    }

    /// Whether both are the same list.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Removes all elements.
    pub(crate) fn clear(&self) {
        let items = std::mem::take(&mut *self.0.0.borrow_mut());
        drop(items);
    }

    pub(crate) fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    pub(super) fn is_sole(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    pub(super) fn drain_into(&self, out: &mut Vec<Value>) {
        out.append(&mut self.0.0.borrow_mut());
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        unravel(self.0.get_mut());
    }
}

/// Drops the values one by one instead of by recursion, so that deep nesting cannot exhaust the
/// stack. Values without nested containers of their own take the ordinary way.
pub(super) fn unravel(items: &mut Vec<Value>) {
    if !items.iter().any(Value::is_container) {
        return;
    }
    let mut work = std::mem::take(items);
    while let Some(value) = work.pop() {
        match &value {
            Value::List(list) if list.is_sole() => list.drain_into(&mut work),
            Value::Map(map) if map.is_sole() => map.drain_into(&mut work),
            _ => {}
        }
    }
}
