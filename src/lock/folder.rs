//! A lock's key as the name of a folder on a host.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::model::Label;

/// Names of files have at most 255 bytes; room is left for what is put before and behind them.
const LONGEST: usize = 200;

/// The folder of a key: percent-encoded as a label's file name is; what is too long for a name ends in a digest of
/// the whole.
pub fn folder_name(key: &str) -> String {
    let name = Label::new(key).file_name();
    if name.len() <= LONGEST {
        return name;
    }
    let mut short = name[..LONGEST - 33].to_owned();
    short.push('~');
    for byte in &Sha256::digest(key.as_bytes())[..16] {
        write!(short, "{byte:02x}").expect("writing to a String cannot fail");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_name_and_two_keys_are_two() {
        assert_eq!(folder_name("restart/api/prod"), "restart%2Fapi%2Fprod");
        assert_eq!(folder_name("../x"), "%2E.%2Fx");
        assert_eq!(folder_name("$(reboot)\n"), "%24%28reboot%29%0A");
        let (long, other) = ("é".repeat(100), "é".repeat(101));
        let (long, other) = (folder_name(&long), folder_name(&other));
        assert_eq!((long.len(), other.len()), (LONGEST, LONGEST));
        assert_ne!(long, other);
        assert!(long.starts_with("%C3%A9%C3"), "{long}");
    }
}
