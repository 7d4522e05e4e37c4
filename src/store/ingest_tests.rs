//! Tests of writing blobs.

use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use oci::{Digest, VerifyError};

use super::place;
use crate::file::FileError;
use crate::scratch::Scratch;
use crate::testing::{Fixture, chain, names};
use crate::{BlobSource as _, IngestError};

const BYTES: &[u8] = b"some bytes of a blob";

/// The SHA-512 of [`BYTES`], by `sha512sum`.
const SHA512: &str = "sha512:efd5114454ad66d221525435aa3f8c69108b1a0467a2443ca9ee6ba93a46180d\
    b83b1395cb9c2ab766c2642acca83321e6478abf703dbadaaf4772ddc439f89d";

#[test]
fn a_blob_is_written_in_pieces_and_named_by_its_digest() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let mut ingest = fixture.store.content().ingest(&lease).unwrap();
    for piece in BYTES.chunks(3) {
        ingest.write_all(piece).unwrap();
    }
    assert_eq!(names(&fixture.path("ingest")).len(), 1);
    let (digest, size_bytes) = ingest.commit(Some((&Digest::of(BYTES), 20))).unwrap();
    assert_eq!((digest.clone(), size_bytes), (Digest::of(BYTES), 20));
    let metadata = fs::symlink_metadata(fixture.blob_path(&digest)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o444);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn a_blob_of_no_bytes_is_a_blob() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let digest = content.put(&fixture.store.lease().unwrap(), b"").unwrap();
    assert_eq!(content.has(&digest).unwrap(), Some(0));
    assert_eq!(content.read_blob(&digest, 0).unwrap(), b"");
}

#[test]
fn a_blob_that_is_not_the_expected_one_is_not_stored() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let (digest, other) = (Digest::of(BYTES), Digest::of(b"other"));
    let cases = [
        (
            (&other, 20),
            VerifyError::WrongDigest {
                expected: other.clone(),
                found: digest.clone(),
                size_bytes: 20,
            },
        ),
        (
            (&digest, 21),
            VerifyError::Short {
                digest: digest.clone(),
                size_bytes: 21,
                found_bytes: 20,
            },
        ),
        (
            (&digest, 19),
            VerifyError::Long {
                digest: digest.clone(),
                size_bytes: 19,
            },
        ),
    ];
    let lease = fixture.store.lease().unwrap();
    for (expected, verdict) in cases {
        let mut ingest = content.ingest(&lease).unwrap();
        ingest.write_all(BYTES).unwrap();
        let error = ingest.commit(Some(expected)).unwrap_err();
        assert!(
            matches!(&error, IngestError::Unexpected(found) if *found == verdict),
            "{error}"
        );
    }
    assert_eq!(names(&fixture.path("content/blobs/sha256")), [""; 0]);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn a_blob_may_have_a_digest_of_another_algorithm() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let digest = Digest::parse(SHA512).unwrap();
    content.copy_in(&lease, (&digest, 20), BYTES).unwrap();
    assert_eq!(content.read_blob(&digest, 20).unwrap(), BYTES);
    assert_eq!(
        names(&fixture.path("content/blobs/sha512")),
        [digest.encoded()]
    );

    let wrong = Digest::parse(&format!("sha512:{}", "0".repeat(128))).unwrap();
    let mut ingest = content.ingest(&lease).unwrap();
    ingest.write_all(BYTES).unwrap();
    let error = ingest.commit(Some((&wrong, 20))).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob `{wrong}` is damaged: its 20 bytes hash to `{digest}`")
    );
}

#[test]
fn a_writer_that_gives_up_leaves_nothing() {
    let fixture = Fixture::new();
    let mut ingest = fixture
        .store
        .content()
        .ingest(&fixture.store.lease().unwrap())
        .unwrap();
    ingest.write_all(BYTES).unwrap();
    drop(ingest);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
    assert_eq!(names(&fixture.path("leases")), [""; 0]);
}

/// The source is endless.
#[test]
fn t_e18_a_copy_stops_one_byte_after_the_announced_size() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let fixture = Fixture::new();
    let digest = Digest::of(&[0; 1000]);
    let lease = fixture.store.lease().unwrap();
    let mut source = Endless(0);
    let copied = fixture
        .store
        .content()
        .copy_in(&lease, (&digest, 1000), &mut source);
    let verdict = VerifyError::Long {
        digest: digest.clone(),
        size_bytes: 1000,
    };
    assert!(matches!(copied.unwrap_err(), IngestError::Unexpected(found) if found == verdict));
    assert_eq!(source.0, 1001);
    assert_eq!(fixture.store.content().has(&digest).unwrap(), None);
    assert_eq!(names(&fixture.path("ingest")), [""; 0]);
}

#[test]
fn a_copy_says_that_its_source_failed() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the line is dead"))
        }
    }
    let fixture = Fixture::new();
    let digest = Digest::of(BYTES);
    let lease = fixture.store.lease().unwrap();
    let error = fixture
        .store
        .content()
        .copy_in(&lease, (&digest, 20), Broken)
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!("read blob `{digest}`: the line is dead")
    );
}

#[test]
fn the_same_blob_from_two_writers_is_one_blob() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.store.clone(), fixture.again());
    let leases = (one.lease().unwrap(), other.lease().unwrap());
    let mut first = one.content().ingest(&leases.0).unwrap();
    let mut second = other.content().ingest(&leases.1).unwrap();
    for ingest in [&mut first, &mut second] {
        ingest.write_all(BYTES).unwrap();
    }
    let digest = first.commit(None).unwrap();
    assert_eq!(second.commit(None).unwrap(), digest);
    assert_eq!(
        names(&fixture.path("content/blobs/sha256")),
        [digest.0.encoded()]
    );
}

/// D7: whatever is in the place of a blob, writing the blob heals it.
#[test]
fn writing_a_blob_replaces_what_is_in_its_place() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let digest = Digest::of(BYTES);
    let path = fixture.blob_path(&digest);
    let outside = fixture.dir.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    let obstacles: [(&str, &dyn Fn()); 3] = [
        ("other bytes", &|| fs::write(&path, "damage").unwrap()),
        ("symlink", &|| {
            std::os::unix::fs::symlink(&outside, &path).unwrap();
        }),
        ("directory", &|| {
            fs::create_dir_all(path.join("a/b")).unwrap();
        }),
    ];
    for (name, put) in obstacles {
        put();
        content.put(&lease, BYTES).unwrap();
        assert_eq!(content.read_blob(&digest, 20).unwrap(), BYTES, "{name}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    assert_eq!(names(&fixture.path("trash")), [""; 0]);
}

#[test]
fn readers_keep_the_blob_that_is_replaced() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let digest = content.put(&lease, BYTES).unwrap();
    let mut reader = content.open_blob(&digest, 20).unwrap();
    let before = fs::metadata(fixture.blob_path(&digest)).unwrap().ino();
    content.put(&lease, BYTES).unwrap();
    assert_ne!(
        fs::metadata(fixture.blob_path(&digest)).unwrap().ino(),
        before
    );
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, BYTES);
}

#[test]
fn a_blob_whose_name_does_not_reach_the_disk_is_none() {
    let fixture = Fixture::new();
    let blob = fixture.blob_path(&Digest::of(BYTES));
    let place_unsynced = || {
        let mut scratch = Scratch::file(&fixture.layout()).unwrap();
        let fail = |directory: &Path| {
            let source = io::Error::other("no disk");
            Err(FileError::of("fsync", directory)(source))
        };
        place(&mut scratch, &blob, fail).unwrap_err();
        blob.try_exists().unwrap()
    };
    assert!(!place_unsynced());
    let lease = fixture.store.lease().unwrap();
    fixture.store.content().put(&lease, BYTES).unwrap();
    assert!(place_unsynced());
}
