//! The `ssh:` keys as they are written in several places, and how one place overrides another.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::model::{HostKeys, Kex, SshSettings};

/// Connection settings of one place: a flag, the configuration, an inventory, one of its rules, a host.
/// `None` leaves the key to the place below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshKeys {
    /// Login user.
    pub user: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Private key file.
    pub identity: Option<PathBuf>,
    /// The bastion; `none` undoes one of a place below.
    pub jump: Option<String>,
    /// Host key policy.
    pub host_keys: Option<HostKeys>,
    /// Key exchange preference.
    pub kex: Option<Kex>,
    /// An `ssh_config` file.
    pub config: Option<PathBuf>,
    /// Further `ssh_config` options; each is overridden on its own.
    pub options: IndexMap<String, String>,
}

impl SshKeys {
    /// Takes from `below` every key that is not set here.
    pub fn fill_from(&mut self, below: &Self) {
        fn fill<T: Clone>(key: &mut Option<T>, below: Option<&T>) {
            if key.is_none() {
                *key = below.cloned();
            }
        }
        fill(&mut self.user, below.user.as_ref());
        fill(&mut self.port, below.port.as_ref());
        fill(&mut self.identity, below.identity.as_ref());
        fill(&mut self.jump, below.jump.as_ref());
        fill(&mut self.host_keys, below.host_keys.as_ref());
        fill(&mut self.kex, below.kex.as_ref());
        fill(&mut self.config, below.config.as_ref());
        for (key, value) in &below.options {
            // ssh reads option names without case.
            if !self.options.keys().any(|set| set.eq_ignore_ascii_case(key)) {
                self.options.insert(key.clone(), value.clone());
            }
        }
    }

    /// Makes relative paths start at `folder` and `~/` at `home`.
    pub(crate) fn anchor(&mut self, folder: &Path, home: Option<&Path>) {
        for path in [&mut self.identity, &mut self.config].into_iter().flatten() {
            match (path.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => *path = home.join(rest),
                (Ok(_), None) => {}
                (Err(_), _) => *path = folder.join(&*path),
            }
        }
    }

    /// The settings of one host.
    pub(crate) fn into_settings(self) -> SshSettings {
        SshSettings {
            user: self.user,
            port: self.port,
            identity: self.identity,
            jump: self.jump,
            host_keys: self.host_keys,
            kex: self.kex.unwrap_or_default(),
            config: self.config,
            options: self.options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(user: Option<&str>, option: (&str, &str)) -> SshKeys {
        SshKeys {
            user: user.map(str::to_owned),
            options: IndexMap::from([(option.0.to_owned(), option.1.to_owned())]),
            ..SshKeys::default()
        }
    }

    #[test]
    fn each_key_and_each_option_is_overridden_on_its_own() {
        let mut host = keys(None, ("ServerAliveInterval", "5"));
        host.port = Some(2222);
        host.fill_from(&keys(Some("admin"), ("serveraliveinterval", "15")));
        host.fill_from(&keys(Some("ec2-user"), ("Compression", "yes")));
        assert_eq!(host.user.as_deref(), Some("admin"));
        assert_eq!(host.port, Some(2222));
        let options: Vec<_> = host
            .options
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(options, ["ServerAliveInterval=5", "Compression=yes"]);
    }

    #[test]
    fn paths_start_at_the_folder_or_at_home() {
        let anchored = |path: &str| {
            let mut keys = SshKeys {
                identity: Some(path.into()),
                ..SshKeys::default()
            };
            keys.anchor(Path::new("/inv"), Some(Path::new("/home/me")));
            keys.identity.unwrap()
        };
        assert_eq!(anchored("keys/prod.pem"), Path::new("/inv/keys/prod.pem"));
        assert_eq!(anchored("~/.ssh/prod"), Path::new("/home/me/.ssh/prod"));
        assert_eq!(anchored("/etc/k"), Path::new("/etc/k"));
    }
}
