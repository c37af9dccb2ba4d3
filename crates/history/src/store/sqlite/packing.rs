//! Bodies as they are stored: compressed, unless that saves nothing. How is written beside each, so that what an older
//! program has stored stays readable.

use std::{cell::RefCell, io::Read as _};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status, read::DeflateDecoder};

use crate::store::read::WholeRow;

const PLAIN: i64 = 0;
const DEFLATED: i64 = 1;
/// What is shorter is not worth it.
const SHORT: usize = 200;

thread_local! {
    /// Its tables take more to make than a body takes to compress. Bodies are compressed once and rarely read: the fastest
    /// level makes them a third already.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// How, and what, to store of a body.
pub(super) fn pack(body: &Bytes) -> (i64, Vec<u8>) {
    if body.len() >= SHORT
        && let Some(packed) = COMPRESSOR.with_borrow_mut(|compressor| deflate(compressor, body))
    {
        return (DEFLATED, packed);
    }
    (PLAIN, body.to_vec())
}

/// `None`: it would not become shorter.
fn deflate(compressor: &mut Compress, body: &[u8]) -> Option<Vec<u8>> {
    compressor.reset();
    let mut packed = Vec::with_capacity(body.len() - 1);
    let ended = compressor.compress_vec(body, &mut packed, FlushCompress::Finish);
    matches!(ended, Ok(Status::StreamEnd)).then_some(packed)
}

/// The body of which this is stored.
pub(super) fn unpack(packing: i64, stored: Vec<u8>) -> Result<Bytes, sqlx::Error> {
    match packing {
        PLAIN => Ok(stored.into()),
        DEFLATED => {
            let mut body = Vec::with_capacity(stored.len() * 3);
            let read = DeflateDecoder::new(stored.as_slice()).read_to_end(&mut body);
            read.map(|_| body.into()).map_err(|error| sqlx::Error::Decode(error.into()))
        }
        _ => Err(sqlx::Error::Decode(
            format!("a body is stored in a way ({packing}) that only a later version knows").into(),
        )),
    }
}

/// An attempt with everything, its response body as it is stored.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PackedRow {
    #[sqlx(flatten)]
    row: WholeRow,
    response_packing: i64,
}

/// The columns of [`PackedRow`].
macro_rules! packed_columns {
    () => {
        concat!(crate::store::read::whole_columns!(), ", response_packing")
    };
}
pub(super) use packed_columns;

impl PackedRow {
    pub(super) fn unpack(self) -> Result<WholeRow, sqlx::Error> {
        let Self { mut row, response_packing } = self;
        row.response_body = unpack(response_packing, std::mem::take(&mut row.response_body))?.to_vec();
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        for length in [0, 1, SHORT - 1, SHORT, 3_000, 100_000] {
            let text: Bytes = "{\"name\": \"a run\"}".repeat(1 + length / 17)[..length].to_owned().into();
            let (packing, stored) = pack(&text);
            assert_eq!(packing, if length < SHORT { PLAIN } else { DEFLATED });
            assert!(stored.len() <= length);
            assert_eq!(unpack(packing, stored).unwrap(), text);
        }
        let noise: Bytes = (0..5_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let (packing, stored) = pack(&noise);
        assert!(stored.len() <= noise.len());
        assert_eq!(unpack(packing, stored).unwrap(), noise);
        assert!(unpack(2, Vec::new()).is_err() && unpack(DEFLATED, vec![0xff; 9]).is_err());
    }
}
