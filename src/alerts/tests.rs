//! The state machine, one column per evaluation, a minute apart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::machine::{JudgeError, RuleAlerts};
use super::notifiable::{NotifiableAlert, Sending};
use super::saved::SavedAlerts;
use super::state_file::StateFile;
use super::texts::Surroundings;
use crate::env::{Disk, Fault, SimDisk};
use crate::rules::AlertState;
use crate::rules::{AlertClause, AlertRule, Dialect, Ending, Finding, Numbers, Truth};
use crate::series::Labels;

const MINUTE: i64 = 60_000;
const START: i64 = 1_700_000_000_000;

fn clause(severity: Option<&str>, rank: u8, for_minutes: i64, ending: Ending) -> AlertClause {
    AlertClause {
        severity: severity.map(str::to_owned),
        rank,
        for_ms: for_minutes * MINUTE,
        ending,
        labels: Vec::new(),
        annotations: Vec::new(),
    }
}

fn rule(dialect: Dialect, clauses: Vec<AlertClause>) -> AlertRule {
    AlertRule {
        name: "DiskFills".to_owned(),
        file: "rules/disk.rules".to_owned(),
        group: "disk".to_owned(),
        source_text: String::new(),
        expr_text: "disk_free < 5".to_owned(),
        dialect,
        clauses,
        limit: 0,
    }
}

fn page(for_minutes: i64, ending: Ending) -> AlertRule {
    rule(Dialect::Forewarn, vec![clause(Some("page"), 2, for_minutes, ending)])
}

fn prometheus(for_minutes: i64, ending: Ending) -> AlertRule {
    rule(Dialect::Prometheus, vec![clause(None, 0, for_minutes, ending)])
}

fn series() -> Labels {
    Labels::from_pairs([("instance", "db1"), ("mountpoint", "/")])
}

fn finding(clause: usize, series: Labels, holds: Truth, clears: Truth) -> Finding {
    let numbers = Numbers { value: Some(4.5), ..Numbers::default() };
    Finding { clause, series, holds, clears, numbers, why: "4.5 is below 5".to_owned() }
}

fn no_query(_: &str) -> Result<Vec<(Labels, f64)>, String> {
    Err("no store".to_owned())
}

fn judge(alerts: &mut RuleAlerts, findings: &[Finding], at_ms: i64) -> Result<(), JudgeError> {
    let external_labels = Labels::from_pairs([("region", "eu"), ("instance", "never")]);
    let around = Surroundings {
        external_labels: &external_labels,
        external_url: "http://forewarn.example",
        query: &no_query,
    };
    alerts.judge(findings, at_ms, around)
}

fn take_due(alerts: &mut RuleAlerts, at_ms: i64) -> Vec<NotifiableAlert> {
    let external_labels = Labels::from_pairs([("region", "eu"), ("instance", "never")]);
    let sending = Sending {
        external_labels: &external_labels,
        external_url: "http://forewarn.example",
        resend_delay_ms: MINUTE,
        interval_ms: MINUTE,
    };
    alerts.take_due(at_ms, sending)
}

fn truth(letter: char) -> Truth {
    match letter {
        'T' => Truth::True,
        '?' => Truth::Unknown,
        _ => Truth::False,
    }
}

fn letter(alerts: &RuleAlerts, clause: usize) -> char {
    let states = alerts.alerts.iter().filter(|((found, _), _)| *found == clause);
    match states.map(|(_, alert)| alert.clocks.state).max() {
        None => '.',
        Some(AlertState::Pending) => 'P',
        Some(AlertState::Firing) => 'F',
        Some(AlertState::Inactive) => 'R',
    }
}

/// Runs a rule over one series. Each line of `holds` and `clears` is a clause: `T` true, `F` false,
/// `?` unknown, `-` no finding; expected are its states: `.` none, `P` pending, `F` firing, `R`
/// resolved.
#[track_caller]
fn check_clauses(rule: AlertRule, holds: &[&str], clears: &[&str], expected: &[&str]) {
    let mut alerts = RuleAlerts::new(Arc::new(rule));
    let mut found = vec![String::new(); holds.len()];
    for column in 0..holds[0].len() {
        let at_ms = START + column as i64 * MINUTE;
        let mut findings = Vec::new();
        for clause in 0..holds.len() {
            let of = |lines: &[&str]| {
                lines.get(clause).and_then(|line| line.chars().nth(column)).unwrap_or('F')
            };
            if of(holds) != '-' {
                findings.push(finding(clause, series(), truth(of(holds)), truth(of(clears))));
            }
        }
        judge(&mut alerts, &findings, at_ms).unwrap();
        for (clause, found) in found.iter_mut().enumerate() {
            found.push(letter(&alerts, clause));
        }
    }
    assert_eq!(found, expected, "holds {holds:?} clears {clears:?}");
}

#[track_caller]
fn check(rule: AlertRule, holds: &str, clears: &str, expected: &str) {
    check_clauses(rule, &[holds], &[clears], &[expected]);
}

const CLEAR_2M: Ending = Ending::Clear { for_ms: 2 * MINUTE };
const KEEP_2M: Ending = Ending::Keep(2 * MINUTE);

#[test]
fn fires_once_the_condition_has_held_for_its_time() {
    check(page(0, Ending::AtOnce), "FTTF", "", ".FFR");
    check(page(2, Ending::AtOnce), "TTTTF", "", "PPFFR");
    check(page(2, Ending::AtOnce), "TTFTT", "", "PP.PP");
    check(page(0, Ending::AtOnce), "TFTFF", "", "FRFRR");
}

#[test]
fn keep_holds_on_and_forgets_the_gap_when_the_condition_returns() {
    check(page(0, KEEP_2M), "TFFFF", "", "FFFRR");
    check(page(0, KEEP_2M), "TFTFFF", "", "FFFFFR");
    check(page(2, KEEP_2M), "TF", "", "P.");
}

#[test]
fn clear_when_must_hold_without_a_break() {
    check(page(0, CLEAR_2M), "TFFFFF", "FFTTTT", "FFFFRR");
    check(page(0, CLEAR_2M), "TFFFFFF", "FTTFTTT", "FFFFFFR");
    check(page(0, CLEAR_2M), "TFFFFFF", "FFFFFFF", "FFFFFFF");
    check(page(0, CLEAR_2M), "TTTTTF", "TTTTTT", "FFFFFF");
    check(page(0, CLEAR_2M), "TFFFF", "FT?TT", "FFFRR");
    check(page(0, Ending::Clear { for_ms: 0 }), "TFF", "FFT", "FFR");
}

#[test]
fn unknown_changes_nothing_for_five_minutes() {
    check(page(2, Ending::AtOnce), "T??T", "", "PPPF");
    check(page(9, Ending::AtOnce), "T?????T", "", "PPPPPPP");
    check(page(9, Ending::AtOnce), "T??????F", "", "PPPPPP..");
    check(page(0, Ending::AtOnce), "T??????T", "", "FFFFFFRF");
    check(page(0, CLEAR_2M), "T??????", "FFFFFFF", "FFFFFFR");
    check(page(0, Ending::AtOnce), "T???T???T", "", "FFFFFFFFF");
}

#[test]
fn a_series_that_is_not_spoken_of_is_unknown_for_ours_and_false_for_prometheus() {
    check(page(0, Ending::AtOnce), "T------", "", "FFFFFFR");
    check(prometheus(0, Ending::AtOnce), "T-", "", "FR");
    check(prometheus(2, Ending::AtOnce), "TT-TTTT-", "", "PP.PPFFR");
    check(prometheus(0, KEEP_2M), "T---", "", "FFFR");
    check(prometheus(0, KEEP_2M), "T-T---", "", "FFFFFR");
}

#[test]
fn a_lower_severity_waits_while_a_higher_one_fires_and_goes_on_if_it_fired_first() {
    let rule = |page_for| {
        rule(
            Dialect::Forewarn,
            vec![
                clause(Some("page"), 2, page_for, Ending::AtOnce),
                clause(Some("ticket"), 1, 0, Ending::AtOnce),
            ],
        )
    };
    check_clauses(rule(0), &["TTFF", "TTTF"], &[], &["FFRR", "PPFR"]);
    check_clauses(rule(2), &["TTTTF", "TTTTT"], &[], &["PPFFR", "FFFFF"]);
    check_clauses(rule(0), &["TTF", "TFF"], &[], &["FFR", "P.."]);
}

#[test]
fn resolved_alerts_are_kept_for_fifteen_minutes() {
    let holds = format!("T{}", "F".repeat(18));
    check(page(0, Ending::AtOnce), &holds, "", &format!("F{}..", "R".repeat(16)));
}

#[test]
fn labels_are_the_series_then_the_rules_then_ours() {
    let mut rule = page(0, Ending::AtOnce);
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    rule.clauses[0].labels =
        vec![pair("team", "{{ $labels.mountpoint }}x"), pair("instance", ""), pair("bad", "{{")];
    rule.clauses[0].annotations = vec![
        pair("summary", "{{ $value }} {{ $expected }}{{ $since | humanizeTimestamp }}"),
        pair("broken", "{{ query \"up\" }}"),
    ];
    let mut alerts = RuleAlerts::new(Arc::new(rule));
    let series = Labels::from_pairs([
        ("instance", "db1"),
        ("mountpoint", "/"),
        ("severity", "low"),
        ("exported_severity", "x"),
    ]);
    judge(&mut alerts, &[finding(0, series, Truth::True, Truth::False)], START).unwrap();
    let alert = alerts.alerts.values().next().unwrap();
    insta::assert_snapshot!(alert.labels, @r#"{alertname="DiskFills", bad="<error expanding template: 1:1: unclosed action: end it with }}>", exported_exported_severity="low", exported_severity="x", mountpoint="/", severity="page", team="/x"}"#);
    insta::assert_snapshot!(alert.annotations, @r#"{broken="<error expanding template: 1:4: query: no store>", summary="4.5 2023-11-14 22:13:20 +0000 UTC", why="4.5 is below 5"}"#);
}

#[test]
fn a_prometheus_rule_names_alerts_by_their_final_labels() {
    let mut rule = prometheus(0, Ending::AtOnce);
    rule.clauses[0].labels = vec![("instance".to_owned(), String::new())];
    let mut alerts = RuleAlerts::new(Arc::new(rule));
    let of = |instance: &str| {
        let series = Labels::from_pairs([("instance", instance)]);
        finding(0, series, Truth::True, Truth::False)
    };
    judge(&mut alerts, &[of("a")], START).unwrap();
    judge(&mut alerts, &[of("b")], START + MINUTE).unwrap();
    assert_eq!(alerts.alerts.len(), 1);
    let before = alerts.alerts.clone();
    let error = judge(&mut alerts, &[of("a"), of("b")], START + 2 * MINUTE).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "vector contains metrics with the same labelset after applying alert labels"
        )
    );
    assert_eq!(alerts.alerts, before);
    let annotations = &alerts.alerts.values().next().unwrap().annotations;
    assert!(annotations.is_empty(), "no `why` that the rule did not ask for: {annotations}");
}

#[test]
fn more_alerts_than_the_limit_drop_all() {
    let mut rule = page(0, Ending::AtOnce);
    rule.limit = 1;
    let mut alerts = RuleAlerts::new(Arc::new(rule));
    let of = |instance: &str| {
        finding(0, Labels::from_pairs([("instance", instance)]), Truth::True, Truth::False)
    };
    judge(&mut alerts, &[of("a")], START).unwrap();
    let error = judge(&mut alerts, &[of("a"), of("b")], START + MINUTE).unwrap_err();
    assert!(error.to_string().starts_with("exceeded limit of 1 with 2 alerts"), "{error}");
    assert!(alerts.alerts.is_empty());
}

#[test]
fn a_longer_for_takes_a_firing_prometheus_alert_back_and_leaves_ours() {
    for (old, new, expected) in [
        (prometheus(0, Ending::AtOnce), prometheus(5, Ending::AtOnce), 'P'),
        (page(0, Ending::AtOnce), page(5, Ending::AtOnce), 'F'),
    ] {
        let holds = [finding(0, series(), Truth::True, Truth::False)];
        let mut before = RuleAlerts::new(Arc::new(old));
        judge(&mut before, &holds, START).unwrap();
        let mut after = RuleAlerts::new(Arc::new(new));
        after.carry_over(before);
        judge(&mut after, &holds, START + MINUTE).unwrap();
        assert_eq!(letter(&after, 0), expected);
    }
}

#[test]
fn active_alerts_are_series_too() {
    let mut alerts = RuleAlerts::new(Arc::new(page(1, Ending::AtOnce)));
    let holds = [finding(0, series(), Truth::True, Truth::False)];
    let printed = |alerts: &RuleAlerts| {
        let samples = alerts.samples().into_iter();
        samples.map(|(labels, value)| format!("{labels} {value}")).collect::<Vec<_>>().join("\n")
    };
    judge(&mut alerts, &holds, START).unwrap();
    insta::assert_snapshot!(printed(&alerts), @r#"
    ALERTS{alertname="DiskFills", alertstate="pending", instance="db1", mountpoint="/", severity="page"} 1
    ALERTS_FOR_STATE{alertname="DiskFills", instance="db1", mountpoint="/", severity="page"} 1700000000
    "#);
    judge(&mut alerts, &holds, START + MINUTE).unwrap();
    assert!(printed(&alerts).contains(r#"alertstate="firing""#));
    judge(&mut alerts, &[finding(0, series(), Truth::False, Truth::False)], START + 2 * MINUTE)
        .unwrap();
    assert_eq!(printed(&alerts), "");
}

/// `S` sent as firing, `E` sent as ended, `.` not sent.
#[track_caller]
fn check_sent(rule: AlertRule, step_ms: i64, holds: &str, expected: &str) {
    let mut alerts = RuleAlerts::new(Arc::new(rule));
    let mut found = String::new();
    for (column, holds) in holds.chars().enumerate() {
        let at_ms = START + column as i64 * step_ms;
        judge(&mut alerts, &[finding(0, series(), truth(holds), Truth::False)], at_ms).unwrap();
        let sent = take_due(&mut alerts, at_ms);
        found.push(match sent.as_slice() {
            [] => '.',
            [alert] if alert.ends_at_ms > at_ms => 'S',
            [_] => 'E',
            more => panic!("{more:?}"),
        });
    }
    assert_eq!(found, expected, "{holds}");
}

#[test]
fn firing_alerts_are_sent_at_once_then_after_the_resend_delay() {
    check_sent(page(0, Ending::AtOnce), 30_000, "TTTTTTT", "S..S..S");
    check_sent(page(0, Ending::AtOnce), MINUTE, "TTTTT", "S.S.S");
    check_sent(page(1, Ending::AtOnce), MINUTE, "TTF", ".SE");
    check_sent(page(5, Ending::AtOnce), MINUTE, "TTF", "...");
}

#[test]
fn resolved_alerts_are_sent_for_fifteen_minutes_and_a_new_one_begins_anew() {
    let holds = format!("TF{}", "F".repeat(20));
    check_sent(page(0, Ending::AtOnce), MINUTE, &holds, "SE.E.E.E.E.E.E.E......");
    check_sent(page(0, Ending::AtOnce), MINUTE, "TFTF", "SESE");
}

#[test]
fn what_is_sent_says_when_and_where() {
    let mut alerts = RuleAlerts::new(Arc::new(page(1, Ending::AtOnce)));
    let holds = [finding(0, series(), Truth::True, Truth::False)];
    judge(&mut alerts, &holds, START).unwrap();
    judge(&mut alerts, &holds, START + MINUTE).unwrap();
    let sent = take_due(&mut alerts, START + MINUTE);
    let json: serde_json::Value = serde_json::from_str(&super::notifiable::body(&sent)).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    [
      {
        "annotations": {
          "why": "4.5 is below 5"
        },
        "endsAt": "2023-11-14T22:18:20.000Z",
        "generatorURL": "http://forewarn.example/graph?g0.expr=disk_free+%3C+5&g0.tab=1",
        "labels": {
          "alertname": "DiskFills",
          "instance": "db1",
          "mountpoint": "/",
          "region": "eu",
          "severity": "page"
        },
        "startsAt": "2023-11-14T22:14:20.000Z"
      }
    ]
    "#);
    judge(&mut alerts, &[finding(0, series(), Truth::False, Truth::False)], START + 3 * MINUTE)
        .unwrap();
    let sent = take_due(&mut alerts, START + 3 * MINUTE);
    assert_eq!((sent[0].starts_at_ms, sent[0].ends_at_ms), (START + MINUTE, START + 3 * MINUTE));
    take_due(&mut alerts, START + 3 * MINUTE);
    let again = take_due(&mut alerts, START + 9 * MINUTE);
    assert_eq!(again[0].ends_at_ms, START + 3 * MINUTE);
}

/// Saves the alerts at `saved_at_ms` and gives what is read back to a rule.
fn restarted(old: &RuleAlerts, saved_at_ms: i64, new: AlertRule) -> RuleAlerts {
    let bytes = SavedAlerts::collect(std::iter::once(old), saved_at_ms).encode().unwrap();
    let mut alerts = RuleAlerts::new(Arc::new(new));
    SavedAlerts::decode(&bytes).unwrap().restore(&mut alerts);
    alerts
}

#[test]
fn after_a_restart_a_firing_alert_goes_on_and_is_sent_at_once() {
    let holds = [finding(0, series(), Truth::True, Truth::False)];
    for rule in [page(0, Ending::AtOnce), prometheus(0, Ending::AtOnce)] {
        let mut before = RuleAlerts::new(Arc::new(rule.clone()));
        judge(&mut before, &holds, START).unwrap();
        take_due(&mut before, START);
        let mut after = restarted(&before, START + 1, rule);
        assert_eq!(before.alerts, after.alerts);
        judge(&mut after, &holds, START + MINUTE / 2).unwrap();
        let sent = take_due(&mut after, START + MINUTE / 2);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].starts_at_ms, START);
    }
}

#[test]
fn after_a_restart_the_outage_does_not_count_as_held() {
    let holds = [finding(0, series(), Truth::True, Truth::False)];
    let mut before = RuleAlerts::new(Arc::new(page(2, Ending::AtOnce)));
    judge(&mut before, &holds, START).unwrap();
    let mut after = restarted(&before, START + MINUTE, page(2, Ending::AtOnce));
    for (minutes, expected) in [(30, 'P'), (31, 'F')] {
        judge(&mut after, &holds, START + minutes * MINUTE).unwrap();
        assert_eq!(letter(&after, 0), expected, "after {minutes} minutes");
    }
}

#[test]
fn clearing_stands_still_during_an_outage() {
    let clears = [finding(0, series(), Truth::False, Truth::True)];
    let mut before = RuleAlerts::new(Arc::new(page(0, CLEAR_2M)));
    judge(&mut before, &[finding(0, series(), Truth::True, Truth::False)], START).unwrap();
    judge(&mut before, &clears, START + MINUTE).unwrap();
    let mut after = restarted(&before, START + MINUTE, page(0, CLEAR_2M));
    for (minutes, expected) in [(30, 'F'), (31, 'F'), (32, 'R')] {
        judge(&mut after, &clears, START + minutes * MINUTE).unwrap();
        assert_eq!(letter(&after, 0), expected, "after {minutes} minutes");
    }
}

#[test]
fn saved_alerts_find_their_severity_and_no_other_rule() {
    let two = |first: &str, second: &str| {
        let clause = |severity, rank| clause(Some(severity), rank, 0, Ending::AtOnce);
        rule(Dialect::Forewarn, vec![clause(first, 2), clause(second, 1)])
    };
    let mut before = RuleAlerts::new(Arc::new(two("page", "ticket")));
    judge(&mut before, &[finding(1, series(), Truth::True, Truth::False)], START).unwrap();
    let after = restarted(&before, START, two("ticket", "note"));
    assert_eq!((letter(&after, 0), letter(&after, 1)), ('F', '.'));
    let mut other = two("page", "ticket");
    other.name = "Other".to_owned();
    assert!(restarted(&before, START, other).alerts.is_empty());
}

#[test]
fn damaged_and_foreign_state_is_named() {
    for (text, expected) in [
        ("", "is damaged"),
        ("{\"version\": 1, \"saved_at_ms\"", "is damaged"),
        ("{\"version\": 2}", "was written by format 2, this build reads 1"),
    ] {
        let error = SavedAlerts::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn state_is_kept_in_one_file_at_every_moment() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::default());
    let dir = PathBuf::from("data/alerts");
    let (mut file, saved) = StateFile::open(Arc::clone(&disk), dir.clone());
    assert!(saved.is_none());
    let mut alerts = RuleAlerts::new(Arc::new(page(0, Ending::AtOnce)));
    judge(&mut alerts, &[finding(0, series(), Truth::True, Truth::False)], START).unwrap();
    for minute in 0..3 {
        file.save(&SavedAlerts::collect(std::iter::once(&alerts), START + minute * MINUTE));
    }
    let names: Vec<_> = disk.list(&dir).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["alerts-00000003.json"]);
    let (_, saved) = StateFile::open(Arc::clone(&disk), dir.clone());
    assert_eq!(saved.unwrap().saved_at_ms, START + 2 * MINUTE);

    let damaged = disk.create(&dir.join("alerts-00000007.json")).unwrap();
    damaged.append(b"{\"version\":1,").unwrap();
    let (mut file, saved) = StateFile::open(Arc::clone(&disk), dir.clone());
    assert!(saved.is_none());
    file.save(&SavedAlerts::collect(std::iter::once(&alerts), START));
    assert!(StateFile::open(disk, dir).1.is_some());
}

/// Saves at START, then a minute later with trouble from the n-th call on; returns the calls made.
fn save_with_trouble(trouble: impl Fn(&SimDisk)) -> (Arc<SimDisk>, u64, StateFile) {
    let disk = Arc::new(SimDisk::new());
    let (mut file, _) = StateFile::open(Arc::clone(&disk) as Arc<dyn Disk>, "alerts".into());
    let save = |file: &mut StateFile, at_ms| {
        file.save(&SavedAlerts::collect(std::iter::empty(), at_ms));
    };
    save(&mut file, START);
    trouble(&disk);
    let before = disk.calls();
    save(&mut file, START + MINUTE);
    (disk.clone(), disk.calls() - before, file)
}

#[test]
fn whatever_fails_or_is_cut_off_one_state_can_be_read() {
    let (_, calls, _) = save_with_trouble(|_| {});
    for fault in [Fault::NoSpace, Fault::ShortWrite, Fault::Io] {
        for after in 0..=calls {
            for cuts_power in [false, true] {
                let dir = Path::new("alerts");
                let (disk, _, mut file) = save_with_trouble(|disk| disk.fail_after(after, fault));
                disk.heal();
                if cuts_power {
                    disk.cut_power();
                } else {
                    file.save(&SavedAlerts::collect(std::iter::empty(), START + MINUTE));
                    assert_eq!(disk.list(dir).unwrap().len(), 1);
                }
                let (mut file, saved) = StateFile::open(Arc::clone(&disk) as _, dir.into());
                let saved_at_ms = saved.map(|saved| saved.saved_at_ms - START);
                assert!(
                    matches!(saved_at_ms, Some(0 | MINUTE)),
                    "{fault:?} after {after} calls, power cut {cuts_power}: {saved_at_ms:?}"
                );
                file.save(&SavedAlerts::collect(std::iter::empty(), START + 2 * MINUTE));
                let kept = disk.list(dir).unwrap();
                assert_eq!(kept.len(), 1, "{fault:?} after {after} calls: {kept:?}");
            }
        }
    }
}
