//! The whole server in this process: on a simulated disk, at a time that tests choose, on a port
//! that was free.

use std::sync::Arc;

use clap::Parser;
use forewarn::cli::node::Node;
use forewarn::config::Flags;
use forewarn::env::{ManualClock, SimDisk};
use forewarn::ingest::proto::v1;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http::{Answer, HttpClient};

/// A round time, 2023-11-14 22:00:00 UTC, at which the clock of a [`TestNode`] stands.
pub(crate) const NOW_MS: i64 = 1_699_999_200_000;

/// A server; it is stopped, and has to stop well, when this is dropped.
pub(crate) struct TestNode {
    pub(crate) client: HttpClient,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

impl TestNode {
    /// Starts one without rules; of the flags the listen address and an empty configuration file
    /// are given already.
    #[track_caller]
    pub(crate) fn start(flags: &[&str]) -> TestNode {
        let fixed = ["forewarn", "--web.listen-address=127.0.0.1:0", "--config.file=/dev/null"];
        let flags = Line::try_parse_from(fixed.iter().chain(flags)).unwrap().flags;
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let starting = Node::start(flags, Arc::new(SimDisk::new()), clock);
        let mut node = runtime.block_on(starting).unwrap();
        let client = HttpClient::new(format!("http://{}", node.local_address()));
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(async move {
            tokio::select! {
                end = node.run() => panic!("the node ended by itself: {end:?}"),
                _ = stopped => {}
            }
            node.stop().await.unwrap();
        });
        TestNode { client, runtime, stop: Some(stop), task: Some(task) }
    }

    /// Writes samples of one series and sees them stored.
    #[track_caller]
    pub(crate) fn write(&self, labels: &[(&str, &str)], samples: &[(i64, f64)]) {
        let mut labels: Vec<v1::Label> = labels
            .iter()
            .map(|(name, value)| v1::Label { name: (*name).into(), value: (*value).into() })
            .collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        let samples = samples
            .iter()
            .map(|(timestamp, value)| v1::Sample { value: *value, timestamp: *timestamp })
            .collect();
        let series = v1::TimeSeries { labels, samples, ..v1::TimeSeries::default() };
        let request = v1::WriteRequest { timeseries: vec![series], ..v1::WriteRequest::default() };
        let answer = self.client.write_v1(snappy(&request)).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Asks, and sees that the answer is a success; returns its `data`.
    #[track_caller]
    pub(crate) fn data(&self, path: &str, parameters: &[(&str, &str)]) -> serde_json::Value {
        let answer = self.get(path, parameters);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut json = answer.json();
        assert_eq!(json["status"], "success");
        json["data"].take()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.client.get_with(path, parameters).unwrap()
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(task) = self.task.take() {
            let ended = self.runtime.block_on(task);
            if !std::thread::panicking() {
                ended.expect("the node stops without a panic");
            }
        }
    }
}

/// A message as the body of a write.
pub(crate) fn snappy(message: &impl prost::Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).unwrap()
}
