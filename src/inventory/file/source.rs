//! The entries of `sources`: exactly one of `ec2`, `hosts`, `command`, `ssh_config` each.

use std::time::Duration;

use indexmap::IndexMap;

use super::decode::terms;
use super::host::{Strictness, host_list};
use super::{
    AddressChoice, CommandSource, Ec2Source, NameChoice, Regions, SourceEntry, SourceKind,
};
use crate::model::{Diagnostic, nearest};
use crate::yaml::{Fields, Node, NodeKind};

const KINDS: [&str; 4] = ["ec2", "hosts", "command", "ssh_config"];

/// How long a command may take unless it says otherwise.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads one entry.
pub(super) fn source(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<SourceEntry> {
    let before = errors.len();
    let fields = node.expect_mapping("an entry of `sources`", &KINDS, errors)?;
    if fields.entries().is_empty() && errors.len() > before {
        return None;
    }
    let span = fields.head().clone();
    let [entry] = fields.entries() else {
        let count = fields.entries().len();
        let error = Diagnostic::new(format!(
            "an entry of `sources` has exactly one of {}; this one has {}",
            KINDS.map(|kind| format!("`{kind}`")).join(", "),
            if count == 0 {
                "none".to_owned()
            } else {
                count.to_string()
            },
        ));
        errors.push(
            error
                .at(&span)
                .hint("start each source with a `-` of its own"),
        );
        return None;
    };
    let kind = match entry.name {
        "ec2" => SourceKind::Ec2(Box::new(ec2(entry.value, errors)?)),
        "hosts" => SourceKind::Hosts(host_list(
            entry.value,
            "`hosts`",
            Strictness::Person,
            errors,
        )),
        "command" => SourceKind::Command(command(entry.value, errors)?),
        _ => {
            let error = Diagnostic::new("source `ssh_config` is not supported yet");
            errors.push(
                error
                    .at(&entry.key.head())
                    .hint("name such hosts with `-H`, or list them under `hosts`"),
            );
            return None;
        }
    };
    Some(SourceEntry { kind, span })
}

const EC2_KEYS: [&str; 10] = [
    "regions",
    "profile",
    "role_arn",
    "external_id",
    "filters",
    "exclude",
    "name",
    "address",
    "cache",
    "page_size",
];

fn ec2(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Ec2Source> {
    if node.is_null() {
        return Some(Ec2Source::default());
    }
    let fields = node.expect_mapping("`ec2`", &EC2_KEYS, errors)?;
    let default = Ec2Source::default();
    let source = Ec2Source {
        regions: fields
            .read("regions", errors, regions)
            .unwrap_or(default.regions),
        profile: fields.string("profile", errors),
        role_arn: fields.string("role_arn", errors),
        external_id: fields.string("external_id", errors),
        filters: fields.read("filters", errors, filters).unwrap_or_default(),
        exclude: fields.read("exclude", errors, terms).unwrap_or_default(),
        name: fields.read("name", errors, names).unwrap_or(default.name),
        address: fields
            .read("address", errors, addresses)
            .unwrap_or(default.address),
        cache: fields.duration("cache", errors),
        page_size: fields
            .read("page_size", errors, page_size)
            .unwrap_or(default.page_size),
    };
    check_role(&fields, errors);
    Some(source)
}

fn check_role(fields: &Fields<'_>, errors: &mut Vec<Diagnostic>) {
    if let (Some(entry), false) = (fields.entry("external_id"), fields.has("role_arn")) {
        let error = Diagnostic::new("`external_id` without a `role_arn` that asks for it");
        errors.push(error.at(&entry.key.head()));
    }
}

fn page_size(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<u16> {
    let size = node.expect_int(what, errors)?;
    if (5..=1000).contains(&size) {
        return Some(size);
    }
    let error = Diagnostic::new(format!("{what} must be 5 to 1000, not {size}"));
    errors.push(error.at(&node.head()));
    None
}

fn regions(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Regions> {
    let names = node.expect_strings(what, errors)?;
    if names.iter().any(|name| name == "all") {
        if names.len() > 1 {
            let error =
                Diagnostic::new("`all` stands for every region; no other belongs beside it");
            errors.push(error.at(&node.head()));
        }
        return Some(Regions::All);
    }
    if names.is_empty() {
        errors.push(
            Diagnostic::new("`regions` is empty")
                .at(&node.head())
                .hint("leave it out for the ambient region"),
        );
        return None;
    }
    Some(Regions::Named(names))
}

fn filters(
    node: &Node,
    what: &str,
    errors: &mut Vec<Diagnostic>,
) -> Option<IndexMap<String, Vec<String>>> {
    let entries = node.expect_entries(what, errors)?;
    let mut filters = IndexMap::new();
    for entry in entries {
        let what = format!("filter `{}`", entry.name);
        if let Some(values) = entry.value.expect_strings(&what, errors) {
            filters.insert(entry.name.to_owned(), values);
        }
    }
    Some(filters)
}

/// Reads a list of choices: fixed words, or `tag:KEY`.
fn choices<T: Clone>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    tag: fn(String) -> T,
    errors: &mut Vec<Diagnostic>,
) -> Option<Vec<T>> {
    let before = errors.len();
    let mut found = Vec::new();
    for item in node.list_or_single() {
        let Some(text) = item.expect_string(what, errors) else {
            continue;
        };
        let fixed = words.iter().find(|(word, _)| *word == text);
        match (fixed, text.strip_prefix("tag:")) {
            (Some((_, choice)), _) => found.push(choice.clone()),
            (None, Some(key)) if !key.is_empty() => found.push(tag(key.to_owned())),
            (None, _) => {
                let names = || words.iter().map(|(word, _)| *word);
                let error = Diagnostic::new(format!("`{text}` is not a choice for {what}"))
                    .at(&item.head());
                let listed: Vec<&str> = names().chain(["tag:KEY"]).collect();
                errors.push(match nearest(&text, names()) {
                    Some(near) => error.label(format!("did you mean `{near}`?")),
                    None => error.hint(format!("choices: {}", listed.join(", "))),
                });
            }
        }
    }
    if found.is_empty() && errors.len() == before {
        errors.push(Diagnostic::new(format!("{what} is empty")).at(&node.head()));
    }
    (errors.len() == before).then_some(found)
}

fn names(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<NameChoice>> {
    let words = [
        ("id", NameChoice::Id),
        ("private_dns", NameChoice::PrivateDns),
        ("public_dns", NameChoice::PublicDns),
        ("private_ip", NameChoice::PrivateIp),
    ];
    choices(node, what, &words, NameChoice::Tag, errors)
}

fn addresses(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<AddressChoice>> {
    let words = [
        ("private_ip", AddressChoice::PrivateIp),
        ("public_ip", AddressChoice::PublicIp),
        ("private_dns", AddressChoice::PrivateDns),
        ("public_dns", AddressChoice::PublicDns),
        ("ipv6", AddressChoice::Ipv6),
    ];
    choices(node, what, &words, AddressChoice::Tag, errors)
}

fn command(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<CommandSource> {
    let (argv, timeout) = if let NodeKind::Mapping(_) = &node.kind {
        let fields = node.expect_mapping("`command`", &["argv", "timeout"], errors)?;
        let argv = fields.require("argv", "`command`", errors)?;
        (argv, fields.duration("timeout", errors))
    } else {
        (node, None)
    };
    if let Some(line) = argv.as_text() {
        let words = shlex::split(line).unwrap_or_default();
        let error = Diagnostic::new("`command` must be a list of words: no shell reads it");
        errors.push(
            error
                .at(&argv.head())
                .hint(format!("write `command: [{}]`", words.join(", "))),
        );
        return None;
    }
    let argv = argv.expect_strings("`command`", errors)?;
    if argv.first().is_none_or(String::is_empty) {
        errors.push(Diagnostic::new("`command` names no program").at(&node.head()));
        return None;
    }
    Some(CommandSource {
        argv,
        timeout: timeout.unwrap_or(COMMAND_TIMEOUT),
    })
}
