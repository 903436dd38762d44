//! The contract of outputs as a table: every kind against every fault it can meet. Each row is a test
//! of its own and ends in the same way: every record is where it belongs, all offsets are committed, and nothing
//! is left at the destination.

use super::outputs::{config, http_output, kafka_output, record_ids, records, wait_count};
use super::*;

const RECORDS: u32 = 20;
/// Both partitions.
const ALL: u64 = 2 * RECORDS as u64;
/// The one that the faults of content pick out.
const POISON: u32 = 13;

/// Waits until all is settled and committed, and nothing is stuck; returns the dead letters.
fn settles(rig: &Rig, running: Running) -> Vec<kafkamq_delivery::dead_letter::DeadLetter> {
    for partition in 0..2 {
        rig.wait_committed("app-logs", partition, i64::from(RECORDS));
    }
    running.wait_status(|status| {
        status.is_ready()
            && status.destinations.iter().all(|destination| {
                destination.state == "up"
                    && destination.queued_items == 0
                    && destination.in_flight_requests == 0
            })
    });
    running.stop();
    rig.dead_letters()
}

/// An output that is spoken to over HTTP, with one of the testbed's receivers.
#[derive(Clone, Copy)]
enum Http {
    Datakit,
    Dataway,
    Influxdb,
}

impl Http {
    fn receiver(self, rig: &Rig) -> &kafkamq_testbed::Receiver {
        match self {
            Self::Datakit => &rig.testbed.datakit,
            Self::Dataway => &rig.testbed.dataway,
            Self::Influxdb => &rig.testbed.collector,
        }
    }

    fn output(self, rig: &Rig) -> String {
        let receiver = self.receiver(rig);
        let more = "timeout = \"400ms\"\nbatch_points = 8";
        match self {
            Self::Datakit => http_output("datakit", &receiver.url(""), more),
            Self::Dataway => {
                let address = receiver.url(&format!("?token={}", Testbed::TOKEN));
                http_output("dataway", &address, more)
            }
            Self::Influxdb => {
                let address = receiver.url("/api/v2/write?org=o&bucket=b");
                http_output("influxdb", &address, more)
            }
        }
    }

    /// Lets records meet `fault`. A fault of content costs one of them, which becomes a letter.
    fn meets(self, fault: Fault) {
        let rig = Rig::with_topics();
        let poisoned = matches!(fault.kind, FaultKind::Poison { .. });
        let receiver = self.receiver(&rig);
        receiver.set_faults([fault]);
        rig.produce(Route::CustomLog, 0..RECORDS);
        let running = rig.start(&config(&rig, &self.output(&rig)));
        wait_count(receiver, ALL - u64::from(poisoned));
        let letters = settles(&rig, running);
        let found: Vec<_> = letters
            .iter()
            .map(|letter| (letter.partition, letter.offset, letter.status))
            .collect();
        let expected = [(0, i64::from(POISON), Some(400))];
        let expected = if poisoned { &expected[..] } else { &[] };
        assert_eq!(found, expected);
        assert_eq!(
            receiver.ledger().count(Route::CustomLog),
            ALL - expected.len() as u64
        );
    }
}

fn status(status: u16) -> Fault {
    Fault::status(status).times(3)
}

fn told_to_wait() -> Fault {
    Fault::new(FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(1)),
        body: None,
    })
    .times(1)
}

macro_rules! http_contract {
    ($($output:ident = $kind:expr;)*) => {$(
        mod $output {
            use super::*;

            #[test]
            fn refused() {
                $kind.meets(Fault::new(FaultKind::Refuse).lasting(Duration::from_millis(300)));
            }

            #[test]
            fn no_answer() {
                $kind.meets(Fault::new(FaultKind::Hang).times(2));
            }

            #[test]
            fn reset_in_the_request() {
                $kind.meets(Fault::new(FaultKind::ResetRequest).times(3));
            }

            #[test]
            fn reset_in_the_answer() {
                $kind.meets(Fault::new(FaultKind::ResetResponse).times(3));
            }

            #[test]
            fn told_to_come_later() {
                $kind.meets(told_to_wait());
            }

            #[test]
            fn status_500() {
                $kind.meets(status(500));
            }

            #[test]
            fn status_503() {
                $kind.meets(status(503));
            }

            #[test]
            fn status_401() {
                $kind.meets(status(401));
            }

            #[test]
            fn status_413() {
                $kind.meets(Fault::new(FaultKind::TooLarge { bytes: 1200 }));
            }

            #[test]
            fn one_point_is_refused() {
                $kind.meets(Fault::poison(RecordId::new(Route::CustomLog, 0, POISON)));
            }
        }
    )*};
}

http_contract! {
    datakit = Http::Datakit;
    dataway = Http::Dataway;
    influxdb = Http::Influxdb;
}

/// Lets points go to a topic whose brokers answer as `faults` say.
fn topic_meets(faults: &[(kafkamq_broker::Fault, usize)], at_least_once: bool) {
    let rig = Rig::with_topics();
    rig.broker.create_topic("points-logging", 2).unwrap();
    for (fault, times) in faults {
        rig.broker
            .inject(kafkamq_broker::ApiKey::Produce, *fault, *times);
    }
    rig.produce(Route::CustomLog, 0..RECORDS);
    let more = "librdkafka = { \"message.timeout.ms\" = \"1000\", \"request.timeout.ms\" = \"300\", \"socket.timeout.ms\" = \"500\" }";
    let running = rig.start(&config(&rig, &kafka_output(&rig, more)));
    assert!(settles(&rig, running).is_empty());
    let ids = record_ids(&records(&rig, "points-logging"));
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len() as u64,
        ALL,
        "lost"
    );
    assert!(at_least_once || ids.len() as u64 == ALL, "written twice");
}

mod topic_output {
    use kafkamq_broker::{Fault, ResponseError};

    use super::*;

    #[test]
    fn refused() {
        topic_meets(&[(Fault::Disconnect, 4)], false);
    }

    #[test]
    fn no_answer() {
        topic_meets(&[(Fault::Delay(Duration::from_secs(2)), 1)], true);
    }

    #[test]
    fn reset_in_the_answer() {
        topic_meets(&[(Fault::LoseResponse, 3)], false);
    }

    #[test]
    fn brokers_without_a_leader() {
        topic_meets(
            &[(Fault::Error(ResponseError::NotLeaderOrFollower), 3)],
            false,
        );
    }

    #[test]
    fn too_few_replicas() {
        topic_meets(
            &[(Fault::Error(ResponseError::NotEnoughReplicas), 3)],
            false,
        );
    }

    #[test]
    fn not_authorised() {
        let refused = Fault::Error(ResponseError::TopicAuthorizationFailed);
        topic_meets(&[(refused, 3)], true);
    }
}

/// Lets points go to a folder that is broken by `harm` first, and mended by `mend` once the output
/// is not up.
fn folder_meets(harm: impl Fn(&Path), mend: impl Fn(&Path)) {
    let rig = Rig::with_topics();
    rig.produce(Route::CustomLog, 0..RECORDS);
    let folder = rig.folder.path().join("points");
    harm(&folder);
    let output = format!(
        "[[output]]\nkind = \"file\"\npath = \"{}\"\n",
        folder.display()
    );
    let running = rig.start(&config(&rig, &output));
    running.wait_status(|status| status.destinations.iter().any(|d| d.state != "up"));
    assert_eq!(rig.broker.committed("group", "app-logs", 0).unwrap_or(0), 0);
    mend(&folder);
    assert!(settles(&rig, running).is_empty());
    let written = super::outputs::written(&folder.join("logging"));
    let ids: BTreeSet<_> = super::outputs::ids(&written).into_iter().collect();
    assert_eq!(ids.len() as u64, ALL);
}

mod file_output {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_stands_where_the_folder_should_be() {
        folder_meets(
            |folder| fs::write(folder, "in the way").unwrap(),
            |folder| fs::remove_file(folder).unwrap(),
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_disk_is_full() {
        let file = |folder: &Path| folder.join("logging/00000001.lp");
        folder_meets(
            |folder| {
                fs::create_dir_all(folder.join("logging")).unwrap();
                std::os::unix::fs::symlink("/dev/full", file(folder)).unwrap();
            },
            |folder| fs::remove_file(file(folder)).unwrap(),
        );
    }

    #[test]
    fn the_link_leads_nowhere() {
        folder_meets(
            |folder| {
                std::os::unix::fs::symlink(folder.with_extension("gone"), folder).unwrap();
            },
            |folder| fs::create_dir_all(folder.with_extension("gone")).unwrap(),
        );
    }
}
