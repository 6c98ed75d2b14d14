//! Loads an inventory: finds its file, asks every source at the same time, and puts the answers together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;

use super::command;
use super::ec2::{self, CachePolicy, Ec2Query};
use super::ec2_map;
use super::error::{InventoryError, SourceError};
use super::file::{self, Ec2Source, InventoryFile, Regions, SourceEntry, SourceKind};
use super::find::{InventoryRef, find};
use super::fleet::{Found, Gathered, Inventory, SourceReport, SshContext, anchor, assemble};
use super::named::HostWord;
use super::ssh_keys::SshKeys;
use crate::model::selector::{SpellingError, TagKeys};
use crate::model::{Host, Source};

/// Which inventory, and how it is to be asked.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact of the command line"
)]
pub struct InventoryRequest {
    /// What `-I` or the configuration names; `None` means EC2 with the ambient credentials and region.
    pub inventory: Option<InventoryRef>,
    /// Where named inventories are sought, the project's folder first.
    pub folders: Vec<PathBuf>,
    /// The user's home folder, for `~/` in ssh keys.
    pub home: Option<PathBuf>,
    /// Where answers are kept, `STATE/cache`.
    pub cache_folder: PathBuf,
    /// Regions and profile of the flags: they replace those of every ec2 source.
    pub aws: AwsNames,
    /// Regions and profile of the configuration: for sources that name none.
    pub aws_defaults: AwsNames,
    /// `--refresh`: no kept answer will do.
    pub refresh: bool,
    /// The run changes hosts: no kept answer will do.
    pub for_change: bool,
    /// A selector asks for the state: instances that do not run are listed too.
    pub any_state: bool,
    /// `-H`.
    pub hosts: Vec<HostWord>,
    /// Whether a selector was typed as well.
    pub has_selectors: bool,
    /// Connection settings from outside the file.
    pub ssh: SshContext,
}

/// Whom EC2 is asked as, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsNames {
    /// Regions; `all` alone stands for all of them, none leaves the choice open.
    pub regions: Vec<String>,
    /// Profile.
    pub profile: Option<String>,
}

/// Loads the inventory.
///
/// Without an inventory, `-H` alone decides whether EC2 is asked: never where each word has a user or a port
/// (it says everything there is to say); otherwise names, addresses and ids are sought in EC2, and where
/// this machine has no AWS credentials or region at all they are taken as they are, which a note says.
///
/// # Errors
/// The file is not there or wrong, or some source gave no answer. Nothing was connected to.
pub async fn load(request: &InventoryRequest) -> Result<Inventory, InventoryError> {
    let ambient = request.inventory.is_none();
    let hosts_alone = ambient && !request.hosts.is_empty() && !request.has_selectors;
    if hosts_alone && request.hosts.iter().all(HostWord::is_complete) {
        return Ok(Inventory::empty("the command line", &request.ssh));
    }
    let opened = match &request.inventory {
        Some(reference) => open(reference, request)?,
        None => Opened::ambient(),
    };
    match gather(&opened, request).await {
        Ok((gathered, notes)) => {
            let name = opened.name.unwrap_or_else(|| ec2_name(&gathered));
            let mut inventory = assemble(gathered, &opened.file, &request.ssh, name)
                .map_err(InventoryError::Invalid)?;
            inventory.notes.splice(0..0, notes);
            Ok(inventory)
        }
        Err(errors) if hosts_alone && may_be_without_ec2(&errors, request) => {
            let mut inventory = Inventory::empty("the command line", &request.ssh);
            let reason = errors.first().map(ToString::to_string).unwrap_or_default();
            let note = format!("{reason}; the hosts of `-H` are connected to as they were typed");
            inventory.notes.push(note);
            Ok(inventory)
        }
        Err(errors) => Err(InventoryError::Sources(errors)),
    }
}

/// Whether nothing here says that there is any AWS: no profile was named, and nothing is configured. An
/// instance id means nothing without it.
fn may_be_without_ec2(errors: &[SourceError], request: &InventoryRequest) -> bool {
    let named = |names: &AwsNames| names.profile.is_some() || !names.regions.is_empty();
    errors.iter().all(SourceError::is_unconfigured)
        && !named(&request.aws)
        && !named(&request.aws_defaults)
        && !request.hosts.iter().any(HostWord::is_instance_id)
}

/// An inventory file and where it stands.
struct Opened {
    file: InventoryFile,
    /// Its folder, from which its paths start.
    folder: PathBuf,
    /// Its path for messages; `None` for the ambient one.
    name: Option<String>,
}

impl Opened {
    fn ambient() -> Self {
        let source = Arc::new(Source {
            path: "EC2".into(),
            text: String::new(),
        });
        let entry = SourceEntry {
            kind: SourceKind::Ec2(Box::default()),
            span: crate::model::SourceSpan::new(&source, 0..0),
        };
        Self {
            file: InventoryFile {
                source,
                sources: vec![entry],
                aliases: indexmap::IndexMap::new(),
                ssh: SshKeys::default(),
                rules: Vec::new(),
            },
            folder: PathBuf::new(),
            name: None,
        }
    }
}

fn open(reference: &InventoryRef, request: &InventoryRequest) -> Result<Opened, InventoryError> {
    let path = find(reference, &request.folders)?;
    let text = std::fs::read_to_string(&path).map_err(|source| InventoryError::Read {
        path: path.clone(),
        source,
    })?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let name = path.display().to_string();
    let source = Arc::new(Source { path, text });
    let mut file = file::read(&source).map_err(InventoryError::Invalid)?;
    anchor(&mut file, &folder, request.home.as_deref());
    Ok(Opened {
        file,
        folder,
        name: Some(name),
    })
}

/// Asks all sources at the same time.
async fn gather(
    opened: &Opened,
    request: &InventoryRequest,
) -> Result<(Gathered, Vec<String>), Vec<SourceError>> {
    let asked = opened
        .file
        .sources
        .iter()
        .map(|source| ask(source, opened, request));
    let (mut all, mut notes, mut errors) = (Gathered::default(), Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok((gathered, more)) => {
                all.found.extend(gathered.found);
                all.reports.extend(gathered.reports);
                all.problems.extend(gathered.problems);
                all.accounts.extend(gathered.accounts);
                notes.extend(more);
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        Ok((all, notes))
    } else {
        Err(errors)
    }
}

async fn ask(
    source: &SourceEntry,
    opened: &Opened,
    request: &InventoryRequest,
) -> Result<(Gathered, Vec<String>), Vec<SourceError>> {
    match &source.kind {
        SourceKind::Hosts(entries) => {
            let path = &opened.file.source.path;
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = name.to_string_lossy();
            Ok((written(entries.clone(), &name), Vec::new()))
        }
        SourceKind::Command(source) => {
            let mut entries = command::hosts(source, &opened.folder)
                .await
                .map_err(|error| vec![error])?;
            for entry in &mut entries {
                entry.ssh.anchor(&opened.folder, request.home.as_deref());
            }
            let mut printed = written(entries, &source.argv[0]);
            for found in &mut printed.found {
                found.place = None;
            }
            Ok((printed, Vec::new()))
        }
        SourceKind::Ec2(source) => ask_ec2(source, &opened.file, request).await,
    }
}

fn written(entries: Vec<file::HostEntry>, source: &str) -> Gathered {
    Gathered {
        reports: vec![SourceReport {
            name: source.to_owned(),
            hosts: entries.len(),
            age: None,
        }],
        found: entries
            .into_iter()
            .map(|entry| Found::of_entry(entry, source))
            .collect(),
        ..Gathered::default()
    }
}

async fn ask_ec2(
    source: &Ec2Source,
    file: &InventoryFile,
    request: &InventoryRequest,
) -> Result<(Gathered, Vec<String>), Vec<SourceError>> {
    let query = query(source, request);
    let (mut gathered, mut notes) = (Gathered::default(), Vec::new());
    let (mut hosts, mut problems) = (Vec::new(), Vec::new());
    for answer in ec2::instances(&query).await? {
        for instance in &answer.instances {
            let (host, problem) = ec2_map::host(instance, source, &answer.region);
            hosts.push(host);
            problems.extend(problem);
            gathered.accounts.extend(instance.account.clone());
        }
        notes.extend(answer.note);
        gathered.reports.push(SourceReport {
            name: format!("ec2:{}", answer.region),
            hosts: 0,
            age: answer.age,
        });
    }
    let kept = exclude(hosts, source, file)
        .map_err(|error| vec![SourceError::Exclude(Box::new(error.diagnostic()))])?;
    for report in &mut gathered.reports {
        report.hosts = kept
            .iter()
            .filter(|host| host.source == report.name)
            .count();
    }
    problems.retain(|problem| kept.iter().any(|host| host.id == problem.host));
    gathered.problems = problems;
    gathered.found = kept.into_iter().map(Found::of_instance).collect();
    Ok((gathered, notes))
}

/// The hosts that match none of the source's `exclude`.
fn exclude(
    hosts: Vec<Host>,
    source: &Ec2Source,
    file: &InventoryFile,
) -> Result<Vec<Host>, SpellingError> {
    let keys = TagKeys::new(&hosts, &file.aliases);
    let terms = source.exclude.iter().map(|term| term.matcher(&keys));
    let matchers = terms.collect::<Result<Vec<_>, _>>()?;
    let kept = |host: &Host| !matchers.iter().any(|one| one.matches(host));
    Ok(hosts.into_iter().filter(kept).collect())
}

const STATE_FILTER: &str = "instance-state-name";

/// The source's question, with what flags and configuration say.
fn query(source: &Ec2Source, request: &InventoryRequest) -> Ec2Query {
    let mut filters = source.filters.clone();
    if !request.any_state && !filters.contains_key(STATE_FILTER) {
        filters.insert(STATE_FILTER.to_owned(), vec!["running".to_owned()]);
    }
    let regions = |names: &AwsNames| match &names.regions[..] {
        [] => None,
        [all] if all == "all" => Some(Regions::All),
        names => Some(Regions::Named(names.to_vec())),
    };
    let own = Some(source.regions.clone()).filter(|regions| *regions != Regions::Ambient);
    let cache = source.cache.map(|max_age| CachePolicy {
        folder: request.cache_folder.clone(),
        max_age,
        read: !request.refresh && !request.for_change,
    });
    Ec2Query {
        regions: regions(&request.aws)
            .or(own)
            .or_else(|| regions(&request.aws_defaults))
            .unwrap_or(Regions::Ambient),
        profile: request
            .aws
            .profile
            .clone()
            .or_else(|| source.profile.clone())
            .or_else(|| request.aws_defaults.profile.clone()),
        role_arn: source.role_arn.clone(),
        external_id: source.external_id.clone(),
        filters,
        page_size: source.page_size,
        cache,
    }
}

fn ec2_name(gathered: &Gathered) -> String {
    let regions = gathered.reports.iter();
    let regions: Vec<&str> = regions
        .filter_map(|report| report.name.strip_prefix("ec2:"))
        .collect();
    format!("EC2 in {}", regions.join(", "))
}

/// Reads and checks an inventory file without asking its sources, for `check`: what it says by itself, and
/// whether the hosts that are written in it are each there once.
///
/// # Errors
/// The file is not there or wrong.
pub fn check(path: &Path) -> Result<(), InventoryError> {
    let reference = InventoryRef::Path(path.to_owned());
    let opened = open(&reference, &InventoryRequest::default())?;
    let mut here = Gathered::default();
    for source in &opened.file.sources {
        if let SourceKind::Hosts(entries) = &source.kind {
            here.found.extend(written(entries.clone(), "").found);
        }
    }
    assemble(here, &opened.file, &SshContext::default(), String::new())
        .map(|_| ())
        .map_err(InventoryError::Invalid)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
