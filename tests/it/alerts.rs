//! The way of an alert: from stored samples to an Alertmanager.

use std::sync::Arc;
use std::time::Duration;

use forewarn::alerts::{AlertmanagerTarget, NotifiableAlert, Notifier};
use forewarn::env::SystemClock;
use forewarn::series::Labels;
use hyper::StatusCode;

use crate::support::alertmanager::FakeAlertmanager;

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
