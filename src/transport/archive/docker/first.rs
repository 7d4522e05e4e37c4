//! The first archives of `docker save`, from before Docker 1.10: each layer is an image with a parent.

use std::collections::BTreeMap;

use oci::descriptor;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::DOCKER_CONFIG;
use oci::{Digest, ImageConfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::ArchiveSourceError;
use super::super::tar_file::TarFile;
use super::{Form, Making, SavedImage, parse};
use crate::limits::CHAIN_MAX;
use crate::place::Document;

/// The file that names the last image of each chain.
const REPOSITORIES_FILE: &str = "repositories";

/// What an image says of itself that is of the chain and not of the image.
const OF_THE_CHAIN: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// What of an image's JSON is looked at.
#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    container_config: Option<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(default)]
    cmd: Option<Vec<String>>,
}

impl Link {
    /// Returns what the history has of it.
    fn history(&self) -> Value {
        let command = self.container_config.as_ref();
        let command = command.and_then(|container| container.cmd.as_ref());
        let mut entry = Map::new();
        for (key, value) in [
            ("created", self.created.clone()),
            ("created_by", command.map(|words| words.join(" "))),
            ("author", self.author.clone()),
            ("comment", self.comment.clone()),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                entry.insert(key.to_owned(), Value::String(value));
            }
        }
        Value::Object(entry)
    }
}

/// Returns what such an archive lists; nothing where it is none.
pub(super) fn listed(tar: &TarFile) -> Result<Option<Vec<SavedImage>>, ArchiveSourceError> {
    let Some(bytes) = tar.document(REPOSITORIES_FILE, MANIFEST_MAX_BYTES)? else {
        return Ok(None);
    };
    let repositories: BTreeMap<String, BTreeMap<String, String>> =
        parse(tar, REPOSITORIES_FILE, &bytes)?;
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, tags) in repositories {
        for (tag, id) in tags {
            images.entry(id).or_default().push(format!("{name}:{tag}"));
        }
    }
    let saved = |(id, tags)| SavedImage {
        form: Form::Chain(id),
        tags,
    };
    Ok(Some(images.into_iter().map(saved).collect()))
}

impl Making<'_> {
    /// Makes the configuration and the manifest of a chain.
    pub(super) fn chained(&mut self, last: &str) -> Result<Document, ArchiveSourceError> {
        let (mut ids, mut history) = (Vec::new(), Vec::new());
        let mut next = Some(last.to_owned());
        while let Some(id) = next.filter(|id| !id.is_empty()) {
            if ids.len() == CHAIN_MAX || ids.contains(&id) {
                return Err(ArchiveSourceError::Chain {
                    path: self.tar.path.clone(),
                    id,
                });
            }
            let (bytes, name) = self.json_of(&id)?;
            let link: Link = parse(self.tar, &name, &bytes)?;
            history.push(link.history());
            next = link.parent;
            ids.push(id);
        }
        ids.reverse();
        history.reverse();
        let layers = ids.iter().map(|id| self.layer(&format!("{id}/layer.tar")));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let diff_ids = layers.iter().map(|layer| layer.diff_id.to_string());
        let diff_ids: Vec<_> = diff_ids.collect();
        let config = self.config_of(last, &diff_ids, history)?;
        let digest = Digest::of(&config);
        let described = descriptor::descriptor(DOCKER_CONFIG, &digest, config.len() as u64);
        self.documents.insert(digest, config);
        let layers = layers.into_iter().map(|layer| layer.descriptor);
        Ok(self.manifest(described, layers.collect()))
    }

    fn json_of(&self, id: &str) -> Result<(Vec<u8>, String), ArchiveSourceError> {
        let name = format!("{id}/json");
        let (bytes, _) = self.config(&name)?;
        Ok((bytes, name))
    }

    /// Makes a configuration of what the last image says of itself.
    fn config_of(
        &self,
        id: &str,
        diff_ids: &[String],
        history: Vec<Value>,
    ) -> Result<Vec<u8>, ArchiveSourceError> {
        let (bytes, name) = self.json_of(id)?;
        let mut config: Map<String, Value> = parse(self.tar, &name, &bytes)?;
        for key in OF_THE_CHAIN {
            config.remove(key);
        }
        for (key, value) in [("architecture", "amd64"), ("os", "linux")] {
            // The first of all had nothing else, and said nothing of it.
            config.entry(key).or_insert_with(|| value.into());
        }
        let root = json!({ "type": "layers", "diff_ids": diff_ids });
        config.insert("rootfs".to_owned(), root);
        config.insert("history".to_owned(), Value::Array(history));
        let bytes = descriptor::to_canonical_json(&Value::Object(config));
        ImageConfig::parse(&bytes).map_err(|source| ArchiveSourceError::Config {
            path: self.tar.path.clone(),
            name,
            source,
        })?;
        Ok(bytes)
    }
}
