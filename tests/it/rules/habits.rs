//! `is missing` and `is late`: what stops is told, what nobody could have seen is not.

use std::sync::Arc;

use forewarn::alerts::NotifiableAlert;
use forewarn::env::ManualClock;
use forewarn::series::Labels;
use forewarn::store::Store;

use super::{DAY, HOUR, replay};
use crate::support::world::{MINUTE, START, World, write};

/// A Monday, 00:00 UTC, before [`START`].
const MONDAY: i64 = 1_699_833_600_000;

/// A store that is filled before anybody looks.
struct History {
    store: Store,
    clock: Arc<ManualClock>,
}

impl History {
    fn new() -> History {
        let clock = Arc::new(ManualClock::new(MONDAY));
        let store = Store::in_memory(Arc::clone(&clock) as _);
        History { store, clock }
    }

    /// Stores a sample a minute of one series, where there is one.
    fn add(
        &self,
        series: &[(&str, &str)],
        (from_ms, to_ms): (i64, i64),
        value: impl Fn(i64) -> Option<f64>,
    ) {
        let labels = Labels::from_pairs(series.iter().copied());
        let times = (from_ms..to_ms).step_by(MINUTE as usize);
        let samples: Vec<(&Labels, i64, f64)> =
            times.filter_map(|at_ms| Some((&labels, at_ms, value(at_ms)?))).collect();
        for samples in samples.chunks(1_000) {
            self.clock.set(samples[samples.len() - 1].1);
            write(&self.store, samples);
        }
    }

    /// Loads a rule at one time and evaluates it until another; returns what was sent.
    fn run(&self, rule: &str, load_ms: i64, end_ms: i64) -> Vec<NotifiableAlert> {
        let (store, clock) = (self.store.clone(), Arc::new(ManualClock::new(load_ms)));
        replay(&mut World::over(store, clock, &[("a.rules", rule)]), end_ms)
    }
}

fn starts(sent: &[NotifiableAlert]) -> Vec<(String, i64)> {
    let mut starts: Vec<(String, i64)> =
        sent.iter().map(|alert| (alert.labels.to_string(), alert.starts_at_ms)).collect();
    starts.dedup();
    starts
}

const MISSING: &str = "rule Gone { signal heartbeat  ticket when is missing }";
const STOPS: i64 = START + 2 * HOUR;

/// Three instances of a job since three days before [`START`]; `is_there` says when each is heard.
fn heartbeats(is_there: impl Fn(&str, i64) -> bool) -> History {
    let history = History::new();
    for instance in ["a", "b", "c"] {
        let series = [("__name__", "heartbeat"), ("instance", instance), ("job", "web")];
        history.add(&series, (START - 3 * DAY, STOPS + 12 * HOUR), |at_ms| {
            is_there(instance, at_ms).then_some(1.0)
        });
    }
    history
}

#[test]
fn a_series_that_stops_is_missing_while_others_of_its_job_come() {
    let history = heartbeats(|instance, at_ms| instance != "b" || at_ms < STOPS);
    let sent = history.run(MISSING, START, STOPS + 2 * HOUR);
    let first = sent.first().expect("it stopped");
    assert!(sent.iter().all(|alert| alert.labels.get("instance") == Some("b")), "{sent:?}");
    // Five minutes are looked back, then five are allowed, then the next evaluation comes.
    let delay_ms = first.starts_at_ms - STOPS;
    assert!((5 * MINUTE..15 * MINUTE).contains(&delay_ms), "{}", delay_ms / MINUTE);
    let why = first.annotations.get("why").unwrap();
    assert!(why.starts_with("heartbeat has no sample; its last sample was "), "{why}");
    assert!(
        why.contains(" ago, the next was expected Wed 00:") && why.contains("learned"),
        "{why}"
    );
    assert!(sent.last().unwrap().ends_at_ms > STOPS + 2 * HOUR, "it is missing still");
    // Whoever loads the rule later says the same.
    let later = history.run(MISSING, STOPS + HOUR, STOPS + 2 * HOUR);
    assert_eq!(later.first().map(|alert| alert.labels.clone()), Some(first.labels.clone()));
    // It is forgotten after a week.
    assert_eq!(history.run(MISSING, STOPS + 8 * DAY, STOPS + 8 * DAY + HOUR), []);
}

#[test]
fn what_comes_back_is_not_missing() {
    let history =
        heartbeats(|instance, at_ms| instance != "b" || !(STOPS..STOPS + HOUR).contains(&at_ms));
    let sent = history.run(MISSING, START, STOPS + 2 * HOUR);
    let last = sent.last().expect("it was gone");
    assert!((STOPS + HOUR..STOPS + HOUR + 3 * MINUTE).contains(&last.ends_at_ms), "{last:?}");
}

#[test]
fn a_job_that_is_gone_as_a_whole_is_not_missing() {
    let history = heartbeats(|_, at_ms| at_ms < STOPS);
    let other = [("__name__", "up"), ("job", "other")];
    history.add(&other, (START - 3 * DAY, STOPS + 4 * HOUR), |_| Some(1.0));
    assert_eq!(history.run(MISSING, START, STOPS + 2 * HOUR), []);
    // Of a signal without `job`, anybody's series tell that it is not we who are deaf.
    let rule = "rule Gone { signal max(heartbeat)  ticket when is missing }";
    assert_eq!(starts(&history.run(rule, START, STOPS + 2 * HOUR)).len(), 1);
}

#[test]
fn our_own_downtime_is_nobodys_absence() {
    // For three hours nobody is heard; then all come back, one of them ten minutes later.
    let back_ms = STOPS + 3 * HOUR;
    let heard = |instance: &str, at_ms: i64| {
        at_ms < STOPS || at_ms >= back_ms + if instance == "b" { 4 * MINUTE } else { 0 }
    };
    let history = heartbeats(heard);
    for load_ms in [START, STOPS + HOUR, back_ms + MINUTE, back_ms + HOUR] {
        let sent = history.run(MISSING, load_ms, back_ms + 4 * HOUR);
        assert_eq!(sent, [], "loaded {} minutes after", (load_ms - back_ms) / MINUTE);
    }
    // One that does not come back is missing, and soon.
    let history = heartbeats(|instance, at_ms| {
        heard(instance, at_ms) && (instance, at_ms < STOPS) != ("c", false)
    });
    let sent = history.run(MISSING, START, back_ms + HOUR);
    let first = sent.first().expect("c did not come back");
    assert_eq!(first.labels.get("instance"), Some("c"));
    assert!(first.starts_at_ms < back_ms + 15 * MINUTE, "{first:?}");
}

const LATE: &str =
    "defaults { every 5m } rule BackupLate { signal backup_running  page when is late }";
/// The Monday after [`START`].
const MONDAY_AFTER: i64 = MONDAY + 7 * DAY;

/// A backup at 02:00 on working days, twenty minutes long, of which samples come each minute;
/// `runs` says on which days from the Monday after [`START`] on, `is_heard` when anybody is heard.
fn backups(runs: impl Fn(i64) -> bool, is_heard: impl Fn(i64) -> bool) -> History {
    let history = History::new();
    let span_ms = (MONDAY - 24 * DAY, MONDAY_AFTER + 8 * DAY);
    history.add(&[("__name__", "backup_running"), ("job", "db")], span_ms, |at_ms| {
        let day = (at_ms - MONDAY_AFTER).div_euclid(DAY);
        let is_working_day = day.rem_euclid(7) < 5;
        let ran = is_working_day && (day < 0 || runs(day));
        let minute = (at_ms - MONDAY_AFTER).rem_euclid(DAY) / MINUTE;
        let running = ran && (120..140).contains(&minute);
        is_heard(at_ms).then_some(f64::from(u8::from(running)))
    });
    history
}

#[test]
fn a_backup_is_late_on_the_day_and_never_at_weekends() {
    let history = backups(|day| day != 2, |_| true);
    let sent = history.run(LATE, MONDAY_AFTER - 3 * DAY, MONDAY_AFTER + 7 * DAY);
    let starts = starts(&sent);
    assert_eq!(starts.len(), 1, "{starts:?}");
    let delay_ms = starts[0].1 - (MONDAY_AFTER + 2 * DAY + 2 * HOUR);
    assert!((0..=HOUR).contains(&delay_ms), "{} minutes", delay_ms / MINUTE);
    let why = sent[0].annotations.get("why").unwrap();
    assert!(why.starts_with("backup_running 0; its last event was 1d "), "{why}");
    assert!(why.contains("the next was expected Wed 02:00 and had to come by Wed 02:"), "{why}");
    // Over once the next has come.
    let end_ms = sent.last().unwrap().ends_at_ms;
    assert!((end_ms - (MONDAY_AFTER + 3 * DAY + 2 * HOUR)).abs() <= 5 * MINUTE, "{end_ms}");
}

#[test]
fn a_backup_that_may_have_run_while_nobody_was_heard_is_not_late() {
    let night = MONDAY_AFTER + 2 * DAY;
    let is_heard = |at_ms: i64| !(night + HOUR..night + 5 * HOUR).contains(&at_ms);
    let history = backups(|day| day != 3, is_heard);
    let sent = history.run(LATE, MONDAY_AFTER, MONDAY_AFTER + 4 * DAY);
    // Not on the night that nobody saw, and on the next, when it does not run.
    let starts = starts(&sent);
    assert_eq!(starts.len(), 1, "{starts:?}");
    let delay_ms = starts[0].1 - (night + DAY + 2 * HOUR);
    assert!((0..=HOUR).contains(&delay_ms), "{} minutes", delay_ms / MINUTE);
}

#[test]
fn a_replay_of_habits_says_what_was_said_live() {
    let night = MONDAY_AFTER + DAY;
    let is_heard = |at_ms: i64| !(night + HOUR..night + 5 * HOUR).contains(&at_ms);
    let history = backups(|day| day != 3, is_heard);
    let end_ms = MONDAY_AFTER + 5 * DAY;
    let from = |load_ms| history.run(LATE, load_ms, end_ms);
    let live = from(MONDAY_AFTER - 5 * DAY);
    assert!(!live.is_empty());
    // All of them learn from the first stored sample on.
    for load_ms in [MONDAY_AFTER, night + 2 * HOUR, night + DAY, night + 2 * DAY] {
        assert!(from(load_ms) == live, "loaded {} hours before", (end_ms - load_ms) / HOUR);
    }
}
