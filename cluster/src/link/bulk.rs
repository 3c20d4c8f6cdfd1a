//! Bulk calls, the caller's side: a stream of its own for what is large or long.

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};

use super::codes::CANCELLED;
use super::stream::{StreamError, read_one, write_one};
use crate::wire::Kind;

/// What is small or urgent does not wait for what is large.
const PRIORITY: i32 = -10;

/// Cancels the call on both ends when its caller drops it.
struct Cancel {
    send: SendStream,
    recv: RecvStream,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        // On what has ended well these have no effect. Without the reset quinn would finish a half-written request
        // as if it were whole.
        let _ = self.send.reset(CANCELLED);
        let _ = self.recv.stop(CANCELLED);
    }
}

pub(super) async fn call(connection: &Connection, kind: Kind, payload: Bytes) -> Result<(Kind, Bytes), StreamError> {
    let (send, recv) = connection.open_bi().await?;
    let mut call = Cancel { send, recv };
    let _ = call.send.set_priority(PRIORITY);
    write_one(&mut call.send, kind, payload).await?;
    read_one(&mut call.recv).await
}
