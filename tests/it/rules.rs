//! Rules against stored samples, and `forewarn check`.

use std::process::Command;
use std::sync::Arc;

use forewarn::alerts::{AlertState, NotifiableAlert};
use forewarn::env::{Clock, ManualClock};
use forewarn::series::Labels;
use forewarn::store::{Store, StoreOptions};

use crate::support::world::{MINUTE, SECOND, START, World, write};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn check_command(files: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        #[expect(clippy::disallowed_methods, reason = "test input")]
        std::fs::write(dir.path().join(name), text).unwrap();
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

/// Two weeks of two services, a sample each minute, and then a morning on which one departs from
/// what is normal; nothing is evaluated. Returns the store and when the departure begins.
fn two_services() -> (Store, Arc<ManualClock>, i64) {
    let from_ms = START - 14 * DAY;
    let clock = Arc::new(ManualClock::new(from_ms));
    let options = StoreOptions::default();
    let store = Store::in_memory(Arc::clone(&clock) as _);
    assert!(options.retention_ms > 15 * DAY);
    let series = ["calm", "troubled"]
        .map(|service| Labels::from_pairs([("__name__", "latency_seconds"), ("service", service)]));
    let mut random = fastrand::Rng::with_seed(11);
    let departs_ms = START + 4 * HOUR;
    let mut time_ms = from_ms;
    while time_ms < START + 6 * HOUR {
        clock.set(time_ms);
        let calm = latency(time_ms, &mut random);
        let trouble = if time_ms >= departs_ms { 0.4 } else { 0.0 };
        let troubled = latency(time_ms, &mut random) + trouble;
        write(&store, &[(&series[0], time_ms, calm), (&series[1], time_ms, troubled)]);
        time_ms += MINUTE;
    }
    (store, clock, departs_ms)
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
    let (store, clock, departs_ms) = two_services();
    clock.set(START);
    let mut world = World::over(store, clock, &[("a.rules", UNUSUAL)]);
    let sent = replay(&mut world, departs_ms + HOUR);
    let fired: Vec<_> = sent.iter().filter(|alert| alert.starts_at_ms > START).collect();
    assert!(!fired.is_empty());
    assert!(fired.iter().all(|alert| alert.labels.get("service") == Some("troubled")), "{fired:?}");
    let first = fired[0];
    assert!((departs_ms..departs_ms + 10 * MINUTE).contains(&first.starts_at_ms), "{first:?}");
    let why = first.annotations.get("why").unwrap();
    assert!(why.contains("normal for ") && why.contains("learned from 2 weeks"), "{why}");
    let expected = world.query("forewarn_expected{service=\"calm\"}");
    assert_eq!(expected.len(), 1, "{expected:?}");
}

#[test]
fn a_replay_gives_the_alerts_that_were_given_live() {
    let (stored, clock, departs_ms) = two_services();
    let end_ms = departs_ms + 30 * MINUTE;
    clock.set(START);
    let mut world = World::over(stored, clock, &[("a.rules", UNUSUAL)]);
    let replayed = replay(&mut world, end_ms);
    assert!(!replayed.is_empty());

    // Live: samples arrive one after the other, and rules are evaluated as time goes by.
    let clock = Arc::new(ManualClock::new(START - 14 * DAY));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let series = ["calm", "troubled"]
        .map(|service| Labels::from_pairs([("__name__", "latency_seconds"), ("service", service)]));
    let mut random = fastrand::Rng::with_seed(11);
    let mut world: Option<World> = None;
    let mut time_ms = clock.now_ms();
    while time_ms <= end_ms {
        clock.set(time_ms);
        let calm = latency(time_ms, &mut random);
        let trouble = if time_ms >= departs_ms { 0.4 } else { 0.0 };
        let troubled = latency(time_ms, &mut random) + trouble;
        write(&store, &[(&series[0], time_ms, calm), (&series[1], time_ms, troubled)]);
        if time_ms >= START {
            let world = world.get_or_insert_with(|| {
                World::over(store.clone(), Arc::clone(&clock), &[("a.rules", UNUSUAL)])
            });
            // Seconds pass until the next sample.
            let next_ms = (time_ms + MINUTE - 1).min(end_ms);
            while let Some(due_ms) = world.manager.next_due().filter(|due_ms| *due_ms <= next_ms) {
                clock.set(due_ms);
                world.manager.evaluate_due(due_ms);
            }
        }
        time_ms += MINUTE;
    }
    let live = std::mem::take(&mut *world.unwrap().sent.lock());
    assert_eq!(live, replayed);
}
