//! The house's rules that the compiler does not check: who may use whom, what pure modules must not name,
//! how long a file may be, and how it opens. ARCHITECTURE.md has the picture; the tables are here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Module → modules it may use. The longest matching name decides; a name covers what lies below it.
/// Everyone may use `model`; a module may use itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["app"]),
    ("lib", &["app"]),
    (
        "app",
        &[
            "audit",
            "cli",
            "journal",
            "report",
            "signal",
            "run",
            "plan",
            "task",
            "inventory",
            "transport",
            "lock",
            "yaml",
            "diagnose",
        ],
    ),
    ("audit", &[]),
    ("cli", &[]),
    (
        "report",
        &[
            "run::event",
            "run::sink",
            "run::record",
            // What a journal says of its run, and whether it can be trusted.
            "run::journal",
            "journal",
            "plan",
            "task",
            "diagnose",
            "lock::answer",
            "lock::gather",
            "lock::note",
            "lock::words",
        ],
    ),
    ("journal", &["run::event", "run::journal", "run::progress"]),
    ("signal", &["run::cancel"]),
    ("run", &["plan", "task", "transport", "diagnose", "lock"]),
    ("plan", &["task"]),
    ("task", &["yaml"]),
    ("inventory", &["yaml"]),
    ("transport", &[]),
    ("lock", &["transport"]),
    ("diagnose", &[]),
    ("yaml", &[]),
    ("model", &[]),
];

/// Modules without I/O, clock, terminal or runtime.
const PURE: &[&str] = &[
    "model",
    "yaml",
    "task",
    "plan",
    "audit::line",
    "audit::redact",
    "diagnose",
    "lock::answer",
    "lock::folder",
    "lock::gather",
    "lock::note",
    "lock::order",
    "lock::words",
    "inventory::file",
    "inventory::ec2_map",
    "journal::record",
    "journal::replay",
    "run::course",
    "run::event",
    "run::progress",
    "run::state",
    "run::course",
    "run::errand",
    "run::roster",
    "run::relay",
    "run::summary",
    "run::cancel",
    "run::lines",
    "run::mask",
    "run::exit",
    "transport::ssh_error",
];

/// What lies below a pure module and is not pure, with the reason in its own `//!`.
const IMPURE: &[&str] = &["task::library"];

/// Paths that a pure module must not name.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "indicatif",
];

/// Names that say nothing about what lives in a file.
const VAGUE: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "types", "imp", "manager", "misc",
];

/// Lines of a file, its tests among them, and of a file of tests.
const LONGEST_FILE: usize = 500;

struct File {
    path: PathBuf,
    module: String,
    text: String,
    syntax: syn::File,
}

#[test]
fn the_house_stands() {
    let files = read_sources();
    assert!(files.len() > 20, "src/ was not found");
    let tests = test_modules(&files);
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let mut faults = opening_faults(file);
            if !tests.contains(&file.path) {
                faults.extend(used_out_of_order(file));
                faults.extend(impurities(file));
                faults.extend(shape_faults(file));
            }
            faults
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn used_out_of_order(file: &File) -> Vec<String> {
    let Some(allowed) = allowed_for(&file.module) else {
        return vec![format!(
            "{}: `{}` is in no row of MAY_USE",
            file.path.display(),
            file.module
        )];
    };
    let own = file.module.split("::").next().unwrap_or_default();
    paths_of(file)
        .into_iter()
        .filter_map(|path| path.strip_prefix("crate::").map(str::to_owned))
        .filter(|path| {
            let top = path.split("::").next().unwrap_or_default();
            let known = MAY_USE.iter().any(|(module, _)| *module == top);
            known && top != own && top != "model" && !allowed.iter().any(|name| covers(name, path))
        })
        .map(|path| {
            format!(
                "{}: `{}` must not use `{path}`",
                file.path.display(),
                file.module
            )
        })
        .collect()
}

fn impurities(file: &File) -> Vec<String> {
    let below = |names: &[&str]| names.iter().any(|name| covers(name, &file.module));
    if !below(PURE) || below(IMPURE) {
        return Vec::new();
    }
    paths_of(file)
        .into_iter()
        .filter(|path| FORBIDDEN.iter().any(|name| covers(name, path)))
        .map(|path| format!("{}: pure, but names `{path}`", file.path.display()))
        .collect()
}

fn opening_faults(file: &File) -> Vec<String> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!(
        "{}: does not open with `//!`: its job, and what is not its job",
        file.path.display()
    )]
}

/// Files that are compiled for tests alone: what `#[cfg(test)] mod name;` declares, and what lies below.
fn test_modules(files: &[File]) -> BTreeSet<PathBuf> {
    let mut tests = BTreeSet::new();
    for file in files {
        let folder = file.path.parent().expect("a source file has a folder");
        let stem = file.path.file_stem().unwrap_or_default();
        let below = if stem == "mod" || stem == "lib" {
            folder.to_path_buf()
        } else {
            folder.join(stem)
        };
        for item in &file.syntax.items {
            let syn::Item::Mod(module) = item else {
                continue;
            };
            if module.content.is_some() || !is_test(&module.attrs) {
                continue;
            }
            let place = match path_attribute(&module.attrs) {
                Some(path) => folder.join(path),
                None => below.join(module.ident.to_string()),
            };
            let place = place.with_extension("");
            let is_below =
                |path: &Path| path.with_extension("") == place || path.starts_with(&place);
            tests.extend(
                files
                    .iter()
                    .map(|file| file.path.clone())
                    .filter(|path| is_below(path)),
            );
        }
    }
    tests
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("cfg")
            && attr
                .parse_args::<syn::Ident>()
                .is_ok_and(|ident| ident == "test")
    })
}

fn path_attribute(attrs: &[syn::Attribute]) -> Option<String> {
    attrs.iter().find_map(|attr| {
        let syn::Meta::NameValue(pair) = &attr.meta else {
            return None;
        };
        let syn::Expr::Lit(value) = &pair.value else {
            return None;
        };
        let syn::Lit::Str(text) = &value.lit else {
            return None;
        };
        pair.path.is_ident("path").then(|| text.value())
    })
}

fn shape_faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("{}: {text}", file.path.display()));
    let stem = file
        .path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    if VAGUE.contains(&stem) {
        fault(format!("`{stem}` does not say what lives there"));
    }
    let logic = file
        .syntax
        .items
        .iter()
        .any(|item| matches!(item, syn::Item::Fn(_) | syn::Item::Impl(_)));
    if stem == "mod" && logic && !file.module.contains("::") {
        fault("mod.rs declares and re-exports, no logic".to_owned());
    }
    faults
}

/// The row of [`MAY_USE`] with the longest name that covers the module.
fn allowed_for(module: &str) -> Option<&'static [&'static str]> {
    MAY_USE
        .iter()
        .filter(|(name, _)| covers(name, module))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, allowed)| *allowed)
}

/// Whether `path` is `name` or lies below it.
fn covers(name: &str, path: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path that the file names outside its tests: `crate::…` for its own crate, with `super` resolved.
fn paths_of(file: &File) -> BTreeSet<String> {
    let mut paths = Paths {
        module: &file.module,
        is_folder: file.path.ends_with("mod.rs"),
        found: BTreeSet::new(),
    };
    paths.visit_file(&file.syntax);
    paths.found
}

struct Paths<'a> {
    module: &'a str,
    is_folder: bool,
    found: BTreeSet<String>,
}

impl Paths<'_> {
    fn add(&mut self, segments: &[String]) {
        let supers = segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        if supers == 0 {
            self.found.insert(segments.join("::"));
            return;
        }
        let own: Vec<&str> = self.module.split("::").collect();
        // A mod.rs is its folder's module, so its first `super` already leaves it; so does a file's.
        let _ = self.is_folder;
        let kept = own.len().saturating_sub(supers);
        let absolute: Vec<&str> = std::iter::once("crate")
            .chain(own[..kept].iter().copied())
            .chain(segments[supers..].iter().map(String::as_str))
            .collect();
        self.found.insert(absolute.join("::"));
    }

    fn add_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = prefix.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(prefix),
            syn::UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.add_tree(prefix, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.add(&segments);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

fn read_sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let syntax =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let module = module_of(path.strip_prefix(&root).expect("the file lies in src/"));
        File {
            path,
            module,
            text,
            syntax,
        }
    };
    rust_files(&root).into_iter().map(file).collect()
}

/// Every source file below a folder.
fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn module_of(path: &Path) -> String {
    let without_extension = path.with_extension("");
    let mut segments: Vec<String> = without_extension
        .iter()
        .map(|segment| segment.to_string_lossy().into_owned())
        .collect();
    if segments.last().is_some_and(|last| last == "mod") {
        segments.pop();
    }
    segments.join("::")
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .collect();
    assert!(files.len() > 100, "{}", files.len());
    let faults: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).expect("a source file is UTF-8");
            let lines = text.lines().count();
            let is_long = lines > LONGEST_FILE;
            is_long.then(|| {
                format!(
                    "{}: {lines} lines, {LONGEST_FILE} is the end",
                    path.display()
                )
            })
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    let top = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
    for (start, _) in MAY_USE {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<String> = vec![(*start).to_owned()];
        while let Some(module) = todo.pop() {
            for name in allowed_for(&module).unwrap_or_default() {
                // `signal` may use the one leaf `run::cancel`, and `report` leaves of `run`: leaves use no one.
                let leaf = name.contains("::");
                assert!(
                    top(name) != *start,
                    "{start} reaches itself through {module}"
                );
                if !leaf && seen.insert(top(name)) {
                    todo.push(top(name));
                }
            }
        }
    }
}
