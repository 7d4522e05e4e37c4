//! Who may come in: passwords, tokens, and the server that gives those out.

use std::fmt::Write as _;

use serde_json::json;

use super::answer::{Answer, Ask};
use super::{Door, State};
use crate::http::Asked;

/// Tells who may not ask what they need for it.
pub(super) fn refuse(state: &mut State, asked: &Asked) -> Option<Answer> {
    let given = asked.header("authorization");
    match state.manners.door.clone() {
        Door::Open => None,
        Door::Basic(user, password) => {
            let is_right = given == Some(&basic(&user, &password));
            let challenge = "Basic realm=\"test\"";
            (!is_right)
                .then(|| Answer::error(401, "UNAUTHORIZED").header("WWW-Authenticate", challenge))
        }
        Door::Token { .. } => {
            let token = given.and_then(|given| given.strip_prefix("Bearer "));
            if let Some(left) = token.and_then(|token| state.tokens.get_mut(token))
                && *left > 0
            {
                *left -= 1;
                return None;
            }
            let host = asked.header("host").unwrap_or_default();
            let repository = Ask::parse(asked).map(|ask| ask.repository);
            let mut challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
            if let Some(repository) = repository {
                write!(challenge, ",scope=\"repository:{repository}:pull,push\"")
                    .expect("a String takes it");
            }
            Some(Answer::error(401, "UNAUTHORIZED").header("WWW-Authenticate", &challenge))
        }
    }
}

/// The token service.
pub(super) fn give_token(state: &mut State, asked: &Asked) -> Answer {
    let Door::Token {
        user,
        password,
        uses,
    } = state.manners.door.clone()
    else {
        return Answer::error(404, "UNSUPPORTED");
    };
    if asked.header("authorization") != Some(&basic(&user, &password)) {
        return Answer::error(401, "UNAUTHORIZED");
    }
    let token = format!("token-{}", state.number());
    state.tokens.insert(token.clone(), uses);
    Answer::json(200, &json!({ "token": token, "expires_in": 300 }))
}

/// Returns the header of a name and a password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// Returns bytes as base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte));
        let number = number << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS.get(number >> (18 - 6 * place) & 63).copied();
            let digit = digit.filter(|_| place <= three.len());
            text.push(digit.map_or('=', char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_password_are_base_64() {
        // RFC 7617, section 2, and its padding.
        assert_eq!(
            basic("Aladdin", "open sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(basic("ab", "c"), "Basic YWI6Yw==");
        assert_eq!(basic("ab", "cd"), "Basic YWI6Y2Q=");
        assert_eq!(basic("ab", "cde"), "Basic YWI6Y2Rl");
    }
}
