//! PostgreSQL's binary decimals as text.

/// The most digits behind the point, and the highest weight (`numeric.h`).
const SCALE: usize = 0x3FFF;
const WEIGHT: i64 = 0x7FFF;

/// `numeric` as `numeric_send` writes it: count, weight, sign and scale, then digits to the base of 10,000,
/// all in 16 bits. Nothing if the bytes are no such thing.
pub(super) fn decimal(bytes: &[u8], text: &mut String) -> Option<()> {
    let word = |at: usize| -> Option<i16> {
        let bytes = bytes.get(2 * at..2 * at + 2)?;
        Some(i16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (count, weight, sign, scale) = (word(0)?, word(1)?, word(2)?, word(3)?);
    if bytes.len() != 8 + 2 * usize::try_from(count).ok()? {
        return None;
    }
    match sign.cast_unsigned() {
        0x0000 => {}
        0x4000 => text.push('-'),
        0xC000 => {
            text.push_str("NaN");
            return Some(());
        }
        0xD000 => {
            text.push_str("Infinity");
            return Some(());
        }
        0xF000 => {
            text.push_str("-Infinity");
            return Some(());
        }
        _ => return None,
    }
    let group = |position: i32| -> i16 {
        let index = i32::from(weight) - position;
        usize::try_from(index).ok().and_then(|it| word(4 + it)).unwrap_or(0)
    };
    whole(i32::from(weight), group, text);
    fraction(usize::try_from(scale).ok()?, group, text);
    Some(())
}

/// The digits before the point: groups from `weight` down to 0.
fn whole(weight: i32, group: impl Fn(i32) -> i16, text: &mut String) {
    if weight < 0 {
        text.push('0');
        return;
    }
    let first = digits(group(weight));
    let zeros = first.iter().take(3).take_while(|&&it| it == '0').count();
    text.extend(&first[zeros..]);
    for position in (0..weight).rev() {
        text.extend(digits(group(position)));
    }
}

/// The digits behind the point, as many as the scale says.
fn fraction(scale: usize, group: impl Fn(i32) -> i16, text: &mut String) {
    if scale == 0 {
        return;
    }
    text.push('.');
    let end = text.len() + scale;
    let mut position = -1;
    while text.len() < end {
        text.extend(digits(group(position)));
        position -= 1;
    }
    text.truncate(end);
}

/// The four digits of a group.
fn digits(group: i16) -> [char; 4] {
    let digit = |it: i16| char::from(b'0' + u8::try_from(it.rem_euclid(10)).unwrap_or(0));
    [digit(group / 1000), digit(group / 100), digit(group / 10), digit(group)]
}

/// Appends `text` to `bytes` as `numeric_recv` reads it: the reverse of [`decimal`]. Nothing if it is no decimal, or one
/// with more digits than PostgreSQL takes.
pub(super) fn encode(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let special = match rest {
        b"NaN" => Some(0xC000_u16),
        b"Infinity" | b"inf" => Some(if negative { 0xF000 } else { 0xD000 }),
        _ => None,
    };
    if let Some(sign) = special {
        header(bytes, [0, 0, sign, 0]);
        return Some(());
    }
    let (mantissa, exponent) = match rest.iter().position(|it| matches!(it, b'e' | b'E')) {
        None => (rest, 0),
        Some(at) => (&rest[..at], str::from_utf8(&rest[at + 1..]).ok()?.parse::<i32>().ok()?),
    };
    let point = mantissa.iter().position(|&it| it == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let count = whole.len() + fraction.len();
    if count == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| if at < point { whole[at] - b'0' } else { fraction[at - point] - b'0' };
    // How many of the digits stand before the point, once the exponent has moved it.
    let before = i64::try_from(point).ok()? + i64::from(exponent);
    let scale = usize::try_from((i64::try_from(count).ok()? - before).max(0)).ok()?;
    let sign = if negative { 0x4000 } else { 0 };
    groups(digit, count, before, &Layout { sign, scale }, bytes)
}

/// What stands in front of the digits.
struct Layout {
    sign: u16,
    scale: usize,
}

/// Writes `count` digits, of which `before` stand before the point, in groups of four that begin at the point.
fn groups(
    digit: impl Fn(usize) -> u8,
    count: usize,
    before: i64,
    layout: &Layout,
    bytes: &mut Vec<u8>,
) -> Option<()> {
    let begins = bytes.len();
    header(bytes, [0; 4]);
    let mut weight = (before + 3).div_euclid(4) - 1;
    // Where the group of that weight begins among the digits: before the first where it is not full.
    let mut at = before - 4 * (weight + 1);
    let end = i64::try_from(count).ok()?;
    let mut written = 0_usize;
    let mut kept = 0_usize;
    while at < end {
        let one = |at: i64| usize::try_from(at).ok().filter(|&it| it < count).map_or(0, &digit);
        let group = (at..at + 4).fold(0_u16, |group, at| 10 * group + u16::from(one(at)));
        at += 4;
        if group == 0 && written == 0 {
            weight -= 1;
            continue;
        }
        bytes.extend(group.to_be_bytes());
        written += 1;
        if group != 0 {
            kept = written;
        }
    }
    bytes.truncate(begins + 8 + 2 * kept);
    let weight = if kept == 0 { 0 } else { weight };
    if layout.scale > SCALE || !(-WEIGHT..=WEIGHT).contains(&weight) {
        return None;
    }
    let sign = if kept == 0 { 0 } else { layout.sign };
    let weight = i16::try_from(weight).ok()?.cast_unsigned();
    let (kept, scale) = (u16::try_from(kept).ok()?, u16::try_from(layout.scale).ok()?);
    for (place, word) in bytes[begins..].chunks_exact_mut(2).zip([kept, weight, sign, scale]) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(())
}

fn header(bytes: &mut Vec<u8>, words: [u16; 4]) {
    bytes.extend(words.into_iter().flat_map(u16::to_be_bytes));
}

#[cfg(test)]
mod tests {
    use super::{decimal, encode};

    fn sent(words: &[u16]) -> Option<String> {
        let bytes: Vec<u8> = words.iter().flat_map(|it| it.to_be_bytes()).collect();
        let mut text = String::new();
        decimal(&bytes, &mut text).map(|()| text)
    }

    /// The words are what `numeric_send` gives for the text.
    #[test]
    fn decimals_keep_every_digit() {
        for (words, text) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[1, 0, 0, 0, 7], "7"),
            (&[2, 0, 0, 2, 1234, 5600], "1234.56"),
            (&[2, 1, 0, 0, 1, 2], "10002"),
            (&[1, 1, 0, 0, 1], "10000"),
            (&[1, 0xFFFF, 0x4000, 4, 5], "-0.0005"),
            (&[1, 0xFFFE, 0, 6, 1200], "0.000012"),
            (&[3, 1, 0x4000, 3, 12, 3456, 7890], "-123456.789"),
            (&[0, 0, 0xC000, 0], "NaN"),
            (&[0, 0, 0xF000, 0], "-Infinity"),
        ] {
            assert_eq!(sent(words).as_deref(), Some(text), "{words:?}");
        }
        assert_eq!(sent(&[2, 0, 0, 0, 1]), None, "a digit is missing");
        assert_eq!(sent(&[0, 0]), None);
    }

    #[test]
    fn decimals_come_back_as_they_went() {
        for text in [
            "0",
            "0.00",
            "7",
            "1234.56",
            "10002",
            "10000",
            "-0.0005",
            "0.000012",
            "-123456.789",
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999.9999999999",
            "0.1",
            "100",
            "1000000.5",
            "0.00010000",
        ] {
            let mut bytes = Vec::new();
            encode(text, &mut bytes).unwrap();
            let mut back = String::new();
            decimal(&bytes, &mut back).unwrap();
            assert_eq!(back, text);
        }
    }

    #[test]
    fn decimals_of_other_hands_are_understood() {
        for (text, expected) in [
            ("+1.50", "1.50"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("12e-1", "1.2"),
            (".5", "0.5"),
            ("5.", "5"),
            ("00012", "12"),
            ("1.25e1", "12.5"),
        ] {
            let mut bytes = Vec::new();
            encode(text, &mut bytes).unwrap();
            let mut back = String::new();
            decimal(&bytes, &mut back).unwrap();
            assert_eq!(back, expected, "{text}");
        }
        for text in ["", "-", ".", "1.2.3", "1,5", "0x1", "1e", "1e99999999", "abc", "1 "] {
            assert_eq!(encode(text, &mut Vec::new()), None, "{text}");
        }
    }
}
