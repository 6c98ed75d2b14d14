//! What ssh says, as recorded from it, and what is made of it.

use super::*;

const HOST: Target<'_> = Target {
    address: "web",
    port: None,
    bastion: None,
};
const INNER: Target<'_> = Target {
    address: "db",
    port: Some(22),
    bastion: Some("gate"),
};

macro_rules! words {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/ssh_errors/", $name, ".txt"))
    };
}

/// Name, words, kind, sentence, transient.
type Row = (&'static str, &'static str, Kind, &'static str, bool);

macro_rules! row {
    ($name:literal, $kind:ident, $sentence:literal, $transient:literal) => {
        ($name, words!($name), Kind::$kind, $sentence, $transient)
    };
}

fn check(rows: &[Row], target: Target<'_>) {
    for (name, words, kind, sentence, transient) in rows {
        let trouble = classify(words, target);
        assert_eq!(
            (trouble.kind, trouble.sentence.as_str(), trouble.transient),
            (*kind, *sentence, *transient),
            "{name}"
        );
        assert!(!trouble.hints.is_empty(), "{name}");
    }
}

const ON_THE_WAY: &[Row] = &[
    row!("refused", Refused, "connection refused by web port 1", true),
    row!("no_route", NoRoute, "no route to web port 2277", true),
    row!(
        "name_not_found",
        NameNotFound,
        "the name `web` does not resolve",
        false
    ),
    row!(
        "silent",
        NoBanner,
        "web port 3000 accepts connections, but no SSH server spoke in time",
        true
    ),
    row!(
        "closes",
        ClosedEarly,
        "web port 3001 closed the connection before the login",
        true
    ),
    row!(
        "resets",
        ClosedEarly,
        "web port 3002 closed the connection before the login",
        true
    ),
    row!(
        "banner_then_close",
        ClosedEarly,
        "web port 3004 closed the connection before the login",
        true
    ),
    row!(
        "not_ssh",
        ClosedEarly,
        "web port 3005 closed the connection before the login",
        true
    ),
    row!(
        "ssh1",
        ClosedEarly,
        "web port 3006 answers, but not as an SSH server",
        false
    ),
    row!(
        "max_startups",
        ClosedEarly,
        "web port 3007 closed the connection before the login",
        true
    ),
    row!(
        "proxy_fails",
        ClosedEarly,
        "the ProxyCommand to web ended before the login",
        true
    ),
    row!(
        "proxy_missing",
        Configuration,
        "the ProxyCommand cannot be started",
        false
    ),
];

#[test]
fn real_words_on_the_way_to_a_host() {
    check(ON_THE_WAY, HOST);
    let down = "ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n";
    let trouble = classify(down, HOST);
    assert_eq!(
        (trouble.kind, trouble.sentence.as_str()),
        (Kind::NoAnswer, "no answer from web port 22")
    );
    let unsure = "ssh: Could not resolve hostname web: Temporary failure in name resolution";
    assert!(classify(unsure, HOST).transient);
}

#[test]
fn real_words_about_keys_and_logins() {
    check(
        &[
            row!(
                "key_changed",
                HostKeyChanged,
                "host key changed at web",
                false
            ),
            row!(
                "key_changed_alias",
                HostKeyChanged,
                "host key changed at web",
                false
            ),
            row!(
                "revoked",
                HostKeyChanged,
                "the host showed a revoked host key",
                false
            ),
            row!(
                "key_unknown_strict",
                HostKeyUnknown,
                "host key of web is not known",
                false
            ),
            row!(
                "key_unknown_ask",
                HostKeyUnknown,
                "host key of web is not known",
                false
            ),
            row!(
                "denied",
                Denied,
                "root@127.0.77.2 refused the login; it takes publickey",
                false
            ),
            row!(
                "denied_password",
                Denied,
                "root@127.0.77.3 refused the login; it takes publickey, password",
                false
            ),
            row!(
                "too_many_failures",
                Denied,
                "web port 2277 refused after too many keys",
                false
            ),
        ],
        HOST,
    );
}

const CONFIGURATION: &[Row] = &[
    row!(
        "config_missing",
        Configuration,
        "ssh refuses its configuration",
        false
    ),
    row!(
        "config_bad",
        Configuration,
        "ssh refuses its configuration",
        false
    ),
    row!(
        "bad_option",
        Configuration,
        "ssh refuses its configuration",
        false
    ),
    row!(
        "bad_port",
        Configuration,
        "ssh refuses its configuration",
        false
    ),
    row!(
        "strange_name",
        Configuration,
        "ssh refuses its configuration",
        false
    ),
    row!(
        "kex_mismatch",
        Configuration,
        "no key exchange method in common; the server offers diffie-hellman-group1-sha1,kex-strict-s-v00@openssh.com",
        false
    ),
    row!(
        "hostkey_mismatch",
        Configuration,
        "no host key type in common; the server offers ssh-rsa",
        false
    ),
    row!(
        "cipher_mismatch",
        Configuration,
        "no cipher in common; the server offers 3des-cbc",
        false
    ),
    row!(
        "socket_too_long",
        Local,
        "ssh could not make its control socket",
        false
    ),
];

#[test]
fn real_words_about_configuration() {
    check(CONFIGURATION, HOST);
    let owner = "Bad owner or permissions on /home/ops/.ssh/config\r\n";
    assert_eq!(classify(owner, HOST).kind, Kind::Configuration);
}

#[test]
fn real_words_from_behind_a_bastion() {
    check(
        &[
            row!(
                "bastion_silent",
                NoAnswer,
                "no answer from db port 22 (seen from bastion gate)",
                true
            ),
            row!(
                "bastion_close",
                ClosedEarly,
                "db port 22 (seen from bastion gate) closed the connection before the login",
                true
            ),
        ],
        INNER,
    );
    for (reason, kind, sentence) in [
        (
            "connect failed: Connection refused",
            Kind::Refused,
            "connection refused by db port 22 (seen from bastion gate)",
        ),
        (
            "connect failed: Name or service not known",
            Kind::NameNotFound,
            "the name `db` does not resolve",
        ),
        (
            "connect failed: Connection timed out",
            Kind::NoAnswer,
            "no answer from db port 22 (seen from bastion gate)",
        ),
        (
            "connect failed: No route to host",
            Kind::NoRoute,
            "no route to db port 22 (seen from bastion gate)",
        ),
        (
            "administratively prohibited: open failed",
            Kind::Bastion,
            "bastion gate forbids forwarded connections",
        ),
    ] {
        let trouble = classify_channel(reason, INNER);
        assert_eq!((trouble.kind, trouble.sentence.as_str()), (kind, sentence));
        assert_eq!(trouble.words, [format!("bastion gate: {reason}")]);
    }
}

#[test]
fn a_changed_key_says_where_the_old_one_is_and_how_to_forget_it() {
    let trouble = classify(words!("key_changed_alias"), HOST);
    assert_eq!(
        trouble.words,
        [
            "Offending ED25519 key in /home/ops/.ssh/kh_alias:1",
            "the host now shows SHA256:tlFLgTEIrD+qSSsW/+J0ULmySxFCy97GeaC1pu2HwGQ",
        ]
    );
    assert_eq!(
        trouble.hints,
        [
            "compare it with the console, then `ssh-keygen -f \"/home/ops/.ssh/kh_alias\" -R \"i-0123456789abcdef0\"`"
        ]
    );
}

#[test]
fn a_refused_login_says_what_is_wrong_with_the_key() {
    for (words, hint) in [
        (words!("agent_refused"), "the agent would not sign"),
        (
            words!("identity_open"),
            "others may read it: `chmod 600 id_open`",
        ),
        (
            words!("identity_garbage"),
            "`id_garbage` could not be read as a private key",
        ),
        (
            words!("identity_missing"),
            "there is no key file `/nonexistent`",
        ),
        (words!("identity_passphrase"), "is the user right (`-u`)?"),
    ] {
        let trouble = classify(words, HOST);
        assert_eq!(trouble.kind, Kind::Denied);
        assert!(trouble.hints[0].starts_with(hint), "{:?}", trouble.hints);
    }
    let denied = classify(words!("identity_passphrase"), HOST);
    assert!(denied.hints[1].contains("passphrase or PIN wants an agent"));
}

#[test]
fn words_that_nobody_knows_are_shown() {
    let trouble = classify("one\n\ntwo\nthree\nfour\nfive\n", HOST);
    assert_eq!(trouble.kind, Kind::Unclassified);
    assert_eq!(trouble.words, ["two", "three", "four", "five"]);
    let silent = classify("", HOST);
    assert_eq!(
        silent.causes(),
        ["ssh ended without a word on its way to web"]
    );
}
