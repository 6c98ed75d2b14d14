//! The scripts as text: what several of them share is the same in each, and every shell reads them.

use std::collections::BTreeMap;
use std::process::Command;

use crate::host::{library, shells};

fn scripts() -> Vec<(String, String)> {
    let mut scripts: Vec<_> = std::fs::read_dir(library())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 10, "{}", scripts.len());
    scripts
}

const MARK: &str = ": the same in every script that has this block\n";

/// Each script is sent to its host alone, so none can include another: what they share is copied.
#[test]
fn blocks_that_scripts_share_are_the_same_in_each() {
    let mut blocks: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut copies = 0;
    for (script, text) in scripts() {
        for (place, mark) in text.match_indices(MARK) {
            let name = text[..place].rsplit("# --- ").next().unwrap();
            let body = &text[place + mark.len()..];
            let Some((body, _)) = body.split_once(&format!("# --- end of {name}\n")) else {
                panic!("{script}: block `{name}` has no end");
            };
            let (first, known) = blocks
                .entry(name.to_owned())
                .or_insert_with(|| (script.clone(), body.to_owned()));
            assert_eq!(
                known, body,
                "block `{name}` differs between {first} and {script}"
            );
            copies += 1;
        }
    }
    assert_eq!(
        blocks.keys().collect::<Vec<_>>(),
        [
            "digest", "goal", "jvm", "proc", "release", "room", "way", "words"
        ]
    );
    assert!(copies > 12, "{copies}");
}

#[test]
fn every_shell_reads_every_script() {
    for (script, _) in scripts() {
        for shell in shells() {
            let mut words = shell.split('+');
            let output = Command::new(words.next().unwrap())
                .args(words)
                .arg("-n")
                .arg(library().join(&script))
                .output()
                .unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{shell} {script}: {output:?}"
            );
        }
    }
}
