//! How much a prompt holds: the one counter behind `usage`, the token-count headers and
//! `CountTokens`, and the prefixes that prompt caching knows a prompt by.
//!
//! Text counts by its UTF-8 bytes, tools by name, description and compact JSON, documents by their
//! decoded bytes, images flat (BEDROCK.md §3.7). Roles and the JSON around them count nothing, so
//! the same conversation counts alike in every body format.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    time::Duration,
};

use serde_json::Value;

/// How far before a cache point the service still finds an older prefix, in content blocks: it lets a
/// conversation move its cache point forward turn by turn.
const LOOKBACK: usize = 20;

/// An amount of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes of text and documents.
    pub(crate) bytes: u64,
    /// Images, counted flat.
    pub(crate) images: u64,
}

/// How a model counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// Bytes of text to a token.
    pub(crate) bytes_per_token: f64,
    /// Tokens to an image.
    pub(crate) tokens_per_image: u64,
}

impl Scale {
    /// The tokens of a prompt; none is free.
    pub(crate) fn tokens(self, size: Size) -> u64 {
        // Sizes stay far below 2^53, and a positive quotient saturates.
        let text = (size.bytes as f64 / self.bytes_per_token).ceil() as u64;
        let images = size.images.saturating_mul(self.tokens_per_image);
        text.saturating_add(images).max(1)
    }
}

/// The measured content of a prompt.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// All of it.
    pub(crate) size: Size,
    /// Its prefixes, shortest first; empty unless it has a cache point.
    pub(crate) prefixes: Vec<Prefix>,
}

/// A prompt up to the end of a content block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// What stands in it.
    pub(crate) hash: u64,
    /// How much stands in it.
    pub(crate) size: Size,
    /// How long it is kept, if a cache point ends it; otherwise it is only looked up.
    pub(crate) ttl: Option<Duration>,
}

/// Measures a prompt block by block, in the order of the cache: tools, system, messages.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    hasher: DefaultHasher,
    size: Size,
    prefixes: Vec<Prefix>,
    has_cache_point: bool,
}

impl Collector {
    /// A mark that tells one place from another without counting, such as a role.
    pub(crate) fn mark(&mut self, mark: &str) {
        mark.hash(&mut self.hasher);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.size.bytes += text.len() as u64;
        text.hash(&mut self.hasher);
    }

    /// A JSON value, by the length of its compact form.
    pub(crate) fn json(&mut self, value: &Value) {
        let mut sink = HashSink {
            hasher: &mut self.hasher,
            written: 0,
        };
        // The sink takes everything, and a `Value` always serializes.
        if serde_json::to_writer(&mut sink, value).is_ok() {
            self.size.bytes += sink.written;
        }
    }

    /// An image; `data` is base64 or a URI.
    pub(crate) fn image(&mut self, data: &str) {
        self.size.images += 1;
        data.hash(&mut self.hasher);
    }

    /// A document as base64.
    pub(crate) fn document(&mut self, base64: &str) {
        self.size.bytes += decoded_length(base64);
        base64.hash(&mut self.hasher);
    }

    /// Ends a content block.
    pub(crate) fn end_block(&mut self) {
        self.prefixes.push(Prefix {
            hash: self.hasher.finish(),
            size: self.size,
            ttl: None,
        });
    }

    /// Makes the last block the end of a cached prefix.
    pub(crate) fn cache_point(&mut self, ttl: Duration) {
        if let Some(last) = self.prefixes.last_mut() {
            last.ttl = Some(ttl);
            self.has_cache_point = true;
        }
    }

    pub(crate) fn finish(self) -> Content {
        let mut prefixes = if self.has_cache_point {
            self.prefixes
        } else {
            Vec::new()
        };
        keep_near_cache_points(&mut prefixes);
        Content {
            size: self.size,
            prefixes,
        }
    }
}

/// Drops the prefixes that no lookup would reach.
fn keep_near_cache_points(prefixes: &mut Vec<Prefix>) {
    let mut distance = LOOKBACK;
    let mut near = vec![false; prefixes.len()];
    for (prefix, near) in prefixes.iter().zip(&mut near).rev() {
        distance = match prefix.ttl {
            Some(_) => 0,
            None => distance.saturating_add(1),
        };
        *near = distance < LOOKBACK;
    }
    let mut near = near.into_iter();
    prefixes.retain(|_| near.next().unwrap_or(false));
}

/// The bytes behind a base64 text, without decoding it.
fn decoded_length(base64: &str) -> u64 {
    let digits = base64.trim_end_matches('=').len() as u64;
    digits * 3 / 4
}

/// Hashes and counts what is written.
struct HashSink<'a> {
    hasher: &'a mut DefaultHasher,
    written: u64,
}

impl io::Write for HashSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.write(bytes);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
