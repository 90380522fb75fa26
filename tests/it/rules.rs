//! Rules against stored samples, and `forewarn check`.

mod backtests;
mod bands;
mod blocks;
mod cohorts;
mod families;
mod habits;
mod holidays;

use std::process::Command;
use std::sync::Arc;

use forewarn::alerts::{AlertState, NotifiableAlert};
use forewarn::env::{Clock, ManualClock};
use forewarn::series::Labels;
use forewarn::store::Store;

use crate::support::world::{MINUTE, SECOND, START, World, write};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn check_command(files: &[(&str, &str)]) -> (Option<i32>, String) {
    check_beside(&[], files)
}

/// Checks rule files that stand beside others.
fn check_beside(others: &[(&str, &str)], files: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in others.iter().chain(files) {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "test input")]
        std::fs::write(path, text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir.path())
        .arg("check")
        .args(files.iter().map(|(name, _)| *name))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_says_what_is_wrong_and_sums_up() {
    let good =
        "rule A { signal up  page when value < 1 for 5m  say \"{{ $labels.job }} is down\" }";
    assert_eq!(check_command(&[("a.rules", good)]), (Some(0), "1 rule, 0 errors\n".to_owned()));
    let (code, text) = check_command(&[("b.rules", "rule A { signal up  page when reaches 0 }")]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r"
    error[R007]: `reaches` needs a time: add `within 4h`
      --> b.rules:1:31
    1 | rule A { signal up  page when reaches 0 }
      |                               ^^^^^^^^^

    0 rules, 1 error
    ");
    let (code, text) =
        check_command(&[("c.yml", "groups: [{name: g, rules: [{alert: A, expr: up}]}]")]);
    assert_eq!((code, text.as_str()), (Some(0), "1 rule, 0 errors\n"));
    let mut missing = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    let output = missing.args(["check", "/nowhere.rules"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_static_rule_says_why() {
    let rule = "defaults { every 10s }
rule QueueLong { signal queue_length{kind!=\"bulk\"}  page when value > 100 for 30s  clear when value < 50 for 20s }";
    let mut world = World::new(&[("a.rules", rule)]);
    let queue = [("__name__", "queue_length"), ("kind", "mail")];
    let mut states = Vec::new();
    for value in [10.0, 150.0, 150.0, 150.0, 150.0, 70.0, 70.0, 70.0, 40.0, 40.0, 40.0] {
        world.clock.set(world.manager.next_due().unwrap());
        world.write(&queue, value);
        world.evaluate();
        states.push(world.manager.view().alerts().map(|alert| alert.state).next());
    }
    let (pending, firing) = (Some(AlertState::Pending), Some(AlertState::Firing));
    assert_eq!(states[..5], [None, pending, pending, pending, firing]);
    assert_eq!(states[5..9], [firing; 4], "between the two values it stays");
    assert_eq!(*states.last().unwrap(), None);
    let sent = world.sent.lock();
    let [fired, .., resolved] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(fired.annotations.get("why"), Some("queue_length 150 is above 100"));
    assert_eq!(
        fired.labels.to_string(),
        r#"{alertname="QueueLong", kind="mail", region="eu", severity="page"}"#
    );
    assert!(resolved.ends_at_ms <= world.clock.now_ms());
}

#[test]
fn a_drain_that_ends_in_ten_minutes_is_warned_about_within_three() {
    for every_s in [1, 15, 30, 60] {
        for within in ["10m", "12m", "1h", "12h"] {
            let rule = format!(
                "defaults {{ every {every_s}s }} rule Drains {{ signal free_bytes  unit bytes  page when reaches 0 within {within} }}"
            );
            let mut world = World::new(&[("a.rules", &rule)]);
            let series = [("__name__", "free_bytes"), ("volume", "data")];
            let first_ms = START + 7 * SECOND;
            world.clock.set(first_ms);
            while world.sent.lock().is_empty() {
                let since_s = (world.clock.now_ms() - first_ms) / SECOND;
                assert!(since_s <= 180, "every {every_s}s within {within}");
                world.write(&series, (600 - since_s) as f64 * 1e6);
                world.evaluate();
                world.clock.advance(SECOND);
            }
        }
    }
}

/// A service's latency: low at night, high at noon, noisy.
fn latency(time_ms: i64, random: &mut fastrand::Rng) -> f64 {
    let day = (time_ms % DAY) as f64 / DAY as f64;
    let noise = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    0.3 - 0.15 * (std::f64::consts::TAU * day).cos() + 0.01 * noise
}

/// Two services, a sample each minute since two weeks before [`START`]; four hours after it one
/// departs from what is normal.
struct Services {
    series: [Labels; 2],
    random: fastrand::Rng,
    next_ms: i64,
}

const DEPARTS_MS: i64 = START + 4 * HOUR;

impl Services {
    fn new() -> Services {
        let series = ["calm", "troubled"].map(|service| {
            Labels::from_pairs([("__name__", "latency_seconds"), ("service", service)])
        });
        Services { series, random: fastrand::Rng::with_seed(11), next_ms: START - 14 * DAY }
    }

    /// Stores the next sample of each, at its time; returns that time.
    fn report(&mut self, store: &Store, clock: &ManualClock) -> i64 {
        let time_ms = self.next_ms;
        self.next_ms += MINUTE;
        clock.set(time_ms);
        let [calm, normal] = [(); 2].map(|()| latency(time_ms, &mut self.random));
        let troubled = if time_ms >= DEPARTS_MS { normal + 0.4 } else { normal };
        let [first, second] = &self.series;
        write(store, &[(first, time_ms, calm), (second, time_ms, troubled)]);
        time_ms
    }
}

/// Returns a store that holds all that the services report, with its clock at [`START`].
fn reported() -> (Store, Arc<ManualClock>) {
    let mut services = Services::new();
    let clock = Arc::new(ManualClock::new(services.next_ms));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    while services.report(&store, &clock) < DEPARTS_MS + 2 * HOUR {}
    clock.set(START);
    (store, clock)
}

const UNUSUAL: &str = r#"
rule LatencyUnusual {
  signal  latency_seconds
  unit    seconds
  page    when above normal by 20% for 5m   clear when inside normal for 5m
  say     "{{ $labels.service }} takes {{ $value | humanizeDuration }}"
}
rule RunsOut {
  signal  latency_seconds
  unit    seconds
  ticket  when reaches 2 within 1h
}
"#;

/// Evaluates from the clock's time to `end_ms`, each instant when it is due.
fn replay(world: &mut World, end_ms: i64) -> Vec<NotifiableAlert> {
    while let Some(due_ms) = world.manager.next_due().filter(|due_ms| *due_ms <= end_ms) {
        world.clock.set(due_ms);
        world.manager.evaluate_due(due_ms);
    }
    std::mem::take(&mut *world.sent.lock())
}

#[test]
fn what_is_normal_is_known_from_stored_history_and_a_departure_is_a_page() {
    let (store, clock) = reported();
    let mut world = World::over(store, clock, &[("a.rules", UNUSUAL)]);
    let sent = replay(&mut world, DEPARTS_MS + HOUR);
    let about = |alert: &NotifiableAlert| alert.labels.get("service") == Some("troubled");
    assert!(sent.iter().all(about), "{sent:?}");
    let first = sent.first().expect("a departure is a page");
    assert!((DEPARTS_MS..DEPARTS_MS + 10 * MINUTE).contains(&first.starts_at_ms), "{first:?}");
    let why = first.annotations.get("why").unwrap();
    assert!(why.contains("normal for ") && why.contains("learned from 2 weeks"), "{why}");
    let expected = world.query("forewarn_expected{service=\"calm\"}");
    assert_eq!(expected.len(), 1, "{expected:?}");
}

#[test]
fn a_replay_gives_the_alerts_that_were_given_live() {
    let end_ms = DEPARTS_MS + 30 * MINUTE;
    let (store, clock) = reported();
    let replayed = replay(&mut World::over(store, clock, &[("a.rules", UNUSUAL)]), end_ms);
    assert!(!replayed.is_empty());

    // Live: samples arrive one after the other, and rules are evaluated as time goes by.
    let mut services = Services::new();
    let clock = Arc::new(ManualClock::new(services.next_ms));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    while services.next_ms < START {
        services.report(&store, &clock);
    }
    let mut live = Vec::new();
    let mut world: Option<World> = None;
    while services.next_ms <= end_ms {
        services.report(&store, &clock);
        let (store, clock) = (store.clone(), Arc::clone(&clock));
        let load = || World::over(store, clock, &[("a.rules", UNUSUAL)]);
        // Seconds pass until the next sample.
        let next_ms = (services.next_ms - 1).min(end_ms);
        live.extend(replay(world.get_or_insert_with(load), next_ms));
    }
    assert_eq!(live, replayed);
}
