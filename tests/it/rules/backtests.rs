//! `forewarn backtest`: what rules would have said, and whether that is as it should be.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use forewarn::env::{RealDisk, SystemClock};
use forewarn::series::{Labels, format_rfc3339};
use forewarn::store::{Store, StoreOptions};

use super::{DAY, HOUR};
use crate::support::world::{MINUTE, START, write};

const STEP: i64 = 5 * MINUTE;
/// Three weeks until [`START`].
const FIRST: i64 = START - 21 * DAY;

/// Stores three weeks of a queue that is far too long from noon to one on the last two Tuesdays,
/// and of another that is there for the last two days only, and too long at their end.
fn stored(dir: &Path) {
    let options = StoreOptions { dir: dir.to_owned(), ..StoreOptions::default() };
    let store = Store::open(options, Arc::new(RealDisk), Arc::new(SystemClock::new())).unwrap();
    let queue = |name| Labels::from_pairs([("__name__", "queue_length"), ("queue", name)]);
    let (mail, new) = (queue("mail"), queue("new"));
    let mut random = fastrand::Rng::with_seed(4);
    for at_ms in (FIRST..=START).step_by(STEP as usize) {
        let length = 100.0 + 10.0 * random.f64();
        let is_long = [noon(0), noon(7)].iter().any(|at| (*at..*at + HOUR).contains(&at_ms));
        let mut samples = vec![(&mail, at_ms, if is_long { 5.0 * length } else { length })];
        if at_ms >= START - 2 * DAY {
            samples.push((&new, at_ms, if at_ms > START - HOUR { 900.0 } else { length }));
        }
        write(&store, &samples);
    }
    store.close().unwrap();
}

/// Noon of the Tuesday so many days before [`START`], a Tuesday evening.
fn noon(days_before: i64) -> i64 {
    START / DAY * DAY + 12 * HOUR - days_before * DAY
}

/// What a rule file gets, with the exit code.
fn backtest(rules: &str, flags: &[&str]) -> (Option<i32>, String) {
    run(rules, &[&["backtest", "a.rules", "--since=14d"], flags].concat())
}

/// Runs a command beside `a.rules` and the data.
fn run(rules: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    stored(&dir.path().join("data"));
    let path = dir.path().join("a.rules");
    #[expect(clippy::disallowed_methods, reason = "test input")]
    std::fs::write(&path, rules).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(arguments)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// A time as `expect` takes it.
fn time(at_ms: i64) -> String {
    format!("{}Z", &format_rfc3339(at_ms)[..16])
}

fn rule(rest: &str) -> String {
    format!(
        "defaults {{ every 5m }} rule Long {{ signal queue_length  page when value > 400 for 10m  {rest} }}"
    )
}

#[test]
fn every_firing_is_told_and_those_of_a_young_series_apart() {
    let (code, text) = backtest(&rule(""), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Long: 2 series, 2 firings, 1.0 pages a week"), "{text}");
    let firings: Vec<&str> = text.lines().filter(|line| line.contains("  page ")).collect();
    assert_eq!(firings.len(), 3, "{text}");
    for (line, queue, at) in [(0, "mail", noon(7)), (1, "mail", noon(0)), (2, "new", START)] {
        let day = &format_rfc3339(at)[..10];
        let what = format!("{{queue=\"{queue}\"}}: queue_length ");
        assert!(firings[line].contains(day) && firings[line].contains(&what), "{text}");
    }
    assert!(text.contains("began at 12h 2\n  in the first 7 days of a series, not counted:\n"));
    assert!(firings[2].contains(" still firing ") && firings[0].contains(" 12:1"), "{text}");

    let (code, text) = backtest(&rule(""), &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let found = &json["rules"][0];
    assert_eq!((code, found["firings"].as_array().map(Vec::len)), (Some(0), Some(2)), "{text}");
    assert_eq!(found["learning"][0]["labels"]["queue"], "new");
    assert_eq!(found["learning"][0]["end"], serde_json::Value::Null);
    let start = found["firings"][0]["start"].as_f64().unwrap() * 1000.0 - noon(7) as f64;
    assert!((10.0..20.0).contains(&(start / MINUTE as f64)), "{start}");
}

#[test]
fn what_is_expected_decides_the_exit_code() {
    let expect = |what: &str, from: i64, to: i64, why: &str| {
        rule(&format!("expect {what} {}..{} {why}", time(from), time(to)))
    };
    let (code, text) = backtest(&expect("fires", noon(7), noon(7) + HOUR, "\"the outage\""), &[]);
    assert!(code == Some(0) && text.contains("Z: holds (the outage)\n"), "{text}");
    let (code, text) = backtest(&expect("quiet", noon(7), noon(7) + HOUR, ""), &[]);
    assert!(code == Some(1) && text.contains("  expect quiet ") && text.contains(": FAILS\n"));
    let (code, text) = backtest(&expect("fires", noon(5), noon(4), ""), &[]);
    assert!(code == Some(1) && text.contains(": FAILS\n"), "{text}");
    // Before what is replayed for the figures, and before what is stored.
    let (code, text) = backtest(&expect("quiet", noon(17), noon(16), ""), &[]);
    assert!(code == Some(0) && text.contains(": holds\n"), "{text}");
    let (code, text) = backtest(&expect("fires", noon(40), noon(39), ""), &[]);
    assert!(code == Some(0) && text.contains(": skipped, that history is not stored\n"), "{text}");
}

#[test]
fn a_budget_that_is_exceeded_decides_the_exit_code() {
    let learned = |budget: &str| {
        rule(budget).replace("value > 400", "value > 400 and above normal or value > 450")
    };
    let (code, text) = backtest(&learned("budget 1 page per week"), &[]);
    assert!(
        code == Some(0) && text.contains("budget: 2 pages where 2 are allowed: kept"),
        "{text}"
    );
    let check = |budget: &str| {
        let (code, text) = run(&learned(budget), &["check", "a.rules", "--storage.tsdb.path=data"]);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    assert_eq!(check("budget 3 pages per week"), "1 rule, 0 errors\n");
    let text = check("budget 1 page per month");
    let told = "warning[R042]: `Long` would have paged 2 times in 21 days, of which its budget \
                allows 1\n  --> a.rules:1:";
    assert!(text.starts_with(told) && text.ends_with("1 rule, 0 errors, 1 warning\n"), "{text}");
    let (code, text) = backtest(&learned("budget 1 page per month"), &[]);
    assert!(code == Some(1) && text.contains("2 pages where 1 are allowed: EXCEEDED"), "{text}");
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let (code, text) = backtest("rule A { signal up }", &[]);
    assert!(code == Some(2) && text.contains("error[R011]"), "{text}");
    let (code, text) = backtest(&rule(""), &["--storage.tsdb.path=nowhere"]);
    assert!(code == Some(1) && text.contains("nowhere: this is no data directory"), "{text}");
    let two = rule("").replace(
        "signal queue_length",
        "signal label_replace(queue_length, \"queue\", \"\", \"\", \"\")",
    );
    let (code, text) = backtest(&two, &[]);
    assert!(code == Some(0) && text.contains("  could not be evaluated: "), "{text}");
}
