//! Tests of the table of processors, of handlers and of the search for emulators.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

const LITTLE: &str = "ffffffffffffff00fffffffffffffffffeffffff";
const BIG: &str = "ffffffffffffff00fffffffffffffffffffeffff";

/// Name, magic and mask, with the numbers of the ELF registry and of each processor's ABI
/// supplement.
const SIGNATURES: [(&str, &str, &str); 10] = [
    ("amd64", "7f454c4602010100000000000000000002003e00", LITTLE),
    ("arm64", "7f454c460201010000000000000000000200b700", LITTLE),
    ("arm", "7f454c4601010100000000000000000002002800", LITTLE),
    ("386", "7f454c4601010100000000000000000002000300", LITTLE),
    (
        "riscv64",
        "7f454c460201010000000000000000000200f300",
        LITTLE,
    ),
    (
        "ppc64le",
        "7f454c4602010100000000000000000002001500",
        LITTLE,
    ),
    ("s390x", "7f454c4602020100000000000000000000020016", BIG),
    ("mips64", "7f454c4602020100000000000000000000020008", BIG),
    (
        "mips64le",
        "7f454c4602010100000000000000000002000800",
        LITTLE,
    ),
    (
        "loong64",
        "7f454c4602010100000000000000000002000201",
        LITTLE,
    ),
];

#[test]
fn the_others_are_all_but_this_one() {
    let own = Architecture::of_this_program().unwrap();
    let mut all: Vec<_> = Architecture::others().chain([own]).collect();
    all.sort_unstable();
    assert_eq!(all, Architecture::ALL);
}

#[test]
fn signatures_are_those_of_the_processors() {
    for (name, magic, mask) in SIGNATURES {
        let signature = Architecture::from_name(name).unwrap().elf().signature();
        let found = (hex(&signature.magic), hex(&signature.mask));
        assert_eq!(found, (magic.to_owned(), mask.to_owned()), "{name}");
    }
}

#[test]
fn names_lead_back_to_their_architecture() {
    for architecture in Architecture::ALL {
        assert_eq!(
            Architecture::from_name(architecture.name()),
            Some(architecture)
        );
    }
    assert_eq!(Architecture::from_name("sparc64"), None);
}

#[test]
fn a_registration_line_has_the_kernels_seven_fields() {
    let line = registration_line(
        Architecture::Arm64,
        Path::new("/usr/bin/qemu-aarch64-static"),
        HandlerFlags::ALL,
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        concat!(
            r":qemu-aarch64:M:0",
            r":\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
            r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
            r":/usr/bin/qemu-aarch64-static:POCF",
        )
    );
}

#[test]
fn a_registration_line_has_a_delimiter_that_the_path_has_not() {
    let flags = HandlerFlags::ALL;
    let line = registration_line(Architecture::Arm, Path::new("/a:b/qemu-arm"), flags).unwrap();
    assert!(line.starts_with(b"|qemu-arm|M|0|"));
    assert!(line.ends_with(b"|/a:b/qemu-arm|POCF"));
    for path in ["/a:b|c%d!e", "/a\nb"] {
        let error = registration_line(Architecture::Arm, Path::new(path), flags).unwrap_err();
        assert_eq!(error, RegistrationError::Path { path: path.into() });
    }
    let long = PathBuf::from(format!("/{}", "x".repeat(REGISTRATION_LIMIT_BYTES)));
    let error = registration_line(Architecture::Arm, &long, flags).unwrap_err();
    assert_eq!(error, RegistrationError::TooLong { path: long });
}

#[test]
fn flags_are_read_and_written_as_letters() {
    let cases = [("POCF", HandlerFlags::ALL), ("", HandlerFlags::default())];
    for (letters, flags) in cases {
        assert_eq!(flags.to_string(), letters);
        assert_eq!(HandlerFlags::from_letters(letters), flags);
    }
    let flags = HandlerFlags {
        fix_binary: true,
        ..HandlerFlags::default()
    };
    assert_eq!(HandlerFlags::from_letters("DF"), flags);
}

const HANDLER: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n\
     magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

#[test]
fn a_handler_of_the_host_is_read() {
    let handler = HostRegistration::parse("qemu-aarch64", HANDLER).unwrap();
    assert!(handler.enabled);
    assert_eq!(
        handler.interpreter,
        Path::new("/usr/bin/qemu-aarch64-static")
    );
    assert_eq!(
        handler.flags,
        HandlerFlags {
            preserve_argv0: false,
            ..HandlerFlags::ALL
        }
    );
    for architecture in Architecture::ALL {
        assert_eq!(
            handler.starts(architecture),
            architecture == Architecture::Arm64
        );
    }
}

#[test]
fn a_handler_of_another_form_is_no_handler() {
    let cases = [
        "",
        "enabled\n",
        "enabled\ninterpreter /bin/x\nflags: \nextension .exe\n",
        "enabled\ninterpreter /bin/x\nflags: \noffset 0\nmagic 7f4\n",
        "enabled\ninterpreter /bin/x\nflags: \noffset x\nmagic 7f\n",
        "enabled\ninterpreter /bin/x\nflags: \noffset 0\nmagic 7f45\nmask ff\n",
    ];
    for text in cases {
        assert_eq!(HostRegistration::parse("x", text), None, "{text:?}");
    }
}

#[test]
fn a_usable_handler_is_switched_on_and_holds_its_interpreter() {
    let cases = [
        (HANDLER.to_owned(), true),
        (HANDLER.replace("enabled", "disabled"), false),
        (HANDLER.replace("OCF", "OC"), false),
        (HANDLER.replace("0200b700", "02003e00"), false),
    ];
    for (text, usable) in cases {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("status"), "enabled\n").unwrap();
        std::fs::write(directory.path().join("handler"), &text).unwrap();
        let found = HostRegistrations::read(directory.path()).unwrap();
        assert_eq!(
            found.usable(Architecture::Arm64).is_some(),
            usable,
            "{text}"
        );
        std::fs::write(directory.path().join("status"), "disabled\n").unwrap();
        assert_eq!(
            HostRegistrations::read(directory.path()).unwrap(),
            HostRegistrations::default()
        );
    }
}

#[test]
fn a_host_without_binfmt_misc_has_no_handlers() {
    let directory = tempfile::tempdir().unwrap();
    let emulators =
        SystemEmulators::new(Vec::new()).with_registrations(directory.path().join("missing"));
    assert_eq!(
        emulators.host_registrations().unwrap(),
        HostRegistrations::default()
    );
}

/// Makes a small ELF file for this machine with program headers of these types.
fn program(path: &Path, types: &[u32]) {
    let mut bytes = vec![0; 64];
    bytes[..20].copy_from_slice(&Architecture::Amd64.elf().header());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&u16::try_from(types.len()).unwrap().to_le_bytes());
    for kind in types {
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; 52]);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_first_static_emulator_is_found() {
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let emulators = SystemEmulators::new(vec![first.path().into(), second.path().into()]);
    program(&first.path().join("qemu-aarch64"), &[1, 3, 1]);
    std::fs::write(first.path().join("qemu-aarch64-static"), "#!/bin/sh\n").unwrap();
    let error = emulators.find(Architecture::Arm64).unwrap_err();
    let (one, other) = (first.path().display(), second.path().display());
    assert_eq!(
        error.to_string(),
        format!(
            "find an emulator for arm64: looked for qemu-aarch64-static and qemu-aarch64 in {one}, \
             {other}; {one}/qemu-aarch64 needs libraries of this machine"
        )
    );
    program(&second.path().join("qemu-aarch64"), &[1, 1]);
    assert_eq!(
        emulators.find(Architecture::Arm64).unwrap(),
        second.path().join("qemu-aarch64")
    );
}

#[test]
fn a_file_that_claims_too_much_is_no_emulator() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qemu-arm");
    program(&path, &[1; 513]);
    assert_eq!(elf::linkage(&path).unwrap(), Linkage::NotElf);
    program(&path, &[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    assert!(!matches!(
        elf::linkage(&path),
        Ok(Linkage::Static | Linkage::Dynamic)
    ));
}

#[test]
fn the_hosts_handlers_are_changed_by_writing_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let missing = Registrar::open(directory.path()).unwrap_err();
    assert!(
        matches!(missing, RegistrarError::NotMounted { .. }),
        "{missing}"
    );
    std::fs::write(path("register"), "").unwrap();
    let registrar = Registrar::open(directory.path()).unwrap();
    let emulator = Path::new("/usr/bin/qemu-aarch64-static");
    assert!(registrar.add(Architecture::Arm64, emulator).unwrap());
    let line = std::fs::read_to_string(path("register")).unwrap();
    assert!(line.starts_with(":qemu-aarch64:M:0:"), "{line}");
    assert!(
        line.ends_with(":/usr/bin/qemu-aarch64-static:POCF"),
        "{line}"
    );
    assert!(!registrar.remove(Architecture::Arm64).unwrap());
    std::fs::write(path("qemu-aarch64"), "").unwrap();
    assert!(!registrar.add(Architecture::Arm64, emulator).unwrap());
    assert!(registrar.remove(Architecture::Arm64).unwrap());
    assert_eq!(std::fs::read_to_string(path("qemu-aarch64")).unwrap(), "-1");
}

#[test]
fn an_emulator_is_a_program_of_this_processor_that_stands_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qemu");
    let made = |architecture: Architecture, segment: u8| {
        let mut bytes = vec![0; 64 + 56];
        let signature = architecture.elf().signature();
        bytes[..signature.magic.len()].copy_from_slice(&signature.magic);
        (bytes[32], bytes[54], bytes[56], bytes[64]) = (64, 56, 1, segment);
        std::fs::write(&path, bytes).unwrap();
        is_usable(&path).unwrap()
    };
    let own = Architecture::of_this_program().unwrap();
    let other = [Architecture::Arm64, Architecture::Riscv64];
    let other = other.into_iter().find(|one| *one != own).unwrap();
    assert!(made(own, 1));
    assert!(!made(own, 3));
    assert!(!made(other, 1));
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    assert!(!is_usable(&path).unwrap());
}
