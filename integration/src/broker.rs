//! What tests ask a broker: topics, records that are deleted, groups and their offsets.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::{Builder, Runtime};

use crate::await_until::until;

const LIMIT: Duration = Duration::from_secs(30);

/// A client for administration.
pub struct Broker {
    admin: AdminClient<DefaultClientContext>,
    consumer: BaseConsumer,
    bootstrap: String,
    replicas: i32,
    runtime: Runtime,
}

/// A consumer group as the broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty`, `Dead`.
    pub state: String,
    /// The ids of its members, sorted; a member that leaves and joins again gets a new one.
    pub members: Vec<String>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A client for the broker at `bootstrap`, which need not be there yet.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn at(bootstrap: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("reconnect.backoff.max.ms", "500")
            .set("log_level", "0");
        Ok(Self {
            admin: AdminClient::from_config(&config)?,
            consumer: config.create()?,
            bootstrap: bootstrap.to_owned(),
            replicas: 1,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Topics that it creates have so many replicas.
    #[must_use]
    pub const fn replicating(mut self, replicas: i32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Whether a request for metadata is answered.
    #[must_use]
    pub fn answers(&self, limit: Duration) -> bool {
        self.consumer
            .fetch_metadata(None, limit)
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// Creates a topic and waits until its partitions have leaders.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replicas))
            .set("max.message.bytes", "33554432");
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let created = self
            .runtime
            .block_on(self.admin.create_topics([&topic], &options))?;
        for outcome in created {
            outcome.map_err(|(name, code)| anyhow!("topic {name} was not created: {code}"))?;
        }
        self.await_leaders(name, partitions as usize)
    }

    /// Waits until a topic has so many partitions and each a leader.
    ///
    /// # Errors
    /// It does not.
    pub fn await_leaders(&self, name: &str, partitions: usize) -> Result<()> {
        until("the leaders of all partitions", LIMIT, || {
            let metadata = self.consumer.fetch_metadata(Some(name), LIMIT)?;
            let led = metadata.topics().iter().any(|topic| {
                topic.partitions().len() == partitions
                    && topic.partitions().iter().all(|one| one.leader() >= 0)
            });
            Ok(led.then_some(()))
        })
    }

    /// Deletes a topic and makes it again with as many partitions, so that it has another id.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn recreate_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let deleted = self
            .runtime
            .block_on(self.admin.delete_topics(&[name], &options))?;
        for outcome in deleted {
            outcome.map_err(|(name, code)| anyhow!("topic {name} was not deleted: {code}"))?;
        }
        // The broker deletes in the background, and refuses the name until then.
        until("the name to be free", LIMIT, || {
            Ok(self.create_topic(name, partitions).ok())
        })
    }

    /// Adds partitions to a topic.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn grow_topic(&self, name: &str, partitions: usize) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let wanted = NewPartitions::new(name, partitions);
        let grown = self
            .runtime
            .block_on(self.admin.create_partitions(&[wanted], &options))?;
        for outcome in grown {
            outcome.map_err(|(name, code)| anyhow!("topic {name} did not grow: {code}"))?;
        }
        Ok(())
    }

    /// Removes the records below `offset`.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let done = self
            .runtime
            .block_on(self.admin.delete_records(&list, &options))?;
        for element in done.elements() {
            element.error()?;
        }
        Ok(())
    }

    /// The group's committed offset by partition, `None` where it has none.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Result<Vec<Option<i64>>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .set("log_level", "0")
            .create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let committed = consumer.committed_offsets(list, LIMIT)?;
        let offset = |partition| match committed.find_partition(topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        Ok((0..partitions).map(offset).collect())
    }

    /// Low and high watermark of a partition.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        Ok(self.consumer.fetch_watermarks(topic, partition, LIMIT)?)
    }

    /// The group as the broker sees it.
    ///
    /// # Errors
    /// The broker does not answer or does not know it.
    pub fn group(&self, group: &str) -> Result<GroupView> {
        let groups = self.consumer.fetch_group_list(Some(group), LIMIT)?;
        let Some(found) = groups.groups().iter().find(|found| found.name() == group) else {
            bail!("the broker knows no group {group}");
        };
        let mut members: Vec<_> = found
            .members()
            .iter()
            .map(|member| member.id().to_owned())
            .collect();
        members.sort();
        Ok(GroupView {
            state: found.state().to_owned(),
            members,
        })
    }

    /// Waits until the group has committed `offsets`, partition by partition.
    ///
    /// # Errors
    /// It has not within `limit`; the message tells where it stands.
    pub fn await_committed(
        &self,
        group: &str,
        topic: &str,
        offsets: &[i64],
        limit: Duration,
    ) -> Result<()> {
        let mut last = Ok(Vec::new());
        until("the commit", limit, || {
            // A broker that was just started answers that it coordinates no group yet.
            last = self.committed(group, topic, offsets.len() as i32);
            let there = last.as_ref().is_ok_and(|last| {
                let mut pairs = offsets.iter().zip(last);
                // A partition without records has nothing to commit.
                pairs.all(|(wanted, is)| is.unwrap_or(0) >= *wanted)
            });
            Ok(there.then_some(()))
        })
        .with_context(|| format!("committed {last:?}, expected {offsets:?}"))
    }
}
