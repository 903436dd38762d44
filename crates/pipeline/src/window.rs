//! Windows: the points a script dropped shortly before and after an event.
//!
//! A window belongs to one stream of points (those with the same values of some tags) in one loaded
//! script. It holds the dropped points of the last few runs; a hit gives them back, and the points
//! that follow with them. Windows of streams without new points are removed, so that a tag with many
//! values cannot fill the memory; and what points take is charged to an account.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};
use kafkamq_memory::{Account, Charge};
use kafkamq_point::{Point, Text};
use parking_lot::Mutex;

use crate::memory::point_bytes;

/// How many points a window holds before an event, whatever the script asks for.
pub(crate) const MAX_BEFORE: usize = 10_000;
/// How many streams one script can follow; beyond that the one without points for longest is removed.
pub(crate) const MAX_STREAMS: usize = 16_384;
/// How many bytes the points of all windows of a script take at most, unless the host says so.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// How long a stream may be without points before its window may be removed, in nanoseconds.
pub(crate) const IDLE_NS: i64 = 3_600_000_000_000;

const SHARDS: usize = 16;

/// What identifies a stream: the tags' names and values.
pub(crate) type Stream = Box<[(Text, Text)]>;

/// The windows of one loaded script.
#[derive(Debug)]
pub(crate) struct Windows {
    shards: [Mutex<HashMap<Stream, Window>>; SHARDS],
    hasher: DefaultHashBuilder,
    account: Arc<Account>,
}

impl Default for Windows {
    fn default() -> Self {
        Self::within(&Account::root("windows of a script", MAX_BYTES))
    }
}

#[derive(Debug)]
struct Window {
    before: usize,
    after: usize,
    /// One slot per run, oldest first; empty for a point that was kept.
    ring: VecDeque<Option<(Point, Charge)>>,
    /// How many points from here on are given back.
    open: usize,
    used_ns: i64,
}

impl Windows {
    /// Windows that charge an account for their points.
    #[must_use]
    pub(crate) fn within(account: &Arc<Account>) -> Self {
        Self {
            shards: Default::default(),
            hasher: DefaultHashBuilder::default(),
            account: Arc::clone(account),
        }
    }

    /// Ends the run of one point of a stream: puts the point into the window, or gives back what a
    /// hit brings to light, oldest first.
    ///
    /// The first call for a stream fixes its sizes. `hit` tells that the point is an event,
    /// `dropped` that the script dropped it.
    pub(crate) fn finish(
        &self,
        stream: Stream,
        sizes: (usize, usize),
        hit: bool,
        point: &Point,
        dropped: bool,
        now_ns: i64,
    ) -> Vec<Point> {
        let at = usize::try_from(self.hasher.hash_one(&stream) >> 32).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(at) else {
            return Vec::new();
        };
        let mut windows = shard.lock();
        if windows.len() >= MAX_STREAMS / SHARDS && !windows.contains_key(&stream) {
            make_room(&mut windows, now_ns);
        }
        let window = windows.entry(stream).or_insert_with(|| Window {
            before: sizes.0.min(MAX_BEFORE),
            after: sizes.1,
            ring: VecDeque::new(),
            open: 0,
            used_ns: now_ns,
        });
        window.used_ns = now_ns;
        window.finish(hit, point, dropped, &self.account)
    }

    /// How many streams are followed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Window {
    fn finish(
        &mut self,
        hit: bool,
        point: &Point,
        dropped: bool,
        account: &Arc<Account>,
    ) -> Vec<Point> {
        if hit {
            self.open = self.after;
        }
        let mut recovered = Vec::new();
        if hit || self.open > 0 {
            recovered.extend(self.ring.drain(..).flatten().map(|(point, _)| point));
        }
        if self.open > 0 {
            self.open -= 1;
            recovered.extend(dropped.then(|| point.clone()));
            return recovered;
        }
        if self.before > 0 {
            while self.ring.len() >= self.before {
                self.ring.pop_front();
            }
            let kept = dropped.then(|| self.charge(point, account)).flatten();
            self.ring
                .push_back(kept.map(|charge| (point.clone(), charge)));
        }
        recovered
    }

    /// Charges a point; the oldest points of the window are removed where there is no room. One that
    /// does not fit even so is dropped.
    fn charge(&mut self, point: &Point, account: &Arc<Account>) -> Option<Charge> {
        let bytes = point_bytes(point);
        loop {
            match account.try_charge(bytes) {
                Ok(charge) => return Some(charge),
                Err(_) => {
                    self.ring.pop_front()?;
                }
            }
        }
    }
}

/// Removes streams without points for long, or else the one without points for longest.
fn make_room(windows: &mut HashMap<Stream, Window>, now_ns: i64) {
    let before = windows.len();
    windows.retain(|_, window| now_ns.saturating_sub(window.used_ns) < IDLE_NS);
    if windows.len() < before {
        return;
    }
    let quietest = windows
        .iter()
        .min_by_key(|(_, window)| window.used_ns)
        .map(|(stream, _)| stream.clone());
    if let Some(stream) = quietest {
        windows.remove(&stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_point::Category;

    fn stream(name: &str) -> Stream {
        [("host".into(), name.into())].into()
    }

    /// Runs points through a window of sizes (before, after). An upper case name is a hit, a name
    /// that ends in `!` is kept. Returns what each run gave back.
    fn play(sizes: (usize, usize), points: &[&str]) -> Vec<String> {
        let windows = Windows::default();
        points
            .iter()
            .map(|name| {
                let hit = name.starts_with(char::is_uppercase);
                let dropped = !name.ends_with('!');
                let point = Point::new(*name, Category::Logging, 0);
                windows
                    .finish(stream("a"), sizes, hit, &point, dropped, 0)
                    .iter()
                    .map(Point::name)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    #[test]
    fn a_hit_recovers_what_was_around_it() {
        assert_eq!(
            play((2, 2), &["1", "2", "3", "4", "H", "5", "6", "7"]),
            ["", "", "", "", "3 4 H", "5", "", ""]
        );
        assert_eq!(
            play((2, 2), &["1", "2", "3", "4", "H!", "5", "6"]),
            ["", "", "", "", "3 4", "5", ""]
        );
    }

    #[test]
    fn kept_points_use_up_slots() {
        assert_eq!(play((2, 1), &["1", "2!", "3!", "H"]), ["", "", "", "H"]);
        assert_eq!(play((2, 1), &["1", "2!", "H"]), ["", "", "1 H"]);
    }

    #[test]
    fn a_second_hit_restarts_the_count() {
        assert_eq!(
            play((2, 2), &["1", "H", "I", "2", "3"]),
            ["", "1 H", "I", "2", ""]
        );
    }

    #[test]
    fn sizes_of_zero_are_harmless() {
        assert_eq!(play((0, 1), &["1", "H", "2"]), ["", "H", ""]);
        assert_eq!(play((2, 0), &["1", "H", "2", "I"]), ["", "1", "", "H 2"]);
        assert_eq!(play((0, 0), &["1", "H"]), ["", ""]);
    }

    #[test]
    fn streams_are_apart_and_bounded() {
        let windows = Windows::default();
        let point = Point::new("p", Category::Logging, 0);
        for at in 0..2 * MAX_STREAMS {
            let now = i64::try_from(at).unwrap();
            let given = windows.finish(stream(&at.to_string()), (1, 1), false, &point, true, now);
            assert!(given.is_empty());
        }
        assert!(windows.len() <= MAX_STREAMS);
        let last = (2 * MAX_STREAMS - 1).to_string();
        let given = windows.finish(stream(&last), (1, 1), true, &point, true, i64::MAX);
        assert_eq!(given.len(), 2);
    }

    #[test]
    fn the_oldest_points_give_way_where_there_is_no_room() {
        let account = Account::root("test", 100_000);
        let windows = Windows::within(&account);
        let mut point = Point::new("p", Category::Logging, 0);
        point.set_field("f", "x".repeat(10_000).as_str());
        for _ in 0..50 {
            windows.finish(stream("a"), (100, 1), false, &point, true, 0);
            assert!(account.used() <= 100_000);
        }
        let given = windows.finish(stream("a"), (100, 1), true, &point, true, 0);
        assert!(given.len() > 5 && given.len() < 11, "{}", given.len());
        assert_eq!(account.used(), 0);
    }
}
