//! The body of an answer, as it was before somebody compressed it on the way.
//!
//! Requests ask for `identity`. What comes compressed all the same (gzip, deflate, zstd) is read anyway, but not to any
//! length: a small body that becomes a large one without end is an attack or a fault.

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use zstd::stream::raw::DParameter;
use zstd::stream::write::Decoder as ZstdDecoder;

use super::http1::Lease;
use super::lanes::Seat;

/// Output that is always allowed, and by how much it may be larger than the input beyond that. Text becomes ten times
/// smaller at most, and answers that repeat themselves thirty times.
const FREE: u64 = 1 << 20;
const RATIO: u64 = 100;
/// Input is decoded in pieces of this size, so that the limit is looked at before much more than it is in memory.
const PIECE: usize = 256;
/// The window of zstd that every decoder must support (RFC 8878): 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body has no end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Transport(#[from] hyper::Error),
    #[error("the answer is compressed, and is more than {RATIO} times as large as what was sent")]
    TooMuch,
    #[error("the answer is said to be compressed and cannot be decoded: {0}")]
    Damaged(io::Error),
}

/// The body of an answer.
pub struct Body {
    /// Dropped before the connection, which so learns that nobody wants the rest.
    incoming: Incoming,
    coding: Option<Box<Coding>>,
    held: Held,
}

/// What an answer has of the connection that it comes by, given back when nobody reads it any more.
#[derive(Debug)]
pub(super) enum Held {
    /// All of it.
    Alone(Lease),
    /// A place beside others.
    Shared(#[expect(dead_code, reason = "it is dropped")] Seat),
}

impl Held {
    fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self {
            Self::Alone(lease) => lease.poll_frame(incoming, context),
            Self::Shared(_) => http_body::Body::poll_frame(Pin::new(incoming), context),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("coded", &self.coding.is_some()).finish_non_exhaustive()
    }
}

impl Body {
    /// Reads what the headers say of the coding, and takes it out of them.
    pub(super) fn new(incoming: Incoming, headers: &mut HeaderMap, held: Held) -> Result<Self, UnknownCoding> {
        let coding = match headers.get(CONTENT_ENCODING) {
            None => None,
            Some(name) => Coding::named(name.as_bytes())?,
        };
        if coding.is_some() {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        Ok(Self { incoming, coding: coding.map(Box::new), held })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        loop {
            let frame = ready!(body.held.poll_frame(&mut body.incoming, context));
            let Some(coding) = &mut body.coding else {
                return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
            };
            let decoded = match frame {
                None => coding.end(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => coding.decode(&data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            };
            match decoded {
                Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(Frame::data(data.into())))),
                Ok(_) if coding.ended => return Poll::Ready(None),
                // A piece that holds no whole symbol. That nothing follows it does not make the text whole.
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.coding.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.coding.is_none() { self.incoming.size_hint() } else { SizeHint::default() }
    }
}

/// An answer in a coding that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer is compressed in a way that was not asked for and is not understood (`{0}`)")]
pub struct UnknownCoding(String);

/// A decoder and what went through it.
struct Coding {
    decoder: Decoder,
    taken: u64,
    given: u64,
    ended: bool,
}

enum Decoder {
    Gzip(GzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    Zstd(ZstdDecoder<'static, Vec<u8>>),
}

impl Coding {
    fn named(name: &[u8]) -> Result<Option<Self>, UnknownCoding> {
        let name = name.trim_ascii().to_ascii_lowercase();
        let unknown = || UnknownCoding(String::from_utf8_lossy(&name).chars().take(40).collect());
        let decoder = match name.as_slice() {
            b"" | b"identity" => return Ok(None),
            b"gzip" | b"x-gzip" => Decoder::Gzip(GzDecoder::new(Vec::new())),
            b"deflate" => Decoder::Deflate(ZlibDecoder::new(Vec::new())),
            b"zstd" => {
                let mut decoder = ZstdDecoder::new(Vec::new()).map_err(|_| unknown())?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|_| unknown())?;
                Decoder::Zstd(decoder)
            }
            _ => return Err(unknown()),
        };
        Ok(Some(Self { decoder, taken: 0, given: 0, ended: false }))
    }

    fn decode(&mut self, data: &[u8]) -> Result<Vec<u8>, BodyError> {
        let mut out = Vec::new();
        for piece in data.chunks(PIECE) {
            self.taken += piece.len() as u64;
            let decoded = self.decoder.write(piece).map_err(BodyError::Damaged)?;
            self.given += decoded.len() as u64;
            if self.given > FREE && self.given / RATIO > self.taken {
                return Err(BodyError::TooMuch);
            }
            if out.is_empty() {
                out = decoded;
            } else {
                out.extend_from_slice(&decoded);
            }
        }
        Ok(out)
    }

    /// The body is over: what is left, if it is whole. Only gzip tells; of the others a part reads as a shorter text,
    /// which is no whole JSON and no whole stream.
    fn end(&mut self) -> Result<Vec<u8>, BodyError> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(Vec::new());
        }
        self.decoder.end().map_err(BodyError::Damaged)
    }
}

impl Decoder {
    fn write(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        fn through<W: Write>(decoder: &mut W, piece: &[u8]) -> io::Result<()> {
            decoder.write_all(piece)?;
            // Events must not wait for the next ones.
            decoder.flush()
        }
        Ok(std::mem::take(match self {
            Self::Gzip(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
            Self::Deflate(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
            Self::Zstd(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
        }))
    }

    fn end(&mut self) -> io::Result<Vec<u8>> {
        Ok(std::mem::take(match self {
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut()
            }
            Self::Deflate(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut()
            }
            Self::Zstd(decoder) => {
                decoder.flush()?;
                decoder.get_mut()
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn compressed(name: &str, text: &[u8]) -> Vec<u8> {
        match name {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::stream::encode_all(text, 3).unwrap(),
        }
    }

    fn read(name: &str, bytes: &[u8], at_once: usize) -> Result<Vec<u8>, BodyError> {
        let mut coding = Coding::named(name.as_bytes()).unwrap().unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(at_once) {
            out.extend(coding.decode(piece)?);
        }
        out.extend(coding.end()?);
        Ok(out)
    }

    #[test]
    fn what_was_compressed_comes_back_however_it_is_cut() {
        let text: Vec<u8> =
            (0..40_000_u32).flat_map(|n| format!("data: {}\n\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        for name in ["gzip", "deflate", "zstd"] {
            let bytes = compressed(name, &text);
            for at_once in [1, 7, 4096, usize::MAX] {
                assert!(read(name, &bytes, at_once).unwrap() == text, "{name} {at_once}");
            }
        }
    }

    #[test]
    fn a_bomb_is_defused_long_before_it_is_whole() {
        let zeros = vec![0; 256 << 20];
        for name in ["gzip", "deflate", "zstd"] {
            let bomb = compressed(name, &zeros);
            let mut coding = Coding::named(name.as_bytes()).unwrap().unwrap();
            assert!(matches!(coding.decode(&bomb), Err(BodyError::TooMuch)), "{name}");
            assert!(coding.given < 16 << 20, "{name}: {} bytes were in memory", coding.given);
        }
    }

    #[test]
    fn what_is_cut_or_damaged_is_no_end() {
        let whole = compressed("gzip", b"hello, hello, hello");
        assert!(read("gzip", &whole[..whole.len() - 6], 64).is_err());
        for name in ["gzip", "deflate", "zstd"] {
            assert!(read(name, b"not compressed at all", 64).is_err(), "{name}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_named() {
        assert!(Coding::named(b"identity").unwrap().is_none());
        for name in ["br", "gzip, gzip", "compress"] {
            let error = Coding::named(name.as_bytes()).err().unwrap();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
