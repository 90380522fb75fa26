//! Sends prepared requests over several connections as fast as they are taken.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forewarn::env::{Clock, SystemClock};

use super::payload::Request;

/// No connection is so many rounds ahead of another: servers take nothing that is too old.
const AHEAD_MAX: usize = 20;

/// Sends all requests; returns how long each took, and how many were to be sent again.
pub(crate) fn send(
    port: u16,
    path: &str,
    protocol: u8,
    requests: &[Request],
    connections: usize,
) -> (Vec<Duration>, usize) {
    let rounds: Vec<AtomicUsize> = (0..connections).map(|_| AtomicUsize::new(0)).collect();
    let rounds = &rounds;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                scope.spawn(move || {
                    let mine = requests.iter().filter(|one| one.group % connections == number);
                    let (mut took, mut again) = (Vec::new(), 0);
                    let mut connection = Connection::open(port, path, protocol);
                    for request in mine {
                        rounds[number].store(request.round, Ordering::Relaxed);
                        while rounds
                            .iter()
                            .any(|other| other.load(Ordering::Relaxed) + AHEAD_MAX < request.round)
                        {
                            std::thread::sleep(Duration::from_micros(200));
                        }
                        let (elapsed, tries) = connection.send(&request.body);
                        took.push(elapsed);
                        again += tries;
                    }
                    rounds[number].store(usize::MAX / 2, Ordering::Relaxed);
                    (took, again)
                })
            })
            .collect();
        let (mut all, mut again) = (Vec::new(), 0);
        for thread in threads {
            let (took, tries) = thread.join().unwrap();
            all.extend(took);
            again += tries;
        }
        (all, again)
    })
}

struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    head: String,
    clock: SystemClock,
}

impl Connection {
    fn open(port: u16, path: &str, protocol: u8) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (content_type, version) = if protocol == 2 {
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
        } else {
            ("application/x-protobuf", "0.1.0")
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n\
             Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: {version}\r\n"
        );
        let answers = BufReader::new(stream.try_clone().unwrap());
        Connection { stream, answers, head, clock: SystemClock::new() }
    }

    fn send(&mut self, body: &[u8]) -> (Duration, usize) {
        let mut again = 0;
        loop {
            let from = self.clock.elapsed();
            let head = format!("{}Content-Length: {}\r\n\r\n", self.head, body.len());
            self.stream.write_all(head.as_bytes()).unwrap();
            self.stream.write_all(body).unwrap();
            match self.answer() {
                200..300 => return (self.clock.elapsed().saturating_sub(from), again),
                429 | 500..600 => std::thread::sleep(Duration::from_millis(20)),
                status => panic!("status {status}"),
            }
            again += 1;
        }
    }

    fn answer(&mut self) -> u16 {
        let (mut status, mut length) = (0, 0);
        let mut line = String::new();
        loop {
            line.clear();
            self.answers.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if status == 0 {
                status = line.split(' ').nth(1).unwrap().parse().unwrap();
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.answers.read_exact(&mut body).unwrap();
        if status >= 400 {
            eprintln!("{status}: {}", String::from_utf8_lossy(&body));
        }
        status
    }
}
