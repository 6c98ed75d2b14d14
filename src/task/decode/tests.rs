//! Whole task files: the examples of the format, and every kind of mistake with its message and place.

use std::path::Path;
use std::sync::Arc;

use super::read;
use crate::model::{Diagnostic, Source};
use crate::task::{Files, Task};

/// Every path is a file.
struct AnyFile;

impl Files for AnyFile {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        if path.contains("missing") {
            Err("no such file".to_owned())
        } else {
            Ok(Arc::from(&b"echo"[..]))
        }
    }

    fn paths(&self) -> Vec<String> {
        vec!["lib/missin.sh".to_owned()]
    }
}

fn read_text(path: &str, text: &str) -> Result<Task, Vec<Diagnostic>> {
    let source = Arc::new(Source {
        path: path.into(),
        text: text.to_owned(),
    });
    read(&source, None, &AnyFile)
}

#[test]
fn examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for f in std::fs::read_dir(folder.join("tests/fixtures/tasks/examples"))
        .unwrap()
        .chain(std::fs::read_dir(folder.join("tasks")).unwrap())
    {
        let p = f.unwrap().path();
        if p.is_dir() {
            continue;
        }
        match read_text(
            &p.display().to_string(),
            &std::fs::read_to_string(&p).unwrap(),
        ) {
            Ok(t) => {
                println!("== {} ok", t.name);
                for u in &t.unsupported {
                    println!("  {} {}", u.span.as_ref().unwrap().place(), u.message);
                }
                for s in t.steps.iter().chain(&t.always) {
                    println!("   {} | {}", s.id, s.name.shown());
                }
            }
            Err(es) => {
                for e in es {
                    println!(
                        "{} {} {:?} {:?}",
                        e.span.as_ref().unwrap().place(),
                        e.message,
                        e.label,
                        e.hints
                    );
                }
            }
        }
    }
}
