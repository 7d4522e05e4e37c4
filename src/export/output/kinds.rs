//! The kinds of outputs that are files, and `type=docker`, which is one with `dest` alone.

use super::attribute::Attribute;
use super::publication::{self, Push};
use super::{
    Destination, LayoutForm, LocalMode, OutputError, OutputSpec, TreeOptions, image, tree,
};

pub(super) fn oci(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    let mut destination = Destination::Stdout;
    let mut form = LayoutForm::Archive;
    let mut image = image::Draft::new(oci::media_type::Flavour::Oci);
    for attribute in attributes {
        match attribute.key.as_str() {
            "type" => {}
            "dest" => destination = attribute.destination(),
            "tar" if attribute.boolean()? => form = LayoutForm::Archive,
            "tar" => form = LayoutForm::Directory,
            _ if image.set(attribute)? => {}
            _ => return Err(attribute.unknown("oci", &[&["dest", "tar"], image::KEYS])),
        }
    }
    if destination == Destination::Stdout && form == LayoutForm::Directory {
        let kind = "oci,tar=false";
        return Err(OutputError::DirectoryToStdout { kind });
    }
    let mut image = image.finish()?;
    image.tag_names();
    Ok(OutputSpec::Oci {
        destination,
        form,
        image,
    })
}

pub(super) fn docker(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    for attribute in attributes {
        match attribute.key.as_str() {
            "tar" if attribute.boolean()? => {}
            "tar" | "context" => return Err(attribute.unsupported()),
            _ => {}
        }
    }
    if attributes.iter().any(|attribute| attribute.is("dest")) {
        return docker_archive(attributes);
    }
    let others = attributes.iter().filter(|attribute| !attribute.is("tar"));
    publication::parse(others, "docker", Push::No)
}

fn docker_archive(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    let mut destination = Destination::Stdout;
    let mut image = image::Draft::new(oci::media_type::Flavour::Docker);
    for attribute in attributes {
        match attribute.key.as_str() {
            "type" | "tar" => {}
            "dest" => destination = attribute.destination(),
            _ if image.set(attribute)? => {}
            _ => return Err(attribute.unknown("docker", &[&["dest", "tar"], image::KEYS])),
        }
    }
    let mut image = image.finish()?;
    image.tag_names();
    Ok(OutputSpec::Docker { destination, image })
}

pub(super) fn local(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    let mut destination = None;
    let mut mode = LocalMode::Copy;
    let mut tree = TreeOptions::default();
    for attribute in attributes {
        match attribute.key.as_str() {
            "type" => {}
            "dest" => destination = Some(attribute.destination()),
            "mode" => mode = LocalMode::parse(attribute)?,
            _ if tree.set(attribute)? => {}
            _ => return Err(attribute.unknown("local", &[&["dest", "mode"], tree::KEYS])),
        }
    }
    match destination {
        Some(Destination::Path(directory)) => Ok(OutputSpec::Local {
            directory,
            mode,
            tree,
        }),
        Some(Destination::Stdout) => Err(OutputError::DirectoryToStdout { kind: "local" }),
        None => Err(OutputError::NoDirectory),
    }
}

pub(super) fn tar(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    let mut destination = Destination::Stdout;
    let mut tree = TreeOptions::default();
    for attribute in attributes {
        match attribute.key.as_str() {
            "type" => {}
            "dest" => destination = attribute.destination(),
            _ if tree.set(attribute)? => {}
            _ => return Err(attribute.unknown("tar", &[&["dest"], tree::KEYS])),
        }
    }
    Ok(OutputSpec::Tar { destination, tree })
}

pub(super) fn cache_only(attributes: &[Attribute<'_>]) -> Result<OutputSpec, OutputError> {
    match attributes.iter().find(|attribute| !attribute.is("type")) {
        Some(attribute) => Err(attribute.unknown("cacheonly", &[])),
        None => Ok(OutputSpec::CacheOnly),
    }
}
