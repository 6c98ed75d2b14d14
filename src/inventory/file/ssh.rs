//! The `ssh:` keys of an inventory, a rule or a host.

use crate::inventory::SshKeys;
use crate::model::{Diagnostic, HostKeys, Kex, check_jump, check_login};
use crate::yaml::Node;

const KEYS: [&str; 8] = [
    "user",
    "port",
    "jump",
    "host_keys",
    "kex",
    "identity",
    "config",
    "options",
];

const HOST_KEYS: [(&str, HostKeys); 3] = [
    ("ssh", HostKeys::Ssh),
    ("strict", HostKeys::Strict),
    ("accept-new", HostKeys::AcceptNew),
];

const KEX: [(&str, Kex); 2] = [("default", Kex::Default), ("fast", Kex::Fast)];

/// Reads a map of ssh keys; `what` names it.
pub(super) fn keys(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<SshKeys> {
    let fields = node.expect_mapping(what, &KEYS, errors)?;
    let keys = SshKeys {
        user: fields.read("user", errors, user),
        port: fields.read("port", errors, port),
        identity: fields.string("identity", errors).map(Into::into),
        jump: fields.read("jump", errors, jump),
        host_keys: fields.word("host_keys", &HOST_KEYS, errors),
        kex: fields.word("kex", &KEX, errors),
        config: fields.string("config", errors).map(Into::into),
        options: fields
            .read("options", errors, super::value::texts)
            .unwrap_or_default(),
    };
    Some(keys)
}

/// A login name: one word that ssh cannot take for an option.
pub(super) fn user(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<String> {
    word(node, what, check_login, errors)
}

/// `[user@]host[:port]`, several with commas.
fn jump(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<String> {
    word(node, what, check_jump, errors)
}

/// A TCP port.
pub(super) fn port(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<u16> {
    let port = node.expect_int(what, errors)?;
    if port == 0 {
        errors.push(Diagnostic::new(format!("{what}: 0 is not a port")).at(&node.head()));
        return None;
    }
    Some(port)
}

fn word(
    node: &Node,
    what: &str,
    check: impl Fn(&str) -> Result<(), &'static str>,
    errors: &mut Vec<Diagnostic>,
) -> Option<String> {
    let text = node.expect_string(what, errors)?;
    if let Err(wrong) = check(&text) {
        errors.push(Diagnostic::new(format!("{what}: `{text}` {wrong}")).at(&node.head()));
        return None;
    }
    Some(text)
}
