//! Passwords in URLs of a Dockerfile, where it is shown.

/// Returns a text with stars in the place of users and passwords in URLs, as many as they have bytes: every place in the
/// text stays where it is. The user alone, as in `ssh://git@…`, is none where no password is meant by it.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let secret = secret(before, after);
        out.push_str(before);
        out.push_str("://");
        let (open, behind) = after.split_at(secret.start);
        let (hidden, behind) = behind.split_at(secret.len());
        out.push_str(open);
        out.extend(hidden.bytes().map(|_| '*'));
        rest = behind;
    }
    out + rest
}

/// Returns what of the text behind `://` nobody is to see.
fn secret(before: &str, after: &str) -> std::ops::Range<usize> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`');
    let authority = after.split(ends).next().unwrap_or(after);
    let Some((userinfo, _)) = authority.rsplit_once('@') else {
        return 0..0;
    };
    let lower = before.to_ascii_lowercase();
    if lower.ends_with("http") || lower.ends_with("https") {
        return 0..userinfo.len();
    }
    let password = userinfo.find(':').map_or(userinfo.len(), |colon| colon + 1);
    password..userinfo.len()
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
