//! The size of an InvokeModel body, whose form is the model's own.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::size::InputSize;

/// What is read of a body: how large its input is, and how much it may generate.
///
/// Text is any string under a name that models use for content; tools are whole definitions; Base64
/// counts as the bytes it stands for. A body that is no JSON counts as text, byte by byte: the
/// service refuses it anyway.
pub(in crate::sdk) fn of_body(body: &[u8]) -> (InputSize, Option<u32>) {
    let mut found = Found::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let walk = Walk {
        found: &mut found,
        role: Role::Top,
    };
    if walk.deserialize(&mut json).is_err() {
        let size = InputSize {
            text_bytes: body.len() as u64,
            parts: 1,
            ..InputSize::default()
        };
        return (size, None);
    }
    (found.size, found.max_output)
}

#[derive(Default)]
struct Found {
    size: InputSize,
    max_output: Option<u32>,
}

/// What a value is, by the name it stands under.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// The body itself.
    Top,
    /// Settings that may hold the most tokens to generate.
    Settings,
    /// Content, or what holds content.
    Content,
    /// What a tool is called with or answers, which has names of its own.
    Arguments,
    /// An image with all that belongs to it.
    Image,
    /// A document with all that belongs to it.
    Document,
    /// Definitions of tools.
    Tools,
    /// The most tokens to generate.
    MaxOutput,
    /// Nothing that is fed to the model.
    Other,
}

impl Role {
    fn of(self, name: &str) -> Self {
        match (self, name) {
            (
                Self::Top | Self::Settings,
                "max_tokens"
                | "maxTokens"
                | "max_tokens_to_sample"
                | "maxTokenCount"
                | "max_gen_len"
                | "max_completion_tokens",
            ) => Self::MaxOutput,
            (Self::Top, "inferenceConfig" | "textGenerationConfig") => Self::Settings,
            (Self::Top, "tools" | "toolConfig") => Self::Tools,
            (
                Self::Top,
                "messages" | "system" | "prompt" | "inputText" | "texts" | "message"
                | "chat_history",
            ) => Self::Content,
            (Self::Content, "image" | "images") => Self::Image,
            (Self::Content, "document") => Self::Document,
            (
                Self::Content,
                "content" | "text" | "thinking" | "reasoningText" | "reasoningContent" | "name"
                | "toolUse" | "toolResult" | "source" | "message",
            ) => Self::Content,
            (Self::Content, "input" | "json") => Self::Arguments,
            (Self::Arguments, _) => Self::Arguments,
            (Self::Tools, _) => Self::Tools,
            (Self::Image, _) => Self::Image,
            (Self::Document, _) => Self::Document,
            _ => Self::Other,
        }
    }
}

impl InputSize {
    /// Names, numbers and punctuation, which count where a value counts as a whole.
    fn add_syntax(&mut self, role: Role, bytes: u64) {
        match role {
            Role::Tools => self.tool_bytes += bytes,
            Role::Arguments => self.text_bytes += bytes,
            _ => {}
        }
    }
}

struct Walk<'a> {
    found: &'a mut Found,
    role: Role,
}

impl Walk<'_> {
    fn text(self, text: &str) {
        let bytes = text.len() as u64;
        let size = &mut self.found.size;
        match self.role {
            Role::Content | Role::Arguments => size.text_bytes += bytes,
            Role::Tools => size.tool_bytes += bytes,
            Role::Document => size.document_bytes += bytes,
            Role::Top | Role::Settings | Role::Image | Role::MaxOutput | Role::Other => {}
        }
    }

    fn scalar(self, bytes: u64) {
        self.found.size.add_syntax(self.role, bytes);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.role {
            Role::Other => value.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => value.deserialize_any(self),
        }
    }
}

/// The fields of an Anthropic block, which tell only together what it is: they come in any order.
#[derive(Default)]
struct Block {
    is_document: bool,
    data_bytes: Option<u64>,
    has_kind: bool,
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { found, role } = self;
        if role == Role::Image {
            found.size.images += 1;
            return skip(map);
        }
        let mut block = Block::default();
        found.size.add_syntax(role, 2);
        while let Some(name) = map.next_key_seed(Name)? {
            let mut role_of_value = role.of(&name);
            found.size.add_syntax(role, name.len() as u64 + 4);
            if role == Role::Content {
                match &*name {
                    "role" | "type" if !block.has_kind => {
                        block.has_kind = true;
                        found.size.parts += 1;
                    }
                    "text" | "image" | "document" | "toolUse" | "toolResult" if !block.has_kind => {
                        block.has_kind = true;
                        found.size.parts += 1;
                    }
                    // `{"media_type": "application/pdf", "data": "…"}`
                    "media_type" => {
                        let media_type: String = map.next_value()?;
                        block.is_document = !media_type.starts_with("image/");
                        continue;
                    }
                    "data" => {
                        block.data_bytes = Some(map.next_value_seed(Base64)?);
                        continue;
                    }
                    _ => {}
                }
            }
            if role == Role::Document && &*name == "bytes" {
                found.size.document_bytes += map.next_value_seed(Base64)?;
                continue;
            }
            if role == Role::Document && matches!(&*name, "format" | "type") {
                role_of_value = Role::Other;
            }
            map.next_value_seed(Walk {
                found: &mut *found,
                role: role_of_value,
            })?;
        }
        match block.data_bytes {
            Some(bytes) if block.is_document => found.size.document_bytes += bytes,
            Some(_) => found.size.images += 1,
            None => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { found, role } = self;
        loop {
            let item = Walk {
                found: &mut *found,
                role,
            };
            if items.next_element_seed(item)?.is_none() {
                return Ok(());
            }
            found.size.add_syntax(role, 1);
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        match self.role {
            Role::MaxOutput => self.found.max_output = u32::try_from(number).ok(),
            _ => self.scalar(super::digits(number)),
        }
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.scalar(1 + super::digits(number.unsigned_abs()));
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.scalar(5);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.scalar(5);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(4);
        Ok(())
    }
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// A field's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(name.to_owned().into())
    }
}

/// How many bytes a Base64 string stands for.
struct Base64;

impl<'de> DeserializeSeed<'de> for Base64 {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<u64, D::Error> {
        text.deserialize_str(self)
    }
}

impl Visitor<'_> for Base64 {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Base64 string")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.len() as u64 / 4 * 3)
    }
}
