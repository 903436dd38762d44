//! An embedded broker that speaks the Kafka protocol and keeps its log in memory, for the demo, tests and benchmarks.
