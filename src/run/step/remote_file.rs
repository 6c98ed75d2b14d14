//! What a file on a host is, and the constant scripts that look at it and put it in place. Paths reach the
//! scripts as arguments, never as text.

use crate::model::Size;
use crate::transport::Program;

/// SHA-256 of a file with whatever the host has.
const SUM: &str = r#"sum() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 <"$1"
  elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r <"$1"
  else echo 'none of sha256sum, shasum and openssl is there' >&2; return 1; fi | cut -c1-64
}
"#;

/// Prints the kind of `$1`, and of a file its size, mode, owner, group and, where `$2` is `yes`, digest.
const LOOK: &str = r#"set -eu
if [ -d "$1" ]; then echo folder; exit 0; fi
if [ ! -e "$1" ]; then
  up=$(dirname -- "$1")
  if [ -d "$up" ] && [ ! -x "$up" ]; then echo "no permission to look into $up" >&2; exit 1; fi
  echo absent; exit 0
fi
if [ ! -f "$1" ]; then echo other; exit 0; fi
if [ ! -r "$1" ]; then echo "no permission to read $1" >&2; exit 1; fi
echo file
stat -Lc '%s %a %U %G' -- "$1" 2>/dev/null || echo "$(wc -c <"$1" | tr -d ' ') - - -"
if [ "$2" = yes ]; then sum "$1"; fi
"#;

/// Checks the temporary file `$1` and puts it at `$2`: size `$3`, digest `$4`, mode `$5`, owner `$6` or
/// nothing, backup `$7` or nothing, a check `$8` or nothing. Whatever fails takes the temporary file away.
const PLACE: &str = r#"set -eu
tmp=$1
refuse() { rm -f -- "$tmp"; echo "$1" >&2; exit 1; }
size=$(wc -c <"$tmp" | tr -d ' ') || refuse 'it did not arrive'
[ "$size" = "$3" ] || refuse "only $size of $3 bytes arrived"
[ "$(sum "$tmp")" = "$4" ] || refuse 'what arrived has another digest'
if [ -n "$8" ]; then
  code=0; sh -euc "$8" >&2 || code=$?
  [ "$code" = 0 ] || refuse "verify failed with exit $code"
fi
if [ -n "$6" ]; then chown -- "$6" "$tmp" || refuse "cannot give it to $6"; fi
chmod -- "$5" "$tmp" || refuse "cannot set mode $5"
if [ -n "$7" ] && [ -e "$2" ]; then cp -p -- "$2" "$7" || refuse "cannot keep a backup at $7"; fi
mv -f -- "$tmp" "$2" || refuse "cannot rename it to $2"
"#;

/// Sets mode `$2` and owner `$3` or nothing of `$1`.
const ADJUST: &str = r#"set -eu
if [ -n "$3" ]; then chown -- "$3" "$1"; fi
chmod -- "$2" "$1"
"#;

/// What stands at a path on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemoteFile {
    Absent,
    Folder,
    /// Neither file nor folder.
    Other,
    File(FileFacts),
}

/// What is known of a remote file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) size: u64,
    /// Octal, without leading zeros; `None` where the host has no `stat`.
    pub(crate) mode: Option<String>,
    /// User and group; `None` where the host has no `stat`.
    pub(crate) owner: Option<(String, String)>,
    /// SHA-256, where it was asked for.
    pub(crate) sha256: Option<String>,
}

impl RemoteFile {
    /// Reads what [`look`] printed.
    pub(crate) fn parse(printed: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(printed).ok()?;
        let mut lines = text.lines();
        Some(match lines.next()? {
            "absent" => Self::Absent,
            "folder" => Self::Folder,
            "other" => Self::Other,
            "file" => {
                let mut facts = lines.next()?.split_whitespace();
                let size = facts.next()?.parse().ok()?;
                let mut known = || facts.next().filter(|fact| *fact != "-").map(str::to_owned);
                let (mode, user, group) = (known(), known(), known());
                let is_digest =
                    |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
                Self::File(FileFacts {
                    size,
                    mode,
                    owner: user.zip(group),
                    sha256: lines.next().filter(is_digest).map(str::to_lowercase),
                })
            }
            _ => return None,
        })
    }
}

impl FileFacts {
    /// Whether the mode is this one, written in octal with or without leading zeros.
    pub(crate) fn has_mode(&self, mode: &str) -> bool {
        self.mode.as_deref() == Some(mode.trim_start_matches('0'))
            || (mode.trim_matches('0').is_empty() && self.mode.as_deref() == Some("0"))
    }

    /// Whether it belongs to `user`, `user:group` or `:group`.
    pub(crate) fn belongs_to(&self, owner: &str) -> bool {
        let Some((user, group)) = &self.owner else {
            return false;
        };
        let (wanted_user, wanted_group) = owner.split_once(':').unwrap_or((owner, ""));
        (wanted_user.is_empty() || wanted_user == user)
            && (wanted_group.is_empty() || wanted_group == group)
    }
}

/// Looks at a path; `digest` where its SHA-256 is wanted too, which reads all of it.
pub(crate) fn look(path: &str, digest: bool) -> Program {
    let digest = if digest { "yes" } else { "no" };
    script(&format!("{SUM}{LOOK}"), &[path, digest])
}

/// What [`place`] needs to know.
#[derive(Debug)]
pub(crate) struct Placing<'a> {
    pub(crate) temporary: &'a str,
    pub(crate) dest: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) backup: &'a str,
    pub(crate) verify: &'a str,
}

/// Checks an uploaded temporary file and renames it.
pub(crate) fn place(placing: &Placing<'_>) -> Program {
    let size = placing.size.to_string();
    let args = [
        placing.temporary,
        placing.dest,
        &size,
        placing.sha256,
        placing.mode,
        placing.owner,
        placing.backup,
        placing.verify,
    ];
    script(&format!("{SUM}{PLACE}"), &args)
}

/// Sets mode and owner (or none) of a file whose content is right.
pub(crate) fn adjust(path: &str, mode: &str, owner: &str) -> Program {
    script(ADJUST, &[path, mode, owner])
}

/// Makes folders and those above them.
pub(crate) fn make_folders(paths: &[String]) -> Program {
    let words = ["mkdir", "-p", "--"].map(str::to_owned);
    Program::Argv(words.into_iter().chain(paths.iter().cloned()).collect())
}

/// Removes a file.
pub(crate) fn remove(path: &str) -> Program {
    Program::Argv(["rm", "-f", "--", path].map(str::to_owned).to_vec())
}

fn script(text: &str, args: &[&str]) -> Program {
    let words = ["sh", "-c", text, "fab-rs"];
    Program::Argv(
        words
            .iter()
            .chain(args)
            .map(|&word| word.to_owned())
            .collect(),
    )
}

/// The last line that a command of ours said on stderr.
pub(crate) fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("no word of why").trim().to_owned()
}

/// A size for people.
pub(crate) fn shown(bytes: u64) -> String {
    Size(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_prints_is_read() {
        let digest = "a".repeat(64);
        let parse = |text: &str| RemoteFile::parse(text.as_bytes());
        assert_eq!(parse("absent\n"), Some(RemoteFile::Absent));
        assert_eq!(parse("what\n"), None);
        let Some(RemoteFile::File(facts)) = parse(&format!("file\n12 644 app web\n{digest}\n"))
        else {
            panic!("a file");
        };
        assert_eq!((facts.size, facts.sha256.clone()), (12, Some(digest)));
        assert!(facts.has_mode("0644") && !facts.has_mode("0600"));
        for (owner, expected) in [
            ("app", true),
            ("app:web", true),
            (":web", true),
            ("app:db", false),
        ] {
            assert_eq!(facts.belongs_to(owner), expected, "{owner}");
        }
    }

    #[test]
    fn a_host_without_stat_knows_the_size_alone() {
        let Some(RemoteFile::File(facts)) = RemoteFile::parse(b"file\n12 - - -\n") else {
            panic!("a file");
        };
        assert_eq!((facts.size, facts.mode, facts.owner), (12, None, None));
    }
}
