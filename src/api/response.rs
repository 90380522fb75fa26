use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, HeaderMap};
use serde::Serialize;

use super::error::ApiError;
use super::json::{push_list, push_text};

/// Bodies below this size cost more to compress than to send.
const COMPRESSED_FROM_BYTES: usize = 1024;
/// Warnings and infos that are sent one by one.
const NOTES_MAX: usize = 10;

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    /// How the body is compressed.
    pub(super) encoding: Option<&'static str>,
    /// Whether the connection ends with this answer, since its request was not read to the end.
    pub(super) close: bool,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// A JSON text.
    pub(super) fn json(body: Vec<u8>) -> Reply {
        Reply::new(StatusCode::OK, "application/json", body)
    }

    /// A plain text.
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Anything.
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply { status, content_type, headers: Vec::new(), encoding: None, close: false, body }
    }

    /// `data` in the envelope of the API.
    pub(super) fn data(data: &impl Serialize) -> Reply {
        Reply::data_with(data, &Notes::default())
    }

    /// `data` in the envelope of the API, with what is to be said about it.
    pub(super) fn data_with(data: &impl Serialize, notes: &Notes) -> Reply {
        match serde_json::to_vec(data) {
            Ok(json) => Reply::raw_data(&json, notes),
            Err(error) => ApiError::Internal(format!("the answer is no JSON: {error}")).reply(),
        }
    }

    /// A JSON text in the envelope of the API.
    pub(super) fn raw_data(json: &[u8], notes: &Notes) -> Reply {
        Reply::written(notes, |body| body.extend_from_slice(json))
    }

    /// What `data` appends, which is JSON, in the envelope of the API.
    pub(super) fn written(notes: &Notes, data: impl FnOnce(&mut Vec<u8>)) -> Reply {
        let mut body = br#"{"status":"success","data":"#.to_vec();
        data(&mut body);
        notes.write(&mut body);
        body.push(b'}');
        Reply::json(body)
    }

    /// Compresses the body if the client takes it so.
    pub(super) fn compress(&mut self, request: &HeaderMap) {
        let accepted = request.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let Some(accepted) = accepted.filter(|_| self.body.len() >= COMPRESSED_FROM_BYTES) else {
            return;
        };
        let level = Compression::fast();
        let (name, compressed) = if accepts(accepted, "gzip") {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            ("gzip", encoder.write_all(&self.body).and_then(|()| encoder.finish()))
        } else if accepts(accepted, "deflate") {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            ("deflate", encoder.write_all(&self.body).and_then(|()| encoder.finish()))
        } else {
            return;
        };
        // What cannot be compressed is sent as it is.
        if let Ok(compressed) = compressed {
            (self.body, self.encoding) = (compressed, Some(name));
        }
    }
}

/// Returns whether `Accept-Encoding` names an encoding and does not forbid it (`;q=0`).
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let forbidden = parts.any(|part| {
            part.strip_prefix("q=").and_then(|q| q.parse::<f64>().ok()).is_some_and(|q| q <= 0.0)
        });
        named && !forbidden
    })
}

/// What is said beside a result.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl Notes {
    /// The warning of a result that was cut.
    pub(super) fn truncated(cut: bool) -> Notes {
        let mut notes = Notes::default();
        if cut {
            notes.warnings.push("results truncated due to limit".to_owned());
        }
        notes
    }

    fn write(&self, body: &mut Vec<u8>) {
        for (key, kind, notes) in
            [("warnings", "warning", &self.warnings), ("infos", "info", &self.infos)]
        {
            if notes.is_empty() {
                continue;
            }
            let more = notes.len().saturating_sub(NOTES_MAX);
            let omitted = (more > 0).then(|| format!("{more} more {kind} annotations omitted"));
            body.extend_from_slice(format!(",\"{key}\":").as_bytes());
            let shown = notes.iter().take(NOTES_MAX).chain(&omitted);
            push_list(body, shown, |body, note| push_text(body, note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_chosen_by_name_and_quality() {
        assert!(accepts("gzip, deflate", "gzip"));
        assert!(accepts("br;q=1.0, GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip;q=0, deflate", "gzip"));
        assert!(!accepts("identity", "gzip"));
    }

    #[test]
    fn ten_notes_and_then_a_count() {
        let infos = (0..13).map(|n| format!("i{n}")).collect();
        let reply = Reply::data_with(&1, &Notes { warnings: vec!["w".into()], infos });
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(json["warnings"], serde_json::json!(["w"]));
        assert_eq!(json["infos"].as_array().unwrap().len(), 11);
        assert_eq!(json["infos"][10], "3 more info annotations omitted");
    }
}
