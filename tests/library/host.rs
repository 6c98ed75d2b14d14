//! A host to try the library's scripts on: a process table and mounts of its own, a JVM or two, and every shell
//! that this machine has. What the scripts say comes back as [`Answer`]s.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a script said and how it ended, under one shell.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) shell: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Answer {
    /// The JSON object that the script printed. Fails the test if it is none, or the script failed.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The script must have refused, with this in its words and nothing on stdout.
    pub(crate) fn refused_with(&self, words: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.contains(words), "wanted `{words}`: {self:?}");
    }
}

/// What is needed beside a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A JDK.
    Jdk,
    /// A JDK, and root: other users, mounts seen from outside.
    JdkAndRoot,
    /// Namespaces alone.
    Nothing,
}

/// A finished host: what it left in its folder.
pub(crate) struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    /// Runs `script` (after `host.sh`) as the first process of a new host. `None`, with the reason printed,
    /// where this machine cannot; that fails instead where `LAB_REQUIRE` is set.
    pub(crate) fn run(needs: Needs, script: &str) -> Option<Self> {
        if let Some(missing) = missing(needs) {
            return skip(&missing);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        // Other users of the host must be able to enter.
        set_mode(path, 0o755);
        if needs != Needs::Nothing {
            // Copied: other users may not be able to enter the build's folder.
            fs::create_dir(path.join("classes")).unwrap();
            for class in fs::read_dir(classes()).unwrap() {
                let class = class.unwrap();
                fs::copy(class.path(), path.join("classes").join(class.file_name())).unwrap();
            }
        }
        // Copied as well: the host has a `/tmp` of its own, and the repository may lie in this machine's.
        let scripts = path.join("lib");
        fs::create_dir(&scripts).unwrap();
        for script in fs::read_dir(library()).unwrap() {
            let script = script.unwrap();
            fs::copy(script.path(), scripts.join(script.file_name())).unwrap();
        }
        fs::write(
            path.join("host.sh"),
            format!("{}\n{script}\n", include_str!("host.sh")),
        )
        .unwrap();
        let mut command = Command::new("unshare");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let output = command
            .args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child"])
            .arg("sh")
            .arg(path.join("host.sh"))
            .env("HOST", path)
            .env("LIB", &scripts)
            .env("SHELLS", shells().join(" "))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "the host script failed: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Some(Self { folder })
    }

    /// What the script run under `key` said, once a shell.
    pub(crate) fn answers(&self, key: &str) -> Vec<Answer> {
        let answers: Vec<Answer> = shells()
            .iter()
            .map(|shell| shell.replace('+', "-"))
            .map(|shell| {
                let read = |suffix: &str| {
                    let bytes = fs::read(
                        self.folder
                            .path()
                            .join(&shell)
                            .join(key.to_owned() + suffix),
                    )
                    .unwrap_or_else(|error| panic!("{shell} {key}{suffix}: {error}"));
                    String::from_utf8(bytes).unwrap()
                };
                Answer {
                    stdout: read(".out"),
                    stderr: read(".err"),
                    code: read(".rc").trim().parse().unwrap(),
                    shell: shell.clone(),
                }
            })
            .collect();
        assert!(!answers.is_empty());
        answers
    }

    /// A file that the host script left.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file that the host script left, without the last newline.
    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.file(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim_end().to_owned()
    }
}

/// The library's scripts.
pub(crate) fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/lib")
}

/// The shells of this machine, `+` for the space in `busybox sh`.
pub(crate) fn shells() -> &'static [&'static str] {
    static SHELLS: OnceLock<Vec<&'static str>> = OnceLock::new();
    SHELLS.get_or_init(|| {
        ["dash", "bash", "busybox+sh"]
            .into_iter()
            .filter(|shell| {
                let program = shell.split('+').next().unwrap_or(shell);
                works("sh", &["-c", &format!("command -v {program}")])
            })
            .collect()
    })
}

/// Whether this test runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn works(program: &str, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn missing(needs: Needs) -> Option<String> {
    if !works("unshare", &["--help"]) {
        return Some("no unshare (util-linux)".to_owned());
    }
    if !is_root() && !works("unshare", &["-Ur", "true"]) {
        return Some("not root, and no user namespaces".to_owned());
    }
    if needs != Needs::Nothing && !works("javac", &["-version"]) {
        return Some("no JDK (javac): install default-jdk-headless".to_owned());
    }
    if needs == Needs::JdkAndRoot && !is_root() {
        return Some("not root".to_owned());
    }
    None
}

fn skip<T>(reason: &str) -> Option<T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test asks its caller whether it may skip"
    )]
    let required = std::env::var_os("LAB_REQUIRE").is_some();
    // Being root is not something that a machine can be asked to have.
    assert!(
        !required || reason == "not root",
        "cannot be skipped here: {reason}"
    );
    #[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
    {
        eprintln!("skipped: {reason}");
    }
    None
}

/// The compiled program, once for all tests.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("patient-classes");
        fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/Patient.java");
        let output = Command::new("javac")
            .arg("-d")
            .arg(&folder)
            .arg(source)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        folder
    })
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
