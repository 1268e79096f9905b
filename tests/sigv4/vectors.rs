use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tower_bedrock_tests::sigv4::{SignedRequest, Verifier};

/// The secret of the suite's access key.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[derive(Deserialize)]
struct Suite {
    vector: Vec<Vector>,
}

/// A request of the suite.
#[derive(Clone, Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    #[serde(default = "yes")]
    pub(crate) normalized: bool,
    #[serde(default = "yes")]
    pub(crate) token_is_signed: bool,
    pub(crate) token: Option<String>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) canonical_request_sha256: String,
}

fn yes() -> bool {
    true
}

pub(crate) fn vectors() -> Vec<Vector> {
    let suite: Suite = toml::from_str(include_str!("vectors.toml")).expect("valid TOML");
    suite.vector
}

impl Vector {
    pub(crate) fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let mut verifier = Verifier::new("AKIDEXAMPLE", SECRET, "service");
        if let Some(token) = &self.token {
            verifier = verifier.with_token(token);
        }
        if !self.normalized {
            verifier = verifier.without_normalization();
        }
        if !self.token_is_signed {
            verifier = verifier.with_unsigned_token();
        }
        verifier
    }
}

/// Every request of the published suite has the canonical form and the signature that AWS gives it.
#[test]
fn the_published_vectors_are_valid() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 38, "as many as the suite has");
    for vector in vectors {
        let signature = vector.verifier().verify(&vector.request());
        let signature = signature.unwrap_or_else(|why| panic!("{}: {why:?}", vector.name));
        assert_eq!(
            signature.canonical_request_sha256, vector.canonical_request_sha256,
            "{}",
            vector.name
        );
        assert_eq!(signature.region, "us-east-1");
        // 2015-08-30T12:36:00Z
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        assert_eq!(signature.signed_at, date);
    }
}

/// Normalization is the only thing that some vectors differ in: with it the other way round, they are
/// not valid.
#[test]
fn normalization_is_looked_at() {
    let unnormalized = vectors()
        .into_iter()
        .filter(|vector| !vector.normalized && vector.name != "get-space-unnormalized");
    let mut count = 0;
    for vector in unnormalized {
        let verifier = Verifier::new("AKIDEXAMPLE", SECRET, "service");
        assert!(
            verifier.verify(&vector.request()).is_err(),
            "{}",
            vector.name
        );
        count += 1;
    }
    assert_eq!(count, 6);
}
