//! What templates may ask of the world: the clock, and digests of files of this machine.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::task::Outside;

/// This machine, seen from the working directory.
#[derive(Debug, Clone)]
pub(super) struct ThisMachine {
    /// Where relative paths start.
    pub(super) cwd: PathBuf,
}

impl Outside for ThisMachine {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn file_sha256(&self, path: &str) -> Result<String, String> {
        digest(&self.cwd.join(path)).map_err(|error| error.to_string())
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let mut hex = String::new();
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_files_bytes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "abc").unwrap();
        let machine = ThisMachine {
            cwd: dir.path().to_owned(),
        };
        assert_eq!(
            machine.file_sha256("a").as_deref(),
            // FIPS 180-2, appendix B.1
            Ok("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert!(machine.file_sha256("b").is_err());
    }
}
