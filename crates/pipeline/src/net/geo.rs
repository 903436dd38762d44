//! Where an address is, from MaxMind database files.

use std::net::IpAddr;
use std::path::Path;

use arc_swap::ArcSwap;
use maxminddb::{Reader, geoip2};

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
    pub(crate) city: String,
    /// The first subdivision of the country.
    pub(crate) province: String,
    /// The ISO code.
    pub(crate) country: String,
    /// The internet provider, `unknown` without data about it.
    pub(crate) isp: String,
}

/// A City database, with a provider database if there is one. Give it to the engine as a service for
/// `geoip` to find anything.
///
/// The files are in memory; [`GeoDatabase::replace`] exchanges them while scripts run.
#[derive(Debug)]
pub struct GeoDatabase(ArcSwap<Files>);

#[derive(Debug)]
struct Files {
    city: Reader<Vec<u8>>,
    isp: Option<Reader<Vec<u8>>>,
}

impl GeoDatabase {
    /// Reads the databases into memory.
    ///
    /// # Errors
    /// If a file cannot be read or is not a database.
    pub fn open(city: &Path, isp: Option<&Path>) -> Result<Self, GeoError> {
        let open = |path: &Path| {
            Reader::open_readfile(path).map_err(|source| GeoError {
                path: path.display().to_string(),
                source,
            })
        };
        Ok(Self(ArcSwap::from_pointee(Files {
            city: open(city)?,
            isp: isp.map(open).transpose()?,
        })))
    }

    /// Takes over the files of another one. A look-up sees the old or the new ones.
    pub fn replace(&self, other: Self) {
        self.0.store(other.0.into_inner());
    }

    /// Looks an address up; `None` for a text that is not an address, and for an address without a record.
    #[must_use]
    pub(crate) fn find(&self, address: &str) -> Option<Place> {
        let ip: IpAddr = address.parse().ok()?;
        let files = self.0.load();
        let city: geoip2::City<'_> = files.city.lookup(ip).ok()?.decode().ok()??;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let province = city.subdivisions.first();
        let mut place = Place {
            city: text(city.city.names.english),
            province: text(province.and_then(|province| province.names.english)),
            country: text(city.country.iso_code),
            isp: files.provider(ip).unwrap_or_else(|| "unknown".to_owned()),
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
}

impl Files {
    fn provider(&self, ip: IpAddr) -> Option<String> {
        let record: geoip2::Isp<'_> = self.isp.as_ref()?.lookup(ip).ok()?.decode().ok()??;
        record.isp.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let mut out = vec![2 << 5 | text.len() as u8];
        out.extend_from_slice(text.as_bytes());
        out
    }

    fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![7 << 5 | pairs.len() as u8];
        for (key, value) in pairs {
            out.extend(text(key));
            out.extend(value);
        }
        out
    }

    fn array(items: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![items.len() as u8, 11 - 7];
        out.extend(items.concat());
        out
    }

    fn names(name: &str) -> Vec<u8> {
        map(&[("names", map(&[("en", text(name))]))])
    }

    /// A database that knows one record, for every address below 128.0.0.0.
    fn database(record: &[u8]) -> tempfile::NamedTempFile {
        let small = |number: u8| vec![5 << 5 | 1, number];
        let mut out = vec![0, 0, 1 + 16, 0, 0, 1];
        out.extend([0; 16]);
        out.extend(record);
        out.extend(b"\xab\xcd\xefMaxMind.com");
        out.extend(map(&[
            ("node_count", vec![6 << 5 | 1, 1]),
            ("record_size", small(24)),
            ("ip_version", small(4)),
            ("database_type", text("Test")),
            ("languages", array(&[text("en")])),
            ("binary_format_major_version", small(2)),
            ("binary_format_minor_version", small(0)),
            ("build_epoch", vec![1, 9 - 7, 1]),
            ("description", map(&[])),
        ]));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), out).unwrap();
        file
    }

    fn city(country: &str) -> Vec<u8> {
        map(&[
            ("city", names("Springfield")),
            ("country", map(&[("iso_code", text(country))])),
            ("subdivisions", array(&[names("Oregon")])),
        ])
    }

    #[test]
    fn places() {
        let (cities, providers) = (
            database(&city("US")),
            database(&map(&[("isp", text("Example Net"))])),
        );
        let both = GeoDatabase::open(cities.path(), Some(providers.path())).unwrap();
        let place = both.find("10.0.0.1").unwrap();
        let parts = [place.city, place.province, place.country, place.isp];
        assert_eq!(parts, ["Springfield", "Oregon", "US", "Example Net"]);
        assert_eq!(both.find("200.0.0.1"), None);
        assert_eq!(both.find("nowhere"), None);
        let alone = GeoDatabase::open(cities.path(), None).unwrap();
        assert_eq!(alone.find("10.0.0.1").unwrap().isp, "unknown");
    }

    #[test]
    fn regions_that_are_provinces() {
        let cities = database(&city("TW"));
        let place = GeoDatabase::open(cities.path(), None).unwrap();
        let place = place.find("1.1.1.1").unwrap();
        assert_eq!(
            (place.province.as_str(), place.country.as_str()),
            ("Taiwan", "CN")
        );
    }

    #[test]
    fn files_that_are_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"text").unwrap();
        assert!(GeoDatabase::open(file.path(), None).is_err());
        assert!(GeoDatabase::open(Path::new("/no/such/file"), None).is_err());
    }
}
