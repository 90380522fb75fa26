//! `normal … holidays "file.ics"`: a holiday is like a Sunday, whatever day it is.

use std::sync::Arc;

use forewarn::env::ManualClock;
use forewarn::series::Labels;
use forewarn::store::Store;

use super::{DAY, HOUR, check_beside, replay};
use crate::support::world::{MINUTE, START, World, write};

const DAY_OFF: &str = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:A holiday that nobody\r\n  knows\r\nDTSTART;VALUE=DATE:20231115\r\nDTEND;VALUE=DATE:20231116\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
/// 2023-11-15, a Wednesday, the day after [`START`].
const HOLIDAY: i64 = 19_676 * DAY;
const STEP: i64 = 5 * MINUTE;

/// An office, busy from nine to five on working days, closed on the holiday.
fn office() -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::in_memory(Arc::clone(&clock) as _);
    let labels = Labels::from_pairs([("__name__", "logins")]);
    let mut random = fastrand::Rng::with_seed(3);
    for at_ms in (HOLIDAY - 28 * DAY..HOLIDAY + DAY).step_by(STEP as usize) {
        clock.set(at_ms);
        // 1970-01-01 was a Thursday.
        let (weekday, hour) = ((at_ms / DAY + 3) % 7, at_ms % DAY / HOUR);
        let is_open = weekday < 5 && (9..17).contains(&hour) && at_ms < HOLIDAY;
        let value = if is_open { 100.0 } else { 20.0 } + random.f64();
        write(&store, &[(&labels, at_ms, value)]);
    }
    clock.set(START);
    (store, clock)
}

/// What is expected at noon of the holiday.
fn expected(normal: &str) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "test input")]
    std::fs::write(dir.path().join("days.ics"), DAY_OFF).unwrap();
    let name = dir.path().join("a.rules").display().to_string();
    let rule = format!(
        "defaults {{ every 15m {normal} }} rule Quiet {{ signal logins  page when below normal }}"
    );
    let (store, clock) = office();
    let mut world = World::over(store, clock, &[(&name, &rule)]);
    replay(&mut world, HOLIDAY + 12 * HOUR);
    let found = world.query("forewarn_expected");
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].split(' ').next_back().unwrap().parse().unwrap()
}

#[test]
fn a_holiday_is_expected_to_be_as_a_sunday_is() {
    let (told, untold) = (expected("normal holidays \"days.ics\""), expected(""));
    assert!(told < 40.0 && untold > 60.0, "{told} {untold}");
}

#[test]
fn check_reads_the_file_and_names_the_place() {
    let rule = |file: &str| {
        format!("rule A {{ signal up  normal holidays \"{file}\"  page when below normal }}")
    };
    let broken = DAY_OFF.replace("20231116", "20231315");
    let (good, bad) = (rule("days.ics"), rule("broken.ics"));
    let beside = [("rules/days.ics", DAY_OFF), ("rules/broken.ics", broken.as_str())];
    let check = |text: &str| check_beside(&beside, &[("rules/a.rules", text)]);
    assert_eq!(check(&good), (Some(0), "1 rule, 0 errors\n".to_owned()));
    let (code, text) = check(&bad);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    error[R025]: rules/broken.ics:6: "20231315" is no date
      --> rules/a.rules:1:37
    1 | rule A { signal up  normal holidays "broken.ics"  page when below normal }
      |                                     ^^^^^^^^^^^^
      help: holidays are the all-day events of an iCalendar file, once or FREQ=YEARLY

    0 rules, 1 error
    "#);
}
