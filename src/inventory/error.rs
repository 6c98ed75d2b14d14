//! Why there is no inventory. Every variant ends in diagnostics; no host was connected to.

use std::io;
use std::path::PathBuf;

use crate::model::{Diagnostic, nearest};

/// An inventory could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// No inventory of this name in the search path.
    #[error("no inventory named `{name}`")]
    NotFound {
        /// The name.
        name: String,
        /// The folders that were searched.
        folders: Vec<PathBuf>,
        /// The inventories that there are.
        known: Vec<String>,
    },
    /// The file cannot be read.
    #[error("cannot read inventory {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong, or does not fit the hosts.
    #[error("the inventory has {} errors", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// Sources gave no answer. Hosts of the others are not used: a fleet with holes is no fleet.
    #[error("{} sources of the inventory gave no answer", .0.len())]
    Sources(Vec<SourceError>),
}

/// One source gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This build cannot ask EC2.
    #[error("this build has no EC2 support")]
    NoEc2Support,
    /// EC2 cannot be asked at all: the AWS configuration lacks something.
    #[error("cannot ask EC2{}: {reason}", for_profile(profile.as_deref()))]
    Ec2Unconfigured {
        /// The profile that was used.
        profile: Option<String>,
        /// What lacks, such as `no region is set`.
        reason: String,
        /// From the outermost to the innermost.
        causes: Vec<String>,
        /// What to do about it.
        hints: Vec<String>,
    },
    /// A region gave no answer.
    #[error("cannot {action} in {region}{}", for_profile(profile.as_deref()))]
    Ec2 {
        /// What was asked for, such as `list instances`.
        action: &'static str,
        /// The region.
        region: String,
        /// The profile that was used.
        profile: Option<String>,
        /// From the outermost to the innermost.
        causes: Vec<String>,
        /// What to do about it.
        hints: Vec<String>,
    },
    /// A command of the inventory failed.
    #[error("inventory command `{command}` {reason}")]
    Command {
        /// The command as one line.
        command: String,
        /// What happened, such as `ended with status 3`.
        reason: String,
        /// The end of its stderr.
        stderr: Vec<String>,
    },
    /// A command of the inventory printed something else than hosts.
    #[error("inventory command `{command}` printed no list of hosts")]
    CommandOutput {
        /// The command as one line.
        command: String,
        /// What is wrong with it.
        errors: Vec<Diagnostic>,
    },
    /// A selector of the source does not fit its hosts.
    #[error("{}", .0.message)]
    Exclude(Box<Diagnostic>),
}

fn for_profile(profile: Option<&str>) -> String {
    profile.map_or_else(String::new, |name| format!(" with profile {name}"))
}

impl SourceError {
    /// Whether EC2 was never asked because nothing says how: there may be no AWS here at all.
    pub fn is_unconfigured(&self) -> bool {
        matches!(self, Self::NoEc2Support | Self::Ec2Unconfigured { .. })
    }

    /// The error for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let error = Diagnostic::new(self.to_string());
        match self {
            Self::NoEc2Support => error
                .cause("it was built with `--no-default-features`")
                .hint("name an inventory of other sources with `-I FILE`, or build with the feature `aws`"),
            Self::Ec2Unconfigured { causes, hints, .. } | Self::Ec2 { causes, hints, .. } => {
                with_all(error, causes, hints)
            }
            Self::Command { stderr, .. } => with_all(error, stderr, &[]),
            Self::CommandOutput { errors, .. } => {
                let hints: Vec<String> = errors.iter().flat_map(|one| one.hints.clone()).collect();
                let causes: Vec<String> = errors.iter().map(|one| one.message.clone()).collect();
                with_all(error, &causes, &hints)
            }
            Self::Exclude(diagnostic) => Diagnostic::clone(diagnostic),
        }
    }
}

fn with_all(mut error: Diagnostic, causes: &[String], hints: &[String]) -> Diagnostic {
    error.causes.extend_from_slice(causes);
    error.hints.extend_from_slice(hints);
    error
}

impl InventoryError {
    /// The errors for people.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::NotFound {
                name,
                folders,
                known,
            } => {
                let looked: Vec<String> = folders
                    .iter()
                    .map(|one| one.display().to_string())
                    .collect();
                let mut error = Diagnostic::new(self.to_string());
                if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
                    error = error.hint(format!("did you mean `{near}`?"));
                }
                if !looked.is_empty() {
                    error = error.hint(format!("looked for {name}.yml in {}", looked.join(", ")));
                }
                vec![error.hint("a file is named by its path, such as `-I ./prod.yml`")]
            }
            Self::Read { source, .. } => {
                vec![Diagnostic::new(self.to_string()).cause(source.to_string())]
            }
            Self::Invalid(errors) => errors.clone(),
            Self::Sources(errors) => errors.iter().map(SourceError::diagnostic).collect(),
        }
    }
}
