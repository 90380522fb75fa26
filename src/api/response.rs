use std::fmt;
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
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    Whole(Vec<u8>),
    /// Made as it is sent.
    Pieces(Pieces),
}

pub(super) type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "{}", String::from_utf8_lossy(bytes)),
            Body::Pieces(_) => f.write_str("in pieces"),
        }
    }
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
        let body = Body::Whole(body);
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
        let mut body = ENVELOPE.to_vec();
        data(&mut body);
        notes.end_envelope(&mut body);
        Reply::json(body)
    }

    /// A JSON text in pieces: what `data` makes of the begin and the end of the envelope.
    pub(super) fn in_pieces(notes: &Notes, data: impl FnOnce(Vec<u8>, &[u8]) -> Pieces) -> Reply {
        let mut end = Vec::new();
        notes.end_envelope(&mut end);
        let mut pieces = data(ENVELOPE.to_vec(), &end);
        let first = pieces.next().unwrap_or_default();
        match pieces.next() {
            None => Reply::json(first),
            Some(second) => {
                let body = Body::Pieces(Box::new([first, second].into_iter().chain(pieces)));
                Reply { body, ..Reply::json(Vec::new()) }
            }
        }
    }

    /// Compresses the body if the client takes it so.
    pub(super) fn compress(&mut self, request: &HeaderMap) {
        let accepted = request.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let Some(encoding) = accepted.and_then(Encoding::accepted) else { return };
        match &mut self.body {
            Body::Whole(body) if body.len() < COMPRESSED_FROM_BYTES => return,
            Body::Whole(body) => {
                *body =
                    encoding.compressed(std::iter::once(std::mem::take(body))).flatten().collect();
            }
            Body::Pieces(pieces) => {
                let pieces = std::mem::replace(pieces, Box::new(std::iter::empty()));
                self.body = Body::Pieces(Box::new(encoding.compressed(pieces)));
            }
        }
        self.encoding = Some(encoding.name());
    }
}

/// How the data of an answer begin.
const ENVELOPE: &[u8] = br#"{"status":"success","data":"#;

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    fn accepted(accepted: &str) -> Option<Encoding> {
        let known = [Encoding::Gzip, Encoding::Deflate];
        known.into_iter().find(|encoding| accepts(accepted, encoding.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        }
    }

    /// Compresses pieces, each when it is asked for.
    fn compressed(
        self,
        mut pieces: impl Iterator<Item = Vec<u8>> + Send,
    ) -> impl Iterator<Item = Vec<u8>> + Send {
        let level = Compression::fast();
        let mut encoder = Some(match self {
            Encoding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Encoder::Deflate(ZlibEncoder::new(Vec::new(), level)),
        });
        std::iter::from_fn(move || {
            // A Vec takes everything, so none of this fails.
            for piece in pieces.by_ref() {
                let compressed = encoder.as_mut()?.write(&piece).ok()?;
                if !compressed.is_empty() {
                    return Some(compressed);
                }
            }
            encoder.take()?.finish().ok()
        })
    }
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    /// Returns what has come out so far.
    fn write(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        let out = match self {
            Encoder::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Encoder::Deflate(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out))
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Deflate(encoder) => encoder.finish(),
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

    /// Appends the notes and the end of the envelope.
    fn end_envelope(&self, body: &mut Vec<u8>) {
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
        body.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn encodings_are_chosen_by_name_and_quality() {
        assert!(accepts("gzip, deflate", "gzip"));
        assert!(accepts("br;q=1.0, GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip;q=0, deflate", "gzip"));
        assert!(!accepts("identity", "gzip"));
    }

    fn whole(reply: Reply) -> Vec<u8> {
        match reply.body {
            Body::Whole(body) => body,
            Body::Pieces(pieces) => pieces.flatten().collect(),
        }
    }

    #[test]
    fn what_is_compressed_in_pieces_comes_back() {
        let pieces = || (0..200u32).map(|number| number.to_string().repeat(1000).into_bytes());
        let plain: Vec<u8> = pieces().flatten().collect();
        for accepted in ["gzip", "deflate"] {
            let mut reply = Reply::json(Vec::new());
            reply.body = Body::Pieces(Box::new(pieces()));
            reply.compress(&HeaderMap::from_iter([(ACCEPT_ENCODING, accepted.parse().unwrap())]));
            assert_eq!(reply.encoding, Some(accepted));
            let compressed = whole(reply);
            assert!(compressed.len() < plain.len() / 10);
            let mut back = Vec::new();
            if accepted == "gzip" {
                flate2::read::GzDecoder::new(&*compressed).read_to_end(&mut back).unwrap();
            } else {
                flate2::read::ZlibDecoder::new(&*compressed).read_to_end(&mut back).unwrap();
            }
            assert_eq!(back, plain);
        }
    }

    #[test]
    fn ten_notes_and_then_a_count() {
        let infos = (0..13).map(|n| format!("i{n}")).collect();
        let reply = Reply::data_with(&1, &Notes { warnings: vec!["w".into()], infos });
        let json: serde_json::Value = serde_json::from_slice(&whole(reply)).unwrap();
        assert_eq!(json["warnings"], serde_json::json!(["w"]));
        assert_eq!(json["infos"].as_array().unwrap().len(), 11);
        assert_eq!(json["infos"][10], "3 more info annotations omitted");
    }
}
