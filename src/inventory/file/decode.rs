//! From text to [`InventoryFile`]: the top level and its rules.

use std::sync::Arc;

use super::host::{Strictness, host_list};
use super::{InventoryFile, Rule, SourceEntry, SourceKind, source, ssh, value};
use crate::inventory::SshKeys;
use crate::model::selector::Term;
use crate::model::{Diagnostic, Source};
use crate::yaml::{self, Fields, Node, NodeKind};

const KEYS: [&str; 5] = ["version", "sources", "aliases", "ssh", "rules"];
const WHAT: &str = "the inventory";

/// Reads an inventory file; a bare list is a list of hosts, as `hosts --json` prints it.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read(source: &Arc<Source>) -> Result<InventoryFile, Vec<Diagnostic>> {
    let node = yaml::parse(source)?;
    let mut errors = Vec::new();
    let file = match &node.kind {
        NodeKind::Sequence(_) => Some(saved_list(&node, source, &mut errors)),
        _ => file(&node, source, &mut errors),
    };
    match file {
        Some(file) if errors.is_empty() => Ok(file),
        _ => Err(errors),
    }
}

fn saved_list(node: &Node, source: &Arc<Source>, errors: &mut Vec<Diagnostic>) -> InventoryFile {
    let hosts = host_list(node, "the list", Strictness::Program, errors);
    InventoryFile {
        source: Arc::clone(source),
        sources: vec![SourceEntry {
            kind: SourceKind::Hosts(hosts),
            span: node.head(),
        }],
        aliases: indexmap::IndexMap::new(),
        ssh: SshKeys::default(),
        rules: Vec::new(),
    }
}

fn file(node: &Node, source: &Arc<Source>, errors: &mut Vec<Diagnostic>) -> Option<InventoryFile> {
    if node.is_null() {
        let error = Diagnostic::new("the inventory is empty").at(&node.head());
        errors.push(error.hint("start with `sources:`; `fab-rs schema inventory` lists every key"));
        return None;
    }
    let fields = node.expect_mapping(WHAT, &KEYS, errors)?;
    version(&fields, errors);
    let sources = fields
        .require("sources", WHAT, errors)
        .and_then(|node| node.expect_sequence("`sources`", errors))
        .map(|items| {
            items
                .iter()
                .filter_map(|item| source::source(item, errors))
                .collect()
        });
    if fields
        .get("sources")
        .is_some_and(|node| matches!(&node.kind, NodeKind::Sequence(items) if items.is_empty()))
    {
        errors.push(Diagnostic::new("`sources` is empty").at(fields.head()));
    }
    Some(InventoryFile {
        source: Arc::clone(source),
        sources: sources.unwrap_or_default(),
        aliases: fields
            .read("aliases", errors, value::texts)
            .unwrap_or_default(),
        ssh: fields.read("ssh", errors, ssh::keys).unwrap_or_default(),
        rules: fields.read("rules", errors, rules).unwrap_or_default(),
    })
}

fn version(fields: &Fields<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(version) = fields.int::<u32>("version", errors) else {
        return;
    };
    if let (true, Some(node)) = (version != 1, fields.get("version")) {
        let error = Diagnostic::new(format!("version {version} is not known to this fab-rs"));
        errors.push(error.at(&node.head()).hint("it reads version 1"));
    }
}

fn rules(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<Rule>> {
    let items = node.expect_sequence(what, errors)?;
    Some(items.iter().filter_map(|item| rule(item, errors)).collect())
}

fn rule(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Rule> {
    let what = "a rule";
    let fields = node.expect_mapping(what, &["match", "ssh", "vars"], errors)?;
    fields.require("match", what, errors)?;
    let matches = fields.read("match", errors, terms)?;
    if matches.is_empty() {
        let error = Diagnostic::new("`match` of a rule is empty").at(fields.head());
        errors.push(error.hint("for every host write `match: [all]`"));
    }
    if !fields.has("ssh") && !fields.has("vars") {
        let error = Diagnostic::new("a rule that sets nothing").at(fields.head());
        errors.push(error.hint("give it `ssh` or `vars`"));
    }
    Some(Rule {
        matches,
        ssh: fields.read("ssh", errors, ssh::keys).unwrap_or_default(),
        vars: fields.read("vars", errors, value::vars).unwrap_or_default(),
        span: fields.head().clone(),
    })
}

/// Reads selector terms: a list, or one.
pub(super) fn terms(node: &Node, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<Term>> {
    let before = errors.len();
    let mut terms = Vec::new();
    for item in node.list_or_single() {
        let Some(text) = item.expect_string(what, errors) else {
            continue;
        };
        match text.parse::<Term>() {
            Ok(term) => terms.push(term),
            Err(error) => errors.push(error.diagnostic().at(&item.head())),
        }
    }
    (errors.len() == before).then_some(terms)
}
