//! What is removed.

use oci::Digest;

use crate::testing::*;

#[test]
fn what_is_deleted_is_named() {
    let digest = Digest::of(b"these bytes are to go");
    let server = Server::answering(|_| Reply::empty(202));
    let repository = server.repository();
    repository.delete_manifest(&digest).unwrap();
    repository.delete_tag("1").unwrap();
    repository.delete_blob(&digest).unwrap();
    assert_eq!(
        server.lines(),
        [
            format!("DELETE /v2/team/app/manifests/{digest}"),
            "DELETE /v2/team/app/manifests/1".to_owned(),
            format!("DELETE /v2/team/app/blobs/{digest}"),
        ]
    );
}

#[test]
fn a_tag_that_cannot_be_deleted_alone_is_told_of() {
    for status in [400, 405] {
        let server = Server::answering(move |_| Reply::empty(status));
        let error = server.repository().delete_tag("1").unwrap_err();
        assert!(error.is_unsupported(), "{status}");
    }
}
