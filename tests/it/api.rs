//! The HTTP API as clients see it: every request of these tests goes through a socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use forewarn::ingest::proto::{v1, v2};
use hyper::Method;
use serde_json::{Value, json};

use super::support::http::{HttpClient, encode};
use super::support::node::{NOW_MS, TestNode, snappy};
use super::support::process::{Process, free_port, poll};

const S: i64 = 1000;
const MIN: i64 = 60 * S;

/// Two services' requests over the last ten minutes, and one metric with UTF-8 names.
fn with_data(flags: &[&str]) -> TestNode {
    let node = TestNode::start(flags);
    let samples = |rate: i64| -> Vec<(i64, f64)> {
        (0..=40).map(|n| (NOW_MS - 10 * MIN + n * 15 * S, (n * 15 * rate) as f64)).collect()
    };
    for (job, rate) in [("api", 2), ("web", 5)] {
        let labels = [("__name__", "requests_total"), ("job", job), ("instance", "a:1")];
        node.write(&labels, &samples(rate));
    }
    node.write(&[("__name__", "my.metric"), ("a.b", "ü\n\"\\")], &[(NOW_MS, 1.5)]);
    node
}

fn seconds(ms: i64) -> String {
    format!("{}", ms / 1000)
}

/// The answer to a GET must be that to the POST of the same parameters as a form.
#[track_caller]
fn check_get_is_post(node: &TestNode, path: &str, parameters: &[(&str, &str)]) -> Value {
    let get = node.get(path, parameters);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = node.client.send(Method::POST, path, &form, encode(parameters)).unwrap();
    assert_eq!((get.status, get.text()), (post.status, post.text()), "{path}");
    get.json()
}

#[track_caller]
fn check_error(
    node: &TestNode,
    path: &str,
    parameters: &[(&str, &str)],
    expected: (u16, &str, &str),
) {
    let answer = node.get(path, parameters);
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    let kind = json["errorType"].as_str().unwrap_or_default();
    let text = json["error"].as_str().unwrap_or_default();
    assert_eq!((answer.status, kind), (expected.0, expected.1), "{path} {parameters:?}: {text}");
    assert!(text.contains(expected.2), "{path} {parameters:?}: {text}");
    assert_eq!(json["status"], "error");
    assert!(json.get("data").is_none());
}

#[test]
fn instant_queries_have_the_shape_of_each_type() {
    let node = with_data(&[]);
    let ask = |query: &str| {
        let time = seconds(NOW_MS);
        check_get_is_post(&node, "/api/v1/query", &[("query", query), ("time", &time)])
    };
    insta::assert_snapshot!(ask("sum by (job) (requests_total)"), @r#"{"data":{"result":[{"metric":{"job":"api"},"value":[1699999200,"1200"]},{"metric":{"job":"web"},"value":[1699999200,"3000"]}],"resultType":"vector"},"status":"success"}"#);
    insta::assert_snapshot!(ask("1e21 + time() * 0"), @r#"{"data":{"result":[1699999200,"1e+21"],"resultType":"scalar"},"status":"success"}"#);
    insta::assert_snapshot!(ask("\"text\""), @r#"{"data":{"result":[1699999200,"text"],"resultType":"string"},"status":"success"}"#);
    insta::assert_snapshot!(ask("requests_total{job=\"web\"}[30s]"), @r#"{"data":{"result":[{"metric":{"__name__":"requests_total","instance":"a:1","job":"web"},"values":[[1699999185,"2925"],[1699999200,"3000"]]}],"resultType":"matrix"},"status":"success"}"#);
    insta::assert_snapshot!(ask("{\"my.metric\"}"), @r#"{"data":{"result":[{"metric":{"__name__":"my.metric","a.b":"ü\n\"\\"},"value":[1699999200,"1.5"]}],"resultType":"vector"},"status":"success"}"#);
    insta::assert_snapshot!(ask("nothing"), @r#"{"data":{"result":[],"resultType":"vector"},"status":"success"}"#);
}

#[test]
fn a_query_without_time_is_about_now() {
    let node = with_data(&[]);
    let data = node.data("/api/v1/query", &[("query", "time()")]);
    assert_eq!(data["result"], json!([NOW_MS / 1000, seconds(NOW_MS)]));
}

#[test]
fn range_queries_step_from_start_to_end() {
    let node = with_data(&[]);
    let parameters = [
        ("query", "sum(rate(requests_total[1m]))"),
        ("start", "2023-11-14T21:58:00Z"),
        ("end", &seconds(NOW_MS)),
        ("step", "1m"),
    ];
    insta::assert_snapshot!(check_get_is_post(&node, "/api/v1/query_range", &parameters), @r#"{"data":{"result":[{"metric":{},"values":[[1699999080,"6.999999999999999"],[1699999140,"6.999999999999999"],[1699999200,"6.999999999999999"]]}],"resultType":"matrix"},"status":"success"}"#);
    let steps = |step: &str| {
        let parameters = [("query", "1"), ("start", "0"), ("end", "0.5"), ("step", step)];
        node.data("/api/v1/query_range", &parameters)["result"][0]["values"].to_string()
    };
    insta::assert_snapshot!(steps("0.25"), @r#"[[0,"1"],[0.25,"1"],[0.5,"1"]]"#);
    insta::assert_snapshot!(steps("1s"), @r#"[[0,"1"]]"#);
}

#[test]
fn a_large_answer_comes_in_pieces_and_whole() {
    let node = with_data(&[]);
    let (start, end) = (seconds(NOW_MS - 10_000 * S), seconds(NOW_MS));
    let parameters = [
        (
            "query",
            "label_replace(vector(time()) or on (n) label_replace(vector(1/3), \"n\", \"1\", \"\", \"\"), \"a\", \"\\\"\", \"\", \"\")",
        ),
        ("start", &start),
        ("end", &end),
        ("step", "1"),
    ];
    let path = format!("/api/v1/query_range?{}", encode(&parameters));
    let plain = node.client.get(&path).unwrap();
    assert!(plain.body.len() > 400_000);
    assert_eq!(plain.header("content-length"), "");
    let result = plain.json()["data"]["result"].clone();
    let values = |at: usize| result[at]["values"].as_array().unwrap().clone();
    assert_eq!(
        (values(0).len(), values(1).len(), result.as_array().unwrap().len()),
        (10_001, 10_001, 2)
    );
    let first = NOW_MS / 1000 - 10_000;
    for (at, value) in values(0).iter().enumerate() {
        let time = first + at as i64;
        assert_eq!(*value, json!([time, time.to_string()]));
    }
    assert!(values(1).iter().all(|value| value[1] == "0.3333333333333333"));
    let gzip = [("accept-encoding", "gzip")];
    let packed = node.client.send(Method::GET, &path, &gzip, "").unwrap();
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}

#[test]
fn a_query_ends_when_its_client_goes_away_and_others_wait_their_turn() {
    let node = with_data(&["--query.max-concurrency=1"]);
    let address = node.client.base().strip_prefix("http://").unwrap().to_owned();
    let send = |parameters: &[(&str, &str)]| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let path = format!("/api/v1/query_range?{}", encode(parameters));
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        stream
    };
    let running = |count: u32| {
        let line = format!("\nprometheus_engine_queries {count}\n");
        poll(&line, Duration::from_mins(1), || {
            node.get("/metrics", &[]).text().contains(&line).then_some(())
        });
    };
    // Each of a thousand steps sorts 600,000 values.
    let long = "quantile_over_time(0.5, vector(1)[10m:1ms])";
    let left = send(&[("query", long), ("start", "0"), ("end", "1000"), ("step", "1")]);
    running(1);
    let mut next = send(&[("query", "1"), ("start", "0"), ("end", "1"), ("step", "1")]);
    drop(left);
    let mut answer = [0; 12];
    next.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"HTTP/1.1 200");
    running(0);
}

#[test]
fn statistics_tell_what_a_query_cost() {
    let node = with_data(&[]);
    let time = seconds(NOW_MS);
    let parameters =
        [("query", "sum(rate(requests_total[5m]))"), ("time", &*time), ("stats", "all")];
    let stats = node.data("/api/v1/query", &parameters)["stats"].clone();
    let samples = &stats["samples"];
    assert_eq!((&samples["samplesRead"], &samples["seriesRead"]), (&json!(40), &json!(2)));
    assert_eq!(samples["peakBytes"], json!(16 * samples["peakSamples"].as_u64().unwrap()));
    let timings = &stats["timings"];
    let names = [
        "evalTotalTime",
        "resultSortTime",
        "queryPreparationTime",
        "innerEvalTime",
        "execQueueTime",
        "execTotalTime",
        "readTime",
        "functionTime",
    ];
    for name in names {
        assert!(timings[name].is_number(), "{name}: {timings}");
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_the_shape_of_the_api() {
    let node = with_data(&["--query.max-samples=12000"]);
    let bad = |text| (400, "bad_data", text);
    let query = "/api/v1/query";
    check_error(&node, query, &[], bad("invalid parameter \"query\""));
    check_error(&node, query, &[("query", "sum(")], bad("1:"));
    check_error(
        &node,
        query,
        &[("query", "up"), ("time", "soon")],
        bad("\"time\": cannot parse \"soon\" to a valid timestamp"),
    );
    check_error(
        &node,
        query,
        &[("query", "up"), ("timeout", "-1")],
        bad("\"timeout\": cannot parse \"-1\" to a valid duration"),
    );
    check_error(&node, query, &[("query", "up"), ("limit", "-1")], bad("\"limit\""));
    check_error(
        &node,
        query,
        &[("query", "mad_over_time(up[1m])")],
        bad("promql-experimental-functions"),
    );
    check_error(
        &node,
        query,
        &[("query", "requests_total[10m:50ms]")],
        (422, "execution", "too many samples"),
    );
    check_error(
        &node,
        query,
        &[("query", "requests_total + on (instance) requests_total")],
        (422, "execution", ""),
    );

    let range = "/api/v1/query_range";
    let with = |end: &'static str, step: &'static str| {
        [("query", "1"), ("start", "0"), ("end", end), ("step", step)]
    };
    check_error(&node, range, &[("query", "1")], bad("\"start\": cannot parse \"\""));
    check_error(&node, range, &with("-1", "1"), bad("end timestamp must not be before start time"));
    check_error(&node, range, &with("1", "0"), bad("zero or negative query resolution step"));
    check_error(&node, range, &with("1", ""), bad("\"step\": cannot parse \"\""));
    check_error(
        &node,
        range,
        &with("11001", "1"),
        bad("exceeded maximum resolution of 11,000 points"),
    );
    assert_eq!(node.get(range, &with("11000", "1")).status, 200);
    let parameters = [("query", "up[1m]"), ("start", "0"), ("end", "1"), ("step", "1")];
    check_error(
        &node,
        range,
        &parameters,
        bad(
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
    );

    check_error(&node, "/api/v1/series", &[], bad("no match[] parameter provided"));
    check_error(&node, "/api/v1/series", &[("match[]", "up[1m]")], bad("\"match[]\""));
    check_error(&node, "/api/v1/labels", &[("match[]", "{job=~\".*\"}")], bad("\"match[]\""));
    check_error(&node, "/api/v1/label/%ff/values", &[], bad("invalid label name"));
    check_error(&node, "/api/v1/metadata", &[("limit", "x")], bad("limit must be a number"));
    check_error(&node, "/api/v1/rules", &[("type", "x")], bad("\"type\""));
    check_error(&node, "/api/v1/rules", &[("group_next_token", "x")], bad("group_limit"));
    check_error(
        &node,
        "/api/v1/rules",
        &[("group_next_token", "x"), ("group_limit", "1")],
        bad("\"x\""),
    );
    check_error(&node, "/api/v1/status/tsdb", &[("limit", "0")], bad("\"limit\""));
}

#[test]
fn paths_and_methods_that_are_not_served() {
    let node = TestNode::start(&[]);
    let status =
        |method: Method, path: &str| node.client.send(method, path, &[], "").unwrap().status;
    assert_eq!(status(Method::GET, "/api/v1/nothing"), 404);
    assert_eq!(status(Method::GET, "/api/v1/search/metric_names"), 404);
    assert_eq!(status(Method::DELETE, "/api/v1/query"), 405);
    assert_eq!(status(Method::POST, "/api/v1/label/job/values"), 405);
    assert_eq!(status(Method::GET, "/api/v1/write"), 405);
    assert_eq!(status(Method::GET, "/-/reload"), 405);
    assert_eq!(status(Method::POST, "/-/reload"), 403);
    assert_eq!(status(Method::POST, "/-/quit"), 403);
    let refused = node.client.send(Method::DELETE, "/api/v1/query", &[], "").unwrap();
    assert_eq!(refused.header("allow"), "GET, HEAD, POST, OPTIONS");
}

#[test]
fn results_are_cut_at_the_limit_and_say_so() {
    let node = with_data(&[]);
    for (path, parameters) in [
        ("/api/v1/query", [("query", "requests_total"), ("limit", "1")]),
        ("/api/v1/series", [("match[]", "requests_total"), ("limit", "1")]),
        ("/api/v1/label/job/values", [("match[]", "requests_total"), ("limit", "1")]),
    ] {
        let json = node.get(path, &parameters).json();
        assert_eq!(json["warnings"], json!(["results truncated due to limit"]), "{json}");
        let unlimited = [parameters[0], ("limit", "0")];
        assert!(node.get(path, &unlimited).json().get("warnings").is_none());
    }
}

#[test]
fn series_and_labels_by_selector_and_time() {
    let node = with_data(&[]);
    let ask = |path: &str, parameters: &[(&str, &str)]| {
        check_get_is_post(&node, path, parameters)["data"].to_string()
    };
    insta::assert_snapshot!(ask("/api/v1/series", &[("match[]", "requests_total"), ("match[]", "{job=\"web\"}")]), @r#"[{"__name__":"requests_total","instance":"a:1","job":"api"},{"__name__":"requests_total","instance":"a:1","job":"web"}]"#);
    insta::assert_snapshot!(ask("/api/v1/labels", &[]), @r#"["__name__","a.b","instance","job"]"#);
    insta::assert_snapshot!(ask("/api/v1/labels", &[("match[]", "requests_total")]), @r#"["__name__","instance","job"]"#);
    let values = |name: &str, parameters: &[(&str, &str)]| {
        node.data(&format!("/api/v1/label/{name}/values"), parameters).to_string()
    };
    insta::assert_snapshot!(values("job", &[]), @r#"["api","web"]"#);
    insta::assert_snapshot!(values("job", &[("match[]", "{job!=\"api\",instance=\"a:1\"}")]), @r#"["web"]"#);
    insta::assert_snapshot!(values("__name__", &[("start", "1"), ("end", "2"), ("match[]", "requests_total")]), @"[]");
    for escaped in ["a.b", "a%2Eb", "U__a_2e_b"] {
        assert_eq!(values(escaped, &[]), "[\"ü\\n\\\"\\\\\"]");
    }
}

#[test]
fn metadata_is_what_senders_said() {
    let node = TestNode::start(&[]);
    let metadata =
        |name: &str, kind: v1::metric_metadata::MetricType, help: &str| v1::MetricMetadata {
            r#type: kind.into(),
            metric_family_name: name.into(),
            help: help.into(),
            unit: String::new(),
        };
    let request = v1::WriteRequest {
        metadata: vec![
            metadata("requests_total", v1::metric_metadata::MetricType::Counter, "Requests."),
            metadata("up", v1::metric_metadata::MetricType::Gauge, "Is it?"),
        ],
        ..v1::WriteRequest::default()
    };
    assert_eq!(node.client.write_v1(snappy(&request)).unwrap().status, 204);
    insta::assert_snapshot!(node.data("/api/v1/metadata", &[]), @r#"{"requests_total":[{"help":"Requests.","type":"counter","unit":""}],"up":[{"help":"Is it?","type":"gauge","unit":""}]}"#);
    let one = node.data("/api/v1/metadata", &[("metric", "up"), ("limit", "5")]);
    assert_eq!(one.as_object().unwrap().len(), 1);
    let one = node.data("/api/v1/metadata", &[("limit", "1")]);
    assert_eq!(one.as_object().unwrap().len(), 1);
}

#[test]
fn exemplars_of_the_selectors_of_an_expression() {
    let node = TestNode::start(&[]);
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let series = v1::TimeSeries {
        labels: vec![label("__name__", "seconds_bucket"), label("le", "1")],
        samples: vec![v1::Sample { value: 1.0, timestamp: NOW_MS }],
        exemplars: vec![v1::Exemplar {
            labels: vec![label("trace_id", "abc")],
            value: 0.5,
            timestamp: NOW_MS - 500,
        }],
        ..v1::TimeSeries::default()
    };
    let request = v1::WriteRequest { timeseries: vec![series], ..v1::WriteRequest::default() };
    assert_eq!(node.client.write_v1(snappy(&request)).unwrap().status, 204);
    let ask = |query: &str| {
        let (start, end) = (seconds(NOW_MS - MIN), seconds(NOW_MS));
        let parameters = [("query", query), ("start", &start), ("end", &end)];
        check_get_is_post(&node, "/api/v1/query_exemplars", &parameters)["data"].to_string()
    };
    insta::assert_snapshot!(ask("histogram_quantile(0.9, rate(seconds_bucket[5m]))"), @r#"[{"exemplars":[{"labels":{"trace_id":"abc"},"timestamp":1699999199.5,"value":"0.5"}],"seriesLabels":{"__name__":"seconds_bucket","le":"1"}}]"#);
    assert_eq!(ask("other"), "[]");
    assert_eq!(ask("1"), "[]");
}

#[test]
fn native_histograms_show_their_buckets() {
    let node = TestNode::start(&[]);
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let histogram = v1::Histogram {
        count: Some(v1::histogram::Count::CountInt(9)),
        sum: 12.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(v1::histogram::ZeroCount::ZeroCountInt(2)),
        positive_spans: vec![v1::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 1],
        negative_spans: vec![v1::BucketSpan { offset: 1, length: 2 }],
        negative_deltas: vec![4, -4],
        timestamp: NOW_MS,
        ..v1::Histogram::default()
    };
    let series = v1::TimeSeries {
        labels: vec![label("__name__", "native")],
        histograms: vec![histogram],
        ..v1::TimeSeries::default()
    };
    let request = v1::WriteRequest { timeseries: vec![series], ..v1::WriteRequest::default() };
    let answer = node.client.write_v1(snappy(&request)).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
    insta::assert_snapshot!(node.data("/api/v1/query", &[("query", "native")]), @r#"{"result":[{"histogram":[1699999200,{"buckets":[[1,"-1.414213562373095","-1","4"],[3,"-0.001","0.001","2"],[0,"0.7071067811865475","1","1"],[0,"1","1.414213562373095","2"]],"count":"9","sum":"12.5"}],"metric":{"__name__":"native"}}],"resultType":"vector"}"#);
}

#[test]
fn what_a_receiver_has_nothing_of_keeps_its_shape() {
    let node = TestNode::start(&[]);
    let ask = |path: &str| node.data(path, &[]).to_string();
    insta::assert_snapshot!(ask("/api/v1/targets"), @r#"{"activeTargets":[],"droppedTargetCounts":{},"droppedTargets":[]}"#);
    insta::assert_snapshot!(ask("/api/v1/targets/metadata"), @"[]");
    insta::assert_snapshot!(ask("/api/v1/scrape_pools"), @r#"{"scrapePools":[]}"#);
    insta::assert_snapshot!(ask("/api/v1/notifications"), @"[]");
    insta::assert_snapshot!(ask("/api/v1/rules"), @r#"{"groups":[]}"#);
    insta::assert_snapshot!(ask("/api/v1/alerts"), @r#"{"alerts":[]}"#);
    insta::assert_snapshot!(ask("/api/v1/alertmanagers"), @r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#);
    insta::assert_snapshot!(ask("/api/v1/status/walreplay"), @r#"{"current":0,"max":0,"min":0}"#);
    insta::assert_snapshot!(ask("/api/v1/status/tsdb/blocks"), @r#"{"blocks":[]}"#);
}

#[test]
fn status_tells_what_runs() {
    let node = with_data(&["--web.max-connections=9"]);
    insta::assert_snapshot!(node.data("/api/v1/status/buildinfo", &[]), @r#"{"branch":"forewarn-0.1.0","buildDate":"","buildUser":"","goVersion":"","revision":"forewarn-0.1.0","version":"3.14.0"}"#);
    let flags = node.data("/api/v1/status/flags", &[]);
    assert_eq!(flags["web.max-connections"], "9");
    assert_eq!(flags["storage.tsdb.out-of-order-time-window"], "1h");
    assert!(node.data("/api/v1/status/config", &[])["yaml"].as_str().unwrap().contains("global:"));
    let runtime = node.data("/api/v1/status/runtimeinfo", &[]);
    assert_eq!(runtime["reloadConfigSuccess"], true);
    assert_eq!(runtime["serverTime"], "2023-11-14T22:00:00.000Z");
    insta::assert_snapshot!(node.data("/api/v1/status/tsdb", &[("limit", "2")]), @r#"{"headStats":{"chunkCount":3,"maxTime":1699999200000,"minTime":1699998600000,"numLabelPairs":6,"numSeries":3},"labelValueCountByLabelName":[{"name":"__name__","value":2},{"name":"job","value":2}],"memoryInBytesByLabelName":[{"name":"__name__","value":23},{"name":"job","value":6}],"seriesCountByLabelValuePair":[{"name":"__name__=requests_total","value":2},{"name":"instance=a:1","value":2}],"seriesCountByMetricName":[{"name":"requests_total","value":2},{"name":"my.metric","value":1}]}"#);
    assert_eq!(node.data("/api/v1/features", &[])["promql_functions"]["rate"], true);
    assert_eq!(
        node.data("/api/v1/format_query", &[("query", "sum( up )by(job)")]),
        "sum by (job) (up)"
    );
    assert_eq!(node.get("/version", &[]).json()["version"], "3.14.0");
}

/// Exactly what Grafana's Prometheus data source asks, in its order.
#[test]
fn grafana_saves_tests_and_browses() {
    let node = with_data(&[]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = |path: &str, body: &str| {
        let answer = node.client.send(Method::POST, path, &form, body.to_owned()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].clone()
    };
    // Save & test
    let sum = post("/api/v1/query", "query=1%2B1&time=4");
    assert_eq!(sum, json!({ "resultType": "scalar", "result": [4, "2"] }));
    assert!(node.data("/api/v1/status/buildinfo", &[]).get("features").is_none());
    // Metric browser and code completion
    let (start, end) = (seconds(NOW_MS - 60 * MIN), seconds(NOW_MS));
    let names = node.data(
        "/api/v1/label/__name__/values",
        &[("limit", "40000"), ("start", &start), ("end", &end)],
    );
    assert_eq!(names, json!(["my.metric", "requests_total"]));
    let range = format!("start={start}&end={end}");
    let labels = post("/api/v1/labels", &format!("{range}&match%5B%5D=requests_total"));
    assert_eq!(labels, json!(["__name__", "instance", "job"]));
    let values =
        node.data("/api/v1/label/job/values", &[("match[]", "requests_total"), ("start", &start)]);
    assert_eq!(values, json!(["api", "web"]));
    let all = post("/api/v1/series", &format!("{range}&match%5B%5D=%7B__name__%21%3D%22%22%7D"));
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(node.data("/api/v1/metadata", &[("limit", "40000")]), json!({}));
    // A panel
    let panel =
        format!("query=rate(requests_total%5B1m%5D)&start={start}.000&end={end}.000&step=15");
    let matrix = post("/api/v1/query_range", &panel);
    assert_eq!(matrix["resultType"], "matrix");
    assert_eq!(matrix["result"].as_array().unwrap().len(), 2);
    // Alert list, with parameters that only Mimir knows
    let rules = node.data(
        "/api/v1/rules",
        &[("group_limit", "100"), ("exclude_alerts", "true"), ("rule_name", "x")],
    );
    assert_eq!(rules, json!({ "groups": [] }));
}

#[test]
fn answers_are_compressed_for_those_who_take_it() {
    let node = with_data(&[]);
    let path = format!(
        "/api/v1/query_range?query=requests_total&start={}&end={}&step=1",
        seconds(NOW_MS - 5 * MIN),
        seconds(NOW_MS)
    );
    let ask = |encoding: &str| {
        node.client.send(Method::GET, &path, &[("accept-encoding", encoding)], "").unwrap()
    };
    let plain = ask("identity");
    assert_eq!(plain.header("content-encoding"), "");
    let zipped = ask("gzip, deflate");
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    let deflated = ask("deflate");
    assert_eq!(deflated.header("content-encoding"), "deflate");
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(&deflated.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
}

#[test]
fn browsers_may_read_from_origins_that_match() {
    let node = TestNode::start(&["--web.cors.origin=https?://(a|b)\\.example"]);
    let ask = |method: Method, origin: &str| {
        let headers = [("origin", origin)];
        let answer = node.client.send(method, "/api/v1/query", &headers, "").unwrap();
        (answer.status, answer.header("access-control-allow-origin").to_owned())
    };
    assert_eq!(ask(Method::OPTIONS, "http://a.example"), (204, "http://a.example".to_owned()));
    assert_eq!(ask(Method::GET, "http://evil.example/a.example").1, "");
    let open = TestNode::start(&[]);
    let answer =
        open.client.send(Method::GET, "/-/healthy", &[("origin", "http://x")], "").unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[test]
fn the_route_prefix_stands_before_every_path() {
    let node = TestNode::start(&["--web.external-url=http://example.org/warn/"]);
    assert_eq!(node.get("/warn/-/healthy", &[]).status, 200);
    assert_eq!(node.get("/warn/api/v1/status/buildinfo", &[]).status, 200);
    assert_eq!(node.get("/-/healthy", &[]).status, 404);
    assert_eq!(node.get("/warning/-/healthy", &[]).status, 404);
}

#[test]
fn health_and_readiness() {
    let node = TestNode::start(&[]);
    assert_eq!(node.get("/-/healthy", &[]).text(), "Forewarn is Healthy.\n");
    assert_eq!(node.get("/-/ready", &[]).text(), "Forewarn is Ready.\n");
    let head = node.client.send(Method::HEAD, "/-/ready", &[], "").unwrap();
    assert_eq!((head.status, head.text().as_str()), (200, ""));
}

#[test]
fn writes_are_refused_before_their_body_is_read_where_headers_say_enough() {
    let node = TestNode::start(&[]);
    let send = |content_type: &str, encoding: &str, body: Vec<u8>| {
        let headers = [("content-type", content_type), ("content-encoding", encoding)];
        node.client.send(Method::POST, "/api/v1/write", &headers, body).unwrap()
    };
    let garbage = || b"\xff\xff\xff garbage".to_vec();
    let protobuf = "application/x-protobuf";
    assert_eq!(send("application/json", "snappy", garbage()).status, 415);
    assert_eq!(send(protobuf, "gzip", garbage()).status, 415);
    let corrupt = send(protobuf, "snappy", garbage());
    assert_eq!(
        (corrupt.status, corrupt.header("content-type")),
        (400, "text/plain; charset=utf-8")
    );

    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let request = v2::Request {
        symbols: ["", "__name__", "up"].map(str::to_owned).to_vec(),
        timeseries: vec![v2::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![v2::Sample { value: 1.0, timestamp: NOW_MS, start_timestamp: 0 }],
            ..v2::TimeSeries::default()
        }],
    };
    let stored = send(v2, "snappy", snappy(&request));
    assert_eq!((stored.status, stored.text().as_str()), (204, ""));
    let written = |answer: &super::support::http::Answer| {
        ["samples", "histograms", "exemplars"].map(|what| {
            answer.header(&format!("x-prometheus-remote-write-{what}-written")).to_owned()
        })
    };
    assert_eq!(written(&stored), ["1", "0", "0"]);
    assert_eq!(written(&send(v2, "snappy", garbage())), ["0", "0", "0"]);
    assert_eq!(node.data("/api/v1/query", &[("query", "up")])["result"][0]["value"][1], "1");
}

/// A length that is announced is refused without one byte of the body; one that is not, at the limit.
#[test]
fn a_body_beyond_the_limit_is_refused() {
    let node = TestNode::start(&[]);
    let address = node.client.base().strip_prefix("http://").unwrap().to_owned();
    let head = |length: &str| {
        format!(
            "POST /api/v1/write HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
             content-encoding: snappy\r\n{length}\r\n\r\n"
        )
    };
    let first_line = |stream: &mut TcpStream| {
        let mut answer = [0; 64];
        let len = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..len]).lines().next().unwrap_or_default().to_owned()
    };
    let mut announced = TcpStream::connect(&address).unwrap();
    announced.write_all(head("content-length: 99999999999").as_bytes()).unwrap();
    assert_eq!(first_line(&mut announced), "HTTP/1.1 413 Payload Too Large");

    let mut chunked = TcpStream::connect(&address).unwrap();
    chunked.write_all(head("transfer-encoding: chunked").as_bytes()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..33 {
        let sent = chunked
            .write_all(b"100000\r\n")
            .and_then(|()| chunked.write_all(&chunk))
            .and_then(|()| chunked.write_all(b"\r\n"));
        if sent.is_err() {
            break; // It has closed the connection already.
        }
    }
    assert_eq!(first_line(&mut chunked), "HTTP/1.1 413 Payload Too Large");
    assert_eq!(node.get("/-/healthy", &[]).status, 200);
}

#[test]
fn metrics_are_exposed_in_both_formats() {
    let node = with_data(&[]);
    node.data("/api/v1/query", &[("query", "1")]);
    let text = node.get("/metrics", &[]);
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let body = text.text();
    for line in [
        "prometheus_tsdb_head_series 3",
        "prometheus_tsdb_head_samples_appended_total 83",
        "prometheus_config_last_reload_successful 1",
        "prometheus_http_requests_total{code=\"204\",handler=\"/api/v1/write\"} 3",
        "prometheus_engine_queries 0",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in:\n{body}");
    }
    check_exposition(&body);
    let accept = [("accept", "application/openmetrics-text;version=1.0.0")];
    let open = node.client.send(Method::GET, "/metrics", &accept, "").unwrap();
    assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("# EOF\n"));
}

/// Every sample belongs to a family that was introduced by HELP and TYPE, each once.
#[track_caller]
fn check_exposition(text: &str) {
    let mut family = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            assert!(!help.is_empty(), "{name} has no help");
            name.clone_into(&mut family);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind.split_once(' ').unwrap().0, family);
        } else {
            assert!(line.starts_with(&family), "{line} does not belong to {family}");
            let value = line.rsplit_once(' ').unwrap().1;
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn pages_show_a_query_and_never_what_they_were_given_as_markup() {
    let node = with_data(&[]);
    let evil = "<script>alert(1)</script>";
    node.write(&[("__name__", "evil"), ("label", evil)], &[(NOW_MS, 1.0)]);
    let home = node.get("/", &[]);
    assert_eq!(home.header("content-type"), "text/html; charset=utf-8");
    assert!(home.text().contains("Nothing is firing or pending."));
    let page = node.get("/graph", &[("g0.expr", "evil"), ("g0.tab", "1")]).text();
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    let chart = node.get("/graph", &[("g0.expr", "rate(requests_total[1m])")]).text();
    assert!(chart.contains("<path class=\"line\"") && chart.contains("job=&quot;web&quot;"));
    for expression in [evil, "\"><script>alert(1)</script>", "sum("] {
        let page = node.get("/graph", &[("g0.expr", expression)]);
        assert_eq!(page.status, 200);
        let text = page.text();
        assert!(!text.contains("<script") && text.contains("class=\"err\""), "{text}");
    }
}

#[test]
fn a_signal_drains_the_server_and_it_exits_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Process::forewarn(dir.path(), free_port(), &[]);
    server.signal("TERM");
    let status = server.wait_exit();
    assert_eq!(status.code(), Some(0), "{}", server.output());
    assert!(server.output().contains("Stopped."), "{}", server.output());
}

#[test]
fn a_second_server_on_the_same_data_says_so_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Process::forewarn(dir.path(), free_port(), &[]);
    let arguments = [
        "serve".to_owned(),
        format!("--web.listen-address=127.0.0.1:{}", free_port()),
        format!("--storage.tsdb.path={}", dir.path().join("data").display()),
    ];
    let log = dir.path().join("second.log");
    let mut second = Process::start(env!("CARGO_BIN_EXE_forewarn"), &arguments, log);
    assert_eq!(second.wait_exit().code(), Some(1), "{}", second.output());
    assert!(
        second.output().contains("another process uses this data directory"),
        "{}",
        second.output()
    );
}

#[test]
fn a_command_line_that_cannot_be_served_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |flag: &str| {
        let log = dir.path().join("refused.log");
        let mut process = Process::start(env!("CARGO_BIN_EXE_forewarn"), &["serve", flag], log);
        assert_ne!(process.wait_exit().code(), Some(0));
        process.output()
    };
    assert!(refused("--web.config.file=web.yml").contains("not supported yet"));
    assert!(refused("--web.lisen-address=x").contains("--web.listen-address"));
    assert!(refused("--enable-feature=nonsense").contains("nonsense"));
    assert!(refused("--config.file=/no/such.yml").contains("/no/such.yml"));
}

#[test]
fn a_broken_rule_file_is_refused_with_its_place_and_the_old_rules_stay() {
    let dir = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "test input")]
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("forewarn.yml", "rule_files: [a.rules]\n");
    write("a.rules", "rule Down { signal up  page when value < 1 for 5m }\n");
    let config = format!("--config.file={}", dir.path().join("forewarn.yml").display());
    let port = free_port();
    let mut server = Process::forewarn(dir.path(), port, &[&config, "--web.enable-lifecycle"]);
    let client = HttpClient::new(format!("http://127.0.0.1:{port}"));
    let rules = || client.get("/api/v1/rules").unwrap().text();
    let reload = || client.send(Method::POST, "/-/reload", &[], "").unwrap();
    assert!(rules().contains("\"Down\""));

    write("a.rules", "rule Down { signal up  page when valu < 1 for 5m }\n");
    let answer = reload();
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("a.rules:1:34"), "{}", answer.text());
    assert!(rules().contains("\"Down\""), "{}", rules());
    let metrics = client.get("/metrics").unwrap().text();
    assert!(metrics.contains("prometheus_config_last_reload_successful 0"), "{metrics}");
    assert!(server.output().contains("the old configuration stays"), "{}", server.output());

    write("a.rules", "rule Up { signal up  note when value > 0 }\n");
    server.signal("HUP");
    poll("the signal has the rules loaded", Duration::from_secs(20), || {
        rules().contains("\"Up\"").then_some(())
    });
    assert_eq!(reload().status, 200);
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_broken_rule_file_at_the_start_keeps_no_other_from_working() {
    let dir = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "test input")]
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("forewarn.yml", "rule_files: ['*.rules']\nscrape_configs: [{job_name: x}]\n");
    write("bad.rules", "rule Down { signal up  page when }\n");
    write("good.rules", "rule Good { signal up  page when value < 1 }\n");
    let config = format!("--config.file={}", dir.path().join("forewarn.yml").display());
    let port = free_port();
    let server = Process::forewarn(dir.path(), port, &[&config]);
    let client = HttpClient::new(format!("http://127.0.0.1:{port}"));
    assert!(client.get("/api/v1/rules").unwrap().text().contains("\"Good\""));
    assert!(server.output().contains("bad.rules:1:"), "{}", server.output());
    assert!(server.output().contains("scrape_configs"), "{}", server.output());
}

#[test]
fn the_admin_api_deletes_and_makes_snapshots_when_it_is_switched_on() {
    let node = with_data(&[]);
    let post = |node: &TestNode, path: &str| {
        node.client
            .send(Method::POST, &format!("/api/v1/admin/tsdb/{path}"), &[], Vec::new())
            .unwrap()
    };
    let off = post(&node, "snapshot");
    assert_eq!((off.status, off.json()["errorType"].as_str()), (500, Some("unavailable")));

    let node = with_data(&["--web.enable-admin-api"]);
    let count = |node: &TestNode| {
        let query = [("query", "count_over_time(requests_total[20m])")];
        let json = node.get("/api/v1/query", &query).json();
        json["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!(count(&node), 2);
    assert_eq!(post(&node, "delete_series").status, 400, "nothing is named");
    let all = encode(&[("match[]", r#"requests_total{job="web"}"#)]);
    let path = format!("delete_series?{}", String::from_utf8_lossy(all.as_ref()));
    assert_eq!(post(&node, &path).status, 204);
    assert_eq!(count(&node), 1);
    assert_eq!(post(&node, "clean_tombstones").status, 204);
    let answer = post(&node, "snapshot");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["data"]["name"].as_str().unwrap().len(), 26);
    assert_eq!(post(&node, "snapshot?skip_head=what").status, 400);
    assert_eq!(node.get("/api/v1/admin/tsdb/snapshot", &[]).status, 405);
}
