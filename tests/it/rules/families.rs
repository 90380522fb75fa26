//! `share`: a new series knows its family's shape.

use std::sync::Arc;

use forewarn::alerts::NotifiableAlert;
use forewarn::env::ManualClock;
use forewarn::series::Labels;
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
