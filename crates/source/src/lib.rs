//! What reading a partition decides, without clock, chance, thread or client.
//!
//! * [`lease`] names the right to commit for one assigned partition.
//! * [`memo`] is the text that a commit carries beside its offset.
//! * [`blocked`] names what keeps a partition from being read.
//! * [`births`] knows since when the group looks at a topic.
//! * [`start`] decides where reading begins, and where it goes on when an offset no longer exists.
//! * [`positions`] seeks the position of every assigned partition until it is found.
//! * [`commits`] is the one writer of committed offsets.
//! * [`fetching`] decides when the client may fetch ahead.
//! * [`supervision`] is what the supervisor of all actors decides.
//! * [`trouble`] knows what is in the way between the input and its brokers, and since when.
//! * [`window`] is the work of one partition in flight.
//!
//! The machines take the time as a value and return what is to be done. The poll thread and the topic
//! actors drive them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod births;
pub mod blocked;
pub mod commits;
pub mod fetching;
pub mod lease;
pub mod memo;
pub mod positions;
pub mod start;
pub mod supervision;
pub mod trouble;
pub mod window;
