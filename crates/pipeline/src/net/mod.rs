//! Addresses: URLs taken apart, percent encoding, containment of addresses, where an address is.

mod cidr;
mod geo;
mod percent;
mod url;

pub(crate) use cidr::contains;
pub use geo::{GeoDatabase, GeoError, Place};
pub(crate) use percent::decode_query;
pub(crate) use url::Url;
