//! Who is let in.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::SharedTimeSource;
use http::{Response, response::Builder};

use super::{API_KEY, Arrival, Objection};
use crate::sigv4::{Rejection, Signature, SignedRequest, Verifier};

/// How far a signature's date may be from the service's clock.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
pub(super) struct Door {
    /// Who is let in, until when.
    keys: Vec<(Verifier, SystemTime)>,
    clock: SharedTimeSource,
    /// The region behind it, where the host does not tell.
    region: Option<String>,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Door {
    pub(super) fn new(keys: Vec<(Verifier, SystemTime)>, clock: SharedTimeSource) -> Self {
        Self {
            keys,
            clock,
            region: None,
            arrivals: Mutex::default(),
        }
    }

    pub(super) fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// What came so far.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.recorded().clone()
    }

    /// What came so far, all of which must have been let in.
    pub(super) fn admitted(&self) -> Vec<Arrival> {
        let arrivals = self.arrivals();
        for arrival in &arrivals {
            assert_eq!(arrival.objection, None, "{arrival:#?}");
        }
        arrivals
    }

    /// Looks at a request; what it is refused with, if it is.
    pub(super) fn receive(
        &self,
        host: &str,
        request: &SignedRequest<'_>,
    ) -> Option<Response<String>> {
        let now = self.clock.now();
        let length = request.headers_named("content-length").next();
        let first = |name| request.headers_named(name).next().map(str::to_owned);
        let is_as_long = length.is_none_or(|length| length.parse() == Ok(request.body.len()));
        let (signature, objection) = match self.check(request, host, now) {
            Ok(signature) => (signature, (!is_as_long).then_some(Objection::Length)),
            Err((signature, objection)) => (signature, Some(objection)),
        };
        let age_secs = signature
            .as_ref()
            .map_or(0, |signature| seconds_between(signature.signed_at, now));
        self.recorded().push(Arrival {
            host: host.to_owned(),
            path: request.target.to_owned(),
            signature,
            objection: objection.clone(),
            age_secs,
            attempt: first("amz-sdk-request"),
            invocation: first("amz-sdk-invocation-id"),
            headers: request.headers.to_vec(),
            body: request.body.to_vec(),
        });
        objection.map(|objection| self.refusal(&objection))
    }

    /// What an answer is dated.
    pub(super) fn date(&self) -> String {
        httpdate::fmt_http_date(self.clock.now())
    }

    #[allow(clippy::type_complexity)]
    fn check(
        &self,
        request: &SignedRequest<'_>,
        host: &str,
        now: SystemTime,
    ) -> Result<Option<Signature>, (Option<Signature>, Objection)> {
        let authorization = request.headers_named("authorization").next();
        if let Some(key) = authorization.and_then(|value| value.strip_prefix("Bearer ")) {
            let is_known = key == API_KEY;
            return is_known.then_some(None).ok_or((None, Objection::ApiKey));
        }
        let good = self.keys.iter().filter(|(_, until)| now < *until);
        let mut why = Rejection::AccessKey;
        let signature = good
            .map(|(key, _)| key.verify(request))
            .find_map(|verified| verified.map_err(|rejection| why = rejection).ok());
        let Some(signature) = signature else {
            return Err((None, Objection::Signature(why)));
        };
        let region = self.region.as_deref().or_else(|| region_of(host));
        let objection = if region.is_some_and(|region| region != signature.region) {
            Objection::Region
        } else if apart(signature.signed_at, now) > MAX_AGE {
            Objection::Clock
        } else {
            return Ok(Some(signature));
        };
        Err((Some(signature), objection))
    }

    fn refusal(&self, objection: &Objection) -> Response<String> {
        let (code, message) = match objection {
            Objection::Clock => (
                "InvalidSignatureException",
                "Signature expired: the date of the request is not within 5 min. of this one",
            ),
            Objection::Region => (
                "InvalidSignatureException",
                "Credential should be scoped to a valid region.",
            ),
            Objection::ApiKey => ("AccessDeniedException", "Authentication failed"),
            Objection::Signature(_) | Objection::Length => (
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            ),
        };
        let kind = format!("{code}:http://internal.amazon.com/coral/com.amazon.coral.service/");
        Builder::new()
            .status(403)
            .header("content-type", "application/json")
            .header("date", self.date())
            .header("x-amzn-errortype", kind)
            .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000")
            .body(format!(r#"{{"message":"{message}"}}"#))
            .expect("all headers are valid")
    }

    fn recorded(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The region that one of AWS's hosts is in.
fn region_of(host: &str) -> Option<&str> {
    let rest = host
        .strip_prefix("bedrock-runtime.")
        .or_else(|| host.strip_prefix("bedrock-runtime-fips."))?;
    Some(rest.split_once('.')?.0)
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|error| error.duration())
}

fn seconds_between(from: SystemTime, to: SystemTime) -> i64 {
    let seconds = |gap: Duration| i64::try_from(gap.as_secs()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(gap) => seconds(gap),
        Err(ahead) => -seconds(ahead.duration()),
    }
}
