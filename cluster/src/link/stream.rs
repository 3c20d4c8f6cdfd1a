//! Frames from and to QUIC streams.

use bytes::{Bytes, BytesMut};
use quinn::{ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};

use crate::wire::{Decoder, Flags, Frame, HEADER_LEN, Header, Kind, WireError};

/// Read from a stream at once.
const CHUNK: usize = 64 * 1024;

/// Why a stream gives no more frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(WriteError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the stream ended within a frame")]
    Cut,
}

impl From<ReadExactError> for StreamError {
    fn from(error: ReadExactError) -> StreamError {
        match error {
            ReadExactError::FinishedEarly(_) => StreamError::Cut,
            ReadExactError::ReadError(error) => StreamError::Read(error),
        }
    }
}

impl StreamError {
    /// Why the connection ended, when that is what ended the stream.
    pub(super) fn connection(&self) -> Option<&ConnectionError> {
        match self {
            StreamError::Connection(error)
            | StreamError::Read(ReadError::ConnectionLost(error))
            | StreamError::Write(WriteError::ConnectionLost(error)) => Some(error),
            _ => None,
        }
    }

    /// What the peer did that it may not, if it did. A reset stream is its right.
    pub(super) fn breach(&self) -> Option<WireError> {
        match self {
            StreamError::Wire(error) => Some(error.clone()),
            StreamError::Cut => Some(WireError::Cut),
            _ => None,
        }
    }
}

/// Reads a stream of many frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    recv: RecvStream,
    decoder: Decoder,
}

impl FrameReader {
    pub(super) fn new(recv: RecvStream, max_payload: usize) -> FrameReader {
        FrameReader { recv, decoder: Decoder::new(max_payload) }
    }

    /// A reader for a stream whose first bytes were read already.
    pub(super) fn resume(recv: RecvStream, max_payload: usize, read: &[u8]) -> FrameReader {
        let mut reader = FrameReader::new(recv, max_payload);
        reader.decoder.feed(read);
        reader
    }

    /// A frame that is here already.
    pub(super) fn buffered(&mut self) -> Result<Option<Frame>, StreamError> {
        Ok(self.decoder.next_frame()?)
    }

    /// Waits for more bytes; false at the end of the stream. Cancelling it loses nothing.
    pub(super) async fn fill(&mut self) -> Result<bool, StreamError> {
        match self.recv.read_chunk(CHUNK, true).await? {
            Some(chunk) => {
                self.decoder.feed(&chunk.bytes);
                Ok(true)
            }
            None if self.decoder.is_empty() => Ok(false),
            None => Err(StreamError::Cut),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }
}

/// The first ten bytes of a stream.
pub(super) async fn read_header(recv: &mut RecvStream) -> Result<Header, StreamError> {
    let mut header = [0; HEADER_LEN];
    recv.read_exact(&mut header).await?;
    Ok(Header::parse(&header)?)
}

/// The rest of a stream that carries one plain frame. Memory grows with what comes, not with what was announced.
///
/// Not by quinn's `read_to_end`: it reads without order, and after the ordered read of the header it gives bytes again
/// that came twice, which reordering on the network is enough for (quinn-proto 0.11.19, `Assembler::defragment`).
pub(super) async fn read_payload(recv: &mut RecvStream, header: Header) -> Result<Bytes, StreamError> {
    if !header.is_plain() {
        return Err(WireError::Misplaced(header.kind).into());
    }
    let len = header.payload_len();
    let mut payload = BytesMut::new();
    while let Some(chunk) = recv.read_chunk(CHUNK, true).await? {
        if payload.len() + chunk.bytes.len() > len {
            return Err(WireError::Trailing(header.kind).into());
        }
        if chunk.bytes.len() == len {
            // The usual small message: nothing to put together, only the end of the stream to see.
            return match recv.read_chunk(1, true).await? {
                None => Ok(chunk.bytes),
                Some(_) => Err(WireError::Trailing(header.kind).into()),
            };
        }
        payload.extend_from_slice(&chunk.bytes);
    }
    if payload.len() == len { Ok(payload.freeze()) } else { Err(StreamError::Cut) }
}

/// A whole stream of one plain frame.
pub(super) async fn read_one(recv: &mut RecvStream) -> Result<(Kind, Bytes), StreamError> {
    let header = read_header(recv).await?;
    Ok((header.kind, read_payload(recv, header).await?))
}

/// Writes one plain frame and ends the stream.
pub(super) async fn write_one(send: &mut SendStream, kind: Kind, payload: Bytes) -> Result<(), StreamError> {
    let header = Bytes::copy_from_slice(&Header::new(Flags::Plain, kind, payload.len())?.to_bytes());
    send.write_all_chunks(&mut [header, payload]).await.map_err(StreamError::Write)?;
    // It can only have been finished or reset before, and it was not.
    let _ = send.finish();
    Ok(())
}
