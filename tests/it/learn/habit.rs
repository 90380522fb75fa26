//! Habits on simulated schedules: no schedule that is kept is ever late, and what does not come is
//! noticed soon.

use forewarn::learn::{Calendar, Due, Habit};
use proptest::prelude::*;

use super::support::{DAY_MS, MINUTE_MS, START_MS, noise};

const HOUR_MS: i64 = 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Says until when the next event has to come.
trait Learner {
    fn event(&mut self, time_ms: i64);
    fn latest_ms(&self) -> Option<i64>;
}

impl Learner for Habit {
    fn event(&mut self, time_ms: i64) {
        Habit::event(self, time_ms);
    }

    fn latest_ms(&self) -> Option<i64> {
        self.due().map(|due| due.latest_ms)
    }
}

/// What was there to beat: the third longest interval of four weeks, or of eight intervals, and a
/// quarter of it.
#[derive(Default)]
struct Plain {
    last_ms: Option<i64>,
    /// End and length of the last 8 intervals and of the 32 longest, in order of time.
    intervals: Vec<(i64, i64)>,
}

impl Learner for Plain {
    fn event(&mut self, time_ms: i64) {
        if let Some(last_ms) = self.last_ms.replace(time_ms) {
            self.intervals.push((time_ms, time_ms - last_ms));
        }
        while let Some(earlier) = self.intervals.len().checked_sub(8) {
            let earlier = self.intervals[..earlier].iter().enumerate();
            let old = earlier.clone().find(|(_, (end_ms, _))| time_ms - end_ms > 4 * WEEK_MS);
            let least = earlier.clone().min_by_key(|(_, (_, length_ms))| *length_ms);
            match old.or(least.filter(|_| earlier.len() > 32)) {
                Some((at, _)) => self.intervals.remove(at),
                None => break,
            };
        }
    }

    fn latest_ms(&self) -> Option<i64> {
        let mut lengths: Vec<i64> =
            self.intervals.iter().map(|(_, length_ms)| *length_ms).collect();
        lengths.sort_unstable_by_key(|length_ms| std::cmp::Reverse(*length_ms));
        let third = lengths.get(2).filter(|_| lengths.len() >= 5)?;
        Some(self.last_ms? + (third * 5 / 4 + MINUTE_MS).max(5 * MINUTE_MS))
    }
}

/// How a learner did on a schedule.
#[derive(Clone, Debug, Default)]
struct Score {
    /// Silences that were called late and ended by themselves: while learning, and after.
    early: usize,
    alarms: usize,
    /// How many weeks of each there were.
    early_weeks: f64,
    weeks: f64,
    /// For each event, how long after it should have come its absence would have been told.
    delays_ms: Vec<i64>,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.early += other.early;
        self.alarms += other.alarms;
        self.early_weeks += other.early_weeks;
        self.weeks += other.weeks;
        self.delays_ms.extend(other.delays_ms);
        self.delays_ms.sort_unstable();
    }

    fn delay_ms(&self) -> i64 {
        self.delays_ms.get(self.delays_ms.len() / 2).copied().unwrap_or(0)
    }

    fn show(&self) -> String {
        let hours = |ms: i64| ms as f64 / HOUR_MS as f64;
        format!(
            "{:.2} {:.3} {:5.1} {:5.1}",
            self.early as f64 / self.early_weeks,
            self.alarms as f64 / self.weeks,
            hours(self.delay_ms()),
            hours(self.delays_ms.last().copied().unwrap_or(0)),
        )
    }
}

/// Lets a learner hear every event, seen at the next full minute; after `learn_ms` it counts.
fn score(learner: &mut dyn Learner, events: &[i64], learn_ms: i64) -> Score {
    let seen: Vec<i64> =
        events.iter().map(|at_ms| (at_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS).collect();
    let (first_ms, last_ms) = (seen[0], seen[seen.len() - 1]);
    let mut score = Score {
        early_weeks: learn_ms as f64 / WEEK_MS as f64,
        weeks: (last_ms - first_ms - learn_ms) as f64 / WEEK_MS as f64,
        ..Score::default()
    };
    for pair in seen.windows(2) {
        learner.event(pair[0]);
        let Some(latest_ms) = learner.latest_ms() else { continue };
        let is_false = latest_ms < pair[1];
        if pair[0] < first_ms + learn_ms {
            score.early += usize::from(is_false);
        } else {
            score.alarms += usize::from(is_false);
            score.delays_ms.push(latest_ms - pair[1]);
        }
    }
    score
}

type Rng = fastrand::Rng;

/// Events at `at_ms` of the days that `is_day` names by their number in the week, each late by
/// what `late` says.
fn daily(
    weeks: i64,
    rng: &mut Rng,
    is_day: impl Fn(i64) -> bool,
    at_ms: &[i64],
    mut late: impl FnMut(&mut Rng) -> f64,
) -> Vec<i64> {
    let mut events = Vec::new();
    for day in (0..weeks * 7).filter(|day| is_day(day % 7)) {
        for at_ms in at_ms {
            events.push(START_MS + day * DAY_MS + at_ms + (late(rng) * MINUTE_MS as f64) as i64);
        }
    }
    events.sort_unstable();
    events
}

fn every_hours(from: i64, to: i64, step: i64) -> Vec<i64> {
    (from..to).step_by(step as usize).map(|hour| hour * HOUR_MS).collect()
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// Events at random, `mean_ms` apart on average, by `draw` with mean 1.
fn random(weeks: i64, mean_ms: i64, rng: &mut Rng, draw: impl Fn(&mut Rng) -> f64) -> Vec<i64> {
    let mut at_ms = START_MS;
    let mut events = Vec::new();
    while at_ms < START_MS + weeks * WEEK_MS {
        at_ms += (draw(rng) * mean_ms as f64) as i64 + 1;
        events.push(at_ms);
    }
    events
}

/// A sample a minute between opening and closing on working days, each some minutes off.
fn office(weeks: i64, rng: &mut Rng) -> Vec<i64> {
    let mut events = Vec::new();
    for day in (0..weeks * 7).filter(|day| day % 7 < 5) {
        let start_ms = START_MS + day * DAY_MS;
        let open = 8 * 60 + (3.0 * noise(rng)) as i64;
        let close = 18 * 60 + (5.0 * noise(rng)) as i64;
        events.extend((open..close).map(|minute| start_ms + minute * MINUTE_MS));
    }
    events
}

const EVERY_DAY: fn(i64) -> bool = |_| true;
const WORKING_DAY: fn(i64) -> bool = |day| day < 5;

/// A name, the events of so many weeks, and within which time a missing one is told in half of the
/// cases, in hours.
type Schedule = (&'static str, fn(i64, &mut Rng) -> Vec<i64>, f64);

const SCHEDULES: [Schedule; 17] = [
    (
        "a sample a minute, 1 % lost",
        |weeks, rng| {
            let minutes = (0..weeks * 7 * 1440).filter(|_| rng.u8(..100) > 0);
            minutes.map(|minute| START_MS + minute * MINUTE_MS).collect()
        },
        0.2,
    ),
    ("a sample a minute in office hours", office, 0.5),
    (
        "hourly, exact",
        |weeks, rng| daily(weeks, rng, EVERY_DAY, &every_hours(0, 24, 1), |_| 0.0),
        0.2,
    ),
    (
        "hourly, some minutes off",
        |weeks, rng| daily(weeks, rng, EVERY_DAY, &every_hours(0, 24, 1), |rng| 2.0 * noise(rng)),
        0.5,
    ),
    (
        "hourly in office hours",
        |weeks, rng| daily(weeks, rng, WORKING_DAY, &every_hours(8, 19, 1), noise),
        0.5,
    ),
    (
        "every 3 hours, five minutes off",
        |weeks, rng| daily(weeks, rng, EVERY_DAY, &every_hours(0, 24, 3), |rng| 5.0 * noise(rng)),
        1.0,
    ),
    (
        "every 3 hours but at weekends",
        |weeks, rng| daily(weeks, rng, WORKING_DAY, &every_hours(0, 24, 3), |rng| 5.0 * noise(rng)),
        1.0,
    ),
    (
        "two a day, an hour apart",
        |weeks, rng| daily(weeks, rng, EVERY_DAY, &every_hours(2, 4, 1), |rng| 3.0 * noise(rng)),
        1.0,
    ),
    ("daily, exact", |weeks, rng| daily(weeks, rng, EVERY_DAY, &[2 * HOUR_MS], |_| 0.0), 1.0),
    (
        "daily, ten minutes off",
        |weeks, rng| daily(weeks, rng, EVERY_DAY, &[2 * HOUR_MS], |rng| 10.0 * noise(rng)),
        2.0,
    ),
    (
        "daily, takes 10 minutes to hours",
        |weeks, rng| {
            let takes = |rng: &mut Rng| 40.0 * (0.5 * noise(rng)).exp();
            daily(weeks, rng, EVERY_DAY, &[2 * HOUR_MS], takes)
        },
        4.0,
    ),
    (
        "working days, exact",
        |weeks, rng| daily(weeks, rng, WORKING_DAY, &[7 * HOUR_MS], |_| 0.0),
        1.0,
    ),
    (
        "working days, ten minutes off",
        |weeks, rng| daily(weeks, rng, WORKING_DAY, &[7 * HOUR_MS], |rng| 10.0 * noise(rng)),
        2.0,
    ),
    (
        "weekly, ten minutes off",
        |weeks, rng| daily(weeks, rng, |day| day == 6, &[3 * HOUR_MS], |rng| 10.0 * noise(rng)),
        12.0,
    ),
    ("at random, two an hour", |weeks, rng| random(weeks, HOUR_MS / 2, rng, exponential), 10.0),
    ("at random, four a day", |weeks, rng| random(weeks, 6 * HOUR_MS, rng, exponential), 120.0),
    (
        "in bursts, twenty a day",
        |weeks, rng| random(weeks, 72 * MINUTE_MS, rng, |rng| (1.2 * noise(rng) - 0.72).exp()),
        72.0,
    ),
];

/// For how long a schedule is learned before it counts, and for how long it counts then.
const LEARN_WEEKS: i64 = 6;
const WEEKS: i64 = 8;

#[test]
fn a_schedule_that_is_kept_is_never_late_and_one_that_is_not_is_told_soon() {
    println!("false alarms a week while learning, then a week; delay in hours, median, longest");
    let seeds: u64 = std::env::var("SEEDS").map_or(3, |seeds| seeds.parse().unwrap());
    for (name, events, delay_h) in SCHEDULES {
        let run = |new: &dyn Fn() -> Box<dyn Learner>| {
            let mut total = Score::default();
            for seed in 0..seeds {
                let events = events(LEARN_WEEKS + WEEKS, &mut Rng::with_seed(seed));
                total.add(score(&mut *new(), &events, LEARN_WEEKS * WEEK_MS));
            }
            total
        };
        let plain = run(&|| Box::new(Plain::default()));
        let ours = run(&|| Box::new(Habit::new(Calendar::utc(), MINUTE_MS)));
        println!("{name:<36} plain {}  ours {}", plain.show(), ours.show());
        // None in three runs; one in 50 weeks is allowed where more are made.
        assert!(ours.alarms as f64 <= 0.02 * ours.weeks, "{name}: {}", ours.alarms);
        let found_h = ours.delay_ms() as f64 / HOUR_MS as f64;
        assert!(found_h <= delay_h, "{name}: {found_h} h");
    }
}

/// Lets a habit hear events, and returns how many of the silences since `from_ms` were late before
/// they ended.
fn alarms(habit: &mut Habit, events: &[i64], from_ms: i64) -> usize {
    let mut alarms = 0;
    for at_ms in events {
        let is_late = habit.due().is_some_and(|due| due.latest_ms < *at_ms);
        alarms += usize::from(is_late && *at_ms >= from_ms);
        habit.event(*at_ms);
    }
    alarms
}

fn taught(events: &[i64]) -> Habit {
    let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
    alarms(&mut habit, events, 0);
    habit
}

#[test]
fn a_changed_schedule_is_late_once_or_twice() {
    let rng = &mut Rng::with_seed(1);
    let mut moved = |days: fn(i64) -> bool, before: &[i64], after: &[i64]| {
        let mut habit = taught(&daily(6, rng, days, before, |rng| 3.0 * noise(rng)));
        let later: Vec<i64> = daily(6, rng, days, after, |rng| 3.0 * noise(rng))
            .into_iter()
            .map(|at_ms| at_ms + 6 * WEEK_MS)
            .collect();
        alarms(&mut habit, &later, 0)
    };
    let (early, late) = ([2 * HOUR_MS], [6 * HOUR_MS]);
    assert_eq!(moved(EVERY_DAY, &early, &late), 1, "moved to later");
    // One came in the night; where is that of the morning?
    assert_eq!(moved(EVERY_DAY, &late, &early), 1, "moved to earlier");
    assert_eq!(moved(WORKING_DAY, &early, &late), 1);
    assert!(moved(EVERY_DAY, &every_hours(0, 24, 1), &every_hours(0, 24, 2)) <= 3);
    assert!(moved(EVERY_DAY, &early, &every_hours(0, 24, 1)) == 0, "more often");
}

#[test]
fn maintenance_is_late_once_and_does_not_blunt() {
    let rng = &mut Rng::with_seed(2);
    let mut events = daily(8, rng, EVERY_DAY, &every_hours(0, 24, 1), |rng| 2.0 * noise(rng));
    let from_ms = START_MS + 5 * WEEK_MS + 10 * HOUR_MS;
    events.retain(|at_ms| !(from_ms..from_ms + 6 * HOUR_MS).contains(at_ms));
    let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
    assert_eq!(alarms(&mut habit, &events, from_ms), 1);
    let last_ms = *events.last().unwrap();
    let due = habit.due().unwrap();
    assert!(due.latest_ms - last_ms < 100 * MINUTE_MS, "{due:?}");
}

#[test]
fn the_clock_change_is_no_delay_where_the_zone_is_known() {
    // Eight weeks around the change of 2024-10-27, and of 2025-03-30.
    for start_ms in [1_725_235_200_000, 1_738_540_800_000] {
        let zone = Calendar::zone("Europe/Berlin").unwrap();
        let is_due = |at_ms: &i64| {
            let week_ms = zone.week_ms(*at_ms);
            week_ms / DAY_MS < 5 && week_ms % DAY_MS == 7 * HOUR_MS
        };
        let events: Vec<i64> =
            (0..13 * 7 * 24).map(|hour| start_ms + hour * HOUR_MS).filter(is_due).collect();
        assert_eq!(events.len(), 65);
        let mut local = Habit::new(zone.clone(), MINUTE_MS);
        assert_eq!(alarms(&mut local, &events, start_ms), 0);
        let due = local.due().unwrap();
        assert!(is_due(&due.expected_ms), "{due:?}");
        assert!(due.latest_ms - due.expected_ms < 3 * HOUR_MS, "{due:?}");
    }
}

#[test]
fn monthly_jobs_are_missed_within_days() {
    // The first of each month of two years.
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31, 30, 31, 30, 31, 31, 30];
    let mut at_ms = 1_704_067_200_000;
    let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
    for day in days {
        habit.event(at_ms);
        at_ms += day * DAY_MS;
        assert!(habit.due().is_none_or(|due| due.latest_ms > at_ms));
    }
    let late_ms = habit.due().unwrap().latest_ms - at_ms;
    assert!(late_ms < 6 * DAY_MS, "{}", late_ms / HOUR_MS);
}

#[test]
fn nothing_is_said_before_five_intervals_nor_before_a_night_was_seen() {
    let said_after = |count: i64, every_ms: i64| {
        let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
        (0..count).for_each(|k| habit.event(START_MS + k * every_ms));
        habit.due()
    };
    assert_eq!(said_after(5, DAY_MS), None);
    let due = said_after(6, DAY_MS).unwrap();
    assert_eq!(due.expected_ms, START_MS + 6 * DAY_MS);
    assert_eq!(said_after(24, HOUR_MS), None, "nobody has seen a night");
    let due = said_after(25, HOUR_MS).unwrap();
    assert_eq!(due.expected_ms, START_MS + 25 * HOUR_MS);
    // Until Friday evening; nobody has seen a weekend.
    let week = daily(1, &mut Rng::with_seed(1), WORKING_DAY, &every_hours(0, 24, 1), |_| 0.0);
    let due = taught(&week).due().unwrap();
    assert!(due.latest_ms > START_MS + WEEK_MS, "{due:?}");
    // On Wednesday evening it is late at once.
    let due = taught(&week[..72]).due().unwrap();
    assert!(due.latest_ms - week[71] < 90 * MINUTE_MS, "{due:?}");
}

#[test]
fn what_nobody_saw_is_no_silence() {
    let events = daily(6, &mut Rng::with_seed(3), EVERY_DAY, &[2 * HOUR_MS], |_| 0.0);
    let mut habit = taught(&events);
    let last_ms = *events.last().unwrap();
    // Nobody watched from before it was due until five o'clock: it is due tomorrow.
    let back_ms = last_ms + DAY_MS + 3 * HOUR_MS;
    habit.lost(back_ms);
    let due = habit.due().unwrap();
    assert_eq!(due.expected_ms, last_ms + 2 * DAY_MS);
    assert!(due.latest_ms - due.expected_ms < 2 * HOUR_MS, "{due:?}");
    habit.event(last_ms + 2 * DAY_MS);
    let due = habit.due().unwrap();
    assert_eq!(due.expected_ms, last_ms + 3 * DAY_MS, "the two days taught nothing");
    assert!(due.latest_ms - due.expected_ms < 2 * HOUR_MS, "{due:?}");
}

#[test]
fn equal_and_earlier_times_are_dropped_and_years_are_harmless() {
    let events = daily(3, &mut Rng::with_seed(4), EVERY_DAY, &every_hours(0, 24, 3), |_| 0.0);
    let mut habit = taught(&events);
    let before = habit.serialize();
    let last_ms = *events.last().unwrap();
    for at_ms in [last_ms, last_ms - 1, 0, i64::MIN] {
        habit.event(at_ms);
        habit.lost(at_ms);
    }
    assert_eq!(habit.serialize(), before);
    // After three years nothing of it is left.
    let later_ms = last_ms + 3 * 365 * DAY_MS;
    habit.event(later_ms);
    assert_eq!((habit.events(), habit.due()), (1, None));
    for k in 1..=8 {
        habit.event(later_ms + k * DAY_MS);
    }
    assert!(habit.due().unwrap().latest_ms < later_ms + 10 * DAY_MS);
}

#[test]
fn states_read_back_to_the_bit_and_are_small() {
    let events = office(5, &mut Rng::with_seed(5));
    let (known, later) = events.split_at(4 * events.len() / 5);
    let mut habit = taught(known);
    let bytes = habit.serialize();
    assert!(bytes.len() <= 1024, "{}", bytes.len());
    let restore = |bytes: &[u8]| Habit::restore(Calendar::utc(), MINUTE_MS, bytes);
    let mut restored = restore(&bytes).unwrap();
    assert_eq!((restored.serialize(), restored.due()), (bytes.clone(), habit.due()));
    for at_ms in later {
        habit.event(*at_ms);
        restored.event(*at_ms);
        assert_eq!(habit.due(), restored.due());
    }
    assert_eq!(habit.serialize(), restored.serialize());
    let error = |bytes: &[u8]| restore(bytes).unwrap_err().to_string();
    assert!(error(&bytes[..40]).contains("cut short"));
    let mut damaged = bytes;
    damaged[100] ^= 1;
    assert!(error(&damaged).contains("checksum"));
}

#[test]
fn a_year_of_which_nobody_knows_is_forgotten_with_all_before() {
    let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
    (0..48).for_each(|hour| habit.event(START_MS + hour * 60 * MINUTE_MS));
    assert!(habit.due().is_some());
    // What waits for the next deadline to move on must not wait for ever.
    habit.lost(START_MS + 400 * DAY_MS);
    assert_eq!((habit.due(), habit.last_ms()), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes: nothing panics, and the next event is due after the last.
    #[test]
    fn whatever_comes_the_next_is_due_later(
        seed in any::<u64>(),
        start_ms in prop::sample::select(vec![0, START_MS, -START_MS, i64::MAX, i64::MIN]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    ) {
        let rng = &mut Rng::with_seed(seed);
        let mut habit = Habit::new(Calendar::zone(zone).unwrap(), MINUTE_MS);
        let mut at_ms: i64 = start_ms;
        for _ in 0..400 {
            let magnitude = rng.u32(0..43);
            at_ms = at_ms.saturating_add(rng.i64(0..1 << magnitude));
            if rng.u8(..10) == 0 { habit.lost(at_ms) } else { habit.event(at_ms) }
            if let Some(Due { expected_ms, latest_ms }) = habit.due() {
                prop_assert!(expected_ms <= latest_ms);
                let last_ms = habit.last_ms().unwrap();
                prop_assert!(latest_ms > last_ms || last_ms == i64::MAX);
            }
        }
    }
}
