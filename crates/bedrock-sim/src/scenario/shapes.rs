//! Values that have more than one shape in a file.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::OutputTokens;

/// Reads `"one"` or `["one", "two"]`.
pub(super) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name or a list of names")
        }

        fn visit_str<E: de::Error>(self, one: &str) -> Result<Self::Value, E> {
            Ok(vec![T::deserialize(one.into_deserializer())?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, many: A) -> Result<Self::Value, A::Error> {
            let many = Vec::deserialize(SeqAccessDeserializer::new(many))?;
            if many.is_empty() {
                return Err(de::Error::custom("the list is empty: leave it out for all"));
            }
            Ok(many)
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData))
}

impl<'de> Deserialize<'de> for OutputTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;

        impl<'de> Visitor<'de> for Tokens {
            type Value = OutputTokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens, or [least, most]")
            }

            fn visit_u64<E: de::Error>(self, tokens: u64) -> Result<Self::Value, E> {
                Ok(OutputTokens::Fixed(tokens))
            }

            fn visit_i64<E: de::Error>(self, tokens: i64) -> Result<Self::Value, E> {
                u64::try_from(tokens)
                    .map(OutputTokens::Fixed)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(tokens), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, range: A) -> Result<Self::Value, A::Error> {
                // As a list, for a tuple would leave the rest of a longer one unread.
                let range = Vec::deserialize(SeqAccessDeserializer::new(range))?;
                match range[..] {
                    [least, most] => Ok(OutputTokens::Between(least, most)),
                    _ => Err(de::Error::invalid_length(range.len(), &self)),
                }
            }
        }

        deserializer.deserialize_any(Tokens)
    }
}
