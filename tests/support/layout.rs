//! Images to build upon, as OCI image layouts (image-spec, image-layout.md).
#![expect(
    clippy::disallowed_methods,
    reason = "busybox is asked which applets it has"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use oci::config::History;
use oci::descriptor::{self, Descriptor};
use oci::digest::{DiffId, Digest};
use oci::{ImageConfig, Platform, RunConfig, Timestamp, media_type};

use crate::needs::BUSYBOX;
use crate::tarball::{self, Entry};

/// A program of `arm64` that prints `arm64`: too small to be worth a compiler.
const ARM64_PROGRAM: [u8; 158] = arm64_program();

/// An image to build upon.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// What it is for.
    pub platform: Platform,
    /// Its layers, the bottom one first.
    pub layers: Vec<Vec<Entry>>,
    /// How its containers run.
    pub config: RunConfig,
}

impl BaseImage {
    /// Makes an image of one layer for a platform.
    pub fn new(platform: &str, entries: Vec<Entry>) -> Self {
        let (os, architecture) = platform
            .split_once('/')
            .expect("a platform is OS/ARCHITECTURE");
        let path = "PATH=/usr/local/bin:/usr/bin:/bin".to_owned();
        Self {
            platform: Platform::new(os, architecture),
            layers: vec![entries],
            config: RunConfig {
                env: vec![path],
                ..RunConfig::default()
            },
        }
    }

    /// Makes an image of this machine's busybox, which knows the users `root`, `app` (1000, with the further
    /// group `staff`) and `nobody`.
    pub fn busybox() -> Self {
        let program = fs::read(BUSYBOX).expect("the test has asked for a busybox");
        let list = Command::new(BUSYBOX)
            .arg("--list")
            .output()
            .expect("busybox runs");
        let list = String::from_utf8(list.stdout).expect("the names of applets are text");
        let directories = [
            "bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin",
        ];
        let mut entries: Vec<_> = directories.into_iter().map(Entry::directory).collect();
        entries.push(Entry::directory("home/app").owner(1000, 1000));
        entries.push(Entry::directory("tmp").mode(0o1777));
        entries.push(Entry::file("bin/busybox", program).mode(0o755));
        let applets = list.lines().filter(|applet| *applet != "busybox");
        entries.extend(applets.map(|applet| Entry::symlink(&format!("bin/{applet}"), "busybox")));
        entries.push(Entry::file("etc/passwd", PASSWD));
        entries.push(Entry::file("etc/group", GROUP));
        Self::new(&host_platform(), entries)
    }

    /// Makes an image for `linux/arm64` with the one program `/say`, which prints `arm64`.
    pub fn arm64() -> Self {
        Self::new(
            "linux/arm64",
            vec![Entry::file("say", ARM64_PROGRAM).mode(0o755)],
        )
    }

    /// Writes the blobs of the image and returns the descriptor of its manifest.
    fn write(&self, layout: &Path) -> Descriptor {
        let mut layers = Vec::new();
        let mut config = ImageConfig::new(&self.platform);
        let created = Timestamp::from_unix_seconds(0).expect("1970 is a time");
        config.created = Some(created);
        config.config = self.config.clone();
        for entries in &self.layers {
            let tar = tarball::write(entries);
            config.rootfs.diff_ids.push(DiffId::new(Digest::of(&tar)));
            config.history.push(History {
                created: Some(created),
                created_by: Some("a test".to_owned()),
                ..History::default()
            });
            layers.push(write_blob(layout, media_type::OCI_LAYER, &tar));
        }
        let config = write_blob(layout, media_type::OCI_CONFIG, &config.to_bytes());
        let manifest = descriptor::to_canonical_json(&descriptor::new_manifest(config, layers));
        let manifest = write_blob(layout, media_type::OCI_MANIFEST, &manifest);
        descriptor::with_platform(manifest, &self.platform)
    }
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n\
    nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\napp:x:1000:\nstaff:x:50:app\nnobody:x:65534:\n";

/// Writes a layout whose tag `latest` is an index of these images.
pub fn write(layout: &Path, images: &[BaseImage]) {
    fs::create_dir_all(layout.join("blobs/sha256")).expect("the layout can be made");
    let manifests = images.iter().map(|image| image.write(layout)).collect();
    let index = descriptor::to_canonical_json(&descriptor::new_index(manifests));
    let index = write_blob(layout, media_type::OCI_INDEX, &index);
    let name = (
        "org.opencontainers.image.ref.name".to_owned(),
        "latest".to_owned(),
    );
    let index = descriptor::with_annotations(index, &[name].into_iter().collect());
    let index = descriptor::to_canonical_json(&descriptor::new_index(vec![index]));
    fs::write(layout.join("index.json"), index).expect("the layout can be written");
    fs::write(
        layout.join("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("the layout can be written");
}

fn write_blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(bytes);
    fs::write(layout.join("blobs/sha256").join(digest.encoded()), bytes)
        .expect("the layout can be written");
    descriptor::descriptor(media_type, &digest, bytes.len() as u64)
}

/// Returns this machine's platform.
pub fn host_platform() -> String {
    Platform::new("linux", std::env::consts::ARCH)
        .normalized()
        .to_string()
}

/// Returns an ELF executable (elf(5)): header, one segment of it all, eight instructions, a text.
const fn arm64_program() -> [u8; 158] {
    const BASE: u32 = 0x0040_0000;
    const CODE: [u32; 8] = [
        0xd280_0020, // mov x0, #1
        0x1000_00e1, // adr x1, the text, seven instructions on
        0xd280_00c2, // mov x2, #6
        0xd280_0808, // mov x8, #64, write
        0xd400_0001, // svc #0
        0xd280_0000, // mov x0, #0
        0xd280_0ba8, // mov x8, #93, exit
        0xd400_0001, // svc #0
    ];
    let head: &[(usize, u32)] = &[
        (0, u32::from_le_bytes(*b"\x7fELF")),
        (4, 0x0001_0102),  // 64 bit, little endian, version 1
        (16, 0x00b7_0002), // an executable for AArch64
        (20, 1),
        (24, BASE + 120),  // where it begins
        (32, 64),          // the program header
        (52, 0x0038_0040), // the sizes of both headers
        (56, 1),
        (64, 1), // PT_LOAD
        (68, 5), // readable, executable
        (80, BASE),
        (88, BASE),
        (96, 158),
        (104, 158),
        (112, 0x1000),
    ];
    let mut program = [0; 158];
    let mut index = 0;
    while index < head.len() {
        put(&mut program, head[index].0, head[index].1.to_le_bytes());
        index += 1;
    }
    index = 0;
    while index < CODE.len() {
        put(&mut program, 120 + 4 * index, CODE[index].to_le_bytes());
        index += 1;
    }
    put(&mut program, 152, *b"arm6");
    program[156] = b'4';
    program[157] = b'\n';
    program
}

const fn put(program: &mut [u8; 158], at: usize, bytes: [u8; 4]) {
    let mut index = 0;
    while index < 4 {
        program[at + index] = bytes[index];
        index += 1;
    }
}
