//! Bodies that come compressed, where the operator allows it: never more than a bound, however small they came.

use std::io::{Cursor, Read};

use bytes::Bytes;
use http::HeaderValue;

/// A body that grows more than this is made to.
const MAX_RATIO: usize = 100;
/// Below this the ratio says nothing.
const ANY_RATIO: usize = 64 << 10;
/// How far back a zstd body may refer, as a power of two: what browsers bound it to (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
const PIECE: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Deflate,
    Zstd,
    Brotli,
}

impl Encoding {
    /// One encoding; several at once are nobody's habit.
    pub(super) fn of(header: &HeaderValue) -> Option<Self> {
        let name = header.as_bytes().trim_ascii();
        let known = [
            (&b"gzip"[..], Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"zstd", Self::Zstd),
            (b"br", Self::Brotli),
        ];
        known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, encoding)| encoding)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError<E> {
    #[error("it is larger than the limit when it is decoded")]
    TooLarge,
    #[error("it grows more than {MAX_RATIO} times when it is decoded")]
    Bomb,
    #[error("{0}")]
    Malformed(std::io::Error),
    #[error("something follows its end")]
    Trailing,
    /// What `more` said.
    #[error("there is no room for it")]
    NoRoom(E),
}

/// Decodes a whole body into at most `limit` bytes; `more` is asked for room before each piece.
pub(super) fn decode<E>(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
    more: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, DecodeError<E>> {
    let mut rest = Cursor::new(body);
    let out = match encoding {
        Encoding::Gzip => take(flate2::bufread::GzDecoder::new(&mut rest), body.len(), limit, more)?,
        // By its name zlib's format; some send the bare one.
        Encoding::Deflate if body.first().is_some_and(|byte| byte & 0x0f == 8) => {
            take(flate2::bufread::ZlibDecoder::new(&mut rest), body.len(), limit, more)?
        }
        Encoding::Deflate => take(flate2::bufread::DeflateDecoder::new(&mut rest), body.len(), limit, more)?,
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(DecodeError::Malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(DecodeError::Malformed)?;
            take(decoder.single_frame(), body.len(), limit, more)?
        }
        Encoding::Brotli => {
            let decoder = brotli_decompressor::Decompressor::new(&mut rest, PIECE);
            return take(decoder, body.len(), limit, more);
        }
    };
    if rest.position() < body.len() as u64 { Err(DecodeError::Trailing) } else { Ok(out) }
}

fn take<E>(
    mut from: impl Read,
    compressed: usize,
    limit: usize,
    mut more: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, DecodeError<E>> {
    let mut out = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        let read = from.read(&mut piece).map_err(DecodeError::Malformed)?;
        if read == 0 {
            return Ok(Bytes::from(out));
        }
        if out.len() + read > limit {
            return Err(DecodeError::TooLarge);
        }
        if out.len() + read > (compressed * MAX_RATIO).max(ANY_RATIO) {
            return Err(DecodeError::Bomb);
        }
        more(read).map_err(DecodeError::NoRoom)?;
        out.extend_from_slice(&piece[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;

    use flate2::Compression;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(encoding: Encoding, body: &[u8], limit: usize) -> Result<Bytes, DecodeError<Infallible>> {
        decode(encoding, body, limit, |_| Ok(()))
    }

    #[test]
    fn every_encoding_comes_back() {
        let body = "a prompt, and again a prompt. ".repeat(50).into_bytes();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&body).unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(&body).unwrap();
        // Brotli of "hello", stored; this crate has no encoder.
        let brotli = [0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];
        for (encoding, compressed, body) in [
            (Encoding::Gzip, gzip(&body), &body[..]),
            (Encoding::Deflate, zlib.finish().unwrap(), &body),
            (Encoding::Deflate, bare.finish().unwrap(), &body),
            (Encoding::Zstd, zstd::encode_all(&body[..], 3).unwrap(), &body),
            (Encoding::Brotli, brotli.to_vec(), b"hello"),
        ] {
            assert_eq!(decoded(encoding, &compressed, 10_000).unwrap(), body, "{encoding:?}");
            for cut in 0..compressed.len() {
                assert!(decoded(encoding, &compressed[..cut], 10_000).is_err(), "{encoding:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_where_it_is_seen() {
        let zeros = vec![0; 20 << 20];
        let (gzip, zstd) = (gzip(&zeros), zstd::encode_all(&zeros[..], 3).unwrap());
        for (encoding, bomb) in [(Encoding::Gzip, gzip), (Encoding::Zstd, zstd)] {
            assert!(matches!(decoded(encoding, &bomb, 64 << 20), Err(DecodeError::Bomb)), "{encoding:?}");
            assert!(matches!(decoded(encoding, &bomb, 60_000), Err(DecodeError::TooLarge)), "{encoding:?}");
        }
    }

    #[test]
    fn nothing_may_follow_and_room_is_asked_for_first() {
        let mut two = gzip(b"one");
        two.extend(gzip(b"two"));
        assert!(matches!(decoded(Encoding::Gzip, &two, 1000), Err(DecodeError::Trailing)));
        let refused = decode(Encoding::Gzip, &gzip(b"one"), 1000, Err);
        assert!(matches!(refused, Err(DecodeError::NoRoom(3))));
        for garbage in [&b""[..], b"\0", b"hello", b"\x1f\x8b\x08\x00"] {
            for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Brotli, Encoding::Deflate] {
                assert!(decoded(encoding, garbage, 1000).is_err(), "{encoding:?} {garbage:?}");
            }
        }
    }

    #[test]
    fn known_by_their_names() {
        for (name, encoding) in
            [("GZIP", Some(Encoding::Gzip)), ("br", Some(Encoding::Brotli)), ("gzip, gzip", None), ("compress", None)]
        {
            assert_eq!(Encoding::of(&HeaderValue::from_static(name)), encoding);
        }
    }
}
