//! The scripts.

use super::{Ability, At, Play, Reset, Trap};

/// All traps.
pub const TRAPS: &[Trap] = &[
    trap("what is assigned is not fetched before it may", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a"]);
        play.stage.assign(0, 0);
        play.read(9);
        play.resume();
        play.read(9);
    }),
    trap(
        "records come in order, then their end is told once",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b", "c"]);
            play.assign(0);
            play.read(9);
            play.read(9);
        },
    ),
    trap("the end of an empty partition is told", |play| {
        play.begin(Reset::Oldest);
        play.assign(0);
        play.read(9);
    }),
    trap("the end is told again behind what came later", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a"]);
        play.assign(0);
        play.read(9);
        play.write(&["b"]);
        play.read(9);
    }),
    trap(
        "what was read to its end goes on at the next record",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b"]);
            play.assign(0);
            play.read(9);
            play.pause();
            play.resume();
            play.write(&["c"]);
            play.read(9);
        },
    ),
    trap("reading begins within a log", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(2);
        play.read(9);
    }),
    trap("what is fetched waits for its reader", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.stage.await_fetched(0);
        play.read(1);
        play.read(1);
        play.read(9);
    }),
    trap(
        "a pause drops what was fetched, and nothing is lost by it",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b", "c", "d"]);
            play.assign(0);
            play.stage.await_fetched(0);
            play.read(1);
            play.pause();
            play.read(9);
            play.resume();
            play.read(9);
        },
    ),
    trap(
        "a second pause and a second resume change nothing",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b"]);
            play.assign(0);
            play.read(1);
            play.pause();
            play.pause();
            play.resume();
            play.resume();
            play.read(9);
        },
    ),
    trap("a seek drops what was fetched", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c", "d"]);
        play.assign(0);
        play.stage.await_fetched(0);
        play.read(1);
        play.seek(3, None);
        play.read(9);
    }),
    trap("a seek goes back", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.read(9);
        play.seek(1, None);
        play.read(9);
    }),
    trap("of two seeks the last one counts", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.seek(2, None);
        play.seek(1, None);
        play.read(9);
    }),
    trap("a seek to where one stands tells the end again", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a"]);
        play.assign(0);
        play.read(9);
        play.seek(1, None);
        play.read(9);
    }),
    trap("a seek while paused holds when it goes on", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.read(1);
        play.pause();
        play.seek(2, None);
        play.resume();
        play.read(9);
    }),
    trap("a seek with the epoch of the log goes there", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.seek(1, Some(0));
        play.read(9);
    }),
    trap("what was taken away is refused", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b"]);
        play.assign(0);
        play.read(1);
        play.stage.unassign(0);
        play.seek(0, None);
        play.pause();
    }),
    trap("what is assigned again begins where it is told", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c"]);
        play.assign(0);
        play.read(9);
        play.stage.unassign(0);
        play.assign(1);
        play.read(9);
    }),
    trap("one partition does not disturb another", |play| {
        play.stage.begin(2, Reset::Oldest);
        play.stage.write(0, &["a", "b"]);
        play.stage.write(1, &["x", "y"]);
        play.assign(0);
        play.stage.assign(1, 1);
        let resumed = play.stage.resume(1);
        play.answer("resume", resumed);
        play.read(1);
        play.stage.unassign(0);
        play.read_from(1, 9);
    }),
    trap(
        "an offset beyond the end leads to the first record",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b"]);
            play.assign(7);
            play.read(9);
        },
    ),
    trap("an offset beyond the end leads to the end", |play| {
        play.begin(Reset::Newest);
        play.write(&["a", "b"]);
        play.assign(7);
        play.read(9);
        play.write(&["c"]);
        play.read(9);
    }),
    trap(
        "an offset that was removed leads to the first that is left",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b", "c", "d"]);
            play.stage.remove_below(0, 2);
            play.assign(0);
            play.read(9);
        },
    ),
    trap("an offset that was removed leads to the end", |play| {
        play.begin(Reset::Newest);
        play.write(&["a", "b", "c", "d"]);
        play.stage.remove_below(0, 2);
        play.assign(0);
        play.read(9);
    }),
    trap("what was fetched before it was removed is read", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c", "d"]);
        play.assign(0);
        play.stage.await_fetched(0);
        play.stage.remove_below(0, 3);
        play.read(9);
    }),
    trap("what was removed while it rested is passed over", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b", "c", "d"]);
        play.assign(0);
        play.read(1);
        play.pause();
        play.stage.remove_below(0, 3);
        play.resume();
        play.read(9);
    }),
    trap("a whole log that was removed has an end", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a", "b"]);
        play.stage.remove_below(0, 2);
        play.assign(0);
        play.read(9);
    }),
    trap(
        "both ends of a log are known without asking once it is read",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b", "c"]);
            play.stage.remove_below(0, 1);
            play.assign(1);
            play.read(9);
            play.watermarks();
        },
    ),
    trap(
        "brokers name the first offset, the end, and that of a time",
        |play| {
            play.begin(Reset::Oldest);
            play.stage.write_at(0, "a", 1_000);
            play.stage.write_at(0, "b", 2_000);
            play.stage.write_at(0, "c", 3_000);
            play.stage.remove_below(0, 1);
            play.offset_at(At::Oldest);
            play.offset_at(At::Newest);
            play.offset_at(At::Time(1_500));
            play.offset_at(At::Time(3_000));
            play.offset_at(At::Time(3_001));
        },
    ),
    trap("an empty log has offsets and no times", |play| {
        play.begin(Reset::Oldest);
        play.offset_at(At::Oldest);
        play.offset_at(At::Newest);
        play.offset_at(At::Time(1));
    }),
    trap("a list is committed whoever owns the partition", |play| {
        play.stage.begin(2, Reset::Oldest);
        play.write(&["a", "b"]);
        play.assign(0);
        play.read(1);
        play.commit(1, 5, "foreign");
        play.committed(1);
        play.stage.unassign(0);
        play.commit(0, 1, "lost");
        play.committed(0);
    }),
    trap("a commit goes back and beyond the end", |play| {
        play.begin(Reset::Oldest);
        play.write(&["a"]);
        play.committed(0);
        play.commit(0, 900, "");
        play.committed(0);
        play.commit(0, 1, "back");
        play.committed(0);
    }),
    trap(
        "a topic that is made again has none of its commits",
        |play| {
            play.begin(Reset::Oldest);
            play.write(&["a", "b"]);
            play.commit(0, 2, "old");
            play.stage.recreate(1);
            play.committed(0);
        },
    ),
    Trap {
        needs: &[Ability::Transactions],
        ..trap("the end of a transaction is passed over", |play| {
            play.begin(Reset::Oldest);
            play.stage.write_transaction(0, &["a", "b"]);
            play.assign(0);
            play.read(9);
            play.stage.write_transaction(0, &["c"]);
            play.read(9);
        })
    },
    Trap {
        needs: &[Ability::Truncation],
        ..trap(
            "a log that was truncated is followed where the epoch tells",
            |play| {
                play.begin(Reset::Oldest);
                play.write(&["a", "b", "c", "d"]);
                play.assign(0);
                play.read(9);
                play.stage.truncate(0, 2);
                play.write(&["x", "y", "z"]);
                play.read(9);
            },
        )
    },
    Trap {
        needs: &[Ability::Truncation],
        ..trap(
            "a seek with the epoch of a log that was truncated goes to where it was cut",
            |play| {
                play.begin(Reset::Oldest);
                play.write(&["a", "b", "c", "d"]);
                play.stage.truncate(0, 2);
                play.write(&["x", "y", "z"]);
                play.assign(0);
                play.read(1);
                play.seek(4, Some(0));
                play.read(9);
            },
        )
    },
    Trap {
        needs: &[Ability::Truncation],
        ..trap(
            "a seek without an epoch goes into what took the place of what was truncated",
            |play| {
                play.begin(Reset::Oldest);
                play.write(&["a", "b", "c", "d"]);
                play.stage.truncate(0, 2);
                play.write(&["x", "y", "z"]);
                play.assign(0);
                play.read(1);
                play.seek(4, None);
                play.read(9);
            },
        )
    },
];

const fn trap(name: &'static str, run: fn(&mut Play<'_>)) -> Trap {
    Trap {
        name,
        needs: &[],
        run,
    }
}
