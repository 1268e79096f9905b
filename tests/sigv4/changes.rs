use tower_bedrock_tests::sigv4::{Rejection, Verifier};

use crate::vectors::{SECRET, Vector, vectors};

/// The same text with one bit changed, for each bit that leaves it text.
fn changes(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 7).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 7] ^= 1 << (bit % 7);
        String::from_utf8(bytes).ok()
    })
}

fn is_valid(vector: &Vector) -> bool {
    vector.verifier().verify(&vector.request()).is_ok()
}

/// Requests whose parts all have one spelling only, so that no change of a bit keeps their meaning.
fn plain() -> impl Iterator<Item = Vector> {
    let names = [
        "get-unreserved",
        "get-vanilla-with-session-token",
        "post-header-key-sort",
        "post-x-www-form-urlencoded",
    ];
    vectors()
        .into_iter()
        .filter(move |vector| names.contains(&vector.name.as_str()))
}

/// A signature is void when a single bit changes of what it covers: method, path, query, a header's
/// name or value, the body.
#[test]
fn a_changed_bit_voids_the_signature() {
    let mut tried = 0;
    for vector in plain() {
        let reject = |changed: Vector, what: &str| {
            assert!(!is_valid(&changed), "{}: {what}", vector.name);
        };
        for method in changes(&vector.method) {
            reject(
                Vector {
                    method: method.clone(),
                    ..vector.clone()
                },
                &method,
            );
            tried += 1;
        }
        for target in changes(&vector.target) {
            reject(
                Vector {
                    target: target.clone(),
                    ..vector.clone()
                },
                &target,
            );
            tried += 1;
        }
        for body in changes(&vector.body) {
            reject(
                Vector {
                    body: body.clone(),
                    ..vector.clone()
                },
                &body,
            );
            tried += 1;
        }
        for (at, (name, value)) in vector.headers.iter().enumerate() {
            for value in changes(value) {
                let mut changed = vector.clone();
                changed.headers[at].1.clone_from(&value);
                reject(changed, &value);
                tried += 1;
            }
            // Names are the same in any case.
            for name in changes(name).filter(|other| !other.eq_ignore_ascii_case(name)) {
                let mut changed = vector.clone();
                changed.headers[at].0.clone_from(&name);
                reject(changed, &name);
                tried += 1;
            }
        }
    }
    assert!(tried > 9_000, "{tried}");
}

/// What a signature covers can be neither left out nor doubled.
#[test]
fn a_missing_or_doubled_header_voids_the_signature() {
    for vector in vectors() {
        for at in 0..vector.headers.len() {
            let mut without = vector.clone();
            let header = without.headers.remove(at);
            assert!(!is_valid(&without), "{} without {header:?}", vector.name);
            let mut doubled = vector.clone();
            doubled.headers.push(header.clone());
            assert!(!is_valid(&doubled), "{} with {header:?}", vector.name);
        }
    }
}

/// What a signature does not cover may change on the way.
#[test]
fn what_is_not_covered_may_change() {
    for mut vector in vectors() {
        let added = ("amz-sdk-request".to_owned(), "attempt=2".to_owned());
        vector.headers.push(added);
        assert!(is_valid(&vector), "{}", vector.name);
    }
}

/// An `x-amz-` header that is added after signing is told from one that was signed.
#[test]
fn an_added_header_of_awss_is_not_covered() {
    for mut vector in vectors() {
        let added = ("X-Amz-Added".to_owned(), "later".to_owned());
        vector.headers.push(added);
        assert_eq!(
            vector.verifier().verify(&vector.request()),
            Err(Rejection::NotCovered("x-amz-added".to_owned())),
            "{}",
            vector.name
        );
    }
}

/// Another key, secret, token or service is another signer.
#[test]
fn another_signer_is_told() {
    let vector = vectors()
        .into_iter()
        .find(|vector| vector.name == "get-vanilla")
        .expect("it is in the suite");
    for (verifier, why) in [
        (
            Verifier::new("AKIDOTHER", SECRET, "service"),
            Rejection::AccessKey,
        ),
        (
            Verifier::new("AKIDEXAMPLE", "other", "service"),
            Rejection::Mismatch,
        ),
        (
            Verifier::new("AKIDEXAMPLE", SECRET, "bedrock"),
            Rejection::Service,
        ),
        (
            Verifier::new("AKIDEXAMPLE", SECRET, "service").with_token("token"),
            Rejection::Token,
        ),
    ] {
        assert_eq!(verifier.verify(&vector.request()), Err(why));
    }
}

/// A path whose label the sender has encoded is encoded once more in the canonical request, as all
/// services but S3 have it. The label is a model's ARN; the signatures were made by Python's standard
/// `hmac` and `hashlib`, for the path encoded twice and once.
#[test]
fn an_encoded_label_is_encoded_twice() {
    let with = |signature: &str| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        Vector {
            target: "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile\
                     %2Fus.amazon.nova-lite-v1%3A0/converse"
                .to_owned(),
            method: "POST".to_owned(),
            headers: vec![
                (
                    "Host".to_owned(),
                    "bedrock-runtime.us-east-1.amazonaws.com".to_owned(),
                ),
                ("X-Amz-Date".to_owned(), "20150830T123600Z".to_owned()),
                ("Authorization".to_owned(), authorization),
            ],
            body: "{}".to_owned(),
            ..vectors().remove(0)
        }
    };
    let bedrock = Verifier::new("AKIDEXAMPLE", SECRET, "bedrock");
    assert!(bedrock.verify(&with(TWICE).request()).is_ok());
    assert_eq!(
        bedrock.verify(&with(ONCE).request()),
        Err(Rejection::Mismatch)
    );
}

const TWICE: &str = "cbcd08365fc20e590ed614e5cc05cbd592176472bce3441e1e414b44b79f9875";
const ONCE: &str = "472037bd1db7ea053676c5763f45859cd2047a14a321ab1fea654b77edad40d9";
