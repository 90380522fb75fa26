//! `differs from peers` and `shifts`.

use std::sync::Arc;

use forewarn::alerts::NotifiableAlert;
use forewarn::env::ManualClock;
use forewarn::series::Labels;
use forewarn::store::Store;

use super::{DAY, HOUR, replay};
use crate::support::world::{MINUTE, START, World, write};

const STEP: i64 = 5 * MINUTE;
const HOSTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const DIFFERS: &str = "defaults { every 5m } rule OddOne {
  signal  busy
  peers   within (cluster)
  ticket  when differs from peers for 15m
}";

/// What is done to a host's load at a time.
type Change<'a> = &'a dyn Fn(&str, i64) -> f64;

/// A cluster of hosts with a day's cycle, `a` always 30 % above it, from ten days before [`START`]
/// to a day after. From there on `change` is added.
fn hosts(count: usize, change: Change<'_>) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let mut random = fastrand::Rng::with_seed(5);
    let series: Vec<Labels> = HOSTS[..count]
        .iter()
        .map(|host| Labels::from_pairs([("__name__", "busy"), ("cluster", "x"), ("host", *host)]))
        .collect();
    let first_ms = START - 10 * DAY;
    for at_ms in (first_ms..START + DAY).step_by(STEP as usize) {
        clock.set(at_ms);
        let day = (at_ms % DAY) as f64 / DAY as f64;
        let all = 100.0 - 50.0 * (std::f64::consts::TAU * day).cos();
        let samples: Vec<(&Labels, i64, f64)> = series
            .iter()
            .zip(HOSTS)
            .map(|(labels, host)| {
                let noise = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                let own = if host == "a" { 1.3 } else { 1.0 };
                let change = if at_ms < START { 0.0 } else { change(host, at_ms - START) };
                (labels, at_ms, own * all + 2.0 * noise + change)
            })
            .collect();
        write(&store, &samples);
    }
    (store, clock)
}

fn sent(count: usize, rule: &str, change: Change<'_>, load_ms: i64) -> Vec<NotifiableAlert> {
    let (store, clock) = hosts(count, change);
    clock.set(load_ms);
    replay(&mut World::over(store, clock, &[("a.rules", rule)]), START + 18 * HOUR)
}

#[test]
fn one_that_is_always_different_is_not_odd_and_all_together_are_not() {
    assert_eq!(sent(6, DIFFERS, &|_, _| 0.0, START), []);
    assert_eq!(sent(6, DIFFERS, &|_, since_ms| (since_ms / HOUR) as f64 * 10.0, START), []);
    // Half of them leave the others: nobody can say who is odd.
    let leaves = |host: &str, since_ms: i64| match host {
        "d" | "e" | "f" if since_ms >= 6 * HOUR => 40.0,
        _ => 0.0,
    };
    assert_eq!(sent(6, DIFFERS, &leaves, START), []);
}

#[test]
fn the_odd_one_is_told_with_its_numbers() {
    let leaves = |host: &str, since_ms: i64| match host {
        "c" if since_ms >= 6 * HOUR => 40.0,
        _ => 0.0,
    };
    let found = sent(6, DIFFERS, &leaves, START);
    let first = found.first().expect("c is odd");
    assert!(found.iter().all(|alert| alert.labels.get("host") == Some("c")), "{found:?}");
    let delay_ms = first.starts_at_ms - START - 6 * HOUR;
    assert!((15 * MINUTE..45 * MINUTE).contains(&delay_ms), "{} min", delay_ms / MINUTE);
    let why = first.annotations.get("why").unwrap();
    assert!(why.starts_with("busy 1") && why.contains("; beside its peers "), "{why}");
    // A replay says the same.
    assert_eq!(sent(6, DIFFERS, &leaves, START + 5 * HOUR), found);

    // Counting pages changes none, as long as nothing has to be widened.
    let page = DIFFERS.replace("ticket", "page");
    let counted = page.replace("for 15m", "for 15m  budget 1 page per week");
    assert_eq!(sent(6, &counted, &leaves, START), sent(6, &page, &leaves, START));

    // Less than was asked for is none, and neither is one of too few.
    let by = DIFFERS.replace("differs from peers", "differs from peers by 60");
    assert_eq!(sent(6, &by, &leaves, START), []);
    assert_eq!(sent(4, DIFFERS, &leaves, START), []);
    let starts = sent(5, DIFFERS, &leaves, START);
    assert_eq!(starts.first().and_then(|alert| alert.labels.get("host")), Some("c"));
    let at_least = DIFFERS.replace("(cluster)", "(cluster) at least 6");
    assert_eq!(sent(5, &at_least, &leaves, START), []);
    let apart = DIFFERS.replace("(cluster)", "(cluster, host)");
    assert_eq!(sent(6, &apart, &leaves, START), []);
}

#[test]
fn what_is_expected_beside_the_peers_is_stored() {
    let (store, clock) = hosts(6, &|_, _| 0.0);
    clock.set(START);
    let mut world = World::over(store, clock, &[("a.rules", DIFFERS)]);
    replay(&mut world, START + HOUR);
    let value = |query: &str| -> f64 {
        let found = world.query(query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found[0].split(' ').next_back().unwrap().parse().unwrap()
    };
    let share = value("forewarn_expected{host=\"a\"} / on() forewarn_expected{host=\"b\"}");
    assert!((share - 1.3).abs() < 0.1, "{share}");
    assert!(value("forewarn_score{host=\"a\"}") < 1.0);
    assert!(value("forewarn_upper{host=\"a\"} - forewarn_lower{host=\"a\"}") < 60.0);
}

#[test]
fn a_level_that_changed_for_good_has_shifted_and_a_spike_has_not() {
    let rule = "defaults { every 5m } rule Shifted {
      signal busy{host=\"d\"}  note when shifts by 30 }";
    let spike = |_: &str, since_ms: i64| if since_ms / STEP == 60 { 200.0 } else { 0.0 };
    assert_eq!(sent(6, rule, &spike, START), []);
    let shift = |_: &str, since_ms: i64| if since_ms >= 5 * HOUR { 70.0 } else { 0.0 };
    let found = sent(6, rule, &shift, START);
    let first = found.first().expect("a shift");
    let delay_ms = first.starts_at_ms - START - 5 * HOUR;
    assert!((0..=2 * HOUR).contains(&delay_ms), "{} min", delay_ms / MINUTE);
    let why = first.annotations.get("why").unwrap();
    assert!(why.contains("; its level went from ") && why.contains(" on Wed 0"), "{why}");
    assert_eq!(sent(6, &rule.replace("by 30", "by 300"), &shift, START), []);
}
