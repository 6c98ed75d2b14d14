//! Actions of the format that the engine does not know yet: `aws`, `line`, `replace`. Their shape
//! is checked; a plan with one of them is refused, so the step itself is one that fails.

use crate::model::Diagnostic;
use crate::task::{Action, Text};
use crate::yaml::{Entry, Fields, Node};

use super::reader::Reader;
use super::scope::Scope;
use super::text_value::For;

/// Decodes one of them.
pub(super) fn decode<'a>(reader: &mut Reader<'a>, action: &Entry<'a>, scope: &Scope) -> Action {
    let (name, value) = (action.name, action.value);
    match name {
        "aws" => aws(reader, value, scope),
        "line" => edit(reader, value, name, &["path", "line", "match"], scope),
        _ => edit(
            reader,
            value,
            name,
            &["path", "match", "with", "backup"],
            scope,
        ),
    }
    reader.unsupported(&format!("`{name}`"), &action.key.head());
    Action::Fail(Text::Plain(format!("`{name}` is not supported yet").into()))
}

fn edit<'a>(reader: &mut Reader<'a>, node: &'a Node, name: &str, known: &[&str], scope: &Scope) {
    let what = format!("`{name}`");
    let Some(fields) = node.expect_mapping(&what, known, &mut reader.errors) else {
        return;
    };
    let required: &[&str] = if name == "line" {
        &["path", "line"]
    } else {
        &["path", "match", "with"]
    };
    for key in known.iter().filter(|key| **key != "backup") {
        if required.contains(key) {
            reader.required_text(&fields, key, &what, scope);
        } else {
            reader.text_at(&fields, key, scope, For::Plain);
        }
    }
    fields.bool("backup", &mut reader.errors);
}

/// What an `aws` step can do, and what it can be told.
const AWS: [(&str, &[&str]); 6] = [
    ("elb", &["drain", "restore"]),
    ("asg", &["standby", "in_service", "suspend", "resume"]),
    ("route", &[]),
    ("dns", &[]),
    ("s3", &["presign_put", "presign_get"]),
    ("alarm", &[]),
];

fn aws<'a>(reader: &mut Reader<'a>, node: &'a Node, scope: &Scope) {
    let known: Vec<&str> = AWS
        .iter()
        .map(|(name, _)| *name)
        .chain(["target_groups"])
        .collect();
    let Some(fields) = node.expect_mapping("`aws`", &known, &mut reader.errors) else {
        return;
    };
    let found: Vec<&Entry<'a>> = fields
        .entries()
        .iter()
        .filter(|entry| entry.name != "target_groups")
        .collect();
    if found.len() != 1 {
        let names: Vec<&str> = AWS.iter().map(|(name, _)| *name).collect();
        let message = format!("`aws` wants one of {}", names.join(", "));
        reader.error(Diagnostic::new(message).at(&node.head()));
        return;
    }
    let entry = found[0];
    if let Some(groups) = fields.entry("target_groups") {
        if entry.name == "elb" {
            groups
                .value
                .expect_strings("`target_groups`", &mut reader.errors);
        } else {
            let message = format!("`target_groups` has no effect on `{}`", entry.name);
            reader.error(Diagnostic::new(message).at(&groups.key.head()));
        }
    }
    match entry.name {
        "route" => aws_map(reader, entry, &["cidr", "tables"], scope),
        "dns" => aws_map(
            reader,
            entry,
            &["zone", "name", "type", "ttl", "value"],
            scope,
        ),
        "alarm" => {
            entry.value.expect_strings("`alarm`", &mut reader.errors);
        }
        name => {
            let words = AWS.iter().find(|(known, _)| *known == name);
            let words: Vec<(&str, ())> = words
                .map(|(_, words)| words.iter().map(|word| (*word, ())).collect())
                .unwrap_or_default();
            let what = format!("`{name}`");
            entry.value.expect_word(&what, &words, &mut reader.errors);
        }
    }
}

fn aws_map<'a>(reader: &mut Reader<'a>, entry: &Entry<'a>, known: &[&str], scope: &Scope) {
    let what = format!("`{}`", entry.name);
    let fields: Option<Fields<'a>> = entry.value.expect_mapping(&what, known, &mut reader.errors);
    for entry in fields.iter().flat_map(Fields::entries) {
        for node in entry.value.list_or_single() {
            reader.text(node, &format!("`{}`", entry.name), scope, For::Plain);
        }
    }
}
