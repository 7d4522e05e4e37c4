//! Blobs have bytes that depend on nothing but their input.

use std::io::{self, Write};
use std::sync::Arc;

use libdeflater::{CompressionLvl, Compressor};
use oci::media_type::LayerCompression;
use oci::{DiffId, Digest};
use rootfs::Mode;

use super::support::at;
use crate::change::{Attributes, Change, ChangeKind, ChangeSet, Content, Node, NodeKind};
use crate::{
    ArchiveFormat, Compression, PackError, PackOptions, RepackError, TarOptions, decompressor,
    pack, repack, sniff, write_tar,
};

/// Bytes that compress somewhat, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefghijklmnop"[usize::try_from(state >> 28).unwrap()]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn file(path: &str, bytes: Vec<u8>) -> Change {
    let attributes = Attributes {
        mode: Mode::new(0o644),
        ..Attributes::default()
    };
    let kind = NodeKind::File {
        size: bytes.len() as u64,
        content: Content::Bytes(Arc::from(bytes)),
    };
    Change {
        path: at(path),
        kind: ChangeKind::Put(Node { attributes, kind }),
    }
}

fn sample() -> ChangeSet {
    let mut changes = vec![file("big", noise(5_000_000))];
    changes.extend((0..2000).map(|number| file(&format!("d/{number}"), noise(number))));
    ChangeSet::new(changes)
}

fn packed(set: &ChangeSet, compression: Compression) -> (Vec<u8>, crate::Packed) {
    let options = PackOptions {
        compression,
        ..PackOptions::default()
    };
    let mut blob = Vec::new();
    let packed = pack(set.stream(), &options, &mut blob).unwrap();
    (blob, packed)
}

fn tar_of(set: &ChangeSet) -> Vec<u8> {
    let mut tar = Vec::new();
    write_tar(set.stream(), &TarOptions::default(), &mut tar).unwrap();
    tar
}

fn unpacked(blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    io::copy(&mut decompressor(blob).unwrap(), &mut bytes).unwrap();
    bytes
}

const ALL: [(Compression, LayerCompression, ArchiveFormat); 3] = [
    (
        Compression::Uncompressed,
        LayerCompression::None,
        ArchiveFormat::Plain,
    ),
    (
        Compression::GZIP,
        LayerCompression::Gzip,
        ArchiveFormat::Gzip,
    ),
    (
        Compression::ZSTD,
        LayerCompression::Zstd,
        ArchiveFormat::Zstd,
    ),
];

#[test]
fn a_blob_is_described_and_unpacks_to_its_tar() {
    let set = sample();
    let tar = tar_of(&set);
    for (compression, kind, format) in ALL {
        let (blob, packed) = packed(&set, compression);
        assert_eq!(packed.diff_id, DiffId::new(Digest::of(&tar)));
        assert_eq!(packed.uncompressed_bytes, tar.len() as u64);
        assert_eq!(packed.digest, Digest::of(&blob));
        assert_eq!(packed.size_bytes, blob.len() as u64);
        assert_eq!(packed.media_type.layer_compression(), Some(kind));
        assert_eq!(sniff(&blob), format);
        assert_eq!(unpacked(&blob), tar);
    }
}

#[test]
fn gzip_is_one_member_for_each_mebibyte() {
    let set = sample();
    let mut expected = Vec::new();
    for block in tar_of(&set).chunks(1024 * 1024) {
        let mut compressor = Compressor::new(CompressionLvl::new(4).unwrap());
        let mut member = vec![0; compressor.gzip_compress_bound(block.len())];
        let length = compressor.gzip_compress(block, &mut member).unwrap();
        expected.extend_from_slice(&member[..length]);
    }
    let (blob, _) = packed(&set, Compression::GZIP);
    assert!(blob == expected, "the blob is not its members in order");
    // No time, no name, and no operating system (RFC 1952, section 2.3).
    assert_eq!(blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn zstd_is_the_same_for_any_number_of_workers() {
    let set = sample();
    let (blob, _) = packed(&set, Compression::ZSTD);
    for workers in [1, 3] {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.multithread(workers).unwrap();
        encoder
            .set_parameter(zstd::zstd_safe::CParameter::JobSize(2 * 1024 * 1024))
            .unwrap();
        for piece in tar_of(&set).chunks(12_345) {
            encoder.write_all(piece).unwrap();
        }
        assert!(encoder.finish().unwrap() == blob, "{workers} workers");
    }
}

#[test]
fn a_tar_that_is_packed_once_more_stays_the_same_tar() {
    let set = sample();
    let tar = tar_of(&set);
    for (compression, _, _) in ALL {
        let mut blob = Vec::new();
        let again = repack(tar.as_slice(), compression, &mut blob).unwrap();
        let (bytes, mut first) = packed(&set, compression);
        // What is in a tar that was there is nobody's business.
        let largest = std::mem::take(&mut first.largest);
        let largest = largest
            .iter()
            .map(|file| (file.path.absolute(), file.size_bytes));
        let largest: Vec<_> = largest.take(2).collect();
        let expected = [("/big", 5_000_000), ("/d/1999", 1999)];
        assert_eq!(
            largest,
            expected.map(|(path, size)| (path.to_owned(), size))
        );
        assert_eq!((blob, again), (bytes, first));
    }
}

#[test]
fn a_tar_that_cannot_be_read_is_told_from_an_output_that_is_full() {
    let broken = io::Read::chain([0; 10].as_slice(), Broken);
    let error = repack(broken, Compression::GZIP, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, RepackError::Read(_)), "{error:?}");
    let tar = tar_of(&sample());
    let error = repack(tar.as_slice(), Compression::GZIP, &mut Full).unwrap_err();
    let is_output = matches!(error, RepackError::Pack(PackError::Output(_)));
    assert!(is_output, "{error:?}");
}

/// Takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Breaks off.
struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

#[test]
fn an_empty_layer_is_a_valid_blob() {
    for (compression, _, _) in ALL {
        let (blob, packed) = packed(&ChangeSet::default(), compression);
        assert_eq!(unpacked(&blob), [0; 1024]);
        assert_eq!(packed.uncompressed_bytes, 1024);
        assert_eq!(
            packed.diff_id.digest().to_string(),
            "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        );
    }
}

#[test]
fn levels_are_honoured_and_wrong_ones_refused() {
    let set = sample();
    let size = |compression| packed(&set, compression).1.size_bytes;
    assert!(size(Compression::Gzip { level: 9 }) < size(Compression::Gzip { level: 1 }));
    assert_ne!(
        size(Compression::Zstd { level: 12 }),
        size(Compression::Zstd { level: 1 })
    );
    let options = PackOptions {
        compression: Compression::Gzip { level: 13 },
        ..PackOptions::default()
    };
    let error = pack(set.stream(), &options, &mut Vec::new()).unwrap_err();
    let PackError::Output(source) = error else {
        panic!("{error}")
    };
    assert_eq!(source.to_string(), "gzip has the levels 1 to 12");
}

#[test]
fn a_full_disk_and_a_changed_file_end_the_packing() {
    let mut wrong = sample().iter().collect::<Vec<_>>();
    if let ChangeKind::Put(Node {
        kind: NodeKind::File { size, .. },
        ..
    }) = &mut wrong[0].kind
    {
        *size += 1;
    }
    let wrong = ChangeSet::new(wrong);
    for (compression, _, _) in ALL {
        let options = PackOptions {
            compression,
            ..PackOptions::default()
        };
        let error = pack(sample().stream(), &options, &mut Full).unwrap_err();
        let PackError::Output(source) = error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        let error = pack(wrong.stream(), &options, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, PackError::Tar(_)), "{error}");
    }
}

#[test]
fn every_known_format_is_read() {
    let text = noise(300_000);
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&text).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&text).unwrap();
    let xz = xz.finish().unwrap();
    assert_eq!(
        (sniff(&bzip2), sniff(&xz)),
        (ArchiveFormat::Bzip2, ArchiveFormat::Xz)
    );
    for archive in [bzip2, xz] {
        assert_eq!(unpacked(&archive), text);
        assert_eq!(unpacked(&archive.repeat(2)), text.repeat(2));
    }
    assert_eq!(unpacked(b""), b"");
    assert_eq!(unpacked(b"plain"), b"plain");
}

#[test]
fn a_reader_that_gives_single_bytes_is_sniffed_too() {
    struct OneByOne(Vec<u8>);
    impl io::Read for OneByOne {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() || buffer.is_empty() {
                return Ok(0);
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }
    let (blob, _) = packed(
        &ChangeSet::new(vec![file("f", b"x".to_vec())]),
        Compression::ZSTD,
    );
    let mut bytes = Vec::new();
    io::copy(&mut decompressor(OneByOne(blob)).unwrap(), &mut bytes).unwrap();
    assert_eq!(bytes.len(), 2048);
}
