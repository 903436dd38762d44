//! An object of a document that a script holds, taken apart only as far as the script looks.

use std::cell::OnceCell;
use std::rc::Rc;

use kafkamq_point::Text;

use super::{Document, Element, Kind, tag, unescape};
use crate::value::Value;

/// An object of a document. It stays as it is whatever is parsed later.
#[derive(Debug)]
pub(crate) struct Object {
    document: Rc<Document>,
    at: u32,
    /// Absent in an object with too many members.
    index: OnceCell<Option<Index>>,
}

/// Where the members of a small object are. To compare a tag with all others takes a few vector
/// instructions, and does not depend on the order in which a script asks.
#[derive(Debug)]
struct Index {
    /// The tags of the keys.
    tags: [u32; MEMBERS],
    /// The places of the keys; the values follow them.
    places: [u32; MEMBERS],
    /// Bits of the members there are.
    used: u32,
}

/// Members of a small object.
const MEMBERS: usize = u32::BITS as usize;

/// What an object has under a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Member<'o> {
    /// Nothing.
    Missing,
    /// A value of its own.
    Scalar(Element<'o>),
    /// A list or a map, which has to be the same one each time.
    Container,
}

impl Object {
    pub(super) fn new(element: Element<'_>) -> Self {
        Self {
            document: Rc::clone(element.document),
            at: element.at,
            index: OnceCell::new(),
        }
    }

    fn element(&self, at: u32) -> Element<'_> {
        Element {
            document: &self.document,
            at,
        }
    }

    /// The member of this name, the last one if there are several. `None` if there are so many members
    /// that looking for one by one is not worth it.
    pub(crate) fn member(&self, key: &str) -> Option<Member<'_>> {
        let index = self.index();
        let Some(at) = index.as_ref()?.find(&self.document, key) else {
            return Some(Member::Missing);
        };
        let value = self.element(at + 1);
        Some(match value.is_container() {
            true => Member::Container,
            false => Member::Scalar(value),
        })
    }

    /// All members in the order of the text, those of the same name as well.
    pub(crate) fn members(&self) -> impl Iterator<Item = (Text, Value)> {
        let members = self.document.members(self.at);
        members.map(|(key, value)| (self.document.string(key), self.element(value).value()))
    }

    /// The keys in the order of the text. `None` if there are many members or perhaps two of one name.
    pub(crate) fn keys(&self) -> Option<Vec<Text>> {
        let index = self.index().as_ref()?;
        let count = index.used.count_ones() as usize;
        let tags = index.tags.get(..count)?;
        let again = |(at, tag)| tags.iter().skip(at + 1).any(|other| other == tag);
        if tags.iter().enumerate().any(again) {
            return None;
        }
        let places = index.places.iter().take(count);
        let key = |at: &u32| self.document.string(self.document.node(*at));
        Some(places.map(key).collect())
    }

    fn index(&self) -> &Option<Index> {
        self.index
            .get_or_init(|| Index::of(&self.document, self.at))
    }

    /// A number that tells documents apart, and the bytes of the whole document.
    pub(crate) fn document(&self) -> (usize, usize) {
        (Rc::as_ptr(&self.document).addr(), self.document.bytes())
    }

    /// At least as many as there are members.
    pub(crate) fn size(&self) -> usize {
        self.element(self.at).size() / 2
    }
}

impl Index {
    fn of(document: &Document, object: u32) -> Option<Self> {
        let mut index = Self {
            tags: [0; MEMBERS],
            places: [0; MEMBERS],
            used: 0,
        };
        let mut places = index.tags.iter_mut().zip(&mut index.places);
        let mut at = object + 1;
        let end = document.node(object).next;
        while at < end {
            let (tag_place, place) = places.next()?;
            let key = document.node(at);
            *tag_place = match key.kind {
                Kind::Escaped => tag(unescape(document.raw(key)).as_bytes()),
                _ => key.next,
            };
            *place = at;
            index.used = index.used << 1 | 1;
            at = document.node(at + 1).next;
        }
        Some(index)
    }

    /// The place of the last key of this name.
    fn find(&self, document: &Document, key: &str) -> Option<u32> {
        let tag = tag(key.as_bytes());
        let (blocks, _) = self.tags.as_chunks::<8>();
        let mut hits = 0;
        for (at, block) in blocks.iter().enumerate() {
            let first = 8 * at;
            if self.used >> first == 0 {
                break;
            }
            let same = |lane: usize| u32::from(block[lane] == tag) << lane;
            hits |= (0..8).map(same).fold(0, |all, one| all | one) << first;
        }
        hits &= self.used;
        while hits != 0 {
            let last = hits.ilog2();
            let place = *self.places.get(last as usize)?;
            let name = document.node(place);
            let raw = document.raw(name);
            let is_it = match name.kind {
                Kind::Escaped => unescape(raw) == key,
                _ => raw == key,
            };
            if is_it {
                return Some(place);
            }
            hits ^= 1 << last;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::json::Reader;
    use crate::value::{Map, Value};

    fn map(reader: &mut Reader, text: &str) -> Map {
        match reader.parse(text).unwrap().value() {
            Value::Map(map) => map,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_outlives_the_text_it_was_read_from() {
        let mut reader = Reader::default();
        let first = map(&mut reader, r#"{"a":1,"b":{"c":[2]}}"#);
        let second = map(&mut reader, r#"{"a":"other"}"#);
        assert_eq!(first.get("a").unwrap().text(), "1");
        assert_eq!(second.get("a").unwrap().text(), "other");
        assert_eq!(Value::Map(first).json_text(), r#"{"a":1,"b":{"c":[2]}}"#);
    }

    #[test]
    fn containers_inside_are_the_same_ones_each_time() {
        let whole = map(&mut Reader::default(), r#"{"in":{"x":1},"list":[{"y":2}]}"#);
        let (Some(Value::Map(inner)), Some(Value::List(list))) =
            (whole.get("in"), whole.get("list"))
        else {
            panic!("{whole:?}");
        };
        inner.insert("x", Value::Int(5));
        list.push(Value::Nil);
        assert_eq!(
            Value::Map(whole).json_text(),
            r#"{"in":{"x":5},"list":[{"y":2},null]}"#
        );
    }

    #[test]
    fn looking_changing_and_clearing_agree() {
        let text = r#"{"a":1,"b":null,"a":2,"k\u0065y":3,"a_longer_key":4,"a_longer_kez":5}"#;
        let whole = map(&mut Reader::default(), text);
        let get = |key: &str| whole.get(key).map(|value| value.text().into_owned());
        let look = || {
            let keys = ["a", "b", "key", "a_longer_key", "a_longer_kez", "no", ""];
            keys.map(|key| (get(key), whole.contains(key)))
        };
        let untouched = map(&mut Reader::default(), text);
        assert_eq!(
            untouched.keys(),
            ["a", "b", "key", "a_longer_key", "a_longer_kez"]
        );
        let once = map(&mut Reader::default(), r#"{"b":1,"\u0061":{}}"#);
        assert_eq!(once.keys(), ["b", "a"]);
        let before = look();
        assert_eq!(before[0], (Some("2".to_owned()), true));
        assert_eq!(before[1], (Some(String::new()), true));
        assert_eq!(before[3], (Some("4".to_owned()), true));
        assert_eq!(before[5], (None, false));
        assert_eq!(whole.len(), 5);
        assert_eq!(look(), before);
        assert!(whole.remove("a").is_some());
        assert_eq!(get("a"), None);
        whole.clear();
        assert!(whole.is_empty() && get("key").is_none());
        let untouched = map(&mut Reader::default(), text);
        untouched.clear();
        assert!(untouched.is_empty() && untouched.get("key").is_none());
    }

    #[test]
    fn many_looks_find_the_same() {
        let members: Vec<String> = (0..100).map(|n| format!(r#""key{n}":{n}"#)).collect();
        let whole = map(
            &mut Reader::default(),
            &format!("{{{}}}", members.join(",")),
        );
        for n in 0..100 {
            let found = whole.get(&format!("key{n}")).unwrap();
            assert_eq!(found.text(), n.to_string());
        }
    }
}
