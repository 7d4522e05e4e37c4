//! The store of blobs behind the second protocol, as Azure has it: signed URLs, and blocks put together in the end.
//!
//! ```text
//! PUT URL                            x-ms-blob-type: BlockBlob       the whole content ("Put Blob")
//! PUT URL&comp=block&blockid=ID                                      a block ("Put Block")
//! PUT URL&comp=blocklist             the ids as XML                  the blob of these blocks ("Put Block List")
//! ```

use fetch::{Body, Method, Request, Url, base64};

use crate::answer::refused_by_store;
use crate::error::Failure;
use crate::limits::{BLOCKS_MAX, COMMIT_LIMIT, ERROR_MAX_BYTES, PART_BYTES};
use crate::part::{Content, send_all};
use crate::session::Session;

/// Stores content at a signed URL.
pub(crate) fn store(
    session: &Session,
    place: &Url,
    content: &mut Content<'_>,
) -> Result<(), Failure> {
    if content.is_one_part() {
        let request = session.request_at(Method::Put, place);
        let request = request.header("x-ms-blob-type", "BlockBlob");
        return put(session, &request, &content.read_whole()?);
    }
    let size_bytes = content.size_bytes;
    let block_bytes = PART_BYTES.max(size_bytes.div_ceil(BLOCKS_MAX));
    send_all(content.parts(block_bytes), |block| {
        let url = place
            .with_field("comp", "block")
            .with_field("blockid", &block_id(block.number));
        put(
            session,
            &session.request_at(Method::Put, &url),
            &block.bytes,
        )
    })?;
    put_together(session, place, size_bytes.div_ceil(block_bytes))
}

fn put_together(session: &Session, place: &Url, blocks: u64) -> Result<(), Failure> {
    let url = place.with_field("comp", "blocklist");
    let request = session
        .request_at(Method::Put, &url)
        .header("content-type", "application/xml")
        .answer_limit(COMMIT_LIMIT);
    put(session, &request, &block_list(blocks).into_bytes())
}

fn put(session: &Session, request: &Request, body: &dyn Body) -> Result<(), Failure> {
    let response = session.ask(request, Some(body))?;
    if !(200..300).contains(&response.status()) {
        return Err(refused_by_store(response));
    }
    response.discard(ERROR_MAX_BYTES);
    Ok(())
}

/// Returns the id of a block: all of a blob are of one length ("Put Block", "URI parameters").
fn block_id(number: u64) -> String {
    base64(format!("{number:06}").as_bytes())
}

fn block_list(blocks: u64) -> String {
    let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for number in 0..blocks {
        list.extend(["<Latest>", &block_id(number), "</Latest>"]);
    }
    list.push_str("</BlockList>");
    list
}
