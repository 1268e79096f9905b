//! A request, kept to be sent again.

use aws_smithy_runtime_api::{client::orchestrator::HttpRequest, http::HttpError};
use aws_smithy_types::body::SdkBody;

/// A request without its extensions, which a clone of it would lose as well. In one piece: most calls
/// never need it.
pub(super) struct Template {
    /// Method, URI, and a header on each line.
    head: String,
    body: SdkBody,
}

impl Template {
    /// `None` if the body can be read only once.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        /// A signed request of the SDK's has about a dozen headers.
        const HEADERS: usize = 1024;
        let (method, uri) = (request.method(), request.uri());
        let mut head = Vec::with_capacity(method.len() + uri.len() + HEADERS);
        head.extend_from_slice(method.as_bytes());
        head.push(b' ');
        head.extend_from_slice(uri.as_bytes());
        for (name, value) in request.headers().iter_bytes() {
            head.push(b'\n');
            head.extend_from_slice(name.as_bytes());
            head.push(b':');
            head.extend_from_slice(value);
        }
        let body = request.body().try_clone()?;
        // A header that is not UTF-8 would be none of the SDK's, which could not read it either.
        let head = String::from_utf8(head).ok()?;
        Some(Self { head, body })
    }

    /// A header of it.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.split('\n').skip(1);
        headers
            .find_map(|line| line.split_once(':').filter(|(known, _)| *known == name))
            .map(|(_, value)| value)
    }

    /// The request again.
    pub(super) fn request(&self) -> Result<HttpRequest, HttpError> {
        let mut lines = self.head.split('\n');
        let first = lines.next().unwrap_or_default();
        let (method, uri) = first.split_once(' ').unwrap_or_default();
        let body = self.body.try_clone().unwrap_or_else(SdkBody::taken);
        let mut request = HttpRequest::new(body);
        request.set_method(method)?;
        request.set_uri(uri)?;
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or_default();
            request
                .headers_mut()
                .append(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}
