//! What a backslash and the characters after it stand for (keepalived.conf(5), "Quoted strings").

use core::str::Chars;

/// The character that `chars`, which follow a backslash, begin with; it is taken from them. NUL, which no
/// argument can hold, is no character.
pub(crate) fn escape(chars: &mut Chars<'_>) -> char {
    let Some(next) = chars.next() else { return '\\' };
    match next {
        'a' => '\x07',
        'b' => '\x08',
        'E' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => code(chars, 16, 2, 0).unwrap_or('x'),
        'c' => chars.next().map_or('c', control),
        digit if digit.is_digit(8) => {
            code(chars, 8, 2, digit.to_digit(8).unwrap_or(0)).unwrap_or(digit)
        }
        other => other,
    }
}

/// What a keyboard's Ctrl makes of `c`, but for NUL.
fn control(c: char) -> char {
    match u8::try_from(c) {
        Ok(byte) if byte & 0x1f != 0 => char::from(byte & 0x1f),
        Ok(_) | Err(_) => c,
    }
}

/// Up to `most` more digits; NUL is no code.
fn code(chars: &mut Chars<'_>, radix: u32, most: usize, first: u32) -> Option<char> {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = chars.clone().next().and_then(|c| c.to_digit(radix)) else { break };
        value = value * radix + digit;
        chars.next();
    }
    u8::try_from(value).ok().filter(|byte| *byte != 0).map(char::from)
}
