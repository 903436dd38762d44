//! Actors that die on demand, for tests of what that costs.

use actix::{Context, Handler};

use super::dead_letter::DeadLetterActor;
use super::forwarder::ForwarderActor;
use super::messages::{Child, Crash, Die};
use super::parser::ParserActor;
use super::router::Router;
use super::supervisor::Supervisor;
use super::topic::TopicActor;

impl Router {
    /// Lets an actor die; `None` means the actor of some partition.
    pub(crate) fn crash(&self, child: Option<Child>) {
        self.address().do_send(Crash { child });
    }
}

impl Handler<Crash> for Supervisor {
    type Result = ();

    fn handle(&mut self, crash: Crash, _: &mut Context<Self>) {
        let addresses = self.directory().load();
        match crash.child {
            Some(Child::Parser(index)) => addresses.parsers[index].do_send(Die),
            Some(Child::Forwarder(id)) => addresses.forwarders[&id].do_send(Die),
            Some(Child::DeadLetter) => addresses.dead_letter.do_send(Die),
            Some(Child::Topic(..)) | None => self.topics().next().unwrap().do_send(Die),
        }
    }
}

macro_rules! mortal {
    ($($actor:ty),*) => {$(
        impl Handler<Die> for $actor {
            type Result = ();

            fn handle(&mut self, _: Die, _: &mut Context<Self>) {
                panic!("told to die");
            }
        }
    )*};
}

mortal!(ParserActor, ForwarderActor, DeadLetterActor, TopicActor);
