//! Annotations: what a user says of an image, and where it stands.
//!
//! ```text
//! --annotation  [TARGET[,TARGET…]:]KEY=VALUE
//! --output      annotation[-TARGET].KEY=VALUE
//! TARGET        LEVEL[[PLATFORM]]    LEVEL  manifest | manifest-descriptor | index | index-descriptor
//! ```
//!
//! Without a target it is the manifest of every platform.

use std::collections::BTreeMap;

use oci::Platform;
use oci::platform::PlatformError;

use crate::output::IndexForm;

/// Something that is said of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Where it stands.
    pub level: AnnotationLevel,
    /// The platform whose manifest it is about; all of them if none.
    pub platform: Option<Platform>,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Where an annotation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationLevel {
    /// In a manifest.
    Manifest,
    /// In the descriptor of a manifest.
    ManifestDescriptor,
    /// In the index.
    Index,
    /// In the descriptor of the index.
    IndexDescriptor,
}

/// The levels, by the words for them.
const LEVELS: [(&str, AnnotationLevel); 4] = [
    ("manifest", AnnotationLevel::Manifest),
    ("manifest-descriptor", AnnotationLevel::ManifestDescriptor),
    ("index", AnnotationLevel::Index),
    ("index-descriptor", AnnotationLevel::IndexDescriptor),
];

/// Why an annotation cannot be understood, or has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// It has no `=`, or nothing before it.
    #[error("the annotation `{text}` is no `KEY=VALUE`")]
    KeyValue {
        /// The annotation.
        text: String,
    },
    /// The level is not known.
    #[error(
        "the annotation `{text}` is for `{level}`: `manifest`, `manifest-descriptor`, `index` and \
         `index-descriptor` are known"
    )]
    Level {
        /// The annotation.
        text: String,
        /// The level.
        level: String,
    },
    /// The platform is none.
    #[error("the annotation `{text}` is for `{platform}`, which is no platform")]
    Platform {
        /// The annotation.
        text: String,
        /// The platform.
        platform: String,
        /// Why.
        source: PlatformError,
    },
    /// An index is of no platform.
    #[error("the annotation `{text}` is for the index, which has no platform")]
    IndexPlatform {
        /// The annotation.
        text: String,
    },
    /// There is no index.
    #[error("the annotation `{key}` is for an index, and the image of one platform has none")]
    NoIndex {
        /// Its key.
        key: String,
    },
    /// The platform is not built.
    #[error("the annotation `{key}` is for `{platform}`, which is not built")]
    NotBuilt {
        /// Its key.
        key: String,
        /// The platform.
        platform: Platform,
    },
}

impl Annotation {
    /// Reads the value of an `--annotation`, which may stand in several places. What platforms leave out is
    /// `host`'s.
    ///
    /// # Errors
    ///
    /// Fails on what is not known.
    pub fn parse_flag(text: &str, host: &Platform) -> Result<Vec<Self>, AnnotationError> {
        let no_pair = || AnnotationError::KeyValue {
            text: text.to_owned(),
        };
        let (place, value) = text.split_once('=').ok_or_else(no_pair)?;
        let (targets, key) = place.split_once(':').unwrap_or(("manifest", place));
        if key.is_empty() {
            return Err(no_pair());
        }
        let read = |target| {
            let (level, platform) = parse_target(target, text, host)?;
            Ok(Self {
                level,
                platform,
                key: key.to_owned(),
                value: value.to_owned(),
            })
        };
        targets.split(',').map(read).collect()
    }

    /// Reads an attribute of an `--output`; none if it is no annotation.
    ///
    /// # Errors
    ///
    /// Fails on what is not known.
    pub fn parse_attribute(
        key: &str,
        value: &str,
        host: &Platform,
    ) -> Result<Option<Self>, AnnotationError> {
        let Some(rest) = key.strip_prefix("annotation") else {
            return Ok(None);
        };
        let Some((target, key)) = rest.split_once('.') else {
            return Ok(None);
        };
        let text = format!("annotation{rest}={value}");
        let (level, platform) = match target.strip_prefix('-') {
            Some(target) => parse_target(target, &text, host)?,
            // `annotation[linux/arm64].key`: the manifest needs no word.
            None => parse_target(&format!("manifest{target}"), &text, host)?,
        };
        if key.is_empty() {
            return Err(AnnotationError::KeyValue { text });
        }
        Ok(Some(Self {
            level,
            platform,
            key: key.to_owned(),
            value: value.to_owned(),
        }))
    }
}

fn parse_target(
    target: &str,
    text: &str,
    host: &Platform,
) -> Result<(AnnotationLevel, Option<Platform>), AnnotationError> {
    let inside = target
        .strip_suffix(']')
        .and_then(|rest| rest.split_once('['));
    let (word, platform) = inside.map_or((target, None), |(word, name)| (word, Some(name)));
    let level = LEVELS.iter().find(|(name, _)| *name == word);
    let Some((_, level)) = level else {
        return Err(AnnotationError::Level {
            text: text.to_owned(),
            level: word.to_owned(),
        });
    };
    let Some(name) = platform else {
        return Ok((*level, None));
    };
    if matches!(
        level,
        AnnotationLevel::Index | AnnotationLevel::IndexDescriptor
    ) {
        return Err(AnnotationError::IndexPlatform {
            text: text.to_owned(),
        });
    }
    let parsed = Platform::parse(name, host).map_err(|source| AnnotationError::Platform {
        text: text.to_owned(),
        platform: name.to_owned(),
        source,
    })?;
    Ok((*level, Some(parsed.normalized())))
}

/// Checks that everything that is said has a place in the image for these platforms.
pub(crate) fn check(
    annotations: &[Annotation],
    platforms: &[Platform],
    form: IndexForm,
) -> Result<(), AnnotationError> {
    let has_index = form == IndexForm::Always || platforms.len() > 1;
    for annotation in annotations {
        let key = || annotation.key.clone();
        let (level, platform) = (annotation.level, &annotation.platform);
        let of_index = matches!(
            level,
            AnnotationLevel::Index | AnnotationLevel::IndexDescriptor
        );
        if of_index && !has_index {
            return Err(AnnotationError::NoIndex { key: key() });
        }
        let is_built =
            |wanted: &Platform| platforms.iter().any(|built| built.normalized() == *wanted);
        if let Some(platform) = platform.clone().filter(|wanted| !is_built(wanted)) {
            let key = key();
            return Err(AnnotationError::NotBuilt { key, platform });
        }
    }
    Ok(())
}

/// Returns what is said in one place. What is said for one platform counts more than what is said for all.
pub(crate) fn at(
    annotations: &[Annotation],
    level: AnnotationLevel,
    platform: Option<&Platform>,
) -> BTreeMap<String, String> {
    let platform = platform.map(Platform::normalized);
    let mut found = BTreeMap::new();
    for wanted in [None, platform] {
        let here = annotations
            .iter()
            .filter(|annotation| annotation.level == level && annotation.platform == wanted);
        found.extend(here.map(|Annotation { key, value, .. }| (key.clone(), value.clone())));
    }
    found
}

/// Tells whether something is said that Docker's media types have no place for.
pub(crate) fn need_oci(annotations: &[Annotation]) -> bool {
    let beside_the_manifest =
        |annotation: &Annotation| annotation.level != AnnotationLevel::Manifest;
    annotations.iter().any(beside_the_manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Platform {
        Platform::new("linux", "amd64")
    }

    fn flag(text: &str) -> Result<Vec<Annotation>, AnnotationError> {
        Annotation::parse_flag(text, &host())
    }

    fn shown(annotation: &Annotation) -> String {
        let Annotation {
            level,
            platform,
            key,
            value,
        } = annotation;
        let platform = platform.as_ref().map(|platform| format!("[{platform}]"));
        format!("{level:?}{} {key}={value}", platform.unwrap_or_default())
    }

    #[test]
    fn an_annotation_says_where_it_stands() {
        for (text, expected) in [
            ("a=b", &["Manifest a=b"][..]),
            ("a=b=c:d", &["Manifest a=b=c:d"]),
            ("a=", &["Manifest a="]),
            ("index:a=b", &["Index a=b"]),
            (
                "index,manifest-descriptor[linux/arm64]:org.a=b",
                &["Index org.a=b", "ManifestDescriptor[linux/arm64] org.a=b"],
            ),
            ("manifest[arm64]:a=b", &["Manifest[linux/arm64] a=b"]),
        ] {
            let found: Vec<_> = flag(text).unwrap().iter().map(shown).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_attribute_is_an_annotation_too() {
        for (key, expected) in [
            ("annotation.Org.A", Some("Manifest Org.A=v")),
            (
                "annotation[linux/arm64].a",
                Some("Manifest[linux/arm64] a=v"),
            ),
            ("annotation-index.a", Some("Index a=v")),
            (
                "annotation-manifest-descriptor[linux/arm/v7].a",
                Some("ManifestDescriptor[linux/arm/v7] a=v"),
            ),
            ("annotation", None),
            ("name", None),
        ] {
            let found = Annotation::parse_attribute(key, "v", &host()).unwrap();
            assert_eq!(found.as_ref().map(shown).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        for (text, message) in [
            ("a", "the annotation `a` is no `KEY=VALUE`"),
            ("index:=b", "the annotation `index:=b` is no `KEY=VALUE`"),
            (
                "layer:a=b",
                "the annotation `layer:a=b` is for `layer`: `manifest`, `manifest-descriptor`, `index` \
                 and `index-descriptor` are known",
            ),
            (
                "index[linux/arm64]:a=b",
                "the annotation `index[linux/arm64]:a=b` is for the index, which has no platform",
            ),
            (
                "manifest[a/b/c/d]:a=b",
                "the annotation `manifest[a/b/c/d]:a=b` is for `a/b/c/d`, which is no platform",
            ),
        ] {
            assert_eq!(flag(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_is_said_has_a_place_in_the_image() {
        let platforms = [host(), Platform::new("linux", "arm64")];
        let check_of = |text: &str, platforms: &[Platform], form| {
            check(&flag(text).unwrap(), platforms, form).map_err(|error| error.to_string())
        };
        let none = "the annotation `a` is for an index, and the image of one platform has none";
        let foreign = "the annotation `a` is for `linux/s390x`, which is not built";
        let (several, always) = (IndexForm::ForSeveral, IndexForm::Always);
        assert_eq!(check_of("index:a=b", &platforms, several), Ok(()));
        assert_eq!(
            check_of("index:a=b", &platforms[..1], several),
            Err(none.to_owned())
        );
        assert_eq!(check_of("index:a=b", &platforms[..1], always), Ok(()));
        let text = "manifest[linux/s390x]:a=b";
        assert_eq!(check_of(text, &platforms, several), Err(foreign.to_owned()));
        assert_eq!(check_of("manifest[arm64]:a=b", &platforms, several), Ok(()));
    }

    #[test]
    fn what_is_said_for_one_platform_counts_more() {
        let said: Vec<_> = ["manifest[arm64]:a=arm", "a=all", "index:a=index"]
            .iter()
            .flat_map(|text| flag(text).unwrap())
            .collect();
        let a = |level, platform: Option<&Platform>| at(&said, level, platform).remove("a");
        let arm = Platform::new("linux", "arm64");
        let level = AnnotationLevel::Manifest;
        assert_eq!(a(level, Some(&arm)).as_deref(), Some("arm"));
        assert_eq!(a(level, Some(&host())).as_deref(), Some("all"));
        assert_eq!(a(AnnotationLevel::Index, None).as_deref(), Some("index"));
        assert_eq!(a(AnnotationLevel::IndexDescriptor, None), None);
    }
}
