//! The media types of images, OCI's and Docker's side by side.
//!
//! The set is closed: whatever is not in the table below is [`MediaType::Other`], and nobody guesses
//! what it may be from its beginning or end.

/// Media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of an uncompressed OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of an OCI layer compressed with gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of an OCI layer compressed with zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Media type of an uncompressed OCI layer that registries do not hand out.
pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// Media type of an OCI layer with gzip that registries do not hand out.
pub const OCI_FOREIGN_LAYER_GZIP: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// Media type of an OCI layer with zstd that registries do not hand out.
pub const OCI_FOREIGN_LAYER_ZSTD: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Media type of the empty JSON object, for descriptors of nothing.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Media type of Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media type of Docker's manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Media type of an uncompressed Docker layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Media type of a Docker layer compressed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Media type of a Docker layer compressed with zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Media type of an uncompressed Docker layer that registries do not hand out.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// Media type of a Docker layer with gzip that registries do not hand out.
pub const DOCKER_FOREIGN_LAYER_GZIP: &str =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// Media type of Docker's manifest, version 2, schema 1, which careen does not read.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Media type of the signed form of [`DOCKER_SCHEMA1`].
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Whose media type it is; the documents behind them have the same shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// The Open Container Initiative's.
    Oci,
    /// Docker's, from before.
    Docker,
}

/// How the tar of a layer is compressed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LayerCompression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// Whether registries hand a layer out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Distribution {
    /// They do.
    Free,
    /// They do not; the descriptor says where else it is.
    Restricted,
}

/// What a media type of a layer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LayerMediaType {
    /// Whose media type it is.
    pub flavour: Flavour,
    /// How the tar is compressed.
    pub compression: LayerCompression,
    /// Whether registries hand it out.
    pub distribution: Distribution,
}

/// What a media type stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaType {
    /// An index of manifests.
    Index(Flavour),
    /// The manifest of an image.
    Manifest(Flavour),
    /// The configuration of an image.
    Config(Flavour),
    /// A layer of an image.
    Layer(LayerMediaType),
    /// A manifest of Docker's schema 1, which has no configuration and is not read.
    Schema1,
    /// Anything else.
    Other,
}

const fn layer(
    flavour: Flavour,
    compression: LayerCompression,
    distribution: Distribution,
) -> MediaType {
    MediaType::Layer(LayerMediaType {
        flavour,
        compression,
        distribution,
    })
}

const TABLE: [(&str, MediaType); 17] = {
    use Distribution::{Free, Restricted};
    use Flavour::{Docker, Oci};
    use LayerCompression::{Gzip, None, Zstd};
    [
        (OCI_INDEX, MediaType::Index(Oci)),
        (OCI_MANIFEST, MediaType::Manifest(Oci)),
        (OCI_CONFIG, MediaType::Config(Oci)),
        (OCI_LAYER, layer(Oci, None, Free)),
        (OCI_LAYER_GZIP, layer(Oci, Gzip, Free)),
        (OCI_LAYER_ZSTD, layer(Oci, Zstd, Free)),
        (OCI_FOREIGN_LAYER, layer(Oci, None, Restricted)),
        (OCI_FOREIGN_LAYER_GZIP, layer(Oci, Gzip, Restricted)),
        (OCI_FOREIGN_LAYER_ZSTD, layer(Oci, Zstd, Restricted)),
        (DOCKER_INDEX, MediaType::Index(Docker)),
        (DOCKER_MANIFEST, MediaType::Manifest(Docker)),
        (DOCKER_CONFIG, MediaType::Config(Docker)),
        (DOCKER_LAYER, layer(Docker, None, Free)),
        (DOCKER_LAYER_GZIP, layer(Docker, Gzip, Free)),
        (DOCKER_LAYER_ZSTD, layer(Docker, Zstd, Free)),
        (DOCKER_FOREIGN_LAYER, layer(Docker, None, Restricted)),
        (DOCKER_FOREIGN_LAYER_GZIP, layer(Docker, Gzip, Restricted)),
    ]
};

impl MediaType {
    /// Returns what a media type stands for.
    pub fn parse(text: &str) -> Self {
        if matches!(text, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED) {
            return Self::Schema1;
        }
        TABLE
            .iter()
            .find(|(name, _)| *name == text)
            .map_or(Self::Other, |(_, kind)| *kind)
    }

    /// Says whether it is an index.
    pub fn is_index(self) -> bool {
        matches!(self, Self::Index(_))
    }

    /// Says whether it is the manifest of an image.
    pub fn is_manifest(self) -> bool {
        matches!(self, Self::Manifest(_))
    }

    /// Says whether it is the configuration of an image.
    pub fn is_config(self) -> bool {
        matches!(self, Self::Config(_))
    }

    /// Returns how a layer is compressed; nothing for what is no layer.
    pub fn layer_compression(self) -> Option<LayerCompression> {
        match self {
            Self::Layer(layer) => Some(layer.compression),
            Self::Index(_) | Self::Manifest(_) | Self::Config(_) | Self::Schema1 | Self::Other => {
                None
            }
        }
    }
}

impl LayerMediaType {
    /// Returns the media type as text. Docker has no word for every layer that OCI has one for; what it
    /// lacks is called by OCI's.
    pub fn as_str(self) -> &'static str {
        use Distribution::{Free, Restricted};
        use Flavour::{Docker, Oci};
        use LayerCompression::{Gzip, None, Zstd};
        match (self.flavour, self.distribution, self.compression) {
            (Oci, Free, None) => OCI_LAYER,
            (Oci, Free, Gzip) => OCI_LAYER_GZIP,
            (Oci, Free, Zstd) => OCI_LAYER_ZSTD,
            (Oci, Restricted, None) => OCI_FOREIGN_LAYER,
            (Oci, Restricted, Gzip) => OCI_FOREIGN_LAYER_GZIP,
            (Oci | Docker, Restricted, Zstd) => OCI_FOREIGN_LAYER_ZSTD,
            (Docker, Free, None) => DOCKER_LAYER,
            (Docker, Free, Gzip) => DOCKER_LAYER_GZIP,
            (Docker, Free, Zstd) => DOCKER_LAYER_ZSTD,
            (Docker, Restricted, None) => DOCKER_FOREIGN_LAYER,
            (Docker, Restricted, Gzip) => DOCKER_FOREIGN_LAYER_GZIP,
        }
    }
}

/// Returns the media type of a layer in another flavour; what is no layer stays what it is.
pub fn layer_in_flavour(text: &str, flavour: Flavour) -> String {
    match MediaType::parse(text) {
        MediaType::Layer(layer) => LayerMediaType { flavour, ..layer }.as_str().to_owned(),
        MediaType::Index(_)
        | MediaType::Manifest(_)
        | MediaType::Config(_)
        | MediaType::Schema1
        | MediaType::Other => text.to_owned(),
    }
}

impl Flavour {
    /// Returns the media type of an index.
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_INDEX,
        }
    }

    /// Returns the media type of the manifest of an image.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    /// Returns the media type of the configuration of an image.
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }
}

impl LayerCompression {
    /// Returns the media type that careen gives to a layer compressed so.
    pub fn oci_media_type(self) -> &'static str {
        match self {
            Self::None => OCI_LAYER,
            Self::Gzip => OCI_LAYER_GZIP,
            Self::Zstd => OCI_LAYER_ZSTD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_media_type_has_one_meaning() {
        let table = [
            (OCI_INDEX, MediaType::Index(Flavour::Oci)),
            (DOCKER_INDEX, MediaType::Index(Flavour::Docker)),
            (OCI_MANIFEST, MediaType::Manifest(Flavour::Oci)),
            (DOCKER_CONFIG, MediaType::Config(Flavour::Docker)),
            (DOCKER_SCHEMA1, MediaType::Schema1),
            (DOCKER_SCHEMA1_SIGNED, MediaType::Schema1),
            (OCI_EMPTY, MediaType::Other),
            (
                "application/vnd.oci.image.layer.v1.tar+xz",
                MediaType::Other,
            ),
            ("", MediaType::Other),
        ];
        for (text, expected) in table {
            assert_eq!(MediaType::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_layer_has_a_media_type_in_each_flavour() {
        use Flavour::{Docker, Oci};
        for (text, flavour, expected) in [
            (OCI_LAYER_GZIP, Docker, DOCKER_LAYER_GZIP),
            (DOCKER_LAYER_ZSTD, Oci, OCI_LAYER_ZSTD),
            (DOCKER_LAYER, Docker, DOCKER_LAYER),
            (DOCKER_FOREIGN_LAYER, Oci, OCI_FOREIGN_LAYER),
            (OCI_FOREIGN_LAYER_ZSTD, Docker, OCI_FOREIGN_LAYER_ZSTD),
            (OCI_CONFIG, Docker, OCI_CONFIG),
            ("text/plain", Docker, "text/plain"),
        ] {
            assert_eq!(layer_in_flavour(text, flavour), expected, "{text}");
        }
        for (text, kind) in TABLE {
            if let MediaType::Layer(layer) = kind {
                assert_eq!(layer.as_str(), text);
            }
        }
    }

    #[test]
    fn layers_say_how_they_are_compressed() {
        let table = [
            (OCI_LAYER, Some(LayerCompression::None)),
            (OCI_FOREIGN_LAYER_ZSTD, Some(LayerCompression::Zstd)),
            (DOCKER_LAYER_GZIP, Some(LayerCompression::Gzip)),
            (OCI_CONFIG, None),
        ];
        for (text, expected) in table {
            assert_eq!(
                MediaType::parse(text).layer_compression(),
                expected,
                "{text}"
            );
        }
        for compression in [
            LayerCompression::None,
            LayerCompression::Gzip,
            LayerCompression::Zstd,
        ] {
            let media_type = MediaType::parse(compression.oci_media_type());
            assert_eq!(media_type.layer_compression(), Some(compression));
        }
    }
}
