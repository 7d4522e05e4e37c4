//! `careen import`: the archive of a root file system → an image of one layer.
//!
//! A layer that is compressed as layers may be stays as it is; anything else is compressed with gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Write as _};
use std::path::PathBuf;

use dockerfile::lower::Target;
use dockerfile::parse::parse;
use dockerfile::source::SourceFile;
use dockerfile::stage::{PlanOptions, StagePlan};
use graph::userinfo::without_secret;
use graph::{DefinitionBuilder, HttpSource};
use layer::{
    ArchiveError, ArchiveFormat, ArchiveReader, Compression, Limits, RepackError, decompressor,
};
use oci::assemble::{
    AssembleError, AssembledImage, Blob, HistoryDetail, ImageParts, LayerDescriptor, assemble_image,
};
use oci::media_type::{Flavour, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};
use oci::{
    Clock, Descriptor, DiffId, Digest, History, ImageConfig, Platform, Reference, Timestamp,
};
use solver::remote::{self, RemoteError};
use solver::{Cancellable, Workshop};
use store::{BlobError, BlobSource as _, IngestError, TagError};

use super::{Carrier, Surroundings, misused, say};
use crate::args::ImportArguments;
use crate::exit;
use crate::options::transfer::{name, platform};
use crate::options::{Resolver, host_platform};
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// As many bytes as tell how something is compressed.
const MAGIC_BYTES: u64 = 6;

/// The instructions that change an image's configuration and nothing else.
const CHANGES: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Why an archive cannot become an image.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("open `{}`", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("fetch the archive")]
    Fetch(#[from] RemoteError),
    #[error("read the archive")]
    Read(#[source] io::Error),
    #[error("there is nothing in the archive, not even its end")]
    Empty,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("keep the layer")]
    Ingest(#[from] IngestError),
    #[error("write the layer")]
    Write(#[source] io::Error),
    #[error("pack the layer")]
    Pack(#[from] RepackError),
    #[error("read the layer")]
    Layer(#[from] BlobError),
    #[error("put the image together")]
    Assemble(#[from] AssembleError),
    #[error("name the image")]
    Tag(#[from] TagError),
}

/// What is no change of a configuration.
#[derive(Debug, thiserror::Error)]
#[error("`--change {text}` is none of {}", CHANGES.join(", "))]
struct NotAChange {
    text: String,
}

/// `SOURCE_DATE_EPOCH` is no time.
#[derive(Debug, thiserror::Error)]
#[error("`SOURCE_DATE_EPOCH` is no time")]
struct Epoch {
    source: oci::time::TimestampError,
}

/// Runs `import` in the builder.
pub(super) fn run(arguments: &ImportArguments, around: Surroundings<'_>) -> Outcome {
    let name = arguments.name.as_deref().map(name).transpose();
    let name = name.map_err(|error| misused(&error))?;
    let platform = arguments.platform.as_deref().map(platform).transpose();
    let platform = platform.map_err(|error| misused(&error))?;
    let platform = platform.unwrap_or_else(host_platform);
    let config = configuration(&arguments.changes, &platform)?;
    let created = now(around)?;
    let (workshop, _events) = workshop::open(around.builder, around.places, &Resolver::default())?;
    let import = Import {
        workshop: &workshop,
        arguments,
        around,
    };
    let shown = import.shown();
    let parts = |layer| Parts {
        config,
        platform,
        created,
        layer,
    };
    let import = || {
        let layer = import.layer()?;
        import.image(parts(layer), name.as_ref())
    };
    let carrier = Carrier::open(around)?;
    let digest = import();
    let digest = digest.map_err(|error| carrier.of_asked(("import", &shown), error))?;
    say(&digest.to_string());
    Ok(exit::DONE)
}

/// Returns the configuration that the changes make, as a Dockerfile would.
fn configuration(changes: &[String], platform: &Platform) -> Result<ImageConfig, Box<Report>> {
    for text in changes {
        let word = text.split_whitespace().next().unwrap_or_default();
        if !CHANGES.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            let text = text.clone();
            return Err(Box::new(Report::new(Kind::Usage, &NotAChange { text })));
        }
    }
    let lines = ["FROM scratch".to_owned()]
        .into_iter()
        .chain(changes.iter().cloned());
    let text: Vec<_> = lines.collect();
    let source = SourceFile::new("--change", format!("{}\n", text.join("\n")));
    let refused = |faults: &[dockerfile::diagnostic::Diagnostic]| {
        let fault = faults.iter().find(|fault| fault.is_error());
        let report = fault.map(|fault| Report::of_diagnostic(fault, &source));
        Box::new(report.unwrap_or_else(crate::command::failure::without_reason))
    };
    let parsed = parse(&source);
    let options = PlanOptions::new(host_platform(), vec![platform.clone()]);
    let plan = StagePlan::new(&parsed, options).map_err(|faults| refused(&faults))?;
    let target: Result<Target, _> = plan.lower(platform, &mut DefinitionBuilder::new());
    Ok(target.map_err(|faults| refused(&faults))?.config)
}

/// Returns the time that the image is made at.
fn now(around: Surroundings<'_>) -> Result<Timestamp, Box<Report>> {
    match &around.env.source_date_epoch {
        None => Ok(Clock::System.now()),
        Some(text) => Timestamp::parse_source_date_epoch(text)
            .map_err(|source| Box::new(Report::new(Kind::Usage, &Epoch { source }))),
    }
}

/// What an image is made of.
struct Parts {
    config: ImageConfig,
    platform: Platform,
    created: Timestamp,
    layer: LayerDescriptor,
}

struct Import<'a> {
    workshop: &'a Workshop,
    arguments: &'a ImportArguments,
    around: Surroundings<'a>,
}

impl Import<'_> {
    /// Opens the archive, wherever it is.
    fn open(&self) -> Result<Box<dyn Read + Send>, ImportError> {
        let source = &self.arguments.source;
        if source == "-" {
            return Ok(Box::new(io::stdin()));
        }
        if source.starts_with("http://") || source.starts_with("https://") {
            let source = HttpSource {
                url: source.clone(),
                checksum: None,
            };
            let fetched = remote::fetch_http(self.workshop, &source)?;
            return Ok(Box::new(fetched.open(self.workshop)?));
        }
        let path = self.around.env.current_directory.join(source);
        match File::open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(ImportError::Open { path, source }),
        }
    }

    /// Puts the layer into the store.
    fn layer(&self) -> Result<LayerDescriptor, ImportError> {
        let mut reader = Cancellable::new(self.open()?, &self.workshop.cancel);
        let mut start = Vec::new();
        let mut head = reader.by_ref().take(MAGIC_BYTES);
        head.read_to_end(&mut start).map_err(ImportError::Read)?;
        if start.is_empty() {
            return Err(ImportError::Empty);
        }
        let format = layer::sniff(&start);
        let whole = Cursor::new(start).chain(reader);
        match format {
            ArchiveFormat::Gzip => self.kept(whole, OCI_LAYER_GZIP),
            ArchiveFormat::Zstd => self.kept(whole, OCI_LAYER_ZSTD),
            ArchiveFormat::Plain | ArchiveFormat::Bzip2 | ArchiveFormat::Xz => self.packed(whole),
        }
    }

    /// Keeps a layer as it is.
    fn kept(
        &self,
        mut reader: impl Read,
        media_type: &str,
    ) -> Result<LayerDescriptor, ImportError> {
        let mut ingest = self.workshop.store.content().ingest(&self.workshop.lease)?;
        io::copy(&mut reader, &mut ingest).map_err(ImportError::Read)?;
        let (digest, size_bytes) = ingest.commit(None)?;
        self.checked(digest, size_bytes, media_type)
    }

    /// Compresses a layer.
    fn packed(&self, reader: impl Read + Send) -> Result<LayerDescriptor, ImportError> {
        let tar = decompressor(reader).map_err(ImportError::Read)?;
        let mut ingest = self.workshop.store.content().ingest(&self.workshop.lease)?;
        layer::repack(tar, Compression::GZIP, &mut ingest)?;
        ingest.flush().map_err(ImportError::Write)?;
        let (digest, size_bytes) = ingest.commit(None)?;
        self.checked(digest, size_bytes, OCI_LAYER_GZIP)
    }

    /// Reads a layer through: it has to be a tar, and the digest of that is its diff id.
    fn checked(
        &self,
        digest: Digest,
        size_bytes: u64,
        media_type: &str,
    ) -> Result<LayerDescriptor, ImportError> {
        let blob = self
            .workshop
            .store
            .content()
            .open_blob(&digest, size_bytes)?;
        let blob = Cancellable::new(blob, &self.workshop.cancel);
        let mut hasher = oci::Hasher::new();
        let tar = Hashed {
            inner: decompressor(blob).map_err(ImportError::Read)?,
            hasher: &mut hasher,
        };
        let mut archive = ArchiveReader::new(tar, Limits::default());
        while archive.next_file()?.is_some() {}
        drop(archive);
        Ok(LayerDescriptor {
            digest,
            size_bytes,
            media_type: media_type.to_owned(),
            diff_id: DiffId::new(hasher.finish()),
            annotations: BTreeMap::new(),
        })
    }

    /// Puts the image together and names it.
    fn image(&self, parts: Parts, name: Option<&Reference>) -> Result<Digest, ImportError> {
        let comment = self.arguments.message.clone();
        let comment = comment.unwrap_or_else(|| format!("Imported from {}", self.shown()));
        let history = History {
            created: Some(parts.created),
            comment: Some(comment),
            ..History::default()
        };
        let AssembledImage {
            config, manifest, ..
        } = assemble_image(ImageParts {
            config: parts.config,
            platform: parts.platform,
            history: vec![history],
            layers: vec![parts.layer],
            created: Some(parts.created),
            annotations: BTreeMap::new(),
            flavour: Flavour::Oci,
            detail: HistoryDetail::Full,
        })?;
        let top = descriptor(&manifest);
        let content = self.workshop.store.content();
        for Blob { bytes, .. } in [config, manifest] {
            content.put(&self.workshop.lease, &bytes)?;
        }
        match name {
            Some(name) => content.tag(name, &top)?,
            None => content.keep(&top)?,
        }
        Ok(Digest::parse(top.digest().as_ref()).expect("the digest is one of ours"))
    }

    /// Returns the source without a password in it.
    fn shown(&self) -> String {
        let source = &self.arguments.source;
        match fetch::Url::parse(source) {
            Ok(url) => url.without_userinfo(),
            Err(_no_url) => without_secret(source),
        }
    }
}

fn descriptor(manifest: &Blob) -> Descriptor {
    let size_bytes = manifest.bytes.len() as u64;
    oci::descriptor::descriptor(&manifest.media_type, &manifest.digest, size_bytes)
}

/// Hashes what is read.
struct Hashed<'a, R> {
    inner: R,
    hasher: &'a mut oci::Hasher,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
