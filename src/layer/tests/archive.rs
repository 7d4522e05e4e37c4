//! Archives that are damaged, ambiguous, or larger than they look.

use std::fs;
use std::io;
use std::time::Instant;

use super::support::{Place, Says, Tar, assert_archive_error, ids, says};
use crate::decompress::decompressor_within;
use crate::expansion::Expansion;
use crate::limits::{ENTRIES_MAX, STREAM_MAX_BYTES, UNPACKED_MAX_BYTES};
use crate::tarread::TarError;
use crate::{
    ApplyError, ApplyOptions, ArchiveReader, DecoderRoom, Limits, apply, begins_archive,
    decompressor,
};

#[test]
fn an_archive_is_told_from_text_by_its_first_block() {
    let tar = Tar::new().file("f", "").bytes();
    for (start, expected) in [
        (&tar[..512], true),
        (&tar[..511], false),
        (b"\x1f\x8b\x08\0", true),
        (b"\x28\xb5\x2f\xfd", true),
        (b"BZh9", true),
        (b"\xfd7zXZ\0", true),
        (b"FROM scratch\n", false),
        (&[b'#'; 512], false),
        (b"", false),
    ] {
        assert_eq!(begins_archive(start), expected, "{}", start.escape_ascii());
    }
}

#[test]
fn t_a13_bombs_of_metadata_cost_little() {
    let start = Instant::now();
    let huge = Says {
        size: Some(4 << 30),
        ..says(b'x', b"PaxHeaders/x")
    };
    let error = Place::new().apply(&Tar::new().entry(huge)).unwrap_err();
    assert_archive_error(
        &error,
        "an extension header has 4294967296 bytes, more than 1048576",
    );

    let map = "10000000\n".to_owned() + &"1\n1\n".repeat(200);
    let sparse: [(&str, &[u8]); 3] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", b"99999999"),
    ];
    let error = Place::new()
        .apply(&Tar::new().pax(&sparse).file("f", &map))
        .unwrap_err();
    assert_archive_error(&error, "a sparse file has more than 1000000 regions");

    let many = "6 a=b\n".repeat(1025);
    let entry = Says {
        data: many.as_bytes(),
        ..says(b'x', b"PaxHeaders/x")
    };
    let error = Place::new()
        .apply(&Tar::new().entry(entry).file("f", ""))
        .unwrap_err();
    assert_archive_error(&error, "an extension header has more than 1024 records");

    let value = vec![0; 65537];
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.user.big", &value)])
        .file("f", "");
    let error = Place::new().apply(&tar).unwrap_err();
    assert_archive_error(
        &error,
        "the extended attribute `user.big` has more than 65536 bytes",
    );

    let most = vec![b' '; 1024 * 1024];
    let entry = Says {
        data: &most,
        ..says(b'L', b"././@LongLink")
    };
    let error = Place::new()
        .apply(&Tar::new().entry(entry).file("f", ""))
        .unwrap_err();
    assert!(matches!(error, ApplyError::Name { .. }), "{error}");
    let entry = Says {
        size: Some(1024 * 1024 + 1),
        ..says(b'L', b"././@LongLink")
    };
    let error = Place::new().apply(&Tar::new().entry(entry)).unwrap_err();
    assert_archive_error(
        &error,
        "an extension header has 1048577 bytes, more than 1048576",
    );
    assert!(start.elapsed().as_secs() < 2);
}

#[test]
fn t_a15_quotas_end_a_bomb() {
    let small = Limits {
        entries: 3,
        unpacked_bytes: 1000,
        stream_bytes: 10_000,
    };
    let fits = Tar::new()
        .file("a", &"x".repeat(500))
        .file("b", &"y".repeat(500))
        .dir("c");
    let applied = Place::new().apply_with(&fits, small).unwrap();
    assert_eq!((applied.entries, applied.unpacked_bytes), (3, 1000));

    let over = Tar::new()
        .file("a", &"x".repeat(500))
        .file("b", &"y".repeat(501));
    let error = Place::new().apply_with(&over, small).unwrap_err();
    assert_archive_error(&error, "the archive unpacks to more than 1000 bytes");
    let error = Place::new().apply_with(&fits.dir("d"), small).unwrap_err();
    assert_archive_error(&error, "the archive has more than 3 entries");

    let hole: [(&str, &[u8]); 2] = [("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1001")];
    let error = Place::new()
        .apply_with(&Tar::new().pax(&hole).file("f", "x"), small)
        .unwrap_err();
    assert_archive_error(&error, "the archive unpacks to more than 1000 bytes");

    // What comes after the end counts too.
    let mut endless = io::Read::chain(&[0; 1024][..], io::repeat(0));
    let place = Place::new();
    let options = ApplyOptions {
        ids: ids(),
        limits: small,
    };
    let error = apply(&mut endless, &place.root, &options).unwrap_err();
    assert_archive_error(&error, "the archive unpacks to more than 10000 bytes");
}

#[test]
fn t_a15_an_archive_that_expands_too_much_is_refused() {
    let expand = |bytes: &[u8]| -> io::Result<u64> {
        let expansion = |_| Expansion {
            free_bytes: 1 << 20,
            ratio: 100,
        };
        let room = DecoderRoom::default();
        let mut plain = decompressor_within(expansion, &room, bytes)?;
        io::copy(&mut plain, &mut io::sink())
    };
    let refusal =
        "the archive expands to more than 1048576 bytes and to more than 100 times its size";
    let packed = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        io::Write::write_all(&mut gzip, bytes).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        io::Write::write_all(&mut bzip2, bytes).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        io::Write::write_all(&mut xz, bytes).unwrap();
        let zstd = zstd::encode_all(bytes, 1).unwrap();
        [
            gzip.finish().unwrap(),
            bzip2.finish().unwrap(),
            xz.finish().unwrap(),
            zstd,
        ]
    };
    let most = vec![0; 1 << 20];
    for archive in packed(&most) {
        assert_eq!(expand(&archive).unwrap(), 1 << 20);
    }
    for archive in packed(&[most.as_slice(), b"0"].concat()) {
        assert_eq!(expand(&archive).unwrap_err().to_string(), refusal);
    }
    // What is not compressed does not expand.
    assert_eq!(expand(&vec![0; 2 << 20]).unwrap(), 2 << 20);
}

#[test]
fn t_a15_nobody_has_to_ask_for_quotas() {
    let Limits {
        entries,
        unpacked_bytes,
        stream_bytes,
    } = Limits::default();
    assert_eq!(
        (entries, unpacked_bytes, stream_bytes),
        (ENTRIES_MAX, UNPACKED_MAX_BYTES, STREAM_MAX_BYTES)
    );
    let hole = |bytes: u64| {
        let size = bytes.to_string();
        let map: [(&str, &[u8]); 2] = [
            ("GNU.sparse.map", b"0,1"),
            ("GNU.sparse.size", size.as_bytes()),
        ];
        Place::new().apply(&Tar::new().pax(&map).file("f", "x"))
    };
    let error = hole(UNPACKED_MAX_BYTES + 1).unwrap_err();
    assert_archive_error(
        &error,
        "the archive unpacks to more than 1125899906842624 bytes",
    );
    // The file system may not take so much, which is another error.
    if let Err(error) = hole(UNPACKED_MAX_BYTES) {
        assert!(matches!(error, ApplyError::Write { .. }), "{error}");
    }
}

fn refused_extensions() -> Vec<(Tar, &'static str)> {
    let pax = |key, value: &'static str| [(key, value.as_bytes())];
    let contradict = "extension headers are repeated or contradict each other";
    let global = Tar::new().extension(b'g', &pax("size", "0"));
    vec![
        (
            Tar::new().pax(&pax("path", "a")).pax(&pax("path", "b")),
            contradict,
        ),
        (Tar::new().long(b'L', "a").long(b'L', "b"), contradict),
        (Tar::new().long(b'K', "a").long(b'K', "b"), contradict),
        (
            Tar::new().long(b'L', "a").pax(&pax("path", "b")),
            contradict,
        ),
        (
            Tar::new()
                .pax(&pax("path", "a"))
                .extension(b'g', &pax("comment", "b")),
            contradict,
        ),
        (global, "a global header sets a path or a size"),
        (
            Tar::new().raw(&[0; 512]),
            "a block of zeros is followed by an entry",
        ),
        (
            Tar::new().pax(&pax("path", "")),
            "the PAX record `path` has a wrong value",
        ),
    ]
}

fn refused_entries() -> Vec<(Tar, &'static str)> {
    let size = [("size", &b"512"[..])];
    let data = "an entry that is no regular file has 512 bytes of data";
    let slash = Says {
        data: b"x",
        ..says(b'0', b"slash/")
    };
    let long = Says {
        size: Some(2048),
        ..says(b'0', b"f")
    };
    vec![
        (Tar::new().pax(&size).symlink("l", "x").raw(&[1; 512]), data),
        (Tar::new().pax(&size).link("l", "x").raw(&[1; 512]), data),
        (Tar::new().pax(&size).dir("d").raw(&[1; 512]), data),
        (
            Tar::new().entry(Says {
                data: &[1; 512],
                ..says(b'6', b"p")
            }),
            data,
        ),
        (
            Tar::new().entry(slash),
            "a regular file has a name that ends with a slash",
        ),
        (
            Tar::new().entry(says(b'V', b"label")),
            "an entry has the unknown type 'V'",
        ),
        (
            Tar::new().pax(&[("path", b"a")]),
            "the archive ends inside an entry",
        ),
        (Tar::new().entry(long), "the archive ends inside an entry"),
    ]
}

#[test]
fn t_a12_what_readers_would_differ_over_is_refused() {
    for (tar, expected) in refused_extensions() {
        let error = Place::new().apply(&tar.file("f", "12345")).unwrap_err();
        assert_archive_error(&error, expected);
    }
    for (tar, expected) in refused_entries() {
        assert_archive_error(&Place::new().apply(&tar).unwrap_err(), expected);
    }
    let cut = &Tar::new().file("f", "12345").open_bytes()[..700].to_vec();
    let place = Place::new();
    let options = ApplyOptions {
        ids: ids(),
        limits: Limits::default(),
    };
    let error = apply(&mut cut.as_slice(), &place.root, &options).unwrap_err();
    assert_archive_error(&error, "the archive ends inside an entry");
}

#[test]
fn t_a12_a_pax_size_wins_over_the_headers() {
    let place = Place::new();
    // A reader that believes the header would take the data for entries.
    let hidden = Tar::new().file("hidden", "").open_bytes().to_vec();
    let tar = Tar::new()
        .pax(&[("size", b"512")])
        .entry(says(b'0', b"f"))
        .raw(&hidden)
        .file("after", "x");
    let applied = place.apply(&tar).unwrap();
    let names: Vec<_> = place.root.names().unwrap();
    assert_eq!(
        (names, applied.entries),
        (vec![b"after".to_vec(), b"f".to_vec()], 2)
    );
    assert_eq!(fs::read(place.inside("f")).unwrap(), hidden);
}

#[test]
fn an_archive_may_end_without_zeros_and_a_link_may_have_a_size() {
    let place = Place::new();
    let tar = Tar::new()
        .file("f", "x")
        .entry(Says {
            link: b"f",
            size: Some(1),
            ..says(b'1', b"h")
        })
        .file("g", "y");
    let options = ApplyOptions {
        ids: ids(),
        limits: Limits::default(),
    };
    let applied = apply(&mut tar.open_bytes(), &place.root, &options).unwrap();
    let expected = ["f0644 0:0 f = x", "f0644 0:0 g = y", "h0644 0:0 h => f"];
    assert_eq!(place.tree(&applied), expected);
}

#[test]
fn t_a14_broken_and_odd_streams_end() {
    let read = |bytes: Vec<u8>| -> io::Result<u64> {
        io::copy(&mut decompressor(io::Cursor::new(bytes))?, &mut io::sink())
    };
    let empty_gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(read(empty_gzip.repeat(100_000)).unwrap(), 0);
    let garbage = [&empty_gzip[..], b"trailing garbage"].concat();
    assert_eq!(
        read(garbage).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    let cut = empty_gzip[..15].to_vec();
    assert_eq!(read(cut).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

    let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(100_000);
    assert_eq!(read(skippable).unwrap(), 0);
    // A frame that says nothing but that it needs a window of 2 GiB, and one of 128 MiB.
    let frame = |window| vec![0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
    let error = read(frame(21 << 3)).unwrap_err();
    assert!(
        error.to_string().contains("Frame requires too much memory"),
        "{error}"
    );
    assert_eq!(read(frame(17 << 3)).unwrap(), 0);
}

#[test]
fn errors_of_a_stream_say_where_and_why() {
    let place = Place::new();
    let mut broken = io::Read::chain(&[0; 100][..], Broken);
    let options = ApplyOptions {
        ids: ids(),
        limits: Limits::default(),
    };
    let error = apply(&mut broken, &place.root, &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the archive of the layer near byte 0"
    );
    let ApplyError::Archive {
        source: TarError::Read(source),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(source.to_string(), "the disk is gone");
}

struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn the_files_of_an_archive_are_read_one_by_one() {
    let hole: [(&str, &[u8]); 2] = [("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9")];
    let tar = Tar::new()
        .dir("blobs")
        .file("blobs/one", "first")
        .symlink("blobs/link", "/etc/passwd")
        .file("blobs/passed-over", &"x".repeat(2000))
        .pax(&hole)
        .file("blobs/holes", "x")
        .link("blobs/hard", "blobs/one")
        .file("empty", "")
        .file("last", "end");
    let bytes = tar.bytes();
    let mut archive = ArchiveReader::new(bytes.as_slice(), Limits::default());
    let mut found = Vec::new();
    while let Some(mut file) = archive.next_file().unwrap() {
        let (name, size) = (
            String::from_utf8(file.name.clone()).unwrap(),
            file.size_bytes,
        );
        // One is left unread, and the next is found nevertheless.
        let text = if size > 1000 {
            String::new()
        } else {
            io::read_to_string(&mut file).unwrap()
        };
        found.push((name, size, text));
    }
    let expected = [
        ("blobs/one", 5, "first"),
        ("blobs/passed-over", 2000, ""),
        ("empty", 0, ""),
        ("last", 3, "end"),
    ];
    assert_eq!(
        found,
        expected.map(|(name, size, text)| (name.to_owned(), size, text.to_owned()))
    );

    let cut = &bytes[..700];
    let mut archive = ArchiveReader::new(cut, Limits::default());
    let error = archive.next_file().unwrap_err();
    assert_eq!(error.to_string(), "read the archive");
}
