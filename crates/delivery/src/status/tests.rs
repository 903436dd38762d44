//! The tables, and the rules that hold whatever they say.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::super::answer::Layer;
use super::*;

fn answer(status: u16) -> Answer {
    Answer {
        status,
        ..Answer::default()
    }
}

fn with_body(status: u16, content_type: &'static str, body: &'static [u8]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    );
    Answer {
        status,
        headers,
        body: Bytes::from_static(body),
        ..Answer::default()
    }
}

fn verdict(profile: Profile, answer: Answer, items: usize) -> Verdict {
    classify(&Policy::new(profile), &Ok(Reply::Http(answer)), items)
}

const PROFILES: [Profile; 5] = [
    Profile::DatakitTrace,
    Profile::DatakitWrite,
    Profile::Otlp,
    Profile::Handle,
    Profile::Generic,
];

#[test]
fn the_table_of_classes() {
    use std::fmt::Write as _;
    let codes = [
        200, 202, 204, 301, 307, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 415, 422,
        425, 429, 499, 500, 501, 502, 503, 504, 507, 599, 600,
    ];
    let mut shown = String::from("code DatakitTrace DatakitWrite Otlp Handle Generic\n");
    for code in codes {
        write!(shown, "{code}").unwrap();
        for profile in PROFILES {
            write!(shown, " {:?}", Policy::new(profile).class(code)).unwrap();
        }
        shown.push('\n');
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn only_400_413_415_and_422_blame_the_content() {
    for profile in PROFILES {
        for status in (100..200).chain(300..700) {
            let clear = matches!(
                verdict(profile, answer(status), 1),
                Verdict::Rejected { .. }
            );
            let full_queue = profile == Profile::DatakitTrace && status == 400;
            assert_eq!(
                clear,
                [400, 413, 415, 422].contains(&status) && !full_queue,
                "{profile:?} {status}"
            );
        }
    }
}

#[test]
fn faults_of_configuration_are_an_alarm_in_any_profile() {
    for profile in PROFILES {
        for status in [301, 302, 307, 308, 401, 403, 404, 405] {
            for items in [1, 10] {
                let verdict = verdict(profile, answer(status), items);
                let refusal = Refusal::Access;
                assert!(
                    matches!(verdict, Verdict::Refused { refusal: got, .. } if got == refusal),
                    "{profile:?} {status}: {verdict:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_rejected_with_company() {
    for profile in PROFILES {
        for status in 100..700 {
            let verdict = verdict(profile, answer(status), 2);
            assert!(
                !matches!(verdict, Verdict::Rejected { .. }),
                "{profile:?} {status}"
            );
        }
    }
}

#[test]
fn too_large_splits_until_one_is_left() {
    assert!(matches!(
        verdict(Profile::Generic, answer(413), 2),
        Verdict::TooLarge { .. }
    ));
    assert!(matches!(
        verdict(Profile::Generic, answer(413), 1),
        Verdict::Rejected { .. }
    ));
}

#[test]
fn what_breaks_off_may_be_the_fault_of_a_record_and_what_was_never_sent_may_not() {
    let of = |layer| {
        let lost = Err(TransportError::new(layer, "peer\r\n closed"));
        match classify(&Policy::default(), &lost, 1) {
            Verdict::Refused {
                refusal,
                after: None,
                reason,
            } => (refusal, reason.to_string()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        of(Layer::Reset),
        (Refusal::Unclear, "reset: peer closed".to_owned())
    );
    for layer in [Layer::Timeout, Layer::Body, Layer::Protocol] {
        assert_eq!(of(layer).0, Refusal::Unclear);
    }
    for layer in [
        Layer::Dns,
        Layer::Connect,
        Layer::Tls,
        Layer::Disk,
        Layer::Broker,
    ] {
        assert_eq!(of(layer).0, Refusal::Busy);
    }
    assert_eq!(of(Layer::Access).0, Refusal::Hold);
}

#[test]
fn what_is_not_http_needs_no_status() {
    let refused = || Reply::Refused {
        detail: "too large".to_owned(),
    };
    let policy = Policy::default();
    assert_eq!(classify(&policy, &Ok(Reply::Taken), 9), Verdict::Delivered);
    assert!(matches!(
        classify(&policy, &Ok(refused()), 9),
        Verdict::Bisect { .. }
    ));
    let Verdict::Rejected { reason } = classify(&policy, &Ok(refused()), 1) else {
        panic!("is final");
    };
    assert_eq!(
        (reason.status, &*reason.to_string()),
        (None, "refused: too large")
    );
}

#[test]
fn the_wish_of_the_destination_is_passed_on() {
    let after = Some(Duration::from_secs(9));
    let answer = Answer {
        retry_after: after,
        ..answer(429)
    };
    assert!(
        matches!(verdict(Profile::Otlp, answer, 1), Verdict::Refused { after: got, .. } if got == after)
    );
}

#[test]
fn partial_success_is_read_in_both_encodings() {
    // field 1 { field 1: 3, field 2: "bad" }
    let proto = with_body(
        200,
        "application/x-protobuf",
        b"\x0a\x07\x08\x03\x12\x03bad",
    );
    let expected = Verdict::PartialSuccess {
        rejected: 3,
        message: "bad".to_owned(),
    };
    assert_eq!(verdict(Profile::Otlp, proto.clone(), 5), expected);
    let json = with_body(
        200,
        "application/json",
        br#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"bad"}}"#,
    );
    assert_eq!(verdict(Profile::Otlp, json, 5), expected);
    assert_eq!(verdict(Profile::Generic, proto, 5), Verdict::Delivered);
    for empty in [&b""[..], b"{}", b"\x0a\x00", b"\xff\xff"] {
        let kind = if empty.starts_with(b"{") {
            "application/json"
        } else {
            "application/x-protobuf"
        };
        let answer = Answer {
            body: Bytes::copy_from_slice(empty),
            ..with_body(200, kind, b"")
        };
        assert_eq!(verdict(Profile::Otlp, answer, 5), Verdict::Delivered);
    }
}

#[test]
fn exceptions_come_first() {
    let sets = |list: &[&str]| -> Vec<StatusSet> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    };
    let policy = Policy::new(Profile::Otlp)
        .with(sets(&["404"]), Class::Drop)
        .with(sets(&["4xx", "500-501"]), Class::Retry);
    assert_eq!(policy.class(404), Class::Drop);
    assert_eq!(policy.class(400), Class::Retry);
    assert_eq!(policy.class(501), Class::Retry);
    assert_eq!(policy.class(505), Class::Unclear);
    assert!(matches!(
        classify(&policy, &Ok(Reply::Http(answer(404))), 9),
        Verdict::Dropped { .. }
    ));
}

#[test]
fn sets_that_are_none_are_refused() {
    for text in ["", "abc", "99", "1000", "xx", "0xx", "500-400", "5x"] {
        assert!(text.parse::<StatusSet>().is_err(), "{text}");
    }
    assert_eq!(
        " 5XX ".parse(),
        Ok(StatusSet {
            first: 500,
            last: 599
        })
    );
}

#[test]
fn reasons_say_what_to_do() {
    let reason = |answer: Answer| match verdict(Profile::Generic, answer, 1) {
        Verdict::Rejected { reason } | Verdict::Refused { reason, .. } => reason.to_string(),
        other => panic!("{other:?}"),
    };
    let mut moved = answer(302);
    moved.headers.insert(
        http::header::LOCATION,
        HeaderValue::from_static("http://h/login?token=tkn_1"),
    );
    let datakit = with_body(
        400,
        "application/json",
        br#"{"error_code":"datakit.invalidLinePoint","message":"no field\n at 7"}"#,
    );
    let rpc = with_body(503, "application/x-protobuf", b"\x08\x0e\x12\x04full");
    let shown = [
        reason(moved),
        reason(with_body(404, "text/html", b"<html>no</html>")),
        reason(datakit),
        reason(rpc),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_answer_that_is_cut_loses_no_points_silently() {
    let cut = Answer {
        truncated: true,
        ..answer(200)
    };
    assert!(matches!(
        verdict(Profile::Handle, cut.clone(), 9),
        Verdict::TooLarge { .. }
    ));
    assert!(matches!(
        verdict(Profile::Handle, cut.clone(), 1),
        Verdict::Rejected { .. }
    ));
    assert_eq!(verdict(Profile::Generic, cut, 1), Verdict::Delivered);
}
