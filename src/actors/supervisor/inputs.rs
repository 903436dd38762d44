//! Making the clients of inputs, and letting them join their groups.

use std::sync::Arc;
use std::time::Instant;

use actix::Addr;

use super::input::Input;
use super::{StartError, Supervisor};
use crate::actors::listener::InputListener;
use crate::kafka::client::{consumer_config, initial_offset, outside_config, refused_options};
use crate::kafka::{AssignmentListener, BirthStore, PollOptions, PreparedConsumer, Reading};
use crate::metrics::Metrics;
use kafkamq_conversion::route::InputId;
use kafkamq_settings::{InputSettings, LimitSettings, OutOfRange, Sasl};

/// Refuses what this version does not do, rather than doing something else.
fn unsupported(input: &InputSettings) -> Result<(), StartError> {
    if let Some(Sasl::OAuthBearer(_)) = &input.cluster.security.sasl {
        return Err(StartError::Unsupported(
            "`tls_sasl_mechanism = \"OAUTHBEARER\"`",
        ));
    }
    Ok(())
}

/// Why the client of an input cannot be made, without one that dials brokers.
pub(in crate::actors) fn refusal_of(
    input: &InputSettings,
    limits: &LimitSettings,
) -> Option<StartError> {
    if let Err(error) = unsupported(input) {
        return Some(error);
    }
    let refused = refused_options(consumer_config(input, limits)).err();
    refused.map(|source| StartError::Kafka {
        input: input.name.clone(),
        source,
    })
}

/// Makes the client of an input, which joins no group yet.
pub(super) fn prepare_input(
    input: &InputSettings,
    limits: &LimitSettings,
    supervisor: &Addr<Supervisor>,
    metrics: &Metrics,
    births: &Arc<BirthStore>,
    reading: &Reading,
) -> Result<PreparedConsumer, StartError> {
    unsupported(input)?;
    let listener: Arc<dyn AssignmentListener> = Arc::new(InputListener {
        input: InputId(input.name.as_str().into()),
        supervisor: supervisor.clone(),
        metrics: metrics.clone(),
    });
    let options = PollOptions {
        input: input.name.clone(),
        cluster: input.cluster.clone(),
        topics: input.selection(),
        client: match reading {
            Reading::Member => consumer_config(input, limits),
            Reading::Once(_) => outside_config(input, limits),
        },
        initial: initial_offset(input.offsets),
        out_of_range: match input.out_of_range {
            OutOfRange::Resume(at) => Some(initial_offset(at)),
            OutOfRange::Stop => None,
        },
        commit_interval: input.commit_interval,
        births: births.of(&input.group_id, &input.cluster.addrs),
        is_static: input.group_instance_id.is_some(),
        drain_timeout: input.drain_timeout,
        reading: reading.clone(),
    };
    PreparedConsumer::try_new(options, listener).map_err(|source| StartError::Kafka {
        input: input.name.clone(),
        source,
    })
}

impl Supervisor {
    pub(in crate::actors) fn start_inputs(
        &mut self,
        address: &Addr<Self>,
        reading: &Reading,
    ) -> Result<(), StartError> {
        let settings = Arc::clone(&self.settings);
        for input in &settings.inputs {
            let limits = &settings.limits;
            let (metrics, births) = (&self.metrics, &self.births);
            let prepared = prepare_input(input, limits, address, metrics, births, reading)?;
            self.start_input(input.clone(), prepared)?;
        }
        Ok(())
    }

    /// Lets an input join its group.
    pub(super) fn start_input(
        &mut self,
        settings: InputSettings,
        prepared: PreparedConsumer,
    ) -> Result<(), StartError> {
        let id = InputId(settings.name.as_str().into());
        let joined = &self.metrics.input_joined;
        joined.with_label_values(&[&*id.0]).set(0);
        let thread = prepared.start().map_err(|source| StartError::Kafka {
            input: settings.name.clone(),
            source,
        })?;
        let mut input = Input::new(settings, Instant::now());
        input.thread = Some(thread);
        self.inputs.insert(id, input);
        Ok(())
    }
}
