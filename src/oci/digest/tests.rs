//! Digests, writers that hash and readers that verify.

use std::io::{self, Read, Write};

use proptest::prelude::*;

use super::*;

const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const HELLO_512: &str = "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

fn digest(text: &str) -> Digest {
    Digest::parse(text).unwrap()
}

fn diff_id(content: &str) -> DiffId {
    DiffId::new(Digest::of(content.as_bytes()))
}

#[test]
fn a_digest_has_an_algorithm_and_digits() {
    let sha256 = digest(HELLO);
    assert_eq!(Digest::of(b"hello"), sha256);
    assert_eq!(sha256.algorithm(), Algorithm::Sha256);
    assert_eq!(format!("sha256:{}", sha256.encoded()), HELLO);
    let sha512 = digest(HELLO_512);
    assert_eq!(
        (sha512.algorithm(), sha512.encoded().len()),
        (Algorithm::Sha512, 128)
    );
    assert_eq!(sha512.to_string(), HELLO_512);
}

/// Each text is a beginning, and a character that is added a number of times.
#[test]
fn t_e10_what_is_not_a_digest_does_not_become_one() {
    let table = [
        (
            "",
            'a',
            0,
            "digest `` is not of the form `algorithm:digits`",
        ),
        ("", 'a', 64, "is not of the form `algorithm:digits`"),
        ("sha256:", 'a', 0, "is not of the form `algorithm:digits`"),
        (":", 'a', 64, "is not of the form `algorithm:digits`"),
        ("md5:", 'a', 32, "has the unsupported algorithm `md5`"),
        ("SHA256:", 'a', 64, "has the unsupported algorithm `SHA256`"),
        ("sha384:", 'a', 96, "has the unsupported algorithm `sha384`"),
        ("sha256:", 'a', 63, "has 63 digits where sha256 has 64"),
        ("sha256:", 'a', 65, "has 65 digits where sha256 has 64"),
        ("sha512:", 'a', 64, "has 64 digits where sha512 has 128"),
        ("sha256:../../", 'x', 1, "has 7 digits where sha256 has 64"),
        ("sha256:", 'A', 64, "not a lower-case hexadecimal digit"),
        ("sha256:g", 'a', 63, "not a lower-case hexadecimal digit"),
        ("sha256:/", 'a', 63, "not a lower-case hexadecimal digit"),
    ];
    for (start, added, count, expected) in table {
        let text = start.to_owned() + &String::from(added).repeat(count);
        let message = Digest::parse(&text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
        let json_error = serde_json::from_value::<Digest>(text.into()).unwrap_err();
        assert_eq!(json_error.to_string(), message);
    }
}

#[test]
fn digests_are_texts_in_json() {
    let json = format!("\"{HELLO}\"");
    assert_eq!(serde_json::to_string(&digest(HELLO)).unwrap(), json);
    assert_eq!(
        serde_json::from_str::<DiffId>(&json).unwrap().digest(),
        &digest(HELLO)
    );
}

/// Computed with `printf 'sha256:… sha256:…' | sha256sum`.
#[test]
fn a_chain_id_names_a_layer_and_all_below() {
    let (a, b, c) = (diff_id("a"), diff_id("b"), diff_id("c"));
    assert_eq!(ChainId::of(&[]), None);
    let one = ChainId::of(std::slice::from_ref(&a)).unwrap();
    assert_eq!(one.digest(), a.digest());
    let two = ChainId::of(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(two.digest(), &Digest::of(format!("{a} {b}").as_bytes()));
    assert_eq!(
        two.to_string(),
        "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676"
    );
    assert_eq!(
        ChainId::of(&[a, b, c.clone()]),
        Some(ChainId::extend(Some(&two), &c))
    );
}

#[test]
fn a_digest_writer_hashes_what_the_writer_took() {
    /// Takes three bytes at a time.
    struct Slow(Vec<u8>);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(&bytes[..bytes.len().min(3)])
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = DigestWriter::new(Slow(Vec::new()));
    writer.write_all(b"hello").unwrap();
    let (inner, found, size_bytes) = writer.finish();
    assert_eq!(
        (inner.0.as_slice(), found, size_bytes),
        (&b"hello"[..], digest(HELLO), 5)
    );
}

fn read(content: &[u8], expected: &Digest, size_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    VerifiedReader::new(content, expected, size_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn verdict(result: io::Result<impl Sized>) -> VerifyError {
    let error = result.err().expect("the content is wrong");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    VerifyError::in_error(&error)
        .expect("the error is a verdict")
        .clone()
}

#[test]
fn right_content_is_read_whole() {
    assert_eq!(read(b"hello", &digest(HELLO), 5).unwrap(), b"hello");
    assert_eq!(read(b"hello", &digest(HELLO_512), 5).unwrap(), b"hello");
    assert_eq!(read(b"", &Digest::of(b""), 0).unwrap(), b"");
}

#[test]
fn wrong_content_is_a_verdict() {
    let (expected, size_bytes) = (digest(HELLO), 5);
    let found = Digest::of(b"hellO");
    assert_eq!(
        verdict(read(b"hellO", &expected, 5)),
        VerifyError::WrongDigest {
            expected: expected.clone(),
            found,
            size_bytes
        }
    );
    assert_eq!(
        verdict(read(b"hell", &expected, 5)),
        VerifyError::Short {
            digest: expected.clone(),
            size_bytes,
            found_bytes: 4
        }
    );
    assert_eq!(
        verdict(read(b"hello!", &expected, 5)),
        VerifyError::Long {
            digest: expected.clone(),
            size_bytes
        }
    );
    let found = Digest::of(b"");
    assert_eq!(
        verdict(read(b"", &expected, 0)),
        VerifyError::WrongDigest {
            expected,
            found,
            size_bytes: 0
        }
    );
}

#[test]
fn the_last_bytes_of_wrong_content_are_not_given_out() {
    let mut reader = VerifiedReader::new(&b"hellO"[..], &digest(HELLO), 5);
    let mut buffer = [0; 4];
    assert_eq!(reader.read(&mut buffer).unwrap(), 4);
    let first = verdict(reader.read(&mut buffer));
    assert_eq!(
        verdict(reader.read(&mut buffer)),
        first,
        "the verdict is repeated"
    );
}

#[test]
fn t_e18_an_endless_body_is_read_to_one_byte_after_its_size() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let zeros = Digest::of(&[0; 1000]);
    let mut source = Endless(0);
    let failure = verdict(VerifiedReader::new(&mut source, &zeros, 1000).finish());
    assert_eq!(
        failure,
        VerifyError::Long {
            digest: zeros,
            size_bytes: 1000
        }
    );
    assert_eq!(source.0, 1001);
}

#[test]
fn finish_verifies_what_nobody_read() {
    let mut reader = VerifiedReader::new(&b"hellO"[..], &digest(HELLO), 5);
    reader.read_exact(&mut [0; 2]).unwrap();
    assert!(matches!(
        verdict(reader.finish()),
        VerifyError::WrongDigest { .. }
    ));
    let mut reader = VerifiedReader::new(&b"hello"[..], &digest(HELLO), 5);
    reader.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(reader.finish().unwrap(), b"");
}

#[test]
fn an_error_of_the_reader_below_is_passed_on_and_can_be_tried_again() {
    struct Faulty<'a>(Vec<io::Result<&'a [u8]>>);
    impl Read for Faulty<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                Ok(0)
            } else {
                self.0.remove(0)?.read(buffer)
            }
        }
    }
    let reset = || Err(io::ErrorKind::ConnectionReset.into());
    let steps = vec![Ok(&b"hel"[..]), reset(), Ok(&b"lo"[..]), reset()];
    let mut reader = VerifiedReader::new(Faulty(steps), &digest(HELLO), 5);
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello");
}

proptest! {
    #![proptest_config(crate::unrecorded())]

    #[test]
    fn no_text_makes_the_parser_fail_otherwise_than_with_an_error(text in ".{0,100}") {
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn any_way_of_reading_gives_the_same_bytes(
        content in proptest::collection::vec(any::<u8>(), 0..200),
        step in 1_usize..50,
    ) {
        let mut reader =
            VerifiedReader::new(content.as_slice(), &Digest::of(&content), content.len() as u64);
        let (mut found, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            let count = reader.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            found.extend_from_slice(&buffer[..count]);
        }
        prop_assert_eq!(found, content);
    }
}

#[test]
fn the_bytes_of_a_digest_come_back() {
    let digest = Digest::of(b"text");
    let hash = digest.to_sha256().unwrap();
    assert_eq!(hash[..2], [0x98, 0x2d]);
    assert_eq!(Digest::from_sha256(&hash), digest);
    let long = Digest::parse(&format!("sha512:{}", "a".repeat(128))).unwrap();
    assert_eq!(long.to_sha256(), None);
}
