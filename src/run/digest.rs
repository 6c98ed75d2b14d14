//! SHA-256 of files on this machine, each computed once for a run however many hosts need it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

/// A file's size and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Bytes.
    pub(crate) size: u64,
    /// SHA-256, lowercase hex.
    pub(crate) sha256: Arc<str>,
}

/// How much is read at a time.
const READ: usize = 256 * 1024;

impl Digest {
    /// Reads the whole file, away from the async threads.
    pub(crate) async fn of_file(path: &Path) -> io::Result<Self> {
        let path = path.to_path_buf();
        let read = tokio::task::spawn_blocking(move || Self::read(&path)).await;
        read.map_err(io::Error::other)?
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        let mut piece = vec![0; READ];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                break;
            }
            hash.update(&piece[..count]);
            size += count as u64;
        }
        Ok(Self {
            size,
            sha256: hex(&hash.finalize()).into(),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Digests of the files that a run sends.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<HashMap<PathBuf, Arc<OnceCell<Digest>>>>);

impl Digests {
    /// The digest of a file that does not change while the run lasts; the first who asks reads it.
    pub(crate) async fn of(&self, path: &Path) -> io::Result<Digest> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(path.to_path_buf()).or_default())
        };
        cell.get_or_try_init(|| Digest::of_file(path))
            .await
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_digest_is_that_of_sha256sum() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let digest = Digests::default().of(file.path()).await.unwrap();
        assert_eq!(digest.size, 3);
        assert_eq!(
            &*digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
