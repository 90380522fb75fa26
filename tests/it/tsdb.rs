//! `forewarn tsdb`, as an operator runs it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use forewarn::env::{ManualClock, RealDisk};
use forewarn::series::{Labels, STALE_NAN};
use forewarn::store::{Store, StoreOptions};

const MINUTE: i64 = 60_000;
const FIRST: i64 = 1_699_999_200_000;

fn tsdb(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .arg("tsdb")
        .args(arguments)
        .arg("--storage.tsdb.path")
        .arg(dir)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Five hours of three series, in blocks and in the log.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(FIRST));
    let options = StoreOptions { dir: dir.path().join("data"), ..StoreOptions::default() };
    let store = Store::open(options, Arc::new(RealDisk), clock.clone()).unwrap();
    let mut appender = store.appender();
    for minute in 0..300 {
        let time_ms = FIRST + minute * MINUTE;
        clock.set(time_ms);
        let mut transaction = appender.begin();
        for n in 0..3 {
            let labels = [("__name__", "made_up".to_owned()), ("n", format!("{n}\"\\"))];
            let series = transaction.series(None, &Labels::from_pairs(labels));
            let value = if minute == 299 { STALE_NAN } else { minute as f64 / 4.0 };
            transaction.sample(series, time_ms, value, 0);
        }
        transaction.commit().unwrap();
        if minute % 60 == 0 {
            store.maintain().unwrap();
        }
    }
    dir
}

#[test]
fn inspect_says_where_the_bytes_go_and_verify_that_they_are_sound() {
    let dir = filled();
    let data = dir.path().join("data");
    let found = tsdb(&data, &["inspect"]);
    let out = text(&found.stdout);
    assert!(found.status.success(), "{}", text(&found.stderr));
    for part in ["values", "postings", "time columns", "made_up", "3 series", "a sample"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let found = tsdb(&data, &["verify"]);
    assert!(found.status.success(), "{}", text(&found.stdout));
    assert!(text(&found.stdout).contains("every checksum holds"));
}

#[test]
fn verify_names_the_file_and_the_place_of_any_damage() {
    let dir = filled();
    let data = dir.path().join("data");
    let block = std::fs::read_dir(data.join("blocks")).unwrap().next().unwrap().unwrap().path();
    let segment = std::fs::read_dir(data.join("wal")).unwrap().flatten();
    let segment = segment.map(|entry| entry.path()).max_by_key(|p| p.metadata().unwrap().len());
    for (file, at) in [
        (block.join("chunks"), 40),
        (block.join("index"), 60),
        (block.join("meta.json"), 30),
        (segment.unwrap(), 80),
    ] {
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        replace(&file, &bytes);
        let found = tsdb(&data, &["verify"]);
        let out = text(&found.stdout);
        assert_eq!(found.status.code(), Some(1), "{out}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(out.contains(name) && out.contains("at byte"), "{out}");
        replace(&file, &whole);
    }
    assert!(tsdb(&data, &["verify"]).status.success());
}

fn replace(file: &Path, bytes: &[u8]) {
    use forewarn::env::Disk;
    RealDisk.remove_file(file).unwrap();
    RealDisk.create(file).unwrap().append(bytes).unwrap();
}

#[test]
fn export_writes_what_promtool_reads() {
    let dir = filled();
    let data = dir.path().join("data");
    let range = ["--start", "1699999260000", "--end", "1699999320000"];
    let found = tsdb(&data, &[&["export", "--match", r#"made_up{n=~"1.*"}"#], &range[..]].concat());
    assert_eq!(
        text(&found.stdout),
        "made_up{n=\"1\\\"\\\\\"} 0.25 1699999260.000\n\
         made_up{n=\"1\\\"\\\\\"} 0.5 1699999320.000\n# EOF\n",
        "{}",
        text(&found.stderr)
    );
    let found = tsdb(&data, &["export"]);
    assert_eq!(text(&found.stdout).lines().count(), 3 * 299 + 1, "staleness markers are left out");
    let found = tsdb(&data, &["export", "--match", "{"]);
    assert_eq!(found.status.code(), Some(1));
}

#[test]
fn a_directory_that_is_none_is_not_made_into_one() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["inspect", "verify", "export"] {
        let found = tsdb(dir.path(), &[command]);
        assert_eq!(found.status.code(), Some(1));
        assert!(text(&found.stderr).contains("--storage.tsdb.path"), "{}", text(&found.stderr));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
