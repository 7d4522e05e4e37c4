use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::descriptor::new_index;
use oci::media_type::OCI_INDEX;
use transport::Transferred;

use super::*;

/// A place in memory that counts how often a blob is opened.
#[derive(Debug, Default)]
struct Memory {
    blobs: BTreeMap<String, Vec<u8>>,
    opened: AtomicUsize,
}

/// What puts documents into a [`Memory`].
#[derive(Debug, Default)]
struct Putting(std::sync::Mutex<Memory>);

impl Putting {
    fn keep(&self, descriptor: &Descriptor, bytes: Vec<u8>) {
        let mut memory = self.0.lock().unwrap();
        memory.blobs.insert(descriptor.digest().to_string(), bytes);
    }
}

impl Target for Putting {
    fn shown(&self) -> String {
        "memory".to_owned()
    }

    fn put_blob(&self, blob: &Descriptor, from: &dyn Source) -> Result<Transferred, PlaceError> {
        let mut bytes = Vec::new();
        from.blob(blob, 0)?.read_to_end(&mut bytes)?;
        self.keep(blob, bytes);
        Ok(Transferred::Copied)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        self.keep(&document.descriptor, document.bytes.clone());
        Ok(())
    }

    fn finish(&self, _root: &Document) -> Result<(), PlaceError> {
        Ok(())
    }
}

impl Source for Memory {
    fn shown(&self) -> String {
        "memory".to_owned()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Err(io::Error::from(io::ErrorKind::NotFound).into())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        let bytes = self.blobs[descriptor.digest().as_ref()].clone();
        Ok(Document::new(OCI_MANIFEST, bytes))
    }

    fn blob(&self, blob: &Descriptor, _from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let bytes = self.blobs[blob.digest().as_ref()].clone();
        Ok(Box::new(io::Cursor::new(bytes)))
    }

    fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(Vec::new())
    }
}

/// Returns a place, and the entry of a cache for each of these platforms.
fn place(platforms: &[Platform]) -> (Memory, Vec<Descriptor>) {
    let putting = Putting::default();
    let entries = platforms.iter().map(|platform| {
        let config = CacheConfig::new(platform);
        let platform = platform.clone();
        put(&CacheEntry { platform, config }, &putting).unwrap()
    });
    let entries = entries.collect();
    (putting.0.into_inner().unwrap(), entries)
}

#[test]
fn of_each_platform_one_entry_is_read_however_often_an_index_names_it() {
    let amd64 = Platform::new("linux", "amd64");
    let arm64 = Platform::new("linux", "arm64");
    let (memory, entries) = place(&[amd64.clone(), arm64.clone()]);
    let many: Vec<_> = entries.iter().cycle().take(1_000).cloned().collect();
    let root = Document::new(OCI_INDEX, to_canonical_json(&new_index(many)));
    for (wanted, expected) in [
        (vec![amd64.clone()], 1),
        (vec![arm64.clone(), amd64.clone()], 2),
        (vec![Platform::new("linux", "s390x")], 0),
    ] {
        memory.opened.store(0, Ordering::Relaxed);
        let found = read(&memory, &root, &wanted).unwrap();
        let found: Vec<_> = found.into_iter().map(|config| config.platform).collect();
        let shown: Vec<_> = wanted.iter().map(Platform::format_all).collect();
        assert_eq!(found, shown[..expected], "{shown:?}");
        assert_eq!(memory.opened.load(Ordering::Relaxed), expected, "{shown:?}");
    }
}
