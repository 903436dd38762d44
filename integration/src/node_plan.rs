//! What a Kafka node is to be: where it listens, its place in the cluster, its settings.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::paths::free_port;

/// The settings of one node, broker and controller in one. Its first listener is in clear; brokers
/// speak to each other there, and so do the tests' own clients.
#[derive(Debug, Clone)]
pub struct NodePlan {
    id: u32,
    controller: u16,
    voters: String,
    listeners: Vec<Listener>,
    heap: &'static str,
    lines: Vec<String>,
    format: Vec<String>,
}

#[derive(Debug, Clone)]
struct Listener {
    name: String,
    protocol: &'static str,
    port: u16,
    /// The address that clients are told.
    advertised: String,
}

impl NodePlan {
    /// The only node of a cluster.
    ///
    /// # Errors
    /// No port is free.
    pub fn single() -> Result<Self> {
        let controller = free_port()?;
        let plan = Self::of_cluster(1, controller, &[(1, controller)])?;
        Ok(plan
            .line("offsets.topic.replication.factor=1")
            .line("offsets.topic.num.partitions=1")
            .line("transaction.state.log.replication.factor=1")
            .line("transaction.state.log.min.isr=1")
            .line("transaction.state.log.num.partitions=1"))
    }

    /// Node `id` of a cluster whose controllers, as id and port, are `voters`; its own listens on
    /// `controller`.
    ///
    /// # Errors
    /// No port is free.
    pub fn of_cluster(id: u32, controller: u16, voters: &[(u32, u16)]) -> Result<Self> {
        let voters: Vec<_> = voters
            .iter()
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let plan = Self {
            id,
            controller,
            voters: voters.join(","),
            listeners: Vec::new(),
            heap: "-Xmx768m",
            lines: Vec::new(),
            format: Vec::new(),
        };
        let port = free_port()?;
        Ok(plan.listener("PLAINTEXT", "PLAINTEXT", port, &format!("127.0.0.1:{port}")))
    }

    /// Another listener on `port`, which clients are told to find at `advertised`.
    #[must_use]
    pub fn listener(
        mut self,
        name: &str,
        protocol: &'static str,
        port: u16,
        advertised: &str,
    ) -> Self {
        self.listeners.push(Listener {
            name: name.to_owned(),
            protocol,
            port,
            advertised: advertised.to_owned(),
        });
        self
    }

    /// Another bound of its memory, as an option of Java.
    #[must_use]
    pub const fn heap(mut self, option: &'static str) -> Self {
        self.heap = option;
        self
    }

    /// Adds a line to its properties; a later one replaces an earlier one.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Adds an argument for the tool that formats its storage.
    #[must_use]
    pub fn format_with(mut self, argument: impl Into<String>) -> Self {
        self.format.push(argument.into());
        self
    }

    pub(crate) const fn java_heap(&self) -> &'static str {
        self.heap
    }

    pub(crate) fn format_arguments(&self) -> &[String] {
        &self.format
    }

    /// Where the tests' own clients find it.
    pub(crate) fn bootstrap(&self) -> String {
        let first = self.listeners.first();
        format!("127.0.0.1:{}", first.map_or(0, |listener| listener.port))
    }

    /// The text of its properties file, with its data in `data`.
    pub(crate) fn properties(&self, data: &Path) -> Result<String> {
        let each = |what: &dyn Fn(&Listener) -> String| {
            let all: Vec<_> = self.listeners.iter().map(what).collect();
            all.join(",")
        };
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             controller.quorum.voters={voters}\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={advertised}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT\n\
             log.dirs={data}\n\
             auto.create.topics.enable=false\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=500\n\
             log.cleaner.dedupe.buffer.size=16777216\n\
             message.max.bytes=33554432\n\
             replica.fetch.max.bytes=33554432\n\
             socket.request.max.bytes=104857600\n",
            id = self.id,
            voters = self.voters,
            listeners = each(&|one| format!("{}://127.0.0.1:{}", one.name, one.port)),
            controller = self.controller,
            advertised = each(&|one| format!("{}://{}", one.name, one.advertised)),
            protocols = each(&|one| format!("{}:{}", one.name, one.protocol)),
            data = data.display(),
        );
        for line in &self.lines {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }
}
