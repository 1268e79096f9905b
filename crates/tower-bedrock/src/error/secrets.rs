//! What a message may not repeat.

/// Where the service begins to repeat what was signed, or what it should have been signed with.
const SECRETS: [&str; 5] = [
    "The Canonical String",
    "The String-to-Sign",
    "x-amz-security-token",
    "in Authorization header:",
    "Authorization=",
];

/// A refused signature is answered with the request that should have been signed, session token
/// included: keeps the sentence, drops the rest. Tells whether there was anything to drop.
pub(super) fn cut(message: &mut String) -> bool {
    let found = SECRETS
        .iter()
        .filter_map(|start| find_ignore_case(message, start));
    let Some(at) = found.min() else {
        return false;
    };
    message.truncate(at);
    message.truncate(message.trim_end().len());
    true
}

fn find_ignore_case(text: &str, part: &str) -> Option<usize> {
    let part = part.as_bytes();
    text.as_bytes()
        .windows(part.len())
        .position(|window| window.eq_ignore_ascii_case(part))
}
