//! Three Kafka nodes in one cluster, each behind a proxy for whoever is to meet faults.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::broker::Broker;
use crate::kafka::{Installation, Kafka};
use crate::node_plan::NodePlan;
use crate::paths::free_port;
use crate::proxy::{Proxy, Weather};

/// How many nodes there are; every topic has a replica on each of them.
pub const NODES: usize = 3;
const MIN_IN_SYNC: usize = 2;

/// The nodes and their proxies. Clients that use [`Cluster::bootstrap`] meet no proxy.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Kafka>,
    proxies: Vec<Arc<Proxy>>,
}

impl Cluster {
    /// Formats the nodes in `dir`, starts them and waits until all answer. The proxies follow `seed`.
    ///
    /// # Errors
    /// One does not start.
    pub fn start(installation: &Installation, dir: &Path, seed: u64) -> Result<Self> {
        let mut voters = Vec::new();
        for id in 1..=NODES as u32 {
            voters.push((id, free_port()?));
        }
        let mut cluster = Self {
            nodes: Vec::new(),
            proxies: Vec::new(),
        };
        for (id, controller) in &voters {
            let port = free_port()?;
            let target: SocketAddr = format!("127.0.0.1:{port}").parse()?;
            let proxy = Proxy::start(target, seed.wrapping_add(u64::from(*id)))?;
            let plan = NodePlan::of_cluster(*id, *controller, &voters)?
                .listener("OUTSIDE", "PLAINTEXT", port, &proxy.address())
                .heap("-Xmx256m")
                .line(format!("default.replication.factor={NODES}"))
                .line(format!("min.insync.replicas={MIN_IN_SYNC}"))
                .line(format!("offsets.topic.replication.factor={NODES}"))
                // One coordinator, so that it is known which partition moves it.
                .line("offsets.topic.num.partitions=1")
                .line(format!("transaction.state.log.replication.factor={NODES}"))
                .line("transaction.state.log.num.partitions=1")
                .line("replica.lag.time.max.ms=3000")
                .line("broker.session.timeout.ms=3000")
                .line("broker.heartbeat.interval.ms=500")
                .line("controller.quorum.election.timeout.ms=500")
                .line("controller.quorum.fetch.timeout.ms=1000")
                .line("controlled.shutdown.max.retries=1")
                // Members of groups that brokers run are missed as soon as others.
                .line("group.consumer.min.session.timeout.ms=1000")
                .line("group.consumer.session.timeout.ms=3000")
                .line("group.consumer.min.heartbeat.interval.ms=200")
                .line("group.consumer.heartbeat.interval.ms=500")
                .line("num.network.threads=2")
                .line("num.io.threads=2")
                .line("background.threads=2")
                .line("log.cleaner.enable=false");
            let dir = dir.join(format!("node-{id}"));
            cluster
                .nodes
                .push(Kafka::planned(installation, &dir, plan)?);
            cluster.proxies.push(Arc::new(proxy));
        }
        for node in &mut cluster.nodes {
            node.launch()?;
        }
        for node in &mut cluster.nodes {
            node.await_answer()?;
        }
        Ok(cluster)
    }

    /// Where the tests' own clients find it: all nodes, separated by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let all: Vec<_> = self.nodes.iter().map(Kafka::bootstrap).collect();
        all.join(",")
    }

    /// The same through the proxies.
    #[must_use]
    pub fn outside(&self) -> String {
        let all: Vec<_> = self.proxies.iter().map(|proxy| proxy.address()).collect();
        all.join(",")
    }

    /// A client for administration, whose topics have a replica on every node.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn broker(&self) -> Result<Broker> {
        Ok(Broker::at(&self.bootstrap())?.replicating(NODES as i32))
    }

    /// The process of a node, counted from 0.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn node(&mut self, number: usize) -> Result<&mut Kafka> {
        self.nodes.get_mut(number).context("no such node")
    }

    /// The address of a node that runs, in clear and without a proxy.
    ///
    /// # Errors
    /// None runs.
    pub fn running(&self) -> Result<String> {
        let running = self.nodes.iter().find(|node| node.pid().is_some());
        Ok(running.context("no node runs")?.bootstrap())
    }

    /// The proxy before one node, or all proxies.
    #[must_use]
    pub fn proxies(&self, node: Option<usize>) -> Vec<Arc<Proxy>> {
        let all = self.proxies.iter().enumerate();
        all.filter(|(number, _)| node.is_none_or(|node| node == *number))
            .map(|(_, proxy)| Arc::clone(proxy))
            .collect()
    }

    /// Lets everything pass.
    pub fn clear(&self) {
        for proxy in &self.proxies {
            proxy.set(Weather::Fair);
        }
    }
}
