//! From flags and words to the hosts of a run: asks the inventory, tells params from selectors, selects.

use std::io::Read as _;

use anyhow::Context as _;
use indexmap::IndexMap;

use crate::inventory::{self, AwsNames, HostWord, Inventory, InventoryRef, InventoryRequest};
use crate::inventory::{Limit, Narrowing, SelectError, SelectRequest, Selected};
use crate::model::Diagnostic;
use crate::model::selector::Term;
use crate::model::words::{Meanings, TypedWords, ask_for_state, sort_words};

use super::failure::Failure;
use super::settings::Settings;

/// What was typed about hosts, before the inventory was asked.
#[derive(Debug)]
pub(crate) struct Typed {
    words: TypedWords,
    hosts: Vec<HostWord>,
}

/// The inventory's answer and what the words mean by it.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Everything the sources gave.
    pub(crate) inventory: Inventory,
    /// Values of params, as typed.
    pub(crate) params: IndexMap<String, String>,
    terms: Vec<Term>,
    hosts: Vec<HostWord>,
}

impl Fleet {
    /// The selectors that were typed, in an order of their own: the same words, the same text.
    pub(crate) fn selection(&self) -> Vec<String> {
        let mut terms: Vec<String> = self.terms.iter().map(ToString::to_string).collect();
        terms.sort();
        terms
    }
}

impl Typed {
    /// Gathers words and flags; `-H -` reads stdin here.
    ///
    /// # Errors
    /// A word of `-H` that is no host, or stdin cannot be read.
    pub(crate) fn new(settings: &Settings, words: &[String]) -> Result<Self, Failure> {
        let selection = &settings.selection;
        // As a selector whatever the task's params are called.
        let roles = selection.role.iter().map(|role| format!("role={role}"));
        let set = settings
            .run
            .set
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let words = TypedWords {
            words: words.to_vec(),
            set,
            select: selection.select.iter().cloned().chain(roles).collect(),
        };
        Ok(Self {
            words,
            hosts: host_words(&selection.hosts)?,
        })
    }

    /// Whether nothing names a host: no word of a selector's form, no `-H`, no `-R`.
    fn has_selectors(&self, params: &[&str]) -> bool {
        let is_param = |word: &String| {
            word.split_once('=')
                .is_some_and(|(key, _)| params.contains(&key))
        };
        !self.words.select.is_empty() || self.words.words.iter().any(|word| !is_param(word))
    }
}

fn host_words(typed: &[String]) -> Result<Vec<HostWord>, Failure> {
    let mut words = Vec::new();
    for text in typed {
        let list = if text == "-" {
            read_stdin()?
        } else {
            text.clone()
        };
        match HostWord::list(&list) {
            Ok(more) => words.extend(more),
            Err(errors) => {
                let flag = format!("-H {text}");
                let diagnostics: Vec<Diagnostic> =
                    errors.iter().map(|error| error.diagnostic(&flag)).collect();
                return Err(Failure::refused(diagnostics));
            }
        }
    }
    Ok(words)
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .context("cannot read hosts from stdin")?;
    Ok(text)
}

/// Asks the inventory and sorts the words. `params` are the names that the task declares; `for_change` keeps
/// cached answers out.
///
/// # Errors
/// A source gave no answer, or a word is neither param nor selector.
pub(crate) async fn load(
    settings: &Settings,
    typed: Typed,
    params: &[&str],
    for_change: bool,
) -> Result<Fleet, Failure> {
    let request = InventoryRequest {
        inventory: settings.inventory.as_deref().map(InventoryRef::new),
        folders: settings.inventory_folders(),
        home: etcetera::home_dir().ok(),
        cache_folder: settings.state_dir.join("cache"),
        aws: AwsNames {
            regions: settings.selection.region.clone(),
            profile: settings.selection.profile.clone(),
        },
        aws_defaults: settings.aws_defaults.clone(),
        refresh: settings.selection.refresh,
        for_change,
        any_state: ask_for_state(&typed.words),
        has_selectors: typed.has_selectors(params),
        hosts: typed.hosts.clone(),
        ssh: settings.ssh.clone(),
    };
    let inventory = inventory::load(&request)
        .await
        .map_err(|error| Failure::refused(error.diagnostics()))?;
    let meanings = Meanings {
        params,
        tags: &inventory.tags,
        hosts: &inventory.hosts,
    };
    let sorted = sort_words(&typed.words, meanings)?;
    Ok(Fleet {
        inventory,
        params: sorted.params,
        terms: sorted.terms,
        hosts: typed.hosts,
    })
}

impl Fleet {
    /// The hosts that are meant; `task_targets` where nothing was typed.
    ///
    /// # Errors
    /// No selector, no host, a host without an address, or a flag that cannot be read.
    pub(crate) fn select(
        &self,
        settings: &Settings,
        task_targets: Vec<Term>,
    ) -> Result<Selected, Failure> {
        let request = self.request(settings, task_targets)?;
        inventory::select(&self.inventory, &request).map_err(|error| refused(&error))
    }

    /// As [`Fleet::select`], to look at alone: hosts without an address stay.
    ///
    /// # Errors
    /// As `select`, addresses aside.
    pub(crate) fn survey(&self, settings: &Settings) -> Result<Selected, Failure> {
        let request = self.request(settings, Vec::new())?;
        inventory::survey(&self.inventory, &request).map_err(|error| refused(&error))
    }

    fn request(
        &self,
        settings: &Settings,
        task_targets: Vec<Term>,
    ) -> Result<SelectRequest, Failure> {
        let selection = &settings.selection;
        let exclude: Result<Vec<Narrowing>, _> =
            selection.exclude.iter().map(|text| text.parse()).collect();
        let limit: Option<Result<Limit, _>> = selection.limit.as_ref().map(|text| text.parse());
        Ok(SelectRequest {
            terms: self.terms.clone(),
            task_targets,
            hosts: self.hosts.clone(),
            exclude: exclude?,
            limit: limit.transpose()?,
            sample: selection.sample,
        })
    }
}

fn refused(error: &SelectError) -> Failure {
    Failure {
        status: error.exit(),
        diagnostics: error.diagnostics(),
    }
}
