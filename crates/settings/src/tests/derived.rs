//! Values that follow others where they are not written, and keys under a password.

use super::*;

#[test]
fn heartbeat_and_drain_follow_a_short_session() {
    let times = |rest: &str| {
        let settings = accept(&text(&with_topic(rest))).settings;
        let input = &settings.inputs[0];
        (input.heartbeat_interval, input.drain_timeout)
    };
    let seconds = |heartbeat, drain| (Duration::from_secs(heartbeat), Duration::from_secs(drain));
    assert_eq!(times(""), seconds(3, 10));
    assert_eq!(times("session_timeout = \"60s\""), seconds(3, 10));
    assert_eq!(times("session_timeout = \"6s\""), seconds(2, 3));
    let written = "session_timeout = \"20s\"\nheartbeat_interval = \"1s\"\ndrain_timeout = \"15s\"";
    assert_eq!(times(written), seconds(1, 15));
    for (key, session) in [("drain_timeout", 7), ("heartbeat_interval", 20)] {
        let both = format!("session_timeout = \"{session}s\"\n{key} = \"7s\"");
        let found = refuse(&with_topic(&both));
        assert!(found.contains(&format!("`{key}` must be")), "{found}");
    }
}

#[test]
fn a_key_under_a_password_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = own.self_signed(&key).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
    let bodies = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ];
    for body in bodies {
        std::fs::write(path("key.pem"), body).unwrap();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let http = format!(
            "[output]\nendpoint = \"https://h\"\nclient_cert = \"{cert}\"\nclient_key = \"{key}\"\n"
        );
        let found = refuse(&http);
        assert!(found.contains("openssl pkey -in KEY -out PLAIN"), "{found}");
        let kafka = format!(
            "tls_enable = true\ntls_security_protocol = \"SSL\"\n\
             tls_client_cert = \"{cert}\"\ntls_client_key = \"{key}\"\n"
        );
        let found = refuse(&with_topic(&kafka));
        assert!(
            found.contains("`tls_client_key_password` is missing"),
            "{found}"
        );
        let given = format!("{kafka}tls_client_key_password = \"secret\"\n");
        let settings = accept(&text(&with_topic(&given))).settings;
        let identity = settings.inputs[0].cluster.security.identity.as_ref();
        let password = identity.and_then(|identity| identity.key_password.as_ref());
        assert_eq!(password.map(Secret::expose), Some("secret"));
    }
}
