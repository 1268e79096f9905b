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
    let mut start = end.len();
    loop {
        start = end[..start].iter().rposition(|&byte| byte == b'{')?;
        if end[..start].trim_ascii_end().ends_with(NAME) {
            break;
        }
    }
    let mut text = Text(&end[start..]);
    let counts = text.counts()?;
    text.skip(b'}')?;
    text.0.is_empty().then_some(counts)
}

/// What is left of a text, without the space before it.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    /// An object of counts. What else is in it is a number, too, or an empty object.
    fn counts(&mut self) -> Option<TokenCounts> {
        let mut counts = TokenCounts::default();
        self.skip(b'{')?;
        loop {
            if self.member(b"\"inputTokens\"") {
                self.count(&mut counts.input)?;
            } else if self.member(b"\"outputTokens\"") {
                self.count(&mut counts.output)?;
            } else if self.member(b"\"totalTokens\"") {
                self.count(&mut counts.total)?;
            } else if self.member(b"\"cacheReadInputTokens\"") {
                self.count(&mut counts.cache_read)?;
            } else if self.member(b"\"cacheWriteInputTokens\"") {
                self.count(&mut counts.cache_write)?;
            } else {
                self.anything_else()?;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(counts),
                _ => return None,
            }
        }
    }

    /// Goes past `name` if that is next.
    fn member<const N: usize>(&mut self, name: &[u8; N]) -> bool {
        let rest = self.0.strip_prefix(name);
        self.0 = rest.map_or(self.0, <[u8]>::trim_ascii_start);
        rest.is_some()
    }

    /// The count of the member whose name was passed, which is there once.
    fn count(&mut self, count: &mut Option<u64>) -> Option<()> {
        self.skip(b':')?;
        let number = self.number()?;
        count.replace(number).is_none().then_some(())
    }

    /// A member that is no count of ours. Its name has no escapes, or it might be.
    fn anything_else(&mut self) -> Option<()> {
        self.skip(b'"')?;
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
        self.0 = &self.0[self.0.iter().position(is_end)?..];
        self.skip(b'"')?;
        self.skip(b':')?;
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
