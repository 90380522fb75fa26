//! Files of holidays: the all-day events of an iCalendar file (RFC 5545), as calendars export them.
//!
//! Understood are plain days, spans of days, and what comes each year: on its date, or on a
//! weekday of a month (`FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO`). Events at a time of day are passed
//! over; a rule of another form is a fault, since a day that is silently missing would be a page.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

/// The last year in which what comes each year is looked for.
const YEAR_MAX: i16 = 2100;
/// The most days that one event may last.
const DAYS_MAX: i32 = 366;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// What is wrong with a file, and in which line of it, from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Returns the days on which an all-day event lies, since 1970-01-01, sorted.
pub(super) fn days(text: &str) -> Result<Vec<i32>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut days = BTreeSet::new();
    let mut open: Vec<String> = Vec::new();
    let mut event = Event::default();
    let lines = unfold(text);
    for line in &lines {
        if line.text.trim().is_empty() {
            continue;
        }
        let property = line.property()?;
        match property.name.as_str() {
            "BEGIN" => {
                open.push(property.value.to_ascii_uppercase());
                if open.len() == 2 {
                    event = Event::default();
                }
            }
            "END" => {
                if open.pop() != Some(property.value.to_ascii_uppercase()) {
                    return line.fault(format!("END:{} ends nothing", property.value));
                }
                if open.len() == 1 && property.value.eq_ignore_ascii_case("VEVENT") {
                    event.add_to(&mut days)?;
                }
            }
            _ if open.is_empty() => {
                return line.fault("an iCalendar file begins with BEGIN:VCALENDAR");
            }
            _ if open.len() == 2 && open[1] == "VEVENT" => event.take(line, &property)?,
            _ => {}
        }
    }
    let end = lines.last().map_or(1, |line| line.number);
    let fault = |message: String| Err(Fault { line: end, message });
    match open.last() {
        Some(open) => fault(format!("END:{open} is missing")),
        None if days.is_empty() => fault("no all-day event stands in it".to_owned()),
        None => Ok(days.into_iter().collect()),
    }
}

/// A line with those that continue it.
struct Line {
    number: usize,
    text: String,
}

struct Property<'l> {
    name: String,
    value: &'l str,
}

/// Joins what is folded: a line that begins with a space or a tab goes on with the one above.
fn unfold(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        match (raw.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some(line)) => line.text.push_str(more),
            _ => lines.push(Line { number: index + 1, text: raw.to_owned() }),
        }
    }
    lines
}

impl Line {
    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { line: self.number, message: message.into() })
    }

    /// `NAME;PARAMETER="a:b":VALUE`; parameters are not needed.
    fn property(&self) -> Result<Property<'_>, Fault> {
        let mut quoted = false;
        let colon = self.text.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == ':' && !quoted
        });
        let Some((colon, _)) = colon else {
            return self.fault("not a line of an iCalendar file, which are NAME:VALUE");
        };
        let (name, value) = (&self.text[..colon], self.text[colon + 1..].trim());
        let name = name.split(';').next().unwrap_or(name).trim();
        Ok(Property { name: name.to_ascii_uppercase(), value })
    }

    fn date(&self, text: &str) -> Result<Date, Fault> {
        let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
        let is_date = text.len() >= 8 && text.bytes().take(8).all(|byte| byte.is_ascii_digit());
        let date = part(0, 4).zip(part(4, 6)).zip(part(6, 8)).filter(|_| is_date);
        let date = date.and_then(|((year, month), day)| {
            Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
        });
        date.map_or_else(|| self.fault(format!("{text:?} is no date")), Ok)
    }
}

/// What is known of an event until its end.
#[derive(Default)]
struct Event {
    /// The line of DTSTART, its day, and whether it is at no time of day.
    start: Option<(usize, Date, Hours)>,
    end: Option<(Date, Hours)>,
    length_days: Option<i32>,
    yearly: Option<Yearly>,
    except: Vec<Date>,
    is_cancelled: bool,
}

/// Of a date: whether a time of day stands with it.
#[derive(Clone, Copy, PartialEq)]
enum Hours {
    None,
    Midnight,
    Other,
}

impl Hours {
    fn of(text: &str) -> Hours {
        match text.get(8..) {
            None | Some("") => Hours::None,
            Some(time) if time.starts_with("T000000") => Hours::Midnight,
            Some(_) => Hours::Other,
        }
    }
}

impl Event {
    fn take(&mut self, line: &Line, property: &Property<'_>) -> Result<(), Fault> {
        let value = property.value;
        match property.name.as_str() {
            "DTSTART" => self.start = Some((line.number, line.date(value)?, Hours::of(value))),
            "DTEND" => self.end = Some((line.date(value)?, Hours::of(value))),
            "DURATION" => self.length_days = whole_days(value),
            "RRULE" => self.yearly = Some(Yearly::parse(line, value)?),
            "EXDATE" => {
                for date in value.split(',') {
                    self.except.push(line.date(date.trim())?);
                }
            }
            "STATUS" => self.is_cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            "RDATE" | "RECURRENCE-ID" => {
                return line.fault(format!("{} is not understood", property.name));
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the days of the event, if it is an all-day one.
    fn add_to(&self, days: &mut BTreeSet<i32>) -> Result<(), Fault> {
        let Some((line, start, hours)) = self.start else { return Ok(()) };
        let midnight = matches!(self.end, Some((end, Hours::Midnight)) if end > start);
        let is_all_day = hours == Hours::None || (hours == Hours::Midnight && midnight);
        if !is_all_day || self.is_cancelled {
            return Ok(());
        }
        let length = match self.end {
            // Some write the same day.
            Some((end, _)) if end == start => 1,
            Some((end, _)) => days_between(start, end),
            None => self.length_days.unwrap_or(1),
        };
        if !(1..=DAYS_MAX).contains(&length) {
            let message = format!("an event of {length} days; 1 to {DAYS_MAX} are understood");
            return Err(Fault { line, message });
        }
        let found = self.yearly.as_ref().map_or_else(|| vec![start], |rule| rule.dates(start));
        for date in found.into_iter().filter(|date| !self.except.contains(date)) {
            let first = days_between(EPOCH, date);
            days.extend(first..first + length);
        }
        Ok(())
    }
}

/// What comes each year, or each so many years.
#[derive(Debug, PartialEq)]
struct Yearly {
    interval: i16,
    month: Option<i8>,
    on: On,
    count: Option<usize>,
    until: Option<Date>,
}

/// On which day of the month.
#[derive(Debug, PartialEq)]
enum On {
    /// That of the first.
    Same,
    Day(i8),
    /// The so-manieth of a weekday; below 0 from the month's end.
    Weekday(i8, Weekday),
}

impl Yearly {
    fn parse(line: &Line, text: &str) -> Result<Yearly, Fault> {
        let mut rule = Yearly { interval: 1, month: None, on: On::Same, count: None, until: None };
        let mut is_yearly = false;
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let refused = || line.fault(format!("RRULE with {part} is not understood"));
            match key.to_ascii_uppercase().as_str() {
                "FREQ" if value.eq_ignore_ascii_case("YEARLY") => is_yearly = true,
                "INTERVAL" => match value.parse() {
                    Ok(interval) if interval > 0 => rule.interval = interval,
                    _ => return refused(),
                },
                "COUNT" => match value.parse() {
                    Ok(count) => rule.count = Some(count),
                    Err(_) => return refused(),
                },
                "UNTIL" => rule.until = Some(line.date(value)?),
                "BYMONTH" => match value.parse() {
                    Ok(month) if (1..=12).contains(&month) => rule.month = Some(month),
                    _ => return refused(),
                },
                "BYMONTHDAY" => match value.parse() {
                    Ok(day) if (1..=31).contains(&day) => rule.on = On::Day(day),
                    _ => return refused(),
                },
                "BYDAY" => match weekday(value) {
                    Some(on) => rule.on = on,
                    None => return refused(),
                },
                "WKST" => {}
                _ => return refused(),
            }
        }
        if is_yearly { Ok(rule) } else { line.fault("only RRULE:FREQ=YEARLY is understood") }
    }

    /// The dates, the first of which is where the event itself stands.
    fn dates(&self, start: Date) -> Vec<Date> {
        let years = (start.year()..=YEAR_MAX).step_by(usize::from(self.interval.unsigned_abs()));
        let later = years.filter_map(|year| {
            let month = self.month.unwrap_or(start.month());
            match self.on {
                On::Same => Date::new(year, month, start.day()).ok(),
                On::Day(day) => Date::new(year, month, day).ok(),
                On::Weekday(nth, weekday) => {
                    Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
                }
            }
        });
        let later = later.filter(|date| *date > start);
        let until = |date: &Date| self.until.is_none_or(|until| *date <= until);
        let dates = std::iter::once(start).chain(later.take_while(until));
        dates.take(self.count.unwrap_or(usize::MAX)).collect()
    }
}

/// `3MO`, `-1FR`.
fn weekday(text: &str) -> Option<On> {
    const NAMES: [(&str, Weekday); 7] = [
        ("MO", Weekday::Monday),
        ("TU", Weekday::Tuesday),
        ("WE", Weekday::Wednesday),
        ("TH", Weekday::Thursday),
        ("FR", Weekday::Friday),
        ("SA", Weekday::Saturday),
        ("SU", Weekday::Sunday),
    ];
    let (name, weekday) = NAMES.iter().find(|(name, _)| text.ends_with(name))?;
    let nth: i8 = text.strip_suffix(name)?.parse().ok()?;
    ((1..=5).contains(&nth.abs())).then_some(On::Weekday(nth, *weekday))
}

/// `P2D`, `P1W`; none where it is not of whole days.
fn whole_days(text: &str) -> Option<i32> {
    let text = text.strip_prefix('P')?;
    let (number, days) = match text.strip_suffix('W') {
        Some(weeks) => (weeks, 7),
        None => (text.strip_suffix('D')?, 1),
    };
    number.parse::<i32>().ok()?.checked_mul(days)
}

fn days_between(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;

    fn calendar(events: &[&str]) -> String {
        let events = events.join("\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n");
        let head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT";
        format!("{head}\r\n{events}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
    }

    #[track_caller]
    fn dates(events: &[&str]) -> Vec<String> {
        let days = days(&calendar(events)).unwrap();
        days.iter().map(|day| (EPOCH + day.days()).to_string()).collect()
    }

    #[test]
    fn plain_days_and_spans_are_as_exported() {
        assert_eq!(
            dates(&[
                "DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas: \r\n  and after",
                "DTSTART;VALUE=DATE;X-NOTE=\"a:b\":20260101\r\nBEGIN:VALARM\r\nDTSTART:20200101\r\nEND:VALARM",
                "DTSTART:20260501\r\nDTEND:20260501",
                "DTSTART;TZID=Europe/Berlin:20260601T000000\r\nDTEND:20260602T000000",
                "DTSTART:20260701\r\nDURATION:P2D",
                "DTSTART:20260801T090000Z\r\nDTEND:20260801T100000Z",
                "DTSTART:20260901\r\nSTATUS:CANCELLED",
            ]),
            [
                "2026-01-01",
                "2026-05-01",
                "2026-06-01",
                "2026-07-01",
                "2026-07-02",
                "2026-12-25",
                "2026-12-26",
            ]
        );
        // Folded within a word, and with other line ends.
        let folded = "\u{feff}BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DA\n TE:2026\n\t1003\nEND:VEVENT\nEND:VCALENDAR";
        assert_eq!(days(folded), Ok(vec![20_729]));
    }

    #[test]
    fn what_comes_each_year_is_known_in_advance() {
        let years = dates(&["DTSTART:20241224\r\nRRULE:FREQ=YEARLY"]);
        assert_eq!((years.len(), years[2].as_str()), (77, "2026-12-24"));
        assert_eq!(
            dates(&["DTSTART:20240527\r\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3"]),
            ["2024-05-27", "2025-05-26", "2026-05-25"]
        );
        assert_eq!(
            dates(&["DTSTART:20240229\r\nRRULE:FREQ=YEARLY;UNTIL=20330101T000000Z"]),
            ["2024-02-29", "2028-02-29", "2032-02-29"]
        );
        assert_eq!(
            dates(&[
                "DTSTART:20240101\r\nDTEND:20240103\r\nRRULE:FREQ=YEARLY;INTERVAL=2;COUNT=3\r\nEXDATE:20260101"
            ]),
            ["2024-01-01", "2024-01-02", "2028-01-01", "2028-01-02"]
        );
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line, message) in [
            ("", 1, "no all-day event stands in it"),
            ("holidays", 1, "not a line of an iCalendar file, which are NAME:VALUE"),
            ("A:b", 1, "an iCalendar file begins with BEGIN:VCALENDAR"),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", 2, "END:VEVENT is missing"),
            ("BEGIN:VCALENDAR\nEND:VEVENT\n", 2, "END:VEVENT ends nothing"),
            (&calendar(&["DTSTART:20260230"]), 4, "\"20260230\" is no date"),
            (&calendar(&["DTSTART:2026é01"]), 4, "\"2026é01\" is no date"),
            (
                &calendar(&["DTSTART:20260102\r\nDTEND:20260101"]),
                4,
                "an event of -1 days; 1 to 366 are understood",
            ),
            (
                &calendar(&["DTSTART:00010101\r\nDTEND:99991231"]),
                4,
                "an event of 3652058 days; 1 to 366 are understood",
            ),
            (
                &calendar(&["DTSTART:20260102\r\nRRULE:FREQ=DAILY"]),
                5,
                "RRULE with FREQ=DAILY is not understood",
            ),
            (
                &calendar(&["DTSTART:20260102\r\nRRULE:FREQ=YEARLY;BYDAY=MO"]),
                5,
                "RRULE with BYDAY=MO is not understood",
            ),
            (
                &calendar(&["DTSTART:20260102\r\nRRULE:FREQ=YEARLY;INTERVAL=0"]),
                5,
                "RRULE with INTERVAL=0 is not understood",
            ),
            (
                &calendar(&["DTSTART:20260102\r\nRRULE:COUNT=1"]),
                5,
                "only RRULE:FREQ=YEARLY is understood",
            ),
            (&calendar(&["DTSTART:20260102\r\nRDATE:20260103"]), 5, "RDATE is not understood"),
            (&calendar(&["DTSTART:20260102T090000"]), 6, "no all-day event stands in it"),
        ] {
            let message = message.to_owned();
            assert_eq!(days(text), Err(Fault { line, message }), "{text}");
        }
    }

    #[test]
    fn no_text_breaks_it() {
        let text = calendar(&[
            "DTSTART;VALUE=DATE:00010101\r\nRRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2",
            "DTSTART:99991231\r\nDURATION:P366D\r\nRRULE:FREQ=YEARLY",
        ]);
        for end in 0..text.len() {
            let _ = days(&text[..end]);
            let _ = days(&text[end..]);
        }
    }
}
