//! Emulators out of directories and packages. The program of these tests is none that stands alone, so what is an emulator is
//! made: a header of this processor.

use std::fs::OpenOptions;

use super::super::deb::tests::package;
use super::*;

/// Makes an ELF file of an architecture; static but for what names an interpreter.
fn elf(architecture: Architecture, segment: u8) -> Vec<u8> {
    let signature = architecture.elf().signature();
    let mut bytes = vec![0; 64 + 56];
    bytes[..signature.magic.len()].copy_from_slice(&signature.magic);
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64] = segment;
    bytes
}

fn own() -> Architecture {
    Architecture::of_this_program().unwrap()
}

/// Another processor than this one, little endian and of 64 bits, so that the header's fields are where they are written.
fn other() -> Architecture {
    if own() == Architecture::Arm64 {
        Architecture::Amd64
    } else {
        Architecture::Arm64
    }
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = layer::ArchiveWriter::new(Vec::new());
    for (name, bytes) in files {
        let mut content = *bytes;
        archive
            .file(name, bytes.len() as u64, &mut content)
            .unwrap();
    }
    archive.finish().unwrap()
}

fn taken(path: &Path, wanted: &[Architecture], is_all: bool) -> (Result<(), String>, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data/emulators");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(".qemu-s390x-static.1"), "left").unwrap();
    let mut supply = Supply::new(wanted, Some(directory.clone())).unwrap();
    let done = supply
        .take_path(path)
        .and_then(|()| supply.finish("here", is_all));
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let told = |error: SupplyError| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    (done.map_err(told), names)
}

#[test]
fn a_directory_is_looked_through_where_emulators_lie() {
    let wanted = [
        Architecture::S390x,
        Architecture::Riscv64,
        Architecture::Ppc64le,
    ];
    let from = tempfile::tempdir().unwrap();
    let bin = from.path().join("usr/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("qemu-s390x"), elf(own(), 1)).unwrap();
    fs::write(bin.join("qemu-riscv64-static"), elf(other(), 1)).unwrap();
    fs::write(bin.join("qemu-ppc64le"), elf(own(), 3)).unwrap();
    fs::write(bin.join("qemu-arm"), elf(own(), 1)).unwrap();
    let (done, names) = taken(from.path(), &wanted, true);
    assert_eq!(
        (done, names),
        (Ok(()), vec!["qemu-s390x-static".to_owned()])
    );
    let (done, names) = taken(from.path(), &wanted, false);
    assert_eq!(
        done.unwrap_err(),
        "`here` has no emulator of riscv64, ppc64le: qemu-riscv64-static, qemu-ppc64le is not of this processor, or needs libraries"
    );
    assert_eq!(names, ["qemu-s390x-static"]);
    fs::write(from.path().join("qemu-ppc64le-static"), elf(own(), 1)).unwrap();
    let (done, _) = taken(from.path(), &[Architecture::Ppc64le], false);
    assert_eq!(done, Ok(()));
}

#[test]
fn a_package_is_read_and_nothing_but_emulators_is_written() {
    let files = tar(&[
        ("./etc/passwd", b"root"),
        ("./usr/bin/qemu-s390x-static", &elf(own(), 1)),
        ("./opt/qemu-riscv64-static", &elf(own(), 1)),
        ("./usr/bin/qemu-vax-static", &elf(own(), 1)),
    ]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("qemu.deb");
    let deb = package(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", b""),
        ("data.tar", &files),
    ]);
    fs::write(&path, deb).unwrap();
    let wanted = [Architecture::S390x, Architecture::Riscv64];
    let (done, names) = taken(&path, &wanted, false);
    assert_eq!(done, Ok(()));
    assert_eq!(names, ["qemu-riscv64-static", "qemu-s390x-static"]);
    let (done, names) = taken(&path, &[Architecture::Arm], true);
    assert_eq!(done.unwrap_err(), "`here` has no emulator of arm");
    assert!(names.is_empty());
}

#[test]
fn what_is_no_package_is_refused_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.deb");
    let cut = tar(&[("./qemu-s390x", &elf(own(), 1))]);
    let cut = package(&[("data.tar", &cut[..540])]);
    for (bytes, expected) in [
        (&b"MZ"[..], "no Debian package"),
        (&cut, "read the archive"),
    ] {
        fs::write(&path, bytes).unwrap();
        let (done, names) = taken(&path, &[Architecture::S390x], true);
        let error = done.unwrap_err();
        assert!(
            error.contains(expected) || error.contains("cannot read"),
            "{error}"
        );
        assert!(names.is_empty(), "{names:?}");
    }
    assert!(matches!(Supply::new(&[], None), Err(SupplyError::NoPlace)));
}

#[test]
fn a_full_disk_is_the_machines_fault_and_what_cannot_be_read_is_the_users() {
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
    let at = Path::new("/dev/full");
    let full = OpenOptions::new().write(true).open(at).unwrap();
    let home = tempfile::tempfile().unwrap();
    let bytes = elf(own(), 1);
    let size_bytes = bytes.len() as u64;
    let content = Content::Bytes(bytes.clone().into());
    let unfit = Content::Bytes(Vec::new().into());
    for (done, kind, expected) in [
        (
            copy(&bytes[..], (&full, at), "qemu-arm"),
            Kind::Host,
            "cannot write `/dev/full`",
        ),
        (
            fill((&full, at), "qemu-arm", size_bytes, &content),
            Kind::Host,
            "cannot write `/dev/full`",
        ),
        (
            copy(Torn, (&home, at), "qemu-arm"),
            Kind::User,
            "cannot read `qemu-arm`",
        ),
        (
            fill((&home, at), "qemu-arm", size_bytes, &unfit),
            Kind::User,
            "cannot read `qemu-arm`",
        ),
    ] {
        let error = done.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(refused(&error).kind, kind, "{error}");
    }
}
