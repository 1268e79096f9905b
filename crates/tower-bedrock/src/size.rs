//! How large an input is, without its content.

/// What an input is made of, by size: what estimates of its tokens go by. Holds nothing of the
/// content itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InputSize {
    /// Bytes of text in UTF-8: messages, system prompts, tool results.
    pub text_bytes: u64,
    /// Bytes of tool definitions: names, descriptions, schemas as compact JSON.
    pub tool_bytes: u64,
    /// Bytes of documents as they are, not as Base64.
    pub document_bytes: u64,
    /// How many images there are; their size in bytes says little of their tokens.
    pub images: u32,
    /// How many messages and content blocks there are.
    pub parts: u32,
}
