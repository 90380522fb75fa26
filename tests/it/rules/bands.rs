//! `sensitivity`: where the edge of a learned band lies, never what is learned.

use super::{replay, reported};
use crate::support::world::{MINUTE, START, World};

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
