//! `sensitivity` and `budget`: where the edge of a learned band lies, never what is learned.

use std::sync::Arc;

use forewarn::alerts::NotifiableAlert;
use forewarn::env::ManualClock;
use forewarn::series::Labels;
use forewarn::store::Store;

use super::{DAY, HOUR, replay, reported};
use crate::support::world::{MINUTE, START, World, write};

/// The one number that a query yields.
#[track_caller]
fn number(world: &World, query: &str) -> f64 {
    let found = world.query(query);
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found[0].split(' ').next_back().unwrap().parse().unwrap()
}

#[test]
fn sensitivity_moves_the_band_and_nothing_that_is_learned() {
    let rules = "
rule Usual { signal latency_seconds{service=\"calm\"}  page when above normal }
rule Low   { signal latency_seconds{service=\"calm\"}  page when above normal  sensitivity low }
rule High  { signal latency_seconds{service=\"calm\"}  page when above normal  sensitivity high }
";
    let (store, clock) = reported();
    let mut world = World::over(store, clock, &[("a.rules", rules)]);
    replay(&mut world, START + 30 * MINUTE);
    let of = |metric: &str| {
        ["Low", "Usual", "High"].map(|rule| number(&world, &format!("{metric}{{rule=\"{rule}\"}}")))
    };
    let [low, usual, high] = of("forewarn_expected");
    assert!(low == usual && usual == high, "{low} {usual} {high}");
    let [low, usual, high] = of("forewarn_upper");
    assert!(low > usual && usual > high, "{low} {usual} {high}");
    let [low, usual, high] = of("forewarn_lower");
    assert!(low < usual && usual < high, "{low} {usual} {high}");
}

const STEP: i64 = 5 * MINUTE;
/// Two weeks of learning, two to count, and some to see what follows.
const FIRST: i64 = START - 28 * DAY;

/// A queue that is unusually long for a quarter of an hour, each day at another time; the longer
/// the further it goes from 30 to 90 times what is usual.
fn restless() -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let labels = Labels::from_pairs([("__name__", "queue_length"), ("job", "mail")]);
    let mut random = fastrand::Rng::with_seed(9);
    for at_ms in (FIRST..START + 4 * DAY).step_by(STEP as usize) {
        clock.set(at_ms);
        let noise = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let (day, minute) = ((at_ms - FIRST) / DAY, (at_ms - FIRST) % DAY / MINUTE);
        let begins = day * 613 % 1300;
        let is_long = (begins..begins + 15).contains(&minute) && day % 2 == 0;
        let long = if is_long { 10.0 + (day * 7 % 20) as f64 } else { 0.0 };
        write(&store, &[(&labels, at_ms, 100.0 + 2.0 * noise + 2.0 * long)]);
    }
    (store, clock)
}

fn restless_world(rest: &str, load_ms: i64) -> World {
    let (store, clock) = restless();
    clock.set(load_ms);
    let rule = format!(
        "defaults {{ every 5m }} rule Long {{ signal queue_length  page when above normal {rest} }}"
    );
    World::over(store, clock, &[("a.rules", &rule)])
}

fn starts(sent: &[NotifiableAlert]) -> Vec<i64> {
    let mut starts: Vec<i64> = sent.iter().map(|alert| alert.starts_at_ms).collect();
    starts.dedup();
    starts
}

#[test]
fn a_budget_widens_the_band_until_it_is_kept_and_leaves_what_is_learned() {
    let mut usual = restless_world("", START);
    let mut capped = restless_world("budget 1 page per month", START);
    let (paged, kept) = (replay(&mut usual, START + 3 * DAY), replay(&mut capped, START + 3 * DAY));
    assert!(starts(&kept).len() < starts(&paged).len(), "{kept:?}");
    let expected = "forewarn_expected";
    assert_eq!(usual.query(expected), capped.query(expected));
    let upper = "forewarn_upper";
    assert!(number(&capped, upper) > number(&usual, upper));
    // Where the budget is met there is nothing to widen.
    let mut wide = restless_world("budget 9 pages per day", START);
    assert_eq!(replay(&mut wide, START + 3 * DAY), paged);
    assert_eq!(wide.query(upper), usual.query(upper));
    // Under a week that counts there is no choice yet.
    let mut young = restless_world("budget 1 page per month", FIRST + 13 * DAY);
    replay(&mut young, FIRST + 13 * DAY + HOUR);
    let mut other = restless_world("", FIRST + 13 * DAY);
    replay(&mut other, FIRST + 13 * DAY + HOUR);
    assert_eq!(young.query(upper), other.query(upper));
}

#[test]
fn a_budget_is_the_same_whoever_counts() {
    let rest = "for 5m  clear when inside normal for 10m  ignore while vector(0) > 1, below 50 \
                until 1d of history use value > 1000  budget 1 page per week";
    let said = |load_ms: i64| {
        let mut world = restless_world(rest, load_ms);
        let last = replay(&mut world, START + 2 * DAY + HOUR);
        (world.query("forewarn_upper"), last.last().cloned())
    };
    let live = said(FIRST + 26 * DAY);
    for load_ms in [FIRST + 27 * DAY, START] {
        assert_eq!(said(load_ms), live);
    }
}
