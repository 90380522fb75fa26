//! The house rules that a machine can hold: who imports whom, formatting, no unused test data.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Which rooms each room may import (beside itself).
const IMPORTS: [(&str, &[&str]); 11] = [
    ("series", &[]),
    ("env", &[]),
    ("lang", &[]),
    ("ingest", &["series", "env", "store"]),
    ("store", &["series", "env"]),
    ("promql", &["series", "env", "lang", "store"]),
    ("learn", &["series"]),
    ("rules", &["series", "env", "lang", "ingest", "store", "promql", "learn"]),
    ("alerts", &["series", "env", "lang", "store", "promql", "rules"]),
    ("api", &ALL),
    ("cli", &ALL),
];

const ALL: [&str; 12] = [
    "series", "env", "lang", "ingest", "store", "promql", "learn", "rules", "alerts", "api", "cli",
    "config",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, into);
        } else {
            into.push(path);
        }
    }
}

fn sources_below(dir: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files_below(&root().join(dir), &mut files);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(!files.is_empty(), "no sources below {dir}");
    files
}

#[test]
fn rooms_import_only_whom_they_may() {
    let mut offences = Vec::new();
    for (room, allowed) in IMPORTS {
        for path in sources_below(&format!("src/{room}")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap_or("");
            let code = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                for other in ALL {
                    let imports = line.contains(&format!("crate::{other}"));
                    if imports && other != room && !allowed.contains(&other) {
                        let file = path.strip_prefix(root()).unwrap().display();
                        offences.push(format!("{file} (code line {number}): {}", line.trim()));
                    }
                }
            }
        }
    }
    assert!(offences.is_empty(), "imports against the table:\n{}", offences.join("\n"));
}

#[test]
fn every_room_has_its_page() {
    for (room, _) in IMPORTS {
        let text = std::fs::read_to_string(root().join(format!("src/{room}/mod.rs"))).unwrap();
        assert!(text.starts_with("//!"), "src/{room}/mod.rs does not open with its page");
        for word in ["Entry point", "Absent"] {
            assert!(text.contains(word), "src/{room}/mod.rs does not say: {word}");
        }
    }
}

#[test]
fn sources_are_formatted() {
    let output = Command::new(env!("CARGO"))
        .args(["fmt", "--check"])
        .current_dir(root())
        .output()
        .expect("cargo fmt runs");
    assert!(output.status.success(), "run cargo fmt:\n{}", String::from_utf8_lossy(&output.stdout));
}

/// A file of test data that no test names, directly or by its folder, proves nothing.
#[test]
fn every_test_file_is_used() {
    let mut data = Vec::new();
    files_below(&root().join("testdata"), &mut data);
    let mut sources = sources_below("src");
    sources.extend(sources_below("tests"));
    let code: String = sources.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for path in data {
        let relative = path.strip_prefix(root()).unwrap();
        let named = relative
            .ancestors()
            .filter(|part| part.components().count() >= 2)
            .any(|part| code.contains(part.to_str().unwrap()));
        assert!(named, "{} is used by no test", relative.display());
    }
}

/// README lists the functions of the one table.
#[test]
fn readme_lists_every_function() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let names = forewarn::promql::functions().iter().map(|function| format!("`{}`", function.name));
    let list = names.collect::<Vec<_>>().join(", ");
    assert!(readme.contains(&format!("{list}.")), "it should say: {list}.");
}
