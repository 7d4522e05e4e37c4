//! Users and passwords in URLs of a Dockerfile, where it is shown.

use graph::userinfo;

/// What ends a URL in a text, beside the end of the text.
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Returns a text with stars in the place of what is [secret](userinfo::secret()) in its URLs, as many as that has bytes:
/// every place in the text stays where it is.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let ends = |c: char| c.is_whitespace() || QUOTES.contains(&c);
        let behind = after.find(ends).unwrap_or(after.len());
        let (url, _) = rest.split_at(before.len() + "://".len() + behind);
        let secret = userinfo::secret(url);
        let (open, behind) = rest.split_at(secret.start);
        let (hidden, behind) = behind.split_at(secret.len());
        out.push_str(open);
        out.extend(hidden.bytes().map(|_| '*'));
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_becomes_stars() {
        for (text, expected) in [
            (
                "ADD https://ana:s@cret@e.com/f /x",
                "ADD https://**********@e.com/f /x",
            ),
            (
                "ADD HTTP://token@e.com?a@b /x",
                "ADD HTTP://*****@e.com?a@b /x",
            ),
            (
                "ADD ssh://git@e.com/r ssh://git:pw@e.com/r /",
                "ADD ssh://git@e.com/r ssh://git:**@e.com/r /",
            ),
            (
                "RUN echo \"http://e.com\" a@b http://é:é@h",
                "RUN echo \"http://e.com\" a@b http://*****@h",
            ),
            ("COPY --from=a:b://c d", "COPY --from=a:b://c d"),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}
