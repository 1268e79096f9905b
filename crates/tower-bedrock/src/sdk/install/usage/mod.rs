//! What a whole answer used, read without reading the answer.

#[cfg(test)]
mod tests;

use crate::stream::TokenCounts;

/// The member `usage` of an object that ends with it, as the service's answers do: so the answer's
/// text need not be read. A name in quotes that are not escaped is no part of a text, and an object
/// that ends where all does is a member of no other.
///
/// Read by hand: it is read of every answer, and numbers by plain names are all that it has to say.
/// Whatever else there may be is left to those who read all of JSON: `None`.
pub(super) fn at_the_end(body: &[u8]) -> Option<TokenCounts> {
    /// Counts take less.
    const END: usize = 512;
    const NAME: &[u8] = b"\"usage\":";
    let end = &body[body.len().saturating_sub(END)..];
    let braces = end.iter().enumerate().rev().filter(|(_, byte)| **byte == b'{');
    let mut starts = braces.map(|(at, _)| end.split_at(at));
    let (_, usage) = starts.find(|(before, _)| before.trim_ascii_end().ends_with(NAME))?;
    let mut text = Text(usage);
    let counts = text.counts()?;
    text.skip(b'}')?;
    text.0.is_empty().then_some(counts)
}

/// What is left of a text, without the space before it.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// An object of counts. What else is in it is a number, too, or an empty object.
    fn counts(&mut self) -> Option<TokenCounts> {
        let mut counts = TokenCounts::default();
        self.skip(b'{')?;
        loop {
            let name = self.name()?;
            self.skip(b':')?;
            match name {
                b"inputTokens" => self.count(&mut counts.input)?,
                b"outputTokens" => self.count(&mut counts.output)?,
                b"totalTokens" => self.count(&mut counts.total)?,
                b"cacheReadInputTokens" => self.count(&mut counts.cache_read)?,
                b"cacheWriteInputTokens" => self.count(&mut counts.cache_write)?,
                _ => self.anything_else()?,
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(counts),
                _ => return None,
            }
        }
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        self.skip(b'"')?;
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
        let (name, rest) = self.0.split_at(self.0.iter().position(is_end)?);
        self.0 = rest;
        self.skip(b'"')?;
        Some(name)
    }

    /// A count, of which there is one.
    fn count(&mut self, count: &mut Option<u64>) -> Option<()> {
        let number = self.number()?;
        count.replace(number).is_none().then_some(())
    }

    fn anything_else(&mut self) -> Option<()> {
        if self.skip(b'{').is_some() {
            return self.skip(b'}');
        }
        self.number().map(drop)
    }

    /// A number as things are counted: without sign, fraction or exponent.
    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(digits.count());
        if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) {
            return None;
        }
        self.0 = rest.trim_ascii_start();
        digits.iter().try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }

    /// Goes past `byte` if that is next.
    fn skip(&mut self, byte: u8) -> Option<()> {
        let rest = self.0.strip_prefix(&[byte])?;
        self.0 = rest.trim_ascii_start();
        Some(())
    }

    fn next(&mut self) -> Option<u8> {
        let (next, rest) = self.0.split_first()?;
        self.0 = rest.trim_ascii_start();
        Some(*next)
    }
}
