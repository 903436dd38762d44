//! What is in the way between inputs and their brokers: told when it begins and when it ends.

use std::time::{Duration, Instant};

use actix::Handler;

use super::Supervisor;
use super::input::Input;
use crate::actors::messages::{InputFailed, TopicsDescribed};
use crate::actors::status::LastError;
use crate::kafka::Statistics;
use kafkamq_conversion::route::InputId;
use kafkamq_source::trouble::News;

/// An error that is not a state is logged again only after this long.
const LOG_REPEAT_AFTER: Duration = Duration::from_secs(60);

impl Input {
    /// An error of the client or of a partition's reader.
    fn failed(&mut self, id: &InputId, failed: InputFailed, now: Instant) {
        if let Some(trouble) = failed.trouble {
            let text = trouble.text.clone();
            if self.troubles.note(now, trouble).is_some_and(|news| {
                tell(id, &news);
                true
            }) || self.troubles.all().any(|lasting| lasting.text == text)
            {
                self.last_error = Some(LastError::at(now, text));
            }
            return;
        }
        self.logged
            .retain(|_, logged| now.saturating_duration_since(*logged) < LOG_REPEAT_AFTER);
        if !self.logged.contains_key(&failed.error) {
            tracing::warn!(input = %id, error = failed.error, held = failed.held, "kafka");
            self.logged.insert(failed.error.clone(), now);
        }
        if failed.held {
            self.alarm = Some(failed.error.clone());
            self.alarmed = now;
        }
        // What is in the way explains more than what follows from it.
        if self.troubles.all().next().is_none() {
            self.last_error = Some(LastError::at(now, failed.error));
        }
    }

    /// Ends what the client's report shows to be over.
    pub(super) fn recovered(&mut self, id: &InputId, statistics: &Statistics, now: Instant) {
        let mut news = self.troubles.connected(now, &statistics.connected);
        if statistics.is_member() {
            news.extend(self.troubles.joined(now));
        }
        for (source, assigned) in &self.topics {
            let moved = assigned.view.seen().moved;
            news.extend(self.troubles.read(now, &source.topic, moved));
        }
        for one in &news {
            tell(id, one);
        }
    }
}

fn tell(id: &InputId, news: &News) {
    match news {
        News::Began(trouble) => tracing::warn!(
            input = %id, layer = trouble.layer, "kafka: {}", trouble.text
        ),
        News::Ended { trouble, lasted } => tracing::info!(
            input = %id, layer = trouble.layer, seconds = lasted.as_secs_f64(),
            "kafka: no longer in the way: {}", trouble.text
        ),
    }
}

impl Handler<InputFailed> for Supervisor {
    type Result = ();

    fn handle(&mut self, failed: InputFailed, _: &mut Self::Context) {
        let id = failed.input.clone();
        if let Some(input) = self.inputs.get_mut(&id) {
            input.failed(&id, failed, Instant::now());
        }
    }
}

impl Handler<TopicsDescribed> for Supervisor {
    type Result = ();

    fn handle(&mut self, described: TopicsDescribed, _: &mut Self::Context) {
        let id = &described.input;
        let Some(input) = self.inputs.get_mut(id) else {
            return;
        };
        let now = Instant::now();
        for topic in &described.topics {
            for news in input.troubles.described(now, topic) {
                tell(id, &news);
            }
        }
    }
}
