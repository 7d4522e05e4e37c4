//! What a step does, as what later builds compare.

use std::sync::Arc;

use graph::{Op, SourceOp, Vertex};
use oci::Platform;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What a step does, as what is compared: [`Op`] as JSON, with the platform that it is done on (`on`).
#[derive(Debug, Clone)]
pub enum Operation {
    /// That of a vertex.
    Of(Arc<(Op, Platform)>),
    /// One that was written down.
    Written(Value),
}

impl Operation {
    /// Returns the operation of a vertex.
    pub fn of(vertex: &Vertex) -> Self {
        Self::Of(Arc::new((vertex.op.clone(), vertex.platform.clone())))
    }

    /// Returns which kind it is: `source`, `exec` or `file`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Of(of) => match of.0 {
                Op::Source(_) => "source",
                Op::Exec(_) => "exec",
                Op::File(_) => "file",
            },
            Self::Written(value) => value.get("op").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    /// Returns the manifest of the base that it brings in, if it does.
    pub fn manifest(&self) -> Option<&str> {
        match self {
            Self::Of(of) => match &of.0 {
                Op::Source(SourceOp::Image(image)) => Some(image.manifest.as_str()),
                Op::Source(_) | Op::Exec(_) | Op::File(_) => None,
            },
            Self::Written(value) => value.get("manifest")?.as_str(),
        }
    }

    /// Returns it as JSON.
    pub fn written(&self) -> Value {
        match self {
            Self::Written(value) => value.clone(),
            // Strings, numbers and lists are all that it is made of, and JSON holds them.
            Self::Of(_) => serde_json::to_value(self).unwrap_or_default(),
        }
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(flatten)]
            op: &'a Op,
            on: &'a Platform,
        }
        match self {
            Self::Of(of) => Written {
                op: &of.0,
                on: &of.1,
            }
            .serialize(to),
            Self::Written(value) => value.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(Self::Written)
    }
}

#[cfg(test)]
mod tests {
    use graph::{FileAction, FileOp, ImageOrigin, ImageSource, MakeDirectory};
    use oci::Digest;

    use super::*;

    fn operation(op: Op) -> Operation {
        let platform = Platform::new("linux", "amd64");
        Operation::Of(Arc::new((op, platform)))
    }

    #[test]
    fn an_operation_says_the_same_of_itself_when_it_was_written_down() {
        let manifest = Digest::of(b"manifest");
        let image = operation(Op::Source(SourceOp::Image(ImageSource {
            name: "base".to_owned(),
            manifest: manifest.clone(),
            platform: Platform::new("linux", "amd64"),
            origin: ImageOrigin::Store,
            pinned: None,
        })));
        let file = operation(Op::File(FileOp {
            action: FileAction::MakeDirectory(MakeDirectory {
                path: "/a".to_owned(),
                mode: 0o755,
                owner: None,
            }),
        }));
        for (operation, kind, manifest) in [
            (image, "source", Some(manifest.as_str())),
            (file, "file", None),
        ] {
            let text = serde_json::to_string(&operation).unwrap();
            let written: Operation = serde_json::from_str(&text).unwrap();
            for operation in [&operation, &written] {
                assert_eq!(operation.kind(), kind);
                assert_eq!(operation.manifest(), manifest);
                assert_eq!(operation.written()["on"]["architecture"], "amd64");
            }
            assert_eq!(serde_json::to_string(&written).unwrap(), text);
        }
    }
}
