//! The coordinator's rules, with a clock that only moves when told to.

use super::*;
use proptest::prelude::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

struct Fixture {
    group: Group,
    now: Instant,
}

type Joining = oneshot::Receiver<JoinReply>;
type Syncing = oneshot::Receiver<SyncReply>;

fn fixture() -> Fixture {
    Fixture {
        group: Group::new("g", Duration::ZERO),
        now: Instant::now(),
    }
}

fn request(member: &str) -> JoinRequest {
    JoinRequest {
        member: member.to_owned(),
        instance: None,
        client: "c".to_owned(),
        host: "h".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"sub"))],
        asks_for_id: false,
    }
}

impl Fixture {
    fn join(&mut self, request: JoinRequest) -> Joining {
        let (answer, answered) = oneshot::channel();
        self.group.join(request, answer, self.now);
        answered
    }

    fn sync(
        &mut self,
        id: &str,
        generation: i32,
        assignments: &[(&str, &'static [u8])],
    ) -> Syncing {
        let (answer, answered) = oneshot::channel();
        let assignments = assignments
            .iter()
            .map(|(id, a)| ((*id).to_owned(), Bytes::from_static(a)))
            .collect();
        self.group
            .sync(id, None, generation, assignments, answer, self.now);
        answered
    }

    fn heartbeat(&mut self, id: &str, generation: i32) -> Result<(), ResponseError> {
        self.group.heartbeat(id, None, generation, self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.tick(self.now);
    }

    /// A stable group of two; returns their ids, the leader's first, and the generation.
    fn pair(&mut self) -> (String, String, i32) {
        let first = self.join(request("")).try_recv().unwrap();
        self.sync(&first.member, 1, &[])
            .try_recv()
            .unwrap()
            .unwrap();
        let mut second = self.join(request(""));
        let mut again = self.join(request(&first.member));
        let (leader, follower) = (again.try_recv().unwrap(), second.try_recv().unwrap());
        assert_eq!((&leader.leader, leader.members.len()), (&leader.member, 2));
        assert_eq!(
            (&follower.leader, follower.members.len()),
            (&leader.member, 0)
        );
        let (a, b) = (leader.member, follower.member);
        let mut waiting = self.sync(&b, 2, &[(&b, b"forged")]);
        assert!(waiting.try_recv().is_err());
        let mut done = self.sync(&a, 2, &[(&a, b"for a"), (&b, b"for b")]);
        assert_eq!(done.try_recv().unwrap(), Ok(Bytes::from_static(b"for a")));
        assert_eq!(
            waiting.try_recv().unwrap(),
            Ok(Bytes::from_static(b"for b"))
        );
        (a, b, 2)
    }
}

#[test]
fn a_pair_forms_and_both_live_on_heartbeats() {
    let mut f = fixture();
    let (a, b, generation) = f.pair();
    assert_eq!(f.group.state_name(), "Stable");
    for _ in 0..5 {
        f.pass(SESSION - Duration::from_secs(1));
        assert_eq!(f.heartbeat(&a, generation), Ok(()));
        assert_eq!(f.heartbeat(&b, generation), Ok(()));
    }
    assert_eq!(
        f.heartbeat(&a, generation - 1),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(
        f.heartbeat("x", generation),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn a_member_that_falls_silent_goes_and_the_other_is_told() {
    let mut f = fixture();
    let (a, b, generation) = f.pair();
    f.pass(SESSION - Duration::from_secs(1));
    f.heartbeat(&a, generation).unwrap();
    f.group.take_events();
    f.pass(Duration::from_secs(2));
    assert_eq!(
        f.heartbeat(&a, generation),
        Err(ResponseError::RebalanceInProgress)
    );
    let reason = Departure::SessionExpired;
    assert_eq!(
        f.group.take_events()[0],
        EventKind::Leave {
            group: "g".into(),
            member: b,
            reason
        }
    );
    let alone = f.join(request(&a)).try_recv().unwrap();
    assert_eq!((alone.generation, alone.members.len()), (3, 1));
}

#[test]
fn a_rebalance_waits_for_all_and_drops_who_is_late() {
    let mut f = fixture();
    let (a, b, generation) = f.pair();
    f.group.rebalance(f.now);
    let mut joined = f.join(request(&a));
    // `b` lives, as its heartbeats show, but does not join.
    for _ in 0..7 {
        f.pass(Duration::from_secs(8));
        assert!(joined.try_recv().is_err());
        assert_eq!(
            f.heartbeat(&b, generation),
            Err(ResponseError::RebalanceInProgress)
        );
    }
    f.pass(Duration::from_secs(4));
    assert_eq!(joined.try_recv().unwrap().members.len(), 1);
    assert_eq!(
        f.heartbeat(&b, generation + 1),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn a_leader_that_does_not_assign_is_dropped() {
    let mut f = fixture();
    let (a, b, generation) = f.pair();
    f.group.rebalance(f.now);
    let mut first = f.join(request(&a));
    f.join(request(&b));
    assert_eq!(first.try_recv().unwrap().generation, generation + 1);
    // The answers to `b` go nowhere above; it syncs, the leader only sends heartbeats.
    let mut synced = f.sync(&b, generation + 1, &[]);
    for _ in 0..10 {
        f.pass(Duration::from_secs(6));
        assert_eq!(
            f.heartbeat(&a, generation + 1).is_ok(),
            f.group.state_name() == "CompletingRebalance"
        );
    }
    assert_eq!(
        synced.try_recv().unwrap(),
        Err(ResponseError::RebalanceInProgress)
    );
    assert_eq!(
        f.group.members().map(|m| m.id.clone()).collect::<Vec<_>>(),
        [b]
    );
}

#[test]
fn a_new_member_is_given_an_id_and_expected_back() {
    let mut f = fixture();
    let asking = JoinRequest {
        asks_for_id: true,
        ..request("")
    };
    let refused = f.join(asking.clone()).try_recv().unwrap();
    assert_eq!(refused.error, Some(ResponseError::MemberIdRequired));
    let other = f.join(asking).try_recv().unwrap();
    let mut first = f.join(request(&refused.member));
    // The group waits for the second, whose id has been given out ...
    assert!(first.try_recv().is_err());
    // ... but not for ever. The one that waits is not to blame for its silence.
    f.pass(SESSION);
    assert_eq!(first.try_recv().unwrap().members.len(), 1);
    let stranger = f.join(request(&other.member)).try_recv().unwrap();
    assert_eq!(stranger.error, Some(ResponseError::UnknownMemberId));
}

#[test]
fn the_first_member_waits_for_others_as_long_as_it_is_told() {
    let mut f = Fixture {
        group: Group::new("g", Duration::from_secs(3)),
        now: Instant::now(),
    };
    let mut first = f.join(request(""));
    f.pass(Duration::from_secs(2));
    let mut second = f.join(request(""));
    assert!(first.try_recv().is_err() && second.try_recv().is_err());
    assert_eq!(f.group.deadline(), Some(f.now + Duration::from_secs(1)));
    f.pass(Duration::from_secs(1));
    assert_eq!(first.try_recv().unwrap().generation, 1);
    assert_eq!(second.try_recv().unwrap().generation, 1);
}

#[test]
fn strangers_to_the_protocol_are_kept_out() {
    let mut f = fixture();
    let (a, _, _) = f.pair();
    let other = vec![("sticky".to_owned(), Bytes::new())];
    let reply = f
        .join(JoinRequest {
            protocols: other,
            ..request("")
        })
        .try_recv()
        .unwrap();
    assert_eq!(reply.error, Some(ResponseError::InconsistentGroupProtocol));
    let connect = JoinRequest {
        protocol_type: "connect".into(),
        ..request("")
    };
    let reply = f.join(connect).try_recv().unwrap();
    assert_eq!(reply.error, Some(ResponseError::InconsistentGroupProtocol));
    // One member alone may change its mind.
    let mut f2 = fixture();
    let alone = f2.join(request("")).try_recv().unwrap();
    let other = vec![("sticky".to_owned(), Bytes::new())];
    let reply = f2.join(JoinRequest {
        protocols: other,
        ..request(&alone.member)
    });
    assert_eq!({ reply }.try_recv().unwrap().protocol, "sticky");
    assert_eq!(f.group.members().len(), 2, "{a}");
}

#[test]
fn the_strategy_is_one_all_know_and_most_prefer() {
    let mut f = fixture();
    let knows = |names: &[&str]| JoinRequest {
        protocols: names
            .iter()
            .map(|n| ((*n).to_owned(), Bytes::new()))
            .collect(),
        ..request("")
    };
    f.group.initial_delay = Duration::from_secs(1);
    let mut replies = [
        f.join(knows(&["a", "b", "c"])),
        f.join(knows(&["c", "b"])),
        f.join(knows(&["d", "c", "b"])),
    ];
    f.pass(Duration::from_secs(1));
    for reply in &mut replies {
        assert_eq!(reply.try_recv().unwrap().protocol, "c");
    }
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_the_old_one_is_fenced() {
    let mut f = fixture();
    let fixed = JoinRequest {
        instance: Some("i".into()),
        ..request("")
    };
    let old = f.join(fixed.clone()).try_recv().unwrap();
    f.sync(&old.member, 1, &[(&old.member, b"mine")])
        .try_recv()
        .unwrap()
        .unwrap();
    let new = f.join(fixed).try_recv().unwrap();
    assert_eq!((new.generation, new.members.len()), (1, 0));
    assert_ne!(new.member, old.member);
    assert_ne!(new.leader, new.member);
    let mine = f.sync(&new.member, 1, &[]).try_recv().unwrap();
    assert_eq!(mine, Ok(Bytes::from_static(b"mine")));
    let now = f.now;
    let fenced = f.group.heartbeat(&old.member, Some("i"), 1, now);
    assert_eq!(fenced, Err(ResponseError::FencedInstanceId));
    assert_eq!(f.group.leave("", Some("i"), Departure::Left, now), Ok(()));
    assert_eq!(f.group.state_name(), "Empty");
}

#[test]
fn commits_need_the_current_generation_or_an_empty_group() {
    let mut f = fixture();
    let now = f.now;
    assert_eq!(f.group.may_commit("", None, -1, now), Ok(()));
    let (a, _, generation) = f.pair();
    assert_eq!(
        f.group.may_commit("", None, -1, now),
        Err(ResponseError::UnknownMemberId)
    );
    assert_eq!(
        f.group.may_commit(&a, None, 1, now),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(f.group.may_commit(&a, None, generation, now), Ok(()));
    // While the others join again, what was acknowledged may still be committed.
    f.group.rebalance(now);
    assert_eq!(f.group.may_commit(&a, None, generation, now), Ok(()));
}

#[test]
fn a_client_that_vanished_while_joining_is_not_waited_for() {
    let mut f = fixture();
    let (a, b, _) = f.pair();
    f.group.rebalance(f.now);
    drop(f.join(request(&b)));
    let mut joined = f.join(request(&a));
    assert!(joined.try_recv().is_err());
    f.pass(SESSION);
    assert_eq!(joined.try_recv().unwrap().members.len(), 1);
}

/// Something a client, or time, may do to a group. Numbers pick members, modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    Join {
        instance: Option<u8>,
        asks_for_id: bool,
        timeout: u64,
    },
    Rejoin(usize),
    Vanish(usize),
    Sync(usize),
    Heartbeat(usize),
    Leave(usize),
    Rebalance,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let instance = proptest::option::weighted(0.3, 0..3u8);
    prop_oneof![
        2 => (instance, any::<bool>(), 1..20u64).prop_map(|(instance, asks_for_id, timeout)| {
            Step::Join { instance, asks_for_id, timeout }
        }),
        4 => any::<usize>().prop_map(Step::Rejoin),
        1 => any::<usize>().prop_map(Step::Vanish),
        4 => any::<usize>().prop_map(Step::Sync),
        2 => any::<usize>().prop_map(Step::Heartbeat),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => Just(Step::Rebalance),
        3 => (0..15u64).prop_map(Step::Pass),
    ]
}

/// A client as it sees itself.
struct Client {
    id: String,
    instance: Option<String>,
    generation: i32,
    leads: Vec<String>,
    joining: Option<Joining>,
    syncing: Option<Syncing>,
}

impl Client {
    /// Takes the answers that have come.
    fn read(&mut self) {
        if let Some(reply) = self
            .joining
            .as_mut()
            .and_then(|joining| joining.try_recv().ok())
        {
            self.joining = None;
            self.id = reply.member;
            self.generation = reply.generation;
            self.leads = reply.members.into_iter().map(|(id, ..)| id).collect();
        }
        if self
            .syncing
            .as_mut()
            .is_some_and(|syncing| syncing.try_recv().is_ok())
        {
            self.syncing = None;
        }
    }
}

fn take(f: &mut Fixture, clients: &mut Vec<Client>, step: Step) {
    let at = |number: usize| number.checked_rem(clients.len());
    match step {
        Step::Join {
            instance,
            asks_for_id,
            timeout,
        } => {
            let instance = instance.map(|name| format!("static-{name}"));
            let joining = f.join(JoinRequest {
                instance: instance.clone(),
                asks_for_id,
                session_timeout: Duration::from_secs(timeout),
                rebalance_timeout: Duration::from_secs(2 * timeout),
                ..request("")
            });
            clients.push(Client {
                id: String::new(),
                instance,
                generation: -1,
                leads: Vec::new(),
                joining: Some(joining),
                syncing: None,
            });
        }
        Step::Rejoin(number) => {
            let Some(client) = at(number).map(|at| &mut clients[at]) else {
                return;
            };
            let again = JoinRequest {
                instance: client.instance.clone(),
                ..request(&client.id)
            };
            client.joining = Some(f.join(again));
        }
        Step::Vanish(number) => drop(at(number).map(|at| clients.remove(at))),
        Step::Sync(number) => {
            let Some(client) = at(number).map(|at| &mut clients[at]) else {
                return;
            };
            let assignments = client
                .leads
                .iter()
                .map(|id| (id.clone(), Bytes::from(id.clone())))
                .collect();
            let (answer, answered) = oneshot::channel();
            let instance = client.instance.as_deref();
            f.group.sync(
                &client.id,
                instance,
                client.generation,
                assignments,
                answer,
                f.now,
            );
            client.syncing = Some(answered);
        }
        Step::Heartbeat(number) => {
            let Some(client) = at(number).map(|at| &clients[at]) else {
                return;
            };
            let instance = client.instance.as_deref();
            f.group
                .heartbeat(&client.id, instance, client.generation, f.now)
                .ok();
        }
        Step::Leave(number) => {
            let Some(client) = at(number).map(|at| clients.remove(at)) else {
                return;
            };
            let instance = client.instance.as_deref();
            f.group
                .leave(&client.id, instance, Departure::Left, f.now)
                .ok();
        }
        Step::Rebalance => f.group.rebalance(f.now),
        Step::Pass(seconds) => f.pass(Duration::from_secs(seconds)),
    }
}

proptest! {
    #[test]
    fn a_group_never_gets_stuck(steps in proptest::collection::vec(step(), 0..60), delay in 0..3u64) {
        let mut f = Fixture {
            group: Group::new("g", Duration::from_secs(delay)),
            now: Instant::now(),
        };
        let mut clients = Vec::new();
        let mut generation = 0;
        for step in steps {
            take(&mut f, &mut clients, step);
            clients.iter_mut().for_each(Client::read);
            // Otherwise the timer would spin.
            f.group.tick(f.now);
            prop_assert!(f.group.deadline().is_none_or(|deadline| deadline > f.now));
            prop_assert!(f.group.generation() >= generation);
            generation = f.group.generation();
            prop_assert_eq!(f.group.state == State::Empty, f.group.members.is_empty());
            for (instance, id) in &f.group.instances {
                prop_assert_eq!(f.group.members[id].instance.as_ref(), Some(instance));
            }
        }
        // Whoever waits gets an answer without anybody doing anything more ...
        for _ in 0..1000 {
            let Some(deadline) = f.group.deadline() else { break };
            f.now = deadline;
            f.group.tick(deadline);
            clients.iter_mut().for_each(Client::read);
        }
        prop_assert!(clients.iter().all(|client| client.joining.is_none() && client.syncing.is_none()));
        // ... and without any member left, the group is empty.
        prop_assert_eq!(f.group.state_name(), "Empty");
    }
}
