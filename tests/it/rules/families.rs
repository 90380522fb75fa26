//! `share`: a new series knows its family's shape. `identity`: one takes the place of another.

use std::sync::Arc;

use forewarn::alerts::NotifiableAlert;
use forewarn::env::ManualClock;
use forewarn::series::{Labels, STALE_NAN};
use forewarn::store::Store;

use super::{DAY, HOUR, replay};
use crate::support::world::{MINUTE, START, World, write};

const STEP: i64 = 5 * MINUTE;
/// When the young pod comes.
const BORN: i64 = START + 6 * HOUR;
const RULE: &str =
    "defaults { every 5m } rule Unusual { signal requests  page when outside normal }";

/// What the pod that has been there for weeks does: busy at noon.
fn usual(at_ms: i64) -> f64 {
    let day = (at_ms % DAY) as f64 / DAY as f64;
    100.0 - 60.0 * (std::f64::consts::TAU * day).cos()
}

/// A pod of weeks, and one with three times its load from [`BORN`] on; what `young` adds to it.
fn pods(young: &dyn Fn(i64) -> f64) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let mut random = fastrand::Rng::with_seed(7);
    let pod = |pod| Labels::from_pairs([("__name__", "requests"), ("app", "shop"), ("pod", pod)]);
    let (old, new) = (pod("old"), pod("new"));
    for at_ms in (START - 15 * DAY..START + 2 * DAY).step_by(STEP as usize) {
        clock.set(at_ms);
        let noise = |random: &mut fastrand::Rng| {
            1.0 + 0.02 * ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0)
        };
        let mut samples = vec![(&old, at_ms, usual(at_ms) * noise(&mut random))];
        let other = noise(&mut random);
        if at_ms >= BORN {
            samples.push((&new, at_ms, 3.0 * usual(at_ms) * other + young(at_ms - BORN)));
        }
        write(&store, &samples);
    }
    (store, clock)
}

fn world(rule: &str, load_ms: i64, young: &dyn Fn(i64) -> f64) -> World {
    let (store, clock) = pods(young);
    clock.set(load_ms);
    World::over(store, clock, &[("a.rules", rule)])
}

/// While it starts it has nothing to do yet.
fn starts(since_ms: i64) -> f64 {
    if since_ms < 10 * MINUTE { -3.0 * usual(BORN + since_ms) } else { 0.0 }
}

fn of_new(sent: &[NotifiableAlert]) -> Vec<&NotifiableAlert> {
    sent.iter().filter(|alert| alert.labels.get("pod") == Some("new")).collect()
}

#[test]
fn a_new_pod_knows_the_day_of_its_family() {
    let slows = |since_ms| if since_ms >= 8 * HOUR { -400.0 } else { starts(since_ms) };
    let mut world = world(RULE, START, &slows);
    assert_eq!(of_new(&replay(&mut world, BORN + 8 * HOUR - STEP)), [] as [&NotifiableAlert; 0]);
    let number = |metric: &str| -> f64 {
        let found = world.query(&format!("{metric}{{pod=\"new\"}}"));
        assert_eq!(found.len(), 1, "{metric}: {found:?}");
        found[0].split(' ').next_back().unwrap().parse().unwrap()
    };
    let at_ms = BORN + 8 * HOUR - STEP;
    let share = number("forewarn_expected") / (3.0 * usual(at_ms));
    assert!((0.9..1.1).contains(&share), "{share}");
    assert_eq!(number("forewarn_rule_phase{phase=\"blended\"} or forewarn_rule_phase"), 1.0);
    let phase = world.query("forewarn_rule_phase");
    assert!(phase[0].contains("phase=\"blended\"") && phase[0].contains("pod=\"new\""));
    assert!(phase[1].contains("phase=\"learned\"") && phase[1].contains("pod=\"old\""));

    let sent = replay(&mut world, BORN + 10 * HOUR);
    let why = of_new(&sent).first().expect("a page").annotations.get("why").unwrap().to_owned();
    assert!(why.ends_with(" (learned from 7 hours, 95 % borrowed from its family)"), "{why}");
}

#[test]
fn who_loads_later_says_the_same() {
    let said = |load_ms: i64| {
        let mut world = world(RULE, load_ms, &starts);
        replay(&mut world, BORN + 12 * HOUR);
        ["forewarn_expected", "forewarn_upper", "forewarn_score"].map(|metric| world.query(metric))
    };
    let live = said(START);
    assert_eq!(live[0].len(), 2);
    for load_ms in [BORN, BORN + 7 * MINUTE, BORN + 40 * MINUTE, BORN + 11 * HOUR] {
        assert_eq!(said(load_ms), live, "{} minutes after", (load_ms - BORN) / MINUTE);
    }
}

#[test]
fn who_shares_with_nobody_learns_alone() {
    let alone = RULE.replace("page", "share by (app, pod)  page");
    let mut world = world(&alone, START, &starts);
    replay(&mut world, BORN + 4 * HOUR);
    assert_eq!(world.query("forewarn_expected").len(), 1);
    let others = RULE.replace("page", "share by (app)  page");
    let mut world = self::world(&others, START, &starts);
    replay(&mut world, BORN + 4 * HOUR);
    assert_eq!(world.query("forewarn_expected").len(), 2);
}

/// When the one pod is replaced by the other.
const REPLACED: i64 = START + 6 * HOUR;
/// Between these there is trouble, whichever pod serves.
const TROUBLE: (i64, i64) = (START + 5 * HOUR, START + 8 * HOUR);

/// `old` until it is replaced by `new`; as many others as are wanted are there all the time.
fn replaced(rule: &str, others: &[&str], load_ms: i64) -> World {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let mut random = fastrand::Rng::with_seed(8);
    let pod = |pod| Labels::from_pairs([("__name__", "requests"), ("app", "shop"), ("pod", pod)]);
    let (old, new) = (pod("old"), pod("new"));
    let others: Vec<Labels> = others.iter().map(|other| pod(other)).collect();
    for at_ms in (START - 15 * DAY..START + DAY).step_by(STEP as usize) {
        clock.set(at_ms);
        let noise = 1.0 + 0.02 * ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0);
        let is_trouble = (TROUBLE.0..TROUBLE.1).contains(&at_ms);
        let trouble = if is_trouble { 4.0 } else { 1.0 };
        let serving = if at_ms < REPLACED { &old } else { &new };
        let mut samples = vec![(serving, at_ms, usual(at_ms) * noise * trouble)];
        samples.extend(others.iter().map(|other| (other, at_ms, usual(at_ms) * noise)));
        write(&store, &samples);
    }
    clock.set(load_ms);
    World::over(store, clock, &[("a.rules", rule)])
}

#[test]
fn a_replaced_pod_goes_on_with_what_is_known_and_with_its_alert() {
    let mut world = replaced(RULE, &[], START);
    let mut sent = replay(&mut world, REPLACED + HOUR);
    let phases = world.query("forewarn_rule_phase");
    assert!(
        phases.len() == 1 && phases[0].contains("phase=\"learned\", pod=\"new\""),
        "{phases:?}"
    );
    sent.extend(replay(&mut world, TROUBLE.1 + 2 * HOUR));
    let starts_ms = sent.first().expect("trouble is a page").starts_at_ms;
    assert!((TROUBLE.0..TROUBLE.0 + 15 * MINUTE).contains(&starts_ms), "{starts_ms}");
    sent.retain(|alert| alert.starts_at_ms < TROUBLE.1);
    for alert in &sent {
        assert_eq!(alert.labels.get("pod"), Some("old"), "it keeps its labels: {alert:?}");
        assert_eq!(alert.starts_at_ms, starts_ms, "it is one alert: {alert:?}");
    }
    let ends_ms = sent.last().map_or(0, |alert| alert.ends_at_ms);
    assert!((TROUBLE.1..TROUBLE.1 + 15 * MINUTE).contains(&ends_ms), "{ends_ms}");
}

#[test]
fn who_loads_after_a_pod_was_replaced_says_the_same() {
    let said = |load_ms: i64| {
        let mut world = replaced(RULE, &[], load_ms);
        replay(&mut world, REPLACED + 4 * HOUR);
        ["forewarn_expected", "forewarn_upper", "forewarn_score"].map(|metric| world.query(metric))
    };
    let live = said(START);
    assert_eq!(live[0].len(), 1);
    for load_ms in [REPLACED, REPLACED + 3 * MINUTE, REPLACED + HOUR] {
        assert_eq!(said(load_ms), live, "{} minutes after", (load_ms - REPLACED) / MINUTE);
    }
}

#[test]
fn forecasts_and_history_go_over_too() {
    let rule = "defaults { every 5m } rule Ends {
      signal requests  ticket when reaches 250 within 6h  until 1d of history use value > 1000 }";
    let known = |rule: &str| {
        let mut world = replaced(rule, &[], START);
        replay(&mut world, REPLACED + 15 * MINUTE);
        let phase = world.query("forewarn_rule_phase{pod=\"new\"}");
        (world.query("forewarn_probability{pod=\"new\"}").len(), phase[0].contains("learned"))
    };
    assert_eq!(known(rule), (1, true));
    assert!(!known(&rule.replace("until", "identity by (pod)  until")).1, "judged by `until`");
}

#[test]
fn with_a_third_one_there_or_by_other_labels_nobody_takes_over() {
    let apart = RULE.replace("page", "identity by (pod)  share by (pod)  page");
    for (rule, others) in [(RULE, &["third"][..]), (&apart, &[])] {
        let mut world = replaced(rule, others, START);
        let sent = replay(&mut world, REPLACED + HOUR);
        let last = sent.iter().rfind(|alert| alert.labels.get("pod") == Some("old"));
        let ends_ms = last.expect("trouble is a page").ends_at_ms;
        assert!((REPLACED..REPLACED + 20 * MINUTE).contains(&ends_ms), "{ends_ms}");
        let young = world.query("forewarn_rule_phase{phase=\"blended\"}");
        assert!(young.len() == 1 && young[0].contains("pod=\"new\""), "{young:?}");
    }
}

#[test]
fn who_comes_back_waits_until_its_labels_are_free() {
    let rule = "rule Long { signal queue_length  page when value > 100 }";
    let mut world = World::new(&[("a.rules", rule)]);
    let [old, new] = ["old", "new"].map(|pod| [("__name__", "queue_length"), ("pod", pod)]);
    let mut pods_at = Vec::new();
    for minute in 0..60 {
        world.clock.set(START + minute * MINUTE);
        let length = if (40..50).contains(&minute) { 50.0 } else { 150.0 };
        match minute {
            // Prometheus says when a target is gone.
            10 => world.write(&old, STALE_NAN),
            11..25 => {}
            _ => world.write(&old, length),
        }
        if minute >= 10 {
            world.write(&new, length);
        }
        world.evaluate();
        let view = world.manager.view();
        assert_eq!(view.groups[0].rules[0].last_error, None, "minute {minute}");
        let pods = view.alerts().map(|alert| alert.labels.get("pod").unwrap_or("").to_owned());
        pods_at.push(pods.collect::<Vec<_>>());
    }
    // One alert that goes on, also when the other is back, until it has ended.
    for minute in [5, 10, 20, 30, 39] {
        assert_eq!(pods_at[minute], ["old"], "minute {minute}");
    }
    assert_eq!(pods_at[45], [] as [&str; 0]);
    assert_eq!(pods_at[58].join(" "), "new old");
}
