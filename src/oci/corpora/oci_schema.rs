//! Operations of the table `oci-schema`.

use super::Case;
use crate::check::{parse_descriptor, parse_index, parse_layout, parse_manifest};
use crate::config::ImageConfig;

pub(super) fn check(case: &Case) -> Result<(), String> {
    if case.op() != "validate" {
        return case.unknown();
    }
    let bytes = case.text("text").as_bytes();
    let refusal = match case.text("kind") {
        "config" => ImageConfig::parse(bytes)
            .err()
            .map(|error| format!("{error:?}")),
        "descriptor" => parse_descriptor(bytes)
            .err()
            .map(|error| format!("{error:?}")),
        "index" => parse_index(bytes).err().map(|error| format!("{error:?}")),
        "layout" => parse_layout(bytes).err().map(|error| format!("{error:?}")),
        "manifest" => parse_manifest(bytes)
            .err()
            .map(|error| format!("{error:?}")),
        kind => return Err(format!("unknown kind `{kind}`")),
    };
    match (case.value["out"]["valid"].as_bool(), refusal) {
        (Some(true), None) | (Some(false), Some(_)) => Ok(()),
        // The schema asks for a layer where the prose says "SHOULD"; images without one are common.
        (Some(false), None) if has_no_layer(bytes) => Ok(()),
        (Some(true), Some(error)) => Err(format!("valid, but refused: {error}")),
        (Some(false), None) => Err("not valid, but accepted".to_owned()),
        (None, _) => Err("the case does not say whether it is valid".to_owned()),
    }
}

fn has_no_layer(bytes: &[u8]) -> bool {
    parse_manifest(bytes).is_ok_and(|manifest| manifest.layers().is_empty())
}
