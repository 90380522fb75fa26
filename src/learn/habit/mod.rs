//! When the next of a series' events has to come: [`Habit`].
//!
//! Two experts: the intervals between events, and the silence at this time of the week in the
//! weeks before. Each says until when the next event is usual, with an allowance that it learns
//! from its own record in [`longest`]; the earlier of the two counts.

mod longest;

use super::state::{Fields, Reader, Writer};
use super::{Calendar, RestoreError};
use longest::{Longest, Span, Usual};

/// When the next event is expected, and until when it has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it is expected, ms.
    pub expected_ms: i64,
    /// From then on it is late, ms. Not before `expected_ms`.
    pub latest_ms: i64,
}

/// Learns when a series' events come, and says until when the next has to.
///
/// With s the time of the last event, on the clock on the wall, in seconds:
///
/// * by intervals: latest = s + the length that hardly an interval of the last five weeks exceeds
///   (of the last 8 where those reach further back), by the tail of the longest of them; the two
///   longest are accidents, once four weeks have been seen, the longest is after two.
/// * by the week: for each of the four weeks before, the end of the silence that began about s. The
///   event is foreseen at the third of the four ends, since one week may have had an accident
///   (at the last, where only two or three weeks are known); latest = that + the delay that hardly
///   one exceeds, by the tail of its own longest delays. It speaks once three weeks have been seen,
///   and not right after it was wrong.
///
/// Both allow for 2 % + 25 % / n of the silence, n events seen, 5 minutes and one step at least.
/// Twice in running is a habit: a changed interval is followed after two events, a changed time of
/// the week after one. Before a weekend has been seen an event may come until that has passed. No
/// verdict before 5 intervals and a day. What happened more than a year ago is forgotten.
///
/// Units: ms in and out, seconds inside. State: 835 bytes, fixed. What an event costs:
/// benches/learn.rs. The start was the third longest interval x 1.25; figures for both are printed
/// by `cargo test --test it learn::habit -- --nocapture`.
#[derive(Clone, Debug)]
pub struct Habit {
    calendar: Calendar,
    step_s: f64,
    /// What the inner times count from, ms on the wall.
    origin_ms: i64,
    /// Events learned.
    events: u32,
    first_s: u32,
    last_s: u32,
    last_ms: i64,
    /// Between the last event and `last_ms` there may have been others.
    is_unsure: bool,
    silences: Longest<64>,
    /// How long after they were foreseen by the week events came.
    delays: Longest<32>,
    /// When the next event is foreseen by the week, s.
    foreseen_s: Option<u32>,
    due: Option<Inner>,
}

/// A [`Due`] in the time of the habit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Inner {
    expected_s: f64,
    latest_s: f64,
}

const MAGIC: [u8; 4] = *b"FWHB";
const VERSION: u16 = 1;
const DAY_S: u32 = 86_400;
const WEEK_S: u32 = 7 * DAY_S;
/// After a silence so long everything is learned anew, ms.
const FORGOTTEN_MS: i64 = 366 * 86_400_000;
/// And when the inner time reaches this, after 68 years, s.
const INNER_MAX_S: i64 = 1 << 31;
/// How many intervals, or delays, it takes to say something.
const COUNT_MIN: usize = 5;
/// No event is late sooner, s.
const LATE_MIN_S: f64 = 300.0;
/// What happened twice in running may be exceeded by this much.
const TWICE: f64 = 1.1;

impl Habit {
    /// Returns a habit that knows nothing. Events are seen every `step_ms` at best.
    pub fn new(calendar: Calendar, step_ms: i64) -> Habit {
        Habit {
            calendar,
            step_s: (step_ms.max(0) as f64 / 1000.0).ceil(),
            origin_ms: 0,
            events: 0,
            first_s: 0,
            last_s: 0,
            last_ms: i64::MIN,
            is_unsure: false,
            silences: Longest::new(),
            delays: Longest::new(),
            foreseen_s: None,
            due: None,
        }
    }

    /// Learns that an event came. One that is not later than the last is dropped.
    pub fn event(&mut self, time_ms: i64) {
        if time_ms < self.last_ms || (time_ms == self.last_ms && !self.is_unsure) {
            return;
        }
        let Some(now_s) = self.inner_s(time_ms) else {
            self.begin(time_ms);
            return;
        };
        if !self.is_unsure {
            if let Some(foreseen_s) = self.foreseen_s {
                let length_s = now_s.saturating_sub(foreseen_s);
                self.delays.push(Span { end_s: now_s, length_s });
            }
            let length_s = now_s.saturating_sub(self.last_s);
            self.silences.push(Span { end_s: now_s, length_s });
        }
        self.events = self.events.saturating_add(1);
        self.is_unsure = false;
        self.go_on(time_ms, now_s);
    }

    /// Learns that nobody knows what happened between the last event and `time_ms`: the next is due
    /// as if one had come then, and how long it took to come teaches nothing. After more than a year
    /// everything is forgotten.
    pub fn lost(&mut self, time_ms: i64) {
        if time_ms <= self.last_ms || self.events == 0 {
            return;
        }
        match self.inner_s(time_ms) {
            Some(now_s) => {
                self.is_unsure = true;
                self.go_on(time_ms, now_s);
            }
            None => self.forget(),
        }
    }

    /// Returns when the next event is expected and until when it has to come; nothing while too
    /// few have been seen.
    pub fn due(&self) -> Option<Due> {
        let due = self.due?;
        let latest_ms = self.outer_ms(due.latest_s);
        Some(Due { expected_ms: self.outer_ms(due.expected_s).min(latest_ms), latest_ms })
    }

    /// Returns when the last event was, ms.
    pub fn last_ms(&self) -> Option<i64> {
        (self.events > 0).then_some(self.last_ms)
    }

    /// Returns how many events have been learned.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Returns the state, bit for bit; calendar and step are configuration and not in it.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        let Ok(()) = self.clone().fields(&mut writer);
        writer.finish()
    }

    /// Takes over a state that [`Habit::serialize`] returned.
    pub fn restore(calendar: Calendar, step_ms: i64, bytes: &[u8]) -> Result<Habit, RestoreError> {
        let mut reader = Reader::new("habit", MAGIC, VERSION, bytes)?;
        let mut habit = Habit::new(calendar, step_ms);
        habit.fields(&mut reader)?;
        reader.finish()?;
        if habit.events > 0 {
            habit.foresee();
        }
        Ok(habit)
    }

    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.i64(&mut self.origin_ms)?;
        io.u32(&mut self.events)?;
        io.u32(&mut self.first_s)?;
        io.u32(&mut self.last_s)?;
        io.i64(&mut self.last_ms)?;
        io.bool(&mut self.is_unsure)?;
        self.silences.fields(io)?;
        self.delays.fields(io)
    }

    /// Returns a time in seconds on the wall since the origin; nothing where too much time has
    /// passed to go on.
    fn inner_s(&self, time_ms: i64) -> Option<u32> {
        let known = self.events > 0 && time_ms.saturating_sub(self.last_ms) < FORGOTTEN_MS;
        let wall_ms = time_ms.saturating_add(self.calendar.offset_ms(time_ms));
        let inner_s = wall_ms.saturating_sub(self.origin_ms) / 1000;
        // A clock that is set back an hour stands still here.
        let inner_s = inner_s.max(i64::from(self.last_s));
        (known && inner_s < INNER_MAX_S).then(|| u32::try_from(inner_s).unwrap_or(u32::MAX))
    }

    /// Returns an inner time in ms; of two where the clock is changed in between the later.
    fn outer_ms(&self, inner_s: f64) -> i64 {
        let wall_ms = self.origin_ms.saturating_add((inner_s.ceil() * 1000.0) as i64);
        let before_ms = wall_ms.saturating_sub(self.calendar.offset_ms(self.last_ms));
        before_ms.max(wall_ms.saturating_sub(self.calendar.offset_ms(before_ms)))
    }

    fn forget(&mut self) {
        *self = Habit { step_s: self.step_s, ..Habit::new(self.calendar.clone(), 0) };
    }

    /// The first event, or the first after everything was forgotten.
    fn begin(&mut self, time_ms: i64) {
        self.forget();
        self.events = 1;
        // The origin lies on a Monday, so that an inner time says which day it is.
        let week_ms = self.calendar.week_ms(time_ms);
        let wall_ms = time_ms.saturating_add(self.calendar.offset_ms(time_ms));
        self.origin_ms = wall_ms.saturating_sub(week_ms);
        self.first_s = u32::try_from(week_ms / 1000).unwrap_or(0);
        self.go_on(time_ms, self.first_s);
    }

    fn go_on(&mut self, time_ms: i64, now_s: u32) {
        (self.last_ms, self.last_s) = (time_ms, now_s);
        self.foresee();
    }

    fn foresee(&mut self) {
        let silences = self.silences.usual(self.accidents());
        self.foreseen_s = self.by_week(&silences);
        let due = self.due_by_interval(&silences).map(|due| match self.due_by_week() {
            Some(other) if other.latest_s < due.latest_s => other,
            _ => due,
        });
        let knows_nights = self.last_s.saturating_sub(self.first_s) >= DAY_S;
        self.due = due.filter(|_| knows_nights).map(|due| self.past_unseen_weekend(due));
    }

    /// How many of the longest are accidents.
    fn accidents(&self) -> usize {
        let seen_s = self.last_s.saturating_sub(self.first_s);
        (seen_s / (2 * WEEK_S)).min(2) as usize
    }

    /// What is allowed on top of a silence, as long as nothing says more.
    fn allowance_s(&self, silence_s: f64) -> f64 {
        silence_s * (0.02 + 0.25 / f64::from(self.events.max(1)))
    }

    fn due_by_interval(&self, silences: &Usual) -> Option<Inner> {
        if self.silences.spans().len() < COUNT_MIN {
            return None;
        }
        let latest_s = (silences.longest + self.allowance_s(silences.longest))
            .max(silences.most)
            .max(TWICE * f64::from(self.silences.twice_s()))
            .max(LATE_MIN_S);
        let last_s = f64::from(self.last_s);
        let expected_s = last_s + silences.median;
        Some(Inner { expected_s, latest_s: last_s + latest_s + self.step_s })
    }

    /// When the silence that begins now ended in the weeks before.
    fn by_week(&self, silences: &Usual) -> Option<u32> {
        let everyday_s = silences.lower_quartile;
        let mut ends = [0u32; 4];
        let mut count = 0;
        for shift_s in [1, 2, 3, 4].map(|weeks| weeks * WEEK_S) {
            let Some(then_s) = self.last_s.checked_sub(shift_s) else { continue };
            if then_s < self.first_s {
                continue;
            }
            if let Some(end_s) = self.end_of_silence(then_s, everyday_s) {
                ends[count] = end_s.saturating_add(shift_s);
                count += 1;
            }
        }
        let ends = &mut ends[..count];
        ends.sort_unstable();
        if count < 2 { None } else { ends.get(2.min(count - 1)).copied() }
    }

    /// When the silence ended that began about a time: somewhat later than now, by up to an eighth
    /// of it and half of an everyday silence, a quarter of an hour at least. One that ended so soon
    /// after that time is the silence before.
    fn end_of_silence(&self, then_s: u32, everyday_s: f64) -> Option<u32> {
        let about_s = (everyday_s / 2.0).max(900.0);
        let by_s =
            |span: &Span| then_s.saturating_add(about_s.min(f64::from(span.length_s) / 8.0) as u32);
        let mut latest_first = self.silences.spans().iter().rev();
        let silence = latest_first.find(|span| span.start_s() <= by_s(span));
        let end_s = silence.filter(|span| span.end_s > by_s(span)).map(|span| span.end_s);
        let everyday = self.silences.leaves_out(self.last_s);
        end_s.or(everyday.then(|| then_s.saturating_add(everyday_s as u32)))
    }

    fn due_by_week(&mut self) -> Option<Inner> {
        let expected_s = f64::from(self.foreseen_s?);
        let last = *self.delays.spans().last()?;
        let seen_s = self.last_s.saturating_sub(self.first_s);
        if self.delays.spans().len() < COUNT_MIN || seen_s < 3 * WEEK_S {
            return None;
        }
        let delays = self.delays.usual(self.accidents());
        let silence_s = expected_s - f64::from(self.last_s);
        let delay_s = delays
            .longest
            .max(delays.most)
            .max(TWICE * f64::from(self.delays.twice_s()))
            .max(self.allowance_s(silence_s))
            .max(LATE_MIN_S);
        let was_wrong = f64::from(last.length_s) > delay_s;
        let latest_s = expected_s + delay_s + self.step_s;
        (!was_wrong).then_some(Inner { expected_s, latest_s })
    }

    /// Nobody knows yet whether the first weekend is silent.
    fn past_unseen_weekend(&self, due: Inner) -> Inner {
        let (day_s, week_s) = (f64::from(DAY_S), f64::from(WEEK_S));
        let in_week_s = libm::fmod(due.latest_s, week_s);
        let is_seen = due.latest_s - week_s >= f64::from(self.first_s);
        if is_seen || in_week_s < 5.0 * day_s {
            return due;
        }
        let length_s = due.latest_s - f64::from(self.last_s);
        Inner { latest_s: due.latest_s + week_s - in_week_s + length_s, ..due }
    }
}
