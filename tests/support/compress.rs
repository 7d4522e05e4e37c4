//! Compressed streams, both ways.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use oci::media_type::LayerCompression;

/// Compresses with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("memory takes what is written")
}

/// Compresses with zstd.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes what is written")
}

/// Returns what was compressed.
pub(crate) fn decompress(compression: LayerCompression, bytes: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match compression {
        LayerCompression::None => tar.extend_from_slice(bytes),
        LayerCompression::Gzip => {
            MultiGzDecoder::new(bytes)
                .read_to_end(&mut tar)
                .expect("the layer is gzip");
        }
        LayerCompression::Zstd => tar = zstd::decode_all(bytes).expect("the layer is zstd"),
    }
    tar
}
