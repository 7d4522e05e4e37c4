//! Tokens: had from the server that a registry names, and kept until they expire (distribution, "Token
//! Authentication" and "`OAuth2` Token Authentication").

use std::fmt;
use std::time::{Duration, Instant};

use fetch::{BodyGoes, Credentials, Method, Request, Response, Scheme, Tls, Url, form};
use serde::Deserialize;

use crate::answer::{read_all, refused};
use crate::challenge::Challenge;
use crate::client::Core;
use crate::error::Failure;
use crate::host::{Host, Login};
use crate::limits::{TOKEN_MAX_BYTES, TOKEN_VALIDITY};
use crate::scope::Scopes;

/// How we call ourselves to a token server.
const CLIENT_ID: &str = "careen";

/// What a token is asked for with. Two that are equal get the same token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenKey {
    pub(crate) realm: Url,
    pub(crate) service: String,
    pub(crate) scopes: Scopes,
    pub(crate) login: Login,
}

/// A token that a server gave. It cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    expires: Instant,
}

/// The tokens that are there.
#[derive(Default)]
pub(crate) struct Tokens(Vec<(TokenKey, Token)>);

#[derive(Deserialize)]
struct TokenDocument {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

impl Tokens {
    /// Returns a token that is still good.
    pub(crate) fn get(&self, key: &TokenKey, now: Instant) -> Option<Token> {
        let is_good = |(known, token): &&(TokenKey, Token)| known == key && token.expires > now;
        self.0.iter().find(is_good).map(|(_, token)| token.clone())
    }

    /// Keeps a token in place of those that are no longer good.
    pub(crate) fn put(&mut self, key: TokenKey, token: Token, now: Instant) {
        self.0
            .retain(|(known, old)| *known != key && old.expires > now);
        self.0.push((key, token));
    }
}

impl TokenKey {
    /// Reads where and for what a challenge says that a token is to be had.
    pub(crate) fn new(
        challenge: &Challenge,
        base: &Url,
        scopes: Scopes,
        login: Login,
    ) -> Result<Self, Failure> {
        let realm = challenge.parameter("realm").unwrap_or_default();
        let realm = Url::parse(realm).map_err(|error| {
            Failure::malformed("a challenge with a realm that is no URL", error)
        })?;
        let key = Self {
            realm: realm.without_user(),
            service: challenge
                .parameter("service")
                .unwrap_or_default()
                .to_owned(),
            scopes,
            login,
        };
        key.check_realm(base)?;
        Ok(key)
    }

    /// Credentials go to the token server that a registry names only where nobody on the way can have written the
    /// name, and where nobody can read them. A registry of the Internet has no token server on this machine.
    fn check_realm(&self, base: &Url) -> Result<(), Failure> {
        let realm = &self.realm;
        let is_downgrade = (base.scheme(), realm.scheme()) == (Scheme::Https, Scheme::Http);
        let is_inside = is_inner_address(realm) && !is_inner_address(base);
        let is_elsewhere = realm.host() != base.host();
        let has_secret = self.login != Login::Anonymous;
        let is_overheard = has_secret && realm.scheme() == Scheme::Http && !realm.is_loopback();
        let is_forged = has_secret && base.scheme() == Scheme::Http && !base.is_loopback();
        if is_downgrade || is_elsewhere && (is_inside || is_overheard || is_forged) {
            return Err(Failure::Realm {
                realm: realm.origin().to_string(),
            });
        }
        Ok(())
    }

    /// Asks the token server.
    pub(crate) fn fetch(&self, core: &Core, host: &Host, base: &Url) -> Result<Token, Failure> {
        let tls = core.tls(host);
        let tls = if self.realm.host() == base.host() {
            tls
        } else {
            tls.elsewhere()
        };
        // The answer's age is counted from before it was given.
        let asked = Instant::now();
        let ask = || token_document(self.ask(core, tls.clone(), base)?);
        core.retry(ask)
            .and_then(|document| document.into_token(asked))
            .map_err(|source| Failure::Token {
                realm: self.realm.authority(),
                source: Box::new(source),
            })
    }

    fn ask(&self, core: &Core, tls: Tls, base: &Url) -> Result<Response, Failure> {
        let named_by = (self.realm.host() != base.host()).then_some(base);
        let secure = |request: Request| {
            let request = request.tls(tls).body_goes(BodyGoes::ToOrigin);
            match named_by {
                Some(registry) => request.named_by(registry),
                None => request,
            }
        };
        let response = match &self.login {
            Login::IdentityToken(token) => {
                let request = Request::new(Method::Post, self.realm.clone())
                    .header("content-type", "application/x-www-form-urlencoded");
                let body = self.refresh_form(token).into_bytes();
                core.client.send_once(&secure(request), Some(&body))
            }
            Login::Basic { user, password } => {
                let url = self.get_url().with_field("account", user);
                let credentials = Credentials::basic(url.origin(), user, password);
                let request = Request::new(Method::Get, url).credentials(credentials);
                core.client.send_once(&secure(request), None)
            }
            Login::Anonymous | Login::RegistryToken(_) => {
                let request = Request::new(Method::Get, self.get_url());
                core.client.send_once(&secure(request), None)
            }
        };
        response.map_err(|error| error.without_queries().into())
    }

    fn get_url(&self) -> Url {
        let mut url = self.realm.clone();
        if !self.service.is_empty() {
            url = url.with_field("service", &self.service);
        }
        for scope in self.scopes.texts() {
            url = url.with_field("scope", &scope);
        }
        url
    }

    fn refresh_form(&self, token: &str) -> String {
        form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("service", &self.service),
            ("client_id", CLIENT_ID),
            ("scope", &self.scopes.texts().join(" ")),
        ])
    }
}

impl TokenDocument {
    fn into_token(self, asked: Instant) -> Result<Token, Failure> {
        let text = self.token.or(self.access_token).unwrap_or_default();
        let is_sendable = |c: char| c.is_ascii_graphic();
        if text.is_empty() || !text.chars().all(is_sendable) {
            return Err(Failure::Malformed {
                what: "no token that can be used",
                source: None,
            });
        }
        let validity = self.expires_in.map_or(TOKEN_VALIDITY, Duration::from_secs);
        // A token is not used in its last tenth: it could expire on its way.
        let expires = asked
            .checked_add(validity.mul_f64(0.9))
            .unwrap_or(asked + TOKEN_VALIDITY);
        Ok(Token { text, expires })
    }
}

fn token_document(mut response: Response) -> Result<TokenDocument, Failure> {
    if response.status() != 200 {
        return Err(refused(response));
    }
    let bytes = read_all(&mut response, "a token", TOKEN_MAX_BYTES)?;
    // The error of the parser would show what it found.
    serde_json::from_slice(&bytes)
        .ok()
        .ok_or(Failure::Malformed {
            what: "something else than a token",
            source: None,
        })
}

/// Tells whether a URL leads to an address that is not one of the Internet: of this machine, of its network, or of
/// the services that clouds have for each machine.
fn is_inner_address(url: &Url) -> bool {
    if url.is_loopback() {
        return true;
    }
    match url.host().trim_matches(['[', ']']).parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_link_local() || address.is_private(),
        Ok(std::net::IpAddr::V6(address)) => {
            address.is_unicast_link_local() || address.is_unique_local()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::challenges;

    fn is_trusted(base: &str, realm: &str, login: Login) -> bool {
        let base = Url::parse(base).unwrap();
        let header = format!(r#"Bearer realm="{realm}""#);
        let challenge = challenges(&header).remove(0);
        TokenKey::new(&challenge, &base, Scopes::default(), login).is_ok()
    }

    #[test]
    fn t_e02_credentials_go_to_a_token_server_only_where_they_are_safe() {
        for (base, realm, with_login, without) in [
            ("https://r.com/v2", "https://auth.com/token", true, true),
            ("https://r.com/v2", "https://r.com/token", true, true),
            // From TLS to what anybody can read.
            ("https://r.com/v2", "http://auth.com/token", false, false),
            ("https://r.com/v2", "http://r.com/token", false, false),
            // From the Internet to what is inside.
            (
                "https://r.com/v2",
                "https://169.254.169.254/x",
                false,
                false,
            ),
            ("https://r.com/v2", "https://10.1.2.3/x", false, false),
            ("https://r.com/v2", "https://localhost/x", false, false),
            ("https://r.com/v2", "https://[fe80::1]/x", false, false),
            ("https://10.0.0.1/v2", "https://10.1.2.3/x", true, true),
            // Who can change the challenge could have the password.
            ("http://r.com/v2", "https://auth.com/token", false, true),
            ("http://r.com/v2", "http://r.com:81/token", true, true),
            // A registry on this machine names whom it likes, if nobody listens.
            (
                "http://localhost:5000/v2",
                "http://127.0.0.1:5001/t",
                true,
                true,
            ),
            ("http://localhost:5000/v2", "https://auth.com/t", true, true),
            ("http://localhost:5000/v2", "http://auth.com/t", false, true),
            ("https://r.com/v2", "auth.com/token", false, false),
        ] {
            let login = Login::IdentityToken("x".to_owned());
            let found = (
                is_trusted(base, realm, login),
                is_trusted(base, realm, Login::Anonymous),
            );
            assert_eq!(found, (with_login, without), "{base} {realm}");
        }
    }

    #[test]
    fn a_token_is_good_for_as_long_as_its_server_says_but_for_the_end() {
        let asked = Instant::now();
        let token = |expires_in| {
            let document = TokenDocument {
                token: None,
                access_token: Some("t".to_owned()),
                expires_in,
            };
            document.into_token(asked).unwrap()
        };
        for (expires_in, seconds) in [(None, 54), (Some(10), 9), (Some(0), 0)] {
            let expires = token(expires_in).expires;
            assert_eq!(expires - asked, Duration::from_secs(seconds));
        }
        assert!(token(Some(u64::MAX)).expires > asked);
    }
}
