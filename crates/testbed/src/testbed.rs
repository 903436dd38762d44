//! All receivers together, as the demo and the binary run them.

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::receiver::{DatakitOptions, Handle, HandleOptions, Receiver};

/// A DataKit stand-in, a Dataway, a standard collector and a handle, each on a port of its own.
#[derive(Debug)]
pub struct Testbed {
    /// The DataKit stand-in.
    pub datakit: Receiver,
    /// A DataKit stand-in that plays Dataway and asks for [`Testbed::TOKEN`].
    pub dataway: Receiver,
    /// A standard OTLP, Jaeger and InfluxDB-style collector.
    pub collector: Receiver,
    /// The user's handle for `remote_handle`.
    pub handle: Receiver,
    handle_set_up: Handle,
}

/// Where each receiver listens, and the control interface if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The DataKit stand-in.
    pub datakit: SocketAddr,
    /// The Dataway stand-in.
    pub dataway: SocketAddr,
    /// The standard collector.
    pub collector: SocketAddr,
    /// The user's handle.
    pub handle: SocketAddr,
    /// The control interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<SocketAddr>,
}

impl Testbed {
    /// The token the Dataway asks for.
    pub const TOKEN: &str = "tkn_0123456789abcdef0123456789abcdef";

    /// Starts all receivers on loopback ports chosen by the system.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn start(handle: HandleOptions) -> io::Result<Self> {
        let handle_set_up = Handle::new(handle);
        Ok(Self {
            datakit: Receiver::datakit(DatakitOptions::default())?,
            dataway: Receiver::datakit(DatakitOptions {
                token: Some(Self::TOKEN.to_owned()),
            })?,
            collector: Receiver::collector()?,
            handle: Receiver::with(handle_set_up.clone())?,
            handle_set_up,
        })
    }

    /// The receivers with their names.
    #[must_use]
    pub const fn receivers(&self) -> [(&'static str, &Receiver); 4] {
        [
            ("datakit", &self.datakit),
            ("dataway", &self.dataway),
            ("collector", &self.collector),
            ("handle", &self.handle),
        ]
    }

    /// A receiver by its name.
    #[must_use]
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers()
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, receiver)| receiver)
    }

    /// Where the receivers listen; `control` is left out.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        Addresses {
            datakit: self.datakit.addr(),
            dataway: self.dataway.addr(),
            collector: self.collector.addr(),
            handle: self.handle.addr(),
            control: None,
        }
    }

    /// Changes what the handle answers, from its next request on.
    pub fn set_handle(&self, options: HandleOptions) {
        self.handle_set_up.set(options);
    }
}
