//! Making and removing topics, which only the benchmark does.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;

use super::KafkaError;

/// How long the brokers may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The topics of one cluster.
pub(crate) struct Topics {
    client: AdminClient<DefaultClientContext>,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

impl Topics {
    /// Those of the brokers at `bootstrap`, spoken to without encryption or authentication.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(crate) fn at(bootstrap: &str) -> Result<Self, KafkaError> {
        let client = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.metrics.push", "false")
            .create()
            .map_err(KafkaError::from_client)?;
        Ok(Self { client })
    }

    /// Creates `names` with as many partitions each, one replica.
    ///
    /// # Errors
    /// When the brokers do not answer or refuse one of them.
    pub(crate) async fn create(&self, names: &[&str], partitions: i32) -> Result<(), KafkaError> {
        let topics: Vec<_> = names
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
            .collect();
        let results = self.client.create_topics(&topics, &options()).await;
        check(results)
    }

    /// Removes `names` with all their records.
    ///
    /// # Errors
    /// When the brokers do not answer or refuse one of them.
    pub(crate) async fn delete(&self, names: &[&str]) -> Result<(), KafkaError> {
        check(self.client.delete_topics(names, &options()).await)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(TIMEOUT))
        .request_timeout(Some(TIMEOUT))
}

fn check(results: rdkafka::error::KafkaResult<Vec<TopicResult>>) -> Result<(), KafkaError> {
    for result in results.map_err(KafkaError::from_client)? {
        if let Err((_, code)) = result {
            return Err(KafkaError::Client(rdkafka::error::KafkaError::AdminOp(
                code,
            )));
        }
    }
    Ok(())
}
