//! Where an address is, from MaxMind database files.

use maxminddb::{Reader, geoip2};
use std::net::IpAddr;
use std::path::Path;

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use address database `{path}`: {source}")]
pub struct GeoError {
    path: String,
    source: maxminddb::MaxMindDbError,
}

/// What is known about an address; unknown parts are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The city, by its English name.
    pub city: String,
    /// The first subdivision of the country.
    pub province: String,
    /// The ISO code.
    pub country: String,
    /// The internet provider, `unknown` without data about it.
    pub isp: String,
}

/// A City database, with a provider database if there is one. Give it to the engine as a service for
/// `geoip` to find anything.
#[derive(Debug)]
pub struct GeoDatabase {
    city: Reader<Vec<u8>>,
    isp: Option<Reader<Vec<u8>>>,
}

impl GeoDatabase {
    /// Reads the databases into memory.
    ///
    /// # Errors
    /// If a file cannot be read or is no database.
    pub fn open(city: &Path, isp: Option<&Path>) -> Result<Self, GeoError> {
        let open = |path: &Path| {
            Reader::open_readfile(path).map_err(|source| GeoError {
                path: path.display().to_string(),
                source,
            })
        };
        Ok(Self {
            city: open(city)?,
            isp: isp.map(open).transpose()?,
        })
    }

    /// Looks an address up; `None` for a text that is no address, and for an address without a record.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<Place> {
        let ip: IpAddr = address.parse().ok()?;
        let city: geoip2::City<'_> = self.city.lookup(ip).ok()?.decode().ok()??;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let province = city.subdivisions.first();
        let mut place = Place {
            city: text(city.city.names.english),
            province: text(province.and_then(|province| province.names.english)),
            country: text(city.country.iso_code),
            isp: self.provider(ip).unwrap_or_else(|| "unknown".to_owned()),
        };
        let region = match place.country.as_str() {
            "TW" => "Taiwan",
            "HK" => "Hong Kong",
            "MO" => "Macao",
            _ => return Some(place),
        };
        place.country = "CN".to_owned();
        place.province = region.to_owned();
        Some(place)
    }

    fn provider(&self, ip: IpAddr) -> Option<String> {
        let record: geoip2::Isp<'_> = self.isp.as_ref()?.lookup(ip).ok()?.decode().ok()??;
        record.isp.map(str::to_owned)
    }
}
