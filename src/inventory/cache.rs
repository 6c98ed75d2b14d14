//! Answers of EC2 that are kept for a while, in `STATE/cache`, mode 0600. Never used for a change: that is
//! the loader's rule, not this file's.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ec2::CachePolicy;
use super::ec2_map::Instance;

/// What an answer depends on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CacheKey<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) profile: Option<&'a str>,
    pub(super) role: Option<&'a str>,
    pub(super) filters: &'a IndexMap<String, Vec<String>>,
}

/// One answer's place.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    max_age: Duration,
    read: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    taken: Timestamp,
    instances: Vec<Instance>,
}

impl Cache {
    pub(super) fn new(policy: &CachePolicy, key: &CacheKey<'_>) -> Self {
        let key = serde_json::to_vec(key).expect("a map with text keys is JSON");
        let digest = Sha256::digest(key);
        let mut name = String::new();
        for byte in &digest[..16] {
            let _ = write!(name, "{byte:02x}");
        }
        Self {
            file: policy.folder.join(format!("ec2-{name}.json")),
            max_age: policy.max_age,
            read: policy.read,
        }
    }

    /// The kept answer and its age, if it may be used. A file that cannot be read is no answer.
    pub(super) fn get(&self) -> Option<(Vec<Instance>, Duration)> {
        if !self.read {
            return None;
        }
        let text = std::fs::read(&self.file).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        // A clock that was set back makes an answer of the future: not to be trusted.
        let age = Duration::try_from(Timestamp::now().duration_since(kept.taken)).ok()?;
        (age <= self.max_age).then_some((kept.instances, age))
    }

    /// Keeps an answer, whole or not at all.
    pub(super) fn put(&self, instances: &[Instance]) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let kept = Kept {
            taken: Timestamp::now(),
            instances: instances.to_vec(),
        };
        let mut file = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(folder: &Path, max_age: u64, read: bool) -> CachePolicy {
        CachePolicy {
            folder: folder.join("cache"),
            max_age: Duration::from_secs(max_age),
            read,
        }
    }

    fn instance() -> Instance {
        Instance {
            id: "i-0abc1234".to_owned(),
            tags: vec![("Name".to_owned(), "app-1".to_owned())],
            ..Instance::default()
        }
    }

    fn cache(policy: &CachePolicy, region: &str, filters: &IndexMap<String, Vec<String>>) -> Cache {
        let key = CacheKey {
            account: "123456789012",
            region,
            profile: None,
            role: None,
            filters,
        };
        Cache::new(policy, &key)
    }

    #[test]
    fn an_answer_is_kept_for_its_region_and_filters_alone() {
        let folder = tempfile::tempdir().unwrap();
        let policy = policy(folder.path(), 3600, true);
        let none = IndexMap::new();
        cache(&policy, "us-west-2", &none)
            .put(&[instance()])
            .unwrap();
        let (kept, age) = cache(&policy, "us-west-2", &none).get().unwrap();
        assert_eq!(kept, [instance()]);
        assert!(age < Duration::from_hours(1));
        assert_eq!(cache(&policy, "us-east-1", &none).get(), None);
        let filters = IndexMap::from([("tag:env".to_owned(), vec!["prod".to_owned()])]);
        assert_eq!(cache(&policy, "us-west-2", &filters).get(), None);
    }

    #[test]
    fn an_old_answer_or_an_unwanted_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let none = IndexMap::new();
        let fresh = policy(folder.path(), 3600, true);
        let kept = cache(&fresh, "r", &none);
        kept.put(&[instance()]).unwrap();
        assert_eq!(
            cache(&policy(folder.path(), 3600, false), "r", &none).get(),
            None
        );
        let old = r#"{"taken":"2020-01-01T00:00:00Z","instances":[]}"#;
        std::fs::write(&kept.file, old).unwrap();
        assert_eq!(kept.get(), None);
        std::fs::write(&kept.file, "torn").unwrap();
        assert_eq!(kept.get(), None);
    }

    #[test]
    fn what_is_kept_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = cache(&policy(folder.path(), 1, true), "r", &IndexMap::new());
        kept.put(&[]).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&kept.file), 0o600);
        assert_eq!(mode(kept.file.parent().unwrap()), 0o700);
    }
}
