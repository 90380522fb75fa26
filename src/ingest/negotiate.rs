use super::receiver::WriteAnswer;

/// The headers of a write request that say what its body is; `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteHeaders<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
}

/// The message that a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Returns what a body holds, by its headers alone, or the answer (415) that they deserve.
///
/// Source: remote-write specification 2.0, "Required HTTP headers"; absent headers mean 1.0 and
/// snappy, as upstream takes them.
pub fn negotiate(headers: &WriteHeaders<'_>) -> Result<Protocol, WriteAnswer> {
    let protocol = match headers.content_type {
        None => Protocol::V1,
        Some(text) => protocol_of(text).map_err(unsupported)?,
    };
    match headers.content_encoding {
        None => Ok(protocol),
        Some(encoding) if encoding.trim().eq_ignore_ascii_case("snappy") => Ok(protocol),
        Some(encoding) => {
            Err(unsupported(format!("Content-Encoding {encoding:?} is not supported; use snappy")))
        }
    }
}

fn unsupported(reason: String) -> WriteAnswer {
    WriteAnswer::failed(415, reason)
}

fn protocol_of(content_type: &str) -> Result<Protocol, String> {
    let mut parts = content_type.split(';');
    let media_type = parts.next().unwrap_or("").trim();
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(format!(
            "Content-Type {content_type:?} is not supported; use application/x-protobuf"
        ));
    }
    let mut protocol = Protocol::V1;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').ok_or_else(|| {
            format!("Content-Type {content_type:?}: parameter {parameter:?} is not key=value")
        })?;
        if !name.trim().eq_ignore_ascii_case("proto") {
            continue;
        }
        protocol = match value.trim().trim_matches('"') {
            "prometheus.WriteRequest" => Protocol::V1,
            "io.prometheus.write.v2.Request" => Protocol::V2,
            other => {
                return Err(format!(
                    "Content-Type {content_type:?}: message {other:?} is not supported; use \
                     prometheus.WriteRequest or io.prometheus.write.v2.Request"
                ));
            }
        };
    }
    Ok(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, encoding: Option<&str>, expected: Result<Protocol, u16>) {
        let headers = WriteHeaders { content_type, content_encoding: encoding };
        assert_eq!(negotiate(&headers).map_err(|answer| answer.status), expected);
    }

    #[test]
    fn by_headers_alone() {
        use Protocol::{V1, V2};
        check(None, None, Ok(V1));
        check(Some(""), Some("snappy"), Ok(V1));
        check(Some("application/x-protobuf"), Some("Snappy"), Ok(V1));
        check(Some("application/x-protobuf;proto=prometheus.WriteRequest"), None, Ok(V1));
        check(Some("application/x-protobuf; proto=io.prometheus.write.v2.Request"), None, Ok(V2));
        check(Some("Application/X-Protobuf; charset=utf-8"), None, Ok(V1));
        check(Some("application/x-protobuf;proto=io.prometheus.write.v3"), None, Err(415));
        check(Some("application/x-protobuf;proto"), None, Err(415));
        check(Some("application/json"), None, Err(415));
        check(Some("image/png"), Some("snappy"), Err(415));
        check(None, Some("gzip"), Err(415));
        check(Some("application/x-protobuf"), Some(""), Err(415));
    }
}
