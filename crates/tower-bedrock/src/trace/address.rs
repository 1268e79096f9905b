//! Where a request goes.

use tracing::Span;

/// Writes into the span of an attempt which host its request goes to.
pub(crate) fn record(attempt: &Span, uri: &str) {
    if attempt.is_disabled() {
        return;
    }
    if let Some((host, port)) = of(uri) {
        attempt.record("server.address", host);
        attempt.record("server.port", port);
    }
}

/// Host and port of a URI, the port if it names one.
fn of(uri: &str) -> Option<(&str, Option<u16>)> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let address = authority.rsplit('@').next()?;
    let (host, port) = match address.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (address, None),
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host and port are found in whatever an endpoint may look like, and nothing else is shown.
    #[test]
    fn host_and_port_are_found() {
        let cases = [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse",
                "bedrock-runtime.us-east-1.amazonaws.com",
                None,
            ),
            ("http://127.0.0.1:8080/model", "127.0.0.1", Some(8080)),
            ("http://[::1]:8080", "[::1]", Some(8080)),
            ("http://[::1]/a:b", "[::1]", None),
            ("https://user:secret@host?x=y", "host", None),
        ];
        for (uri, host, port) in cases {
            assert_eq!(of(uri), Some((host, port)), "{uri}");
        }
        assert_eq!(of("/model/x/converse"), None);
        assert_eq!(of("http://"), None);
    }
}
