//! kafkamq.
