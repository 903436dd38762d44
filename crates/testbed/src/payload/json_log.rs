//! JSON log lines of 11 keys and about 300 bytes, alone or in an array.

use std::time::{Duration, UNIX_EPOCH};

use super::{Faker, Sample, lane_key};
use crate::expect::Rule;
use crate::record::{MAX_ELEMENTS, RECORD_ID_KEY, RecordId};

/// The keys of a log line, in order; a script that extracts all of them takes 11 steps.
pub const KEYS: [&str; 11] = [
    "time",
    "level",
    "service",
    "host",
    "client_ip",
    "method",
    "path",
    "status",
    "duration_ms",
    "msg",
    RECORD_ID_KEY,
];

fn write_line(out: &mut String, id: RecordId, faker: &mut Faker, level: &str) {
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(faker.tick_ns()));
    let (service, host, ip) = (faker.service(), faker.host(), faker.ip());
    let (method, path, status) = (faker.method(), faker.path(), faker.status());
    let (took, msg) = (faker.float(900), faker.sentence(11));
    out.push_str(&format!(
        r#"{{"time":"{time}","level":"{level}","service":"{service}","host":"{host}","client_ip":"{ip}","method":"{method}","path":"{path}","status":{status},"duration_ms":{took},"msg":"{msg}","{RECORD_ID_KEY}":"{id}"}}"#,
    ));
}

fn line_of(id: RecordId, faker: &mut Faker, level: &str) -> Sample {
    let mut out = String::with_capacity(320);
    write_line(&mut out, id, faker, level);
    Sample::new(id, lane_key(id), out)
}

/// One log line as a JSON object; the id is the member `record_id`.
#[must_use]
pub fn line(id: RecordId, faker: &mut Faker) -> Sample {
    let level = faker.level();
    line_of(id, faker, level)
}

/// A log line of level `debug`, which the script of [`Rule::Script`] drops.
#[must_use]
pub(crate) fn debug_line(id: RecordId, faker: &mut Faker) -> Sample {
    Sample {
        rule: Some(Rule::Script),
        ..line_of(id, faker, "debug")
    }
}

/// A JSON array of `elements` log lines (1 to 8), each with an id of its own.
#[must_use]
pub fn array(id: RecordId, faker: &mut Faker, elements: u16) -> Sample {
    let ids: Vec<_> = (0..elements.clamp(1, MAX_ELEMENTS))
        .map(|n| id.with_element(n))
        .collect();
    let mut out = String::with_capacity(330 * ids.len());
    for id in &ids {
        out.push(if out.is_empty() { '[' } else { ',' });
        let level = faker.level();
        write_line(&mut out, *id, faker, level);
    }
    out.push(']');
    Sample {
        ids,
        ..Sample::new(id, lane_key(id), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Route;

    #[test]
    fn a_line_has_eleven_keys_and_about_300_bytes() {
        let mut faker = Faker::new(1, 1_700_000_000_000_000_000);
        let sizes: Vec<_> = (0..200)
            .map(|n| {
                let sample = line(RecordId::new(Route::CustomLog, 0, n), &mut faker);
                let value: serde_json::Value = serde_json::from_slice(&sample.value).unwrap();
                let object = value.as_object().unwrap();
                assert_eq!(object.len(), KEYS.len());
                assert!(KEYS.iter().all(|key| object.contains_key(*key)));
                sample.value.len()
            })
            .collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((270..=330).contains(&mean), "{mean}");
    }

    #[test]
    fn an_array_holds_one_id_for_each_element() {
        let mut faker = Faker::new(1, 0);
        let sample = array(RecordId::new(Route::CustomLogArray, 0, 3), &mut faker, 5);
        let value: Vec<serde_json::Value> = serde_json::from_slice(&sample.value).unwrap();
        let found: Vec<_> = value
            .iter()
            .map(|line| line[RECORD_ID_KEY].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(sample.ids.len(), 5);
        assert_eq!(sample.ids, found);
    }
}
