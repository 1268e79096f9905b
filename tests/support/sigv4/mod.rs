//! Checks SigV4 signatures as AWS would.
//!
//! Written from the public specification (AWS, "Signature Version 4 for API requests"), over nothing
//! but a hash, so that it shares no mistake with what signs.

mod canonical;
mod date;

use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use self::canonical::{hex, sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A request as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query, as they stand in the request line.
    pub target: &'a str,
    /// Names and values in their order, `Host` among them.
    pub headers: &'a [(String, String)],
    /// The whole body.
    pub body: &'a [u8],
}

/// Who may sign, for which service.
#[derive(Clone, Debug)]
pub struct Verifier {
    access_key: String,
    secret: String,
    token: Option<String>,
    service: String,
    is_normalized: bool,
    is_token_signed: bool,
}

/// What a valid signature was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The region of its scope.
    pub region: String,
    /// When it was made, by the signer's clock.
    pub signed_at: SystemTime,
    /// The headers that it covers, sorted.
    pub headers: Vec<String>,
    /// The SHA-256 of the canonical request.
    pub canonical_request_sha256: String,
}

/// Why a signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody signed.
    Unsigned,
    /// It is no signature.
    Malformed(&'static str),
    /// Nobody has this access key.
    AccessKey,
    /// The session token is not the key's.
    Token,
    /// It is for another service.
    Service,
    /// The day of its scope is not the day of its date.
    Day,
    /// A header that must be covered is not.
    NotCovered(String),
    /// The body is not the one whose hash the request names.
    Payload,
    /// Something that it covers was changed, or another secret signed.
    Mismatch,
}

impl Verifier {
    /// Accepts what `access_key` signs for `service` with `secret`, and no session token.
    #[must_use]
    pub fn new(access_key: &str, secret: &str, service: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            token: None,
            service: service.to_owned(),
            is_normalized: true,
            is_token_signed: true,
        }
    }

    /// The key is a temporary one, which goes with `token`.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Paths count as they were sent, dots, empty segments and all.
    #[must_use]
    pub const fn without_normalization(mut self) -> Self {
        self.is_normalized = false;
        self
    }

    /// The session token may be added after signing, as some services have it.
    #[must_use]
    pub const fn with_unsigned_token(mut self) -> Self {
        self.is_token_signed = false;
        self
    }

    /// Checks the signature of `request`.
    ///
    /// # Errors
    ///
    /// Why it is not valid.
    pub fn verify(&self, request: &SignedRequest<'_>) -> Result<Signature, Rejection> {
        let authorization = Authorization::of(request)?;
        let date = request
            .only("x-amz-date")?
            .ok_or(Rejection::Malformed("no date"))?;
        let signed_at = date::parse(date).ok_or(Rejection::Malformed("the date"))?;
        if authorization.access_key != self.access_key {
            return Err(Rejection::AccessKey);
        }
        if request.only("x-amz-security-token")? != self.token.as_deref() {
            return Err(Rejection::Token);
        }
        if authorization.service != self.service {
            return Err(Rejection::Service);
        }
        if date.get(..8) != Some(authorization.day) {
            return Err(Rejection::Day);
        }
        self.check_coverage(request, authorization.signed_headers)?;

        let canonical =
            canonical::request(request, authorization.signed_headers, self.is_normalized)?;
        let canonical = sha256(canonical);
        let Authorization {
            day,
            region,
            service,
            ..
        } = authorization;
        let to_sign =
            format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{canonical}");
        let secret = format!("AWS4{}", self.secret);
        let key = [day, region, service, "aws4_request"]
            .into_iter()
            .fold(secret.into_bytes(), |key, part| mac(&key, part));
        if hex(&mac(&key, &to_sign)) != authorization.signature {
            return Err(Rejection::Mismatch);
        }
        Ok(Signature {
            region: region.to_owned(),
            signed_at,
            headers: authorization
                .signed_headers
                .split(';')
                .map(str::to_owned)
                .collect(),
            canonical_request_sha256: canonical,
        })
    }

    /// The host and all `x-amz-` headers are covered, and the list of headers is a sorted set.
    fn check_coverage(&self, request: &SignedRequest<'_>, signed: &str) -> Result<(), Rejection> {
        let signed: Vec<&str> = signed.split(';').collect();
        if !signed.is_sorted_by(|one, next| one < next) {
            return Err(Rejection::Malformed("signed headers are not in order"));
        }
        let names = request.headers.iter().map(|(name, _)| name.to_lowercase());
        let mut needed = names.chain(["host".to_owned()]).filter(|name| {
            let may_be_added = name == "x-amz-security-token" && !self.is_token_signed;
            (name == "host" || name.starts_with("x-amz-")) && !may_be_added
        });
        match needed.find(|name| !signed.contains(&name.as_str())) {
            Some(name) => Err(Rejection::NotCovered(name)),
            None => Ok(()),
        }
    }
}

impl<'a> SignedRequest<'a> {
    /// The values of a header, by its name in any case.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a header that may be there once.
    fn only(&self, name: &str) -> Result<Option<&'a str>, Rejection> {
        let mut values = self.headers_named(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(Rejection::Malformed("a header is there twice")),
            None => Ok(value),
        }
    }
}

/// The parts of the header `Authorization`.
struct Authorization<'a> {
    access_key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn of(request: &SignedRequest<'a>) -> Result<Self, Rejection> {
        let value = request.only("authorization")?.ok_or(Rejection::Unsigned)?;
        let parameters = value
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(Rejection::Malformed("the algorithm"))?;
        let mut parameters = parameters.split(',').map(|part| part.trim_matches(' '));
        let mut next = |name: &str| parameters.next()?.strip_prefix(name)?.strip_prefix('=');
        let (Some(credential), Some(signed_headers), Some(signature), None) = (
            next("Credential"),
            next("SignedHeaders"),
            next("Signature"),
            next(""),
        ) else {
            return Err(Rejection::Malformed("the parameters"));
        };
        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key, day, region, service, "aws4_request"] = scope[..] else {
            return Err(Rejection::Malformed("the scope"));
        };
        Ok(Self {
            access_key,
            day,
            region,
            service,
            signed_headers,
            signature,
        })
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
