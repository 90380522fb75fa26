//! The way of an alert: from stored samples to an Alertmanager.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forewarn::alerts::{AlertState, AlertmanagerTarget, NotifiableAlert, Notifier, RuleKind};
use forewarn::env::{Clock, Disk, SimDisk, SystemClock};
use forewarn::series::{Labels, format_rfc3339};
use hyper::StatusCode;

use crate::support::alertmanager::FakeAlertmanager;
use crate::support::world::{MINUTE, SECOND, START, World, ear, manager_over, parse};

const LONG: Duration = Duration::from_secs(10);

fn notifier(queue_capacity: usize) -> Notifier {
    let runtime = tokio::runtime::Handle::current();
    Notifier::new(runtime, Arc::new(SystemClock::new()), queue_capacity)
}

fn target(url: impl Into<String>) -> AlertmanagerTarget {
    AlertmanagerTarget { url: url.into(), timeout: LONG }
}

fn alerts(count: usize) -> Vec<NotifiableAlert> {
    let alert = |number: usize| NotifiableAlert {
        labels: Labels::from_pairs([("alertname", "Test"), ("number", &number.to_string())]),
        annotations: Labels::from_pairs([("summary", "a \"test\"")]),
        starts_at_ms: 1_704_164_645_678,
        ends_at_ms: 1_704_164_885_678,
        generator_url: "http://forewarn.example/graph?g0.expr=up&g0.tab=1".to_owned(),
    };
    (0..count).map(alert).collect()
}

#[tokio::test]
async fn alerts_arrive_as_the_api_wants_them() {
    let (one, two) = (FakeAlertmanager::start().await, FakeAlertmanager::start().await);
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(one.url()), target(two.url())]);
    notifier.send(alerts(1));
    two.wait_for(1).await;
    let arrived = one.wait_for(1).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&arrived[0]).unwrap(), @r#"
    {
      "annotations": {
        "summary": "a \"test\""
      },
      "endsAt": "2024-01-02T03:08:05.678Z",
      "generatorURL": "http://forewarn.example/graph?g0.expr=up&g0.tab=1",
      "labels": {
        "alertname": "Test",
        "number": "0"
      },
      "startsAt": "2024-01-02T03:04:05.678Z"
    }
    "#);
    let request = &one.received()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/api/v2/alerts");
    assert_eq!(request.content_type, "application/json");
}

#[tokio::test]
async fn many_alerts_go_in_batches_in_order() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(1000);
    notifier.set_alertmanagers(&[target(fake.url())]);
    notifier.send(alerts(600));
    let arrived = fake.wait_for(600).await;
    let numbers: Vec<_> = arrived
        .iter()
        .map(|alert| alert["labels"]["number"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(numbers, (0..600).map(|number| number.to_string()).collect::<Vec<_>>());
    let sizes: Vec<_> = fake.received().iter().map(|request| request.alerts.len()).collect();
    assert_eq!(sizes, [256, 256, 88]);
}

#[tokio::test]
async fn a_refused_batch_is_dropped_counted_and_not_repeated() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(fake.url())]);
    fake.answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    notifier.send(alerts(2));
    assert_eq!(notifier.drain(LONG).await, 0);
    fake.answer_with(StatusCode::ACCEPTED);
    notifier.send(alerts(3));
    assert_eq!(notifier.drain(LONG).await, 0);
    assert_eq!(fake.received().len(), 2);
    let status = &notifier.status()[0];
    assert_eq!((status.sent, status.errors, status.dropped), (5, 2, 2));
    assert_eq!((status.requests, status.queue_length, status.queue_capacity), (2, 0, 100));
}

#[tokio::test]
async fn a_dead_alertmanager_delays_nobody_else() {
    let fake = FakeAlertmanager::start().await;
    let dead = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        format!("http://{}/api/v2/alerts", listener.local_addr().unwrap())
    };
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(dead), target(fake.url()), target("no address")]);
    notifier.send(alerts(1));
    fake.wait_for(1).await;
    assert_eq!(notifier.drain(LONG).await, 0);
    let errors: Vec<_> = notifier.status().iter().map(|status| status.errors).collect();
    assert_eq!(errors, [1, 0, 1]);
}

#[tokio::test]
async fn a_full_queue_drops_its_oldest() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(3);
    notifier.set_alertmanagers(&[target(fake.url())]);
    fake.hold();
    notifier.send(alerts(1));
    fake.wait_for(1).await;
    notifier.send(alerts(5));
    let status = notifier.status().remove(0);
    assert_eq!((status.queue_length, status.dropped), (3, 2));
    fake.release();
    let arrived = fake.wait_for(4).await;
    let numbers: Vec<_> = arrived.iter().map(|alert| &alert["labels"]["number"]).collect();
    assert_eq!(numbers, ["0", "2", "3", "4"]);
}

#[tokio::test]
async fn draining_ends_at_its_limit() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(fake.url())]);
    fake.hold();
    notifier.send(alerts(1));
    fake.wait_for(1).await;
    notifier.send(alerts(2));
    assert_eq!(notifier.drain(Duration::from_millis(1)).await, 2);
}

#[tokio::test]
async fn no_answer_counts_as_an_error_after_the_timeout() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[AlertmanagerTarget {
        url: fake.url(),
        timeout: Duration::from_millis(1),
    }]);
    fake.hold();
    notifier.send(alerts(1));
    assert_eq!(notifier.drain(LONG).await, 0);
    assert_eq!(notifier.status()[0].errors, 1);
}

#[tokio::test]
async fn a_reload_keeps_the_queues_of_those_that_stay() {
    let (stays, goes) = (FakeAlertmanager::start().await, FakeAlertmanager::start().await);
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(stays.url()), target(goes.url())]);
    notifier.send(alerts(1));
    assert_eq!(notifier.drain(LONG).await, 0);
    notifier.set_alertmanagers(&[target(stays.url())]);
    notifier.send(alerts(1));
    assert_eq!(notifier.drain(LONG).await, 0);
    assert_eq!((stays.alerts().len(), goes.alerts().len()), (2, 1));
    assert_eq!(notifier.status().len(), 1);
    assert_eq!(notifier.status()[0].sent, 2);
}

const DOWN_PROMETHEUS: &str = "
groups:
- name: availability
  interval: 30s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: InstanceDown
    expr: up == 0
    for: 1m
    labels: {severity: page, team: '{{ $labels.job }}-team'}
    annotations:
      summary: '{{ $labels.instance }} is down: {{ $value }} of {{ query \"job:up:sum\" | first | value }} up'
";

const DOWN_FOREWARN: &str = r#"
defaults { every 30s }
rule InstanceDown {
  signal up
  page when value < 1 for 1m
  say "{{ $labels.instance }} is down: {{ $value }}{{ $eta }}"
  labels team="{{ $labels.job }}-team"
}
"#;

impl World {
    /// Stores a sample of `up` for two instances; `db2` is always up.
    fn up(&self, value: f64) {
        for (instance, value) in [("db1", value), ("db2", 1.0)] {
            self.write(&[("__name__", "up"), ("instance", instance), ("job", "db")], value);
        }
    }

    /// Lets time pass in steps of ten seconds; `db1` has this value throughout.
    fn pass(&mut self, duration_ms: i64, value: f64) {
        let end_ms = self.clock.now_ms() + duration_ms;
        while self.clock.now_ms() < end_ms {
            self.clock.advance(10 * SECOND);
            self.up(value);
            self.manager.evaluate_due(self.clock.now_ms());
        }
    }

    /// Takes what was sent since the last time, one line each, times in seconds since START.
    fn sent(&self) -> Vec<String> {
        let shown = |alert: NotifiableAlert| {
            let since_s = |time_ms: i64| (time_ms - START) / SECOND;
            let (starts, ends) = (since_s(alert.starts_at_ms), since_s(alert.ends_at_ms));
            format!("{} {starts}..{ends}", alert.labels.get("instance").unwrap())
        };
        std::mem::take(&mut *self.sent.lock()).into_iter().map(shown).collect()
    }

    fn states(&self) -> Vec<AlertState> {
        self.manager.view().alerts().map(|alert| alert.state).collect()
    }
}

#[test]
fn both_languages_walk_through_pending_firing_and_resolved() {
    for (file, text) in [("a.yml", DOWN_PROMETHEUS), ("a.rules", DOWN_FOREWARN)] {
        let mut world = World::new(&[(file, text)]);
        world.pass(MINUTE, 1.0);
        assert!(world.states().is_empty(), "{file}");
        world.pass(40 * SECOND, 0.0);
        assert_eq!(world.states(), [AlertState::Pending], "{file}");
        assert!(world.query("ALERTS")[0].contains(r#"alertstate="pending""#), "{file}");
        assert!(world.sent().is_empty(), "{file}");
        world.pass(MINUTE, 0.0);
        assert_eq!(world.states(), [AlertState::Firing], "{file}");
        let fired = world.sent();
        assert_eq!(fired.len(), 1, "{file}: {fired:?}");
        let series = world.query("ALERTS");
        assert_eq!(series.len(), 1, "{file}: the pending one has ended: {series:?}");
        assert!(series[0].contains(r#"alertstate="firing""#), "{file}");
        assert_eq!(world.query("ALERTS_FOR_STATE").len(), 1, "{file}");
        world.pass(40 * SECOND, 1.0);
        assert!(world.states().is_empty(), "{file}");
        assert_eq!(world.sent().len(), 1, "{file}: resolved once so far");
        assert!(world.query("ALERTS").is_empty(), "{file}");
    }
}

#[test]
fn what_is_seen_and_sent_of_a_prometheus_rule() {
    let mut world = World::new(&[("a.yml", DOWN_PROMETHEUS)]);
    let before = world.manager.view();
    assert_eq!(before.groups[0].last_evaluation_ms, None);
    assert!(before.groups[0].rules.iter().all(|rule| rule.health.word() == "unknown"));
    world.pass(3 * MINUTE, 0.0);
    let view = world.manager.view();
    let group = &view.groups[0];
    assert_eq!((group.name.as_str(), group.file.as_str()), ("availability", "a.yml"));
    assert_eq!((group.interval_ms, group.iterations, group.evaluations), (30_000, 6, 12));
    assert_eq!((group.evaluation_failures, group.iterations_missed), (0, 0));
    let [recording, alerting] = group.rules.as_slice() else { panic!("{:?}", group.rules) };
    assert!(matches!(recording.kind, RuleKind::Recording));
    assert_eq!((recording.name.as_str(), recording.health.word()), ("job:up:sum", "ok"));
    assert_eq!(alerting.query, "up == 0");
    let RuleKind::Alerting(details) = &alerting.kind else { panic!("{alerting:?}") };
    assert_eq!((details.state, details.for_ms), (Some(AlertState::Firing), MINUTE));
    let alert = &details.alerts[0];
    insta::assert_snapshot!(alert.labels, @r#"{alertname="InstanceDown", instance="db1", job="db", severity="page", team="db-team"}"#);
    insta::assert_snapshot!(alert.annotations, @r#"{summary="db1 is down: 0 of 1 up"}"#);
    assert_eq!(alert.value, Some(0.0));
    let sent = world.sent.lock().remove(0);
    assert_eq!(sent.labels, alert.labels.with("region", "eu"));
    assert_eq!(sent.generator_url, "http://forewarn.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    assert_eq!(Some(sent.starts_at_ms), alert.fired_at_ms);
    assert_eq!(sent.ends_at_ms, sent.starts_at_ms + 4 * MINUTE);
}

#[test]
fn what_is_seen_of_a_rule_of_ours() {
    let mut world = World::new(&[("a.rules", DOWN_FOREWARN)]);
    world.pass(3 * MINUTE, 0.0);
    let view = world.manager.view();
    let alert = view.alerts().next().unwrap();
    insta::assert_snapshot!(alert.labels, @r#"{alertname="InstanceDown", instance="db1", job="db", severity="page", team="db-team"}"#);
    assert_eq!(alert.annotations.get("summary"), Some("db1 is down: 0"));
    assert!(!alert.annotations.value_or_empty("why").is_empty(), "{}", alert.annotations);
}

#[test]
fn slots_that_passed_are_skipped_and_counted() {
    let mut world = World::new(&[("a.yml", DOWN_PROMETHEUS)]);
    let first_ms = world.manager.next_due().unwrap();
    assert!(first_ms > START && first_ms <= START + 30 * SECOND);
    assert_eq!(first_ms, World::new(&[("a.yml", DOWN_PROMETHEUS)]).manager.next_due().unwrap());
    world.clock.set(first_ms + 95 * SECOND);
    world.manager.evaluate_due(first_ms - 1);
    assert_eq!(world.manager.view().groups[0].iterations, 0);
    world.manager.evaluate_due(first_ms + 95 * SECOND);
    let group = Arc::clone(&world.manager.view().groups[0]);
    assert_eq!((group.iterations, group.iterations_missed), (1, 3));
    assert_eq!(group.last_evaluation_ms, Some(first_ms + 90 * SECOND));
    assert_eq!(world.manager.next_due(), Some(first_ms + 120 * SECOND));
}

#[test]
fn groups_follow_a_clock_that_is_set_back() {
    let mut world = World::new(&[("a.yml", DOWN_PROMETHEUS)]);
    world.pass(2 * MINUTE, 1.0);
    let now_ms = START - 60 * MINUTE;
    world.manager.evaluate_due(now_ms);
    let next_ms = world.manager.next_due().unwrap();
    assert!(next_ms > now_ms && next_ms <= now_ms + 30 * SECOND);
}

#[test]
fn a_rule_that_cannot_be_judged_says_so_and_recovers() {
    let text = "
groups:
- name: g
  interval: 30s
  rules:
  - {alert: Same, expr: up == 0 or up == 1, labels: {instance: ''}}
  - {alert: Many, expr: up / on (job) up}
";
    let mut world = World::new(&[("a.yml", text)]);
    world.pass(MINUTE, 0.0);
    let view = world.manager.view();
    let errors: Vec<_> = view.groups[0].rules.iter().map(|rule| rule.last_error.clone()).collect();
    let same = errors[0].as_deref().unwrap();
    assert!(same.contains("same labelset after applying alert labels"), "{same}");
    assert!(errors[1].is_some());
    assert!(view.groups[0].rules.iter().all(|rule| rule.health.word() == "err"));
    assert_eq!(view.groups[0].evaluation_failures, 4);
    world.manager.load(parse(&[("a.yml", DOWN_PROMETHEUS)]), world.clock.now_ms());
    world.pass(MINUTE, 0.0);
    assert!(world.manager.view().groups[0].rules.iter().all(|rule| rule.health.word() == "ok"));
}

#[test]
fn a_reload_keeps_the_alerts_of_rules_that_stay() {
    for (file, text, changed) in [
        ("a.yml", DOWN_PROMETHEUS, DOWN_PROMETHEUS.replace("is down", "has gone")),
        ("a.rules", DOWN_FOREWARN, DOWN_FOREWARN.replace("is down", "has gone")),
    ] {
        let mut world = World::new(&[(file, text)]);
        world.pass(3 * MINUTE, 0.0);
        let before = world.manager.view();
        let before = before.alerts().next().unwrap();
        for text in [text, &changed] {
            world.manager.load(parse(&[(file, text)]), world.clock.now_ms());
            world.pass(30 * SECOND, 0.0);
            let view = world.manager.view();
            let alert = view.alerts().next().unwrap();
            assert_eq!(alert.active_at_ms, before.active_at_ms, "{file}");
            assert_eq!(alert.fired_at_ms, before.fired_at_ms, "{file}");
        }
        let view = world.manager.view();
        let summary = view.alerts().next().unwrap().annotations.get("summary").unwrap().to_owned();
        assert!(summary.contains("has gone"), "{file}: {summary}");
        assert_eq!(view.groups[0].iterations, 8, "{file}: counters go on");
        world.manager.load(Vec::new(), world.clock.now_ms());
        world.clock.advance(SECOND);
        assert!(world.manager.view().groups.is_empty());
        assert!(world.query("ALERTS").is_empty(), "{file}: what is gone has ended");
        assert_eq!(world.manager.next_due(), None);
    }
}

/// Runs until the alert fires, stops for `outage_ms`, and starts again over the same store and
/// disk. Returns the new world before its first evaluation.
fn restarted(file: &str, text: &str, down_ms: i64, outage_ms: i64, disk: &SimDisk) -> World {
    let dir = PathBuf::from("data/alerts");
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut world = World::new(&[]);
    world.manager.keep_state(Arc::clone(&disk), dir.clone(), START);
    world.manager.load(parse(&[(file, text)]), START);
    world.pass(down_ms, 0.0);
    let World { clock, store, manager, sent } = world;
    drop(manager);
    clock.advance(outage_ms);
    let mut manager = manager_over(&store, &clock, ear(&sent));
    manager.keep_state(disk, dir, clock.now_ms());
    manager.load(parse(&[(file, text)]), clock.now_ms());
    World { clock, store, manager, sent }
}

#[test]
fn after_a_crash_alerts_go_on_and_the_outage_does_not_count() {
    for (file, text) in [("a.yml", DOWN_PROMETHEUS), ("a.rules", DOWN_FOREWARN)] {
        let mut world = restarted(file, text, 3 * MINUTE, 10 * MINUTE, &SimDisk::new());
        let before = world.sent();
        assert_eq!(
            world.states(),
            [AlertState::Firing],
            "{file}: seen before the first evaluation"
        );
        world.pass(30 * SECOND, 0.0);
        let after = world.sent();
        assert_eq!(after.len(), 1, "{file}");
        let starts = |line: &str| line.split("..").next().unwrap().to_owned();
        assert_eq!(starts(&after[0]), starts(&before[0]), "{file}");

        let mut world = restarted(file, text, 40 * SECOND, 10 * MINUTE, &SimDisk::new());
        assert_eq!(world.states(), [AlertState::Pending], "{file}");
        world.pass(30 * SECOND, 0.0);
        assert_eq!(world.states(), [AlertState::Pending], "{file}: ten minutes were not seen");
        world.pass(MINUTE, 0.0);
        assert_eq!(world.states(), [AlertState::Firing], "{file}");
    }
}

#[test]
fn after_too_long_an_outage_or_with_damaged_state_alerts_begin_anew() {
    let mut world = restarted("a.yml", DOWN_PROMETHEUS, 3 * MINUTE, 61 * MINUTE, &SimDisk::new());
    assert!(world.states().is_empty());
    world.pass(30 * SECOND, 0.0);
    assert_eq!(world.states(), [AlertState::Pending]);

    let disk = SimDisk::new();
    let file = {
        disk.create_dir_all("data/alerts".as_ref()).unwrap();
        disk.create("data/alerts/alerts-00000001.json".as_ref()).unwrap()
    };
    file.append(b"not JSON").unwrap();
    let world = restarted("a.yml", DOWN_PROMETHEUS, 3 * MINUTE, MINUTE, &disk);
    assert_eq!(world.states(), [AlertState::Firing], "what was damaged is replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn from_a_stored_sample_to_an_alertmanager() {
    let fake = FakeAlertmanager::start().await;
    let notifier = notifier(100);
    notifier.set_alertmanagers(&[target(fake.url())]);
    let mut world = World::new(&[]);
    let sender = notifier.clone();
    world.manager =
        manager_over(&world.store, &world.clock, Box::new(move |alerts| sender.send(alerts)));
    world.manager.load(parse(&[("a.rules", DOWN_FOREWARN)]), START);
    world.pass(3 * MINUTE, 0.0);
    let arrived = fake.wait_for(1).await.remove(0);
    assert_eq!(arrived["labels"]["instance"], "db1");
    assert_eq!(arrived["labels"]["severity"], "page");
    assert_eq!(arrived["labels"]["region"], "eu");
    let fired_at_ms = world.manager.view().alerts().next().unwrap().fired_at_ms.unwrap();
    assert_eq!(arrived["startsAt"], format_rfc3339(fired_at_ms));
    world.pass(MINUTE, 1.0);
    assert_eq!(notifier.drain(LONG).await, 0);
    let ended = fake.alerts().pop().unwrap();
    assert_eq!(ended["labels"], arrived["labels"]);
    assert_eq!(ended["startsAt"], arrived["startsAt"]);
    let ends_at = ended["endsAt"].as_str().unwrap();
    assert!(ends_at <= format_rfc3339(world.clock.now_ms()).as_str(), "it has ended: {ends_at}");
}
