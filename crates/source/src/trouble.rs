//! What is in the way between an input and its brokers, topics or group: since when, and until when.
//!
//! A client repeats its errors while a broker is away, or says one only once and keeps silent while
//! the state lasts. Here a state has a beginning and an end, each of which is told once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A broker that is not heard of for this long, while others are up, is not asked for any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// What a trouble is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A broker, as `host:port`.
    Broker(String),
    /// The cluster as a whole.
    Cluster,
    /// The consumer group.
    Group,
    /// The description of a topic.
    Topic(String),
    /// Reading of a topic.
    Records(String),
}

/// Something in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about.
    pub subject: Subject,
    /// The stable name of the layer, such as `tcp` or `acl`.
    pub layer: &'static str,
    /// What it is about, the layer, what that said, and what to do.
    pub text: String,
    /// Whether the service is not ready while it lasts, even as a member of its group.
    pub is_alarm: bool,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A state begins.
    Began(Trouble),
    /// It ends.
    Ended {
        /// What it was.
        trouble: Trouble,
        /// How long it lasted.
        lasted: Duration,
    },
}

#[derive(Debug)]
struct State {
    trouble: Trouble,
    since: Instant,
    heard: Instant,
    /// Layers that were told of since it began.
    told: Vec<&'static str>,
}

/// All troubles of one input.
#[derive(Debug, Default)]
pub struct Troubles(BTreeMap<Subject, State>);

impl Troubles {
    /// The client reports something. Returns what is new about it.
    pub fn note(&mut self, now: Instant, trouble: Trouble) -> Option<News> {
        let brokers = |subject: &Subject| matches!(subject, Subject::Broker(_));
        match trouble.subject {
            // That all brokers are down follows from what each of them says.
            Subject::Cluster if self.0.keys().any(brokers) => return None,
            Subject::Broker(_) => drop(self.0.remove(&Subject::Cluster)),
            _ => {}
        }
        let state = self
            .0
            .entry(trouble.subject.clone())
            .or_insert_with(|| State {
                trouble: trouble.clone(),
                since: now,
                heard: now,
                told: Vec::new(),
            });
        state.trouble = trouble;
        state.heard = now;
        if state.told.contains(&state.trouble.layer) {
            return None;
        }
        state.told.push(state.trouble.layer);
        Some(News::Began(state.trouble.clone()))
    }

    /// These brokers are connected, as `host:port`.
    pub fn connected(&mut self, now: Instant, up: &[String]) -> Vec<News> {
        if up.is_empty() {
            return Vec::new();
        }
        self.end(now, |subject, state| match subject {
            Subject::Broker(address) => {
                let silent = now.saturating_duration_since(state.heard);
                up.contains(address) || silent > FORGOTTEN_AFTER
            }
            Subject::Cluster => true,
            _ => false,
        })
    }

    /// The input is a member of its group.
    pub fn joined(&mut self, now: Instant) -> Vec<News> {
        self.end(now, |subject, _| *subject == Subject::Group)
    }

    /// The brokers describe a topic.
    pub fn described(&mut self, now: Instant, topic: &str) -> Vec<News> {
        self.end(
            now,
            |subject, _| matches!(subject, Subject::Topic(own) if own == topic),
        )
    }

    /// Something of a topic was read at `at`.
    pub fn read(&mut self, now: Instant, topic: &str, at: Instant) -> Vec<News> {
        self.end(now, |subject, state| {
            let own =
                matches!(subject, Subject::Topic(own) | Subject::Records(own) if own == topic);
            own && at > state.heard
        })
    }

    /// What keeps the service from being ready, if something does.
    #[must_use]
    pub fn alarm(&self) -> Option<&Trouble> {
        self.all().find(|trouble| trouble.is_alarm)
    }

    /// Everything that lasts.
    pub fn all(&self) -> impl Iterator<Item = &Trouble> {
        self.0.values().map(|state| &state.trouble)
    }

    fn end(&mut self, now: Instant, is_over: impl Fn(&Subject, &State) -> bool) -> Vec<News> {
        let over = self
            .0
            .extract_if(.., |subject, state| is_over(subject, state));
        over.map(|(_, state)| News::Ended {
            trouble: state.trouble,
            lasted: now.saturating_duration_since(state.since),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(subject: Subject, layer: &'static str) -> Trouble {
        Trouble {
            text: format!("{layer}: it says so"),
            is_alarm: layer == "acl",
            subject,
            layer,
        }
    }

    fn broker(layer: &'static str) -> Trouble {
        trouble(Subject::Broker("a:1".to_owned()), layer)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_state_is_told_when_it_begins_and_when_it_ends_and_not_in_between() {
        let began = Instant::now();
        let mut troubles = Troubles::default();
        let first = troubles.note(began, broker("tcp"));
        assert_eq!(first, Some(News::Began(broker("tcp"))));
        for second in 1..60 {
            assert_eq!(
                troubles.note(began + seconds(second), broker("tcp")),
                None,
                "a retry"
            );
        }
        let other = troubles.note(began + seconds(60), broker("sasl"));
        assert_eq!(other, Some(News::Began(broker("sasl"))), "another layer");
        assert_eq!(troubles.note(began + seconds(61), broker("tcp")), None);
        assert_eq!(troubles.connected(began + seconds(62), &[]), []);
        let ended = News::Ended {
            trouble: broker("tcp"),
            lasted: seconds(63),
        };
        let up = ["a:1".to_owned()];
        assert_eq!(troubles.connected(began + seconds(63), &up), [ended]);
        assert_eq!(troubles.connected(began + seconds(64), &up), []);
        assert!(troubles.note(began + seconds(65), broker("tcp")).is_some());
    }

    #[test]
    fn that_all_brokers_are_down_is_told_only_if_none_says_why() {
        let now = Instant::now();
        let mut troubles = Troubles::default();
        let all = || trouble(Subject::Cluster, "kafka");
        assert!(troubles.note(now, all()).is_some());
        assert!(troubles.note(now, broker("tcp")).is_some());
        assert_eq!(troubles.note(now, all()), None);
        assert_eq!(troubles.all().count(), 1);
    }

    #[test]
    fn a_broker_that_left_the_cluster_is_forgotten_while_others_are_up() {
        let now = Instant::now();
        let mut troubles = Troubles::default();
        troubles.note(now, broker("tcp"));
        let others = ["b:1".to_owned()];
        assert_eq!(troubles.connected(now + seconds(60), &others), []);
        assert_eq!(troubles.connected(now + seconds(121), &others).len(), 1);
    }

    #[test]
    fn refused_reading_ends_when_something_is_read_and_not_when_the_topic_is_described() {
        let now = Instant::now();
        let mut troubles = Troubles::default();
        troubles.note(now, trouble(Subject::Records("t".to_owned()), "acl"));
        troubles.note(now, trouble(Subject::Group, "acl"));
        assert_eq!(troubles.described(now + seconds(1), "t"), []);
        assert_eq!(troubles.read(now + seconds(1), "t", now), [], "before it");
        assert_eq!(
            troubles.read(now + seconds(2), "t", now + seconds(2)).len(),
            1
        );
        assert!(troubles.alarm().is_some());
        assert_eq!(troubles.joined(now + seconds(3)).len(), 1);
        assert!(troubles.alarm().is_none());
    }
}
