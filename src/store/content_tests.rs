//! Tests of reading blobs of the store.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use oci::{Digest, VerifyError};
use ocidir::cap_std::{ambient_authority, fs::Dir};
use ocidir::{OciDir, OciRead as _};
use rootfs::{Root, RootPath};

use crate::testing::{Fixture, Kind, chain, open};
use crate::{BlobError, BlobSource as _, Lent, OpenError};

const BYTES: &[u8] = b"some bytes of a blob";

/// Makes a blob writable, as nobody but a test does.
fn open_for_damage(path: &Path) -> File {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    OpenOptions::new().write(true).open(path).unwrap()
}

fn with_blob() -> (Fixture, Digest) {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let digest = fixture.store.content().put(&lease, BYTES).unwrap();
    (fixture, digest)
}

#[test]
fn a_blob_comes_back() {
    let (fixture, digest) = with_blob();
    assert_eq!(digest, Digest::of(BYTES));
    let content = fixture.store.content();
    let size_bytes = content.has(&digest).unwrap().unwrap();
    assert_eq!(size_bytes, BYTES.len() as u64);
    let mut bytes = Vec::new();
    content
        .open_blob(&digest, size_bytes)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, BYTES);
    assert_eq!(content.read_blob(&digest, size_bytes).unwrap(), BYTES);
    bytes.clear();
    content
        .open_raw(&digest)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, BYTES);
}

#[test]
fn a_blob_that_is_not_there_is_absent() {
    let fixture = Fixture::new();
    let digest = Digest::parse(&format!("sha512:{}", "0".repeat(128))).unwrap();
    assert_eq!(fixture.store.content().has(&digest).unwrap(), None);
    let error = fixture.store.content().read_blob(&digest, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "blob `{digest}` is not in `{}`",
            fixture.path("content").display()
        )
    );
    assert!(matches!(error, BlobError::Absent { .. }));
}

#[test]
fn a_blob_larger_than_the_reader_takes_is_refused() {
    let (fixture, digest) = with_blob();
    let error = fixture.store.content().read_blob(&digest, 19).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob `{digest}` has 20 bytes, more than 19")
    );
}

#[test]
fn t_f02_a_flipped_byte_is_found_and_both_digests_are_named() {
    let (fixture, digest) = with_blob();
    let mut file = open_for_damage(&fixture.blob_path(&digest));
    file.seek(SeekFrom::Start(5)).unwrap();
    file.write_all(b"B").unwrap();
    let found = Digest::of(b"some Bytes of a blob");
    let content = fixture.store.content();
    let error = content.read_blob(&digest, 100).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob `{digest}` is damaged: its 20 bytes hash to `{found}`")
    );
    let expected = VerifyError::WrongDigest {
        expected: digest.clone(),
        found,
        size_bytes: 20,
    };
    assert!(matches!(error, BlobError::Damaged(verdict) if verdict == expected));

    let mut reader = content.open_blob(&digest, 20).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let error = BlobError::from_read(&digest, error);
    assert!(matches!(error, BlobError::Damaged(verdict) if verdict == expected));
}

#[test]
fn a_blob_of_another_size_is_refused_before_it_is_read() {
    let (fixture, digest) = with_blob();
    let file = open_for_damage(&fixture.blob_path(&digest));
    file.set_len(7).unwrap();
    let content = fixture.store.content();
    let short = VerifyError::Short {
        digest: digest.clone(),
        size_bytes: 20,
        found_bytes: 7,
    };
    let error = content.open_blob(&digest, 20).unwrap_err();
    assert!(matches!(error, BlobError::Damaged(verdict) if verdict == short));
    file.set_len(21).unwrap();
    let long = VerifyError::Long {
        digest: digest.clone(),
        size_bytes: 20,
    };
    let error = content.open_blob(&digest, 20).unwrap_err();
    assert!(matches!(error, BlobError::Damaged(verdict) if verdict == long));
}

#[test]
fn t_a11_only_a_regular_file_is_a_blob() {
    let (fixture, digest) = with_blob();
    let path = fixture.blob_path(&digest);
    let target = fixture.dir.path().join("target");
    fs::write(&target, BYTES).unwrap();
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    let kinds: [Kind<'_>; 5] = [
        ("symlink with the same bytes", &|path| {
            symlink(&target, path).unwrap();
        }),
        ("symlink to nothing", &|path| {
            symlink("nothing", path).unwrap();
        }),
        ("fifo", &|path| mkfifo(path, Mode::S_IRWXU).unwrap()),
        ("directory", &|path| fs::create_dir(path).unwrap()),
        ("socket", &socket),
    ];
    for (kind, make) in kinds {
        if fs::remove_file(&path).is_err() {
            fs::remove_dir(&path).unwrap();
        }
        make(&path);
        let content = fixture.store.content();
        assert_eq!(content.has(&digest).unwrap(), None, "{kind}");
        for error in [
            content.read_blob(&digest, 100).unwrap_err(),
            content.open_blob(&digest, 20).map(drop).unwrap_err(),
            content.open_raw(&digest).unwrap_err(),
        ] {
            assert!(
                matches!(error, BlobError::NotAFile { .. }),
                "{kind}: {}",
                chain(&error)
            );
        }
    }
}

/// D7.
#[test]
fn a_damaged_blob_is_discarded_and_a_whole_one_is_not() {
    let (fixture, digest) = with_blob();
    let content = fixture.store.content();
    let path = fixture.blob_path(&digest);
    assert!(!content.discard_damaged(&digest).unwrap());
    assert_eq!(content.has(&digest).unwrap(), Some(20));
    open_for_damage(&path).write_all(b"S").unwrap();
    assert!(content.discard_damaged(&digest).unwrap());
    assert_eq!(content.has(&digest).unwrap(), None);
    assert!(!content.discard_damaged(&digest).unwrap());

    fs::create_dir(&path).unwrap();
    assert!(content.discard_damaged(&digest).unwrap());
    content.put(&fixture.store.lease().unwrap(), BYTES).unwrap();
    assert_eq!(content.read_blob(&digest, 20).unwrap(), BYTES);
}

#[test]
fn a_whole_blob_that_came_into_the_place_of_a_damaged_one_stays() {
    let (fixture, digest) = with_blob();
    let content = fixture.store.content();
    let path = fixture.blob_path(&digest);
    open_for_damage(&path).write_all(b"S").unwrap();
    let damaged = content.find_damaged(&digest).unwrap().unwrap();
    let lease = fixture.store.lease().unwrap();
    fs::remove_file(&path).unwrap();
    content.put(&lease, BYTES).unwrap();
    content.discard(&digest, &damaged).unwrap();
    assert_eq!(content.read_blob(&digest, 20).unwrap(), BYTES);
}

#[test]
fn the_layout_is_one_that_others_read() {
    let (fixture, digest) = with_blob();
    let dir = Dir::open_ambient_dir(fixture.path("content"), ambient_authority()).unwrap();
    let layout = OciDir::open(dir).unwrap();
    assert_eq!(layout.read_index().unwrap().manifests().len(), 0);
    let descriptor = oci::descriptor::descriptor("application/octet-stream", &digest, 20);
    assert!(layout.has_blob(&descriptor).unwrap());
    layout.verify_blob_digest(&descriptor).unwrap();
    assert_eq!(
        fs::read_to_string(fixture.path("content/oci-layout")).unwrap(),
        r#"{"imageLayoutVersion":"1.0.0"}"#
    );
}

#[test]
fn content_of_another_layout_version_is_refused() {
    let fixture = Fixture::new();
    for text in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#] {
        fs::write(fixture.path("content/oci-layout"), text).unwrap();
        let error = open(fixture.store.path()).unwrap_err();
        assert_eq!(
            chain(&error),
            format!(
                "open the store `{0}`: `{0}/content/oci-layout` does not say that this is an image \
                 layout of version 1.0.0",
                fixture.store.path().display()
            )
        );
        assert!(matches!(error, OpenError::Content { .. }));
    }
}

/// A directory beside a store, on the same file system.
struct Beside {
    root: Root,
    name: RootPath,
}

impl Beside {
    fn of(fixture: &Fixture) -> Self {
        let path = fixture.dir.path().join("beside");
        fs::create_dir_all(&path).unwrap();
        Self {
            root: Root::open(&path).unwrap(),
            name: RootPath::strict("lent").unwrap(),
        }
    }

    fn lend(&self, fixture: &Fixture, blob: (&Digest, u64)) -> Result<Lent, BlobError> {
        let content = fixture.store.content();
        content.lend(blob, (&self.root, &self.name))
    }

    fn is_empty(&self) -> bool {
        self.root.names().unwrap().is_empty()
    }
}

#[test]
fn a_lent_blob_is_the_file_of_the_store_and_read_only() {
    let (fixture, digest) = with_blob();
    let beside = Beside::of(&fixture);
    let lent = beside.lend(&fixture, (&digest, BYTES.len() as u64));
    assert_eq!(lent.unwrap(), Lent::Yes);
    let metadata = beside.root.metadata(&beside.name).unwrap().unwrap();
    let ours = fs::metadata(fixture.blob_path(&digest)).unwrap();
    assert_eq!((metadata.dev, metadata.ino), (ours.dev(), ours.ino()));
    assert_eq!(metadata.mode.bits(), 0o444);
    // Where something has the name, nothing is lent, and it stays.
    let again = beside.lend(&fixture, (&digest, BYTES.len() as u64));
    assert_eq!(again.unwrap(), Lent::No);
    assert!(!beside.is_empty());
}

#[test]
fn a_damaged_blob_is_not_lent_and_is_discarded() {
    let (fixture, digest) = with_blob();
    let beside = Beside::of(&fixture);
    let mut file = open_for_damage(&fixture.blob_path(&digest));
    file.write_all(b"S").unwrap();
    let lent = beside.lend(&fixture, (&digest, BYTES.len() as u64));
    assert!(matches!(
        lent,
        Err(BlobError::Damaged(VerifyError::WrongDigest { .. }))
    ));
    assert!(beside.is_empty());
    assert_eq!(fixture.store.content().has(&digest).unwrap(), None);
}

#[test]
fn a_blob_that_another_process_wrote_is_read_before_it_is_lent() {
    let (fixture, digest) = with_blob();
    let beside = Beside::of(&fixture);
    let metadata = fs::metadata(fixture.blob_path(&digest)).unwrap();
    // Damage that no time of the file tells: only reading finds it.
    let mut file = open_for_damage(&fixture.blob_path(&digest));
    file.write_all(b"S").unwrap();
    file.set_modified(metadata.modified().unwrap()).unwrap();
    drop(file);
    let other = fixture.again();
    let content = other.content();
    let size_bytes = BYTES.len() as u64;
    let lent = content.lend((&digest, size_bytes), (&beside.root, &beside.name));
    assert!(matches!(lent, Err(BlobError::Damaged(_))));
    let missing = beside.lend(&fixture, (&digest, size_bytes));
    assert!(matches!(missing, Err(BlobError::Absent { .. })));
}

#[test]
fn a_writer_that_makes_the_digest_is_believed_and_its_size_checked() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let content = fixture.store.content();
    let (digest, size_bytes) = (Digest::of(BYTES), BYTES.len() as u64);
    let begin = || {
        let mut ingest = content.ingest_hashed(&lease).unwrap();
        ingest.write_all(BYTES).unwrap();
        ingest
    };
    begin().commit(Some((&digest, size_bytes + 1))).unwrap_err();
    assert_eq!(content.has(&digest).unwrap(), None);
    let committed = begin().commit(Some((&digest, size_bytes))).unwrap();
    assert_eq!(committed, (digest.clone(), size_bytes));
    assert_eq!(content.read_blob(&digest, size_bytes).unwrap(), BYTES);
    // One that does not say it gets it made.
    assert_eq!(begin().commit(None).unwrap(), (digest, size_bytes));
}
