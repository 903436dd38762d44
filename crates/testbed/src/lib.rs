//! Sample producers' payloads and strict, fault-injecting HTTP receivers that decode what arrives.
