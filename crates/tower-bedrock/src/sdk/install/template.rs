//! A request, kept to be sent again.

use aws_smithy_runtime_api::{client::orchestrator::HttpRequest, http::HttpError};
use aws_smithy_types::body::SdkBody;

/// A request without its extensions, which a clone of it would lose as well. In one piece: most calls
/// never need it.
pub(super) struct Template {
    /// Method, URI, and a header on each line.
    head: Vec<u8>,
    body: SdkBody,
}

impl Template {
    /// `signed` is the body that was signed, where that is known; the request's own may have been
    /// wrapped since, by what costs more to copy than the bytes. `None` if the body can be read only
    /// once.
    pub(super) fn of(request: &HttpRequest, signed: Option<SdkBody>) -> Option<Self> {
        let is_same = |signed: &SdkBody| {
            let (signed, sent) = (signed.bytes(), request.body().bytes());
            signed.map(<[u8]>::as_ptr_range) == sent.map(<[u8]>::as_ptr_range) && sent.is_some()
        };
        let body = match signed.filter(is_same) {
            Some(signed) => signed,
            None => request.body().try_clone()?,
        };
        /// What the SDK writes takes less, but for a session's token.
        const USUAL: usize = 1024;
        let mut head = Vec::with_capacity(USUAL);
        head.extend_from_slice(request.method().as_bytes());
        head.push(b' ');
        head.extend_from_slice(request.uri().as_bytes());
        for (name, value) in request.headers().iter_bytes() {
            head.push(b'\n');
            head.extend_from_slice(name.as_bytes());
            head.push(b':');
            head.extend_from_slice(value);
        }
        Some(Self { head, body })
    }

    /// A header of it.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.lines()
            .skip(1)
            .find_map(|line| line.split_once(':').filter(|(known, _)| *known == name))
            .map(|(_, value)| value)
    }

    /// The request again.
    pub(super) fn request(&self) -> Result<HttpRequest, HttpError> {
        let mut lines = self.lines();
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

    /// A header that is not UTF-8 would be none of the SDK's, which could not read it either.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.head.split(|byte| *byte == b'\n');
        lines.filter_map(|line| std::str::from_utf8(line).ok())
    }
}
