use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::response::Reply;

/// Bytes of bodies that may be held at once, over all connections.
const BUDGET_BYTES: usize = 512 << 20;
/// The budget is counted in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// What may be held of bodies at once. When it is spent, senders are asked to come back.
pub(super) struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> BodyBudget {
        BodyBudget(Arc::new(Semaphore::new(BUDGET_BYTES / PIECE_BYTES)))
    }
}

/// A body that was read whole, and its share of the budget.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    /// Reads a body, and never holds more than `limit` bytes of it.
    pub(super) async fn read(
        &self,
        body: Incoming,
        limit: usize,
        timeout: Duration,
    ) -> Result<Body, Reply> {
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        tokio::time::timeout(timeout, self.collect(body, limit)).await.unwrap_or_else(|_| {
            Err(Reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"))
        })
    }

    async fn collect(&self, mut incoming: Incoming, limit: usize) -> Result<Body, Reply> {
        let mut body = Body { bytes: Vec::new(), share: None };
        while let Some(frame) = incoming.frame().await {
            let Ok(frame) = frame else {
                return Err(Reply::text(StatusCode::BAD_REQUEST, "the body broke off\n"));
            };
            let Some(data) = frame.data_ref() else { continue };
            let len_bytes = body.bytes.len() + data.len();
            if len_bytes > limit {
                return Err(too_large(limit));
            }
            self.grow(&mut body.share, len_bytes)?;
            body.bytes.extend_from_slice(data);
        }
        Ok(body)
    }

    /// Makes the share large enough for so many bytes.
    fn grow(
        &self,
        share: &mut Option<OwnedSemaphorePermit>,
        len_bytes: usize,
    ) -> Result<(), Reply> {
        let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = len_bytes.div_ceil(PIECE_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.0).try_acquire_many_owned(missing).map_err(|_| overloaded())?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

fn too_large(limit: usize) -> Reply {
    let text = format!("the body is larger than {limit} bytes, which is the limit\n");
    Reply { close: true, ..Reply::text(StatusCode::PAYLOAD_TOO_LARGE, text) }
}

fn overloaded() -> Reply {
    let text = "too many bytes of requests are under way; send it again later\n";
    let mut reply = Reply { close: true, ..Reply::text(StatusCode::TOO_MANY_REQUESTS, text) };
    reply.headers.push(("retry-after", "1".to_owned()));
    reply
}
