//! Letters of single points on their way to the output that would have them.

use std::collections::HashMap;
use std::sync::Arc;

use kafkamq_point::Category;

use super::Entry;
use crate::outputs::Carrier;
use crate::routing::RouteTable;
use kafkamq_conversion::route::{DestinationId, OutputRoute};
use kafkamq_delivery::dead_letter::LetterPart;
use kafkamq_delivery::endpoint::OffsetRange;
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::Item;
use kafkamq_delivery::status::{Verdict, classify};
use kafkamq_settings::Settings;

/// Sends points to the outputs of a configuration, one request each.
pub(super) struct PointSender {
    routes: RouteTable,
    carriers: HashMap<DestinationId, Arc<dyn Carrier>>,
}

impl PointSender {
    /// For the outputs of `settings`.
    ///
    /// # Errors
    /// When an output cannot be used.
    pub(super) fn try_new(settings: &Settings) -> Result<Self, String> {
        let routes = RouteTable::compile(settings, 1).map_err(|error| error.to_string())?;
        Ok(Self {
            routes,
            carriers: HashMap::new(),
        })
    }

    /// Sends the point that `entry` holds and waits for the answer.
    ///
    /// # Errors
    /// Why the output has not taken it.
    pub(super) async fn send(&mut self, entry: &Entry) -> Result<(), String> {
        let LetterPart::Point {
            destination,
            category,
            from,
        } = &entry.letter.part
        else {
            return Err("it is not the letter of a point".to_owned());
        };
        if destination.is_empty() {
            return Err(
                "no encoding can hold this point; mend its cause and let the record be \
                        read again"
                    .to_owned(),
            );
        }
        let id = DestinationId(destination.as_str().into());
        let category: Category = category
            .parse()
            .map_err(|_| format!("there is no category `{category}`"))?;
        let takes = |output: &&OutputRoute| output.destination == id;
        let output = self.routes.outputs.iter().find(takes);
        let output = output.ok_or_else(|| format!("no output is called `{destination}`"))?;
        let endpoint = output
            .endpoint(category)
            .ok_or_else(|| format!("output `{destination}` takes no points of {category}"))?;
        let carrier = match self.carriers.get(&id) {
            Some(carrier) => Arc::clone(carrier),
            None => {
                let found = self.routes.destination(&id);
                let found = found.ok_or_else(|| format!("`{destination}` is not configured"))?;
                let carrier = found
                    .reach
                    .kind()
                    .carrier()
                    .map_err(|error| error.to_string())?;
                self.carriers.insert(id, Arc::clone(&carrier));
                carrier
            }
        };
        let ranges: Vec<OffsetRange> = from.clone();
        let body = entry.letter.value.clone().unwrap_or_default();
        let post = Post {
            endpoint: Arc::clone(endpoint),
            items: Arc::from([Item { record: 0, body }]),
            ranges,
        };
        let outcome = carrier.send(post, Vec::new()).await;
        match classify(endpoint.policy(), &outcome, 1) {
            Verdict::Delivered => Ok(()),
            Verdict::PartialSuccess { message, .. } => Err(message),
            refused => Err(refused
                .reason()
                .map_or_else(String::new, ToString::to_string)),
        }
    }
}
