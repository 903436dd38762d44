//! What `check --connect` tries: every broker, topic and group of the inputs, and everything that
//! records leave to.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kafka::dial::{DialTarget, dial};
use crate::outputs::Trial;
use crate::outputs::http::HttpReach;
use crate::routing::RouteTable;
use kafkamq_conversion::route::{DestinationId, OutputRoute, RouteKind};
use kafkamq_delivery::endpoint::{Endpoint, EndpointOptions};
use kafkamq_delivery::http::Transport;
use kafkamq_settings::{DeadLetterKind, Settings, TopicPattern};

/// Bound of each step towards a broker: name resolution, TCP, a request.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Warning,
    Failed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What is in the way, and what to do about it.
#[derive(Debug)]
struct Obstacle {
    is_warning: bool,
    layer: &'static str,
    message: String,
    remedy: &'static str,
}

/// One thing that was tried.
#[derive(Debug)]
struct Connection {
    /// The part of the configuration it belongs to, such as ``input `orders` ``.
    owner: String,
    /// What was tried, such as `broker kafka-1:9092`.
    target: String,
    obstacle: Option<Obstacle>,
}

impl Connection {
    fn status(&self) -> Status {
        match &self.obstacle {
            None => Status::Ok,
            Some(obstacle) if obstacle.is_warning => Status::Warning,
            Some(_) => Status::Failed,
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status().name();
        write!(f, "{status:<7} {}: {}", self.owner, self.target)?;
        match &self.obstacle {
            Some(obstacle) => write!(
                f,
                ": {}: {}; {}",
                obstacle.layer, obstacle.message, obstacle.remedy
            ),
            None => Ok(()),
        }
    }
}

/// All that was tried, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Connections(Vec<Connection>);

impl Connections {
    /// Dials everything that `settings` name. Takes seconds where something does not answer.
    pub(super) fn dial(settings: &Settings) -> Self {
        let mut tried = Self::default();
        if settings.inputs.is_empty() {
            return tried;
        }
        for input in &settings.inputs {
            let topics: Vec<&str> = input
                .subscriptions()
                .iter()
                .map(|subscription| subscription.topic)
                // What a pattern finds is not known beforehand.
                .filter(|topic| !TopicPattern::is_one(topic))
                .collect();
            // Without topics an input stays idle and never connects.
            if input.selection().is_empty() {
                continue;
            }
            let target = DialTarget {
                cluster: &input.cluster,
                group: Some(&input.group_id),
                topics: &topics,
            };
            tried.cluster(&format!("input `{}`", input.name), &target);
        }
        tried.destinations(settings);
        match &settings.dead_letter.kind {
            DeadLetterKind::File { path, .. } => tried.folder("dead letters", path),
            DeadLetterKind::Kafka {
                cluster: Some(cluster),
                ..
            } => {
                let target = DialTarget {
                    cluster,
                    group: None,
                    topics: &[],
                };
                tried.cluster("dead letters", &target);
            }
            DeadLetterKind::Kafka { cluster: None, .. } | DeadLetterKind::None => {}
        }
        tried
    }

    /// How many attempts failed.
    pub(super) fn failed(&self) -> usize {
        self.count(Status::Failed)
    }

    /// How many attempts found something that may mend itself.
    pub(super) fn warnings(&self) -> usize {
        self.count(Status::Warning)
    }

    fn count(&self, status: Status) -> usize {
        self.0.iter().filter(|one| one.status() == status).count()
    }

    /// The attempts as an array of objects.
    pub(super) fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|one| {
                let obstacle = one.obstacle.as_ref();
                json!({
                    "owner": one.owner,
                    "target": one.target,
                    "status": one.status().name(),
                    "layer": obstacle.map(|obstacle| obstacle.layer),
                    "message": obstacle.map(|obstacle| &obstacle.message),
                    "remedy": obstacle.map(|obstacle| obstacle.remedy),
                })
            })
            .collect()
    }

    fn push(&mut self, owner: &str, target: String, obstacle: Option<Obstacle>) {
        self.0.push(Connection {
            owner: owner.to_owned(),
            target,
            obstacle,
        });
    }

    fn cluster(&mut self, owner: &str, target: &DialTarget<'_>) {
        for finding in dial(target, BROKER_TIMEOUT) {
            let obstacle = finding.fault.map(|fault| Obstacle {
                is_warning: fault.is_warning(),
                layer: fault.layer.as_str(),
                message: fault.message,
                remedy: fault.remedy,
            });
            self.push(owner, finding.subject.to_string(), obstacle);
        }
    }

    fn destinations(&mut self, settings: &Settings) {
        let failed = |message: String| Obstacle {
            is_warning: false,
            layer: "settings",
            message,
            remedy: "the service refuses to start for the same reason",
        };
        let table = match RouteTable::compile(settings, 0) {
            Ok(table) => table,
            Err(error) => {
                return self.push(
                    "routes",
                    "destinations".into(),
                    Some(failed(error.to_string())),
                );
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                return self.push(
                    "routes",
                    "destinations".into(),
                    Some(failed(error.to_string())),
                );
            }
        };
        let used: BTreeSet<&DestinationId> = table
            .routes()
            .flat_map(|route| used_by(&route.kind))
            .collect();
        for destination in table.destinations() {
            // An output that no route leads to is never connected to.
            if !used.contains(&destination.id) {
                continue;
            }
            let owner = format!("destination `{}`", destination.id);
            match destination.reach.kind().trial() {
                Trial::Dial(http) => {
                    let dialled = runtime.block_on(dial_destination(http));
                    self.push(&owner, destination.shown_url(), dialled.err());
                }
                Trial::Cluster(cluster, topic) => {
                    let target = DialTarget {
                        cluster,
                        group: None,
                        topics: topic.as_slice(),
                    };
                    self.cluster(&owner, &target);
                }
                Trial::Folder(folder) => self.folder(&owner, folder),
                Trial::Nothing => {}
            }
        }
        // A resolver that hangs must not hold up the end.
        runtime.shutdown_background();
    }

    /// Checks that files can be made in the folder `path`, or in what it will be made in.
    fn folder(&mut self, owner: &str, path: &Path) {
        let existing = path
            .ancestors()
            .map(|part| match part.as_os_str().is_empty() {
                true => Path::new("."),
                false => part,
            })
            .find(|part| part.exists());
        let writable = match existing {
            Some(folder) => tempfile::tempfile_in(folder).map(drop),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        let obstacle = writable.err().map(|error| Obstacle {
            is_warning: false,
            layer: "file",
            message: error.to_string(),
            remedy: "let the user that the service runs as write there",
        });
        self.push(owner, format!("folder {}", path.display()), obstacle);
    }
}

impl fmt::Display for Connections {
    /// One line for each attempt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|one| writeln!(f, "{one}"))
    }
}

/// The destinations of a route.
fn used_by(kind: &RouteKind) -> Vec<&DestinationId> {
    let (own, outputs): (Vec<_>, &[OutputRoute]) = match kind {
        RouteKind::Acknowledge => (Vec::new(), &[]),
        RouteKind::Forward { destination, .. } => (vec![destination], &[]),
        RouteKind::Transcode(route) => {
            let targets = route.targets().map(|target| &target.destination);
            (targets.collect(), &[])
        }
        RouteKind::Points(route) | RouteKind::ConvertedPoints(_, route) => {
            (Vec::new(), &route.outputs)
        }
        RouteKind::Handle(route) => (
            vec![&route.destination],
            route.answers.as_deref().unwrap_or_default(),
        ),
    };
    let outputs = outputs.iter().map(|output| &output.destination);
    own.into_iter().chain(outputs).collect()
}

/// Connects to a destination as its requests would.
async fn dial_destination(http: &HttpReach) -> Result<(), Obstacle> {
    let transport = Transport::try_new(&http.transport_options()).map_err(|error| Obstacle {
        is_warning: false,
        layer: "tls",
        message: error.to_string(),
        remedy: "check the certificate files of this destination",
    })?;
    // All endpoints of a destination share its host.
    let endpoint = Endpoint::try_new(EndpointOptions {
        url: http.settings.endpoint.to_string(),
        ..EndpointOptions::default()
    })
    .map_err(|error| Obstacle {
        is_warning: false,
        layer: "settings",
        message: error.to_string(),
        remedy: "correct the address",
    })?;
    transport.dial(&endpoint).await.map_err(|refused| Obstacle {
        is_warning: false,
        layer: match refused.error.layer {
            // Brokers and destinations are reported in the same form.
            kafkamq_delivery::answer::Layer::Connect => "tcp",
            other => other.as_str(),
        },
        message: refused.error.message,
        remedy: refused.error.layer.remedy(),
    })
}
