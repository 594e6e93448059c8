//! PostgreSQL's binary decimals as text.

/// `numeric` as `numeric_send` writes it: count, weight, sign and scale, then digits to the base of 10,000,
/// all in 16 bits. Nothing if the bytes are no such thing.
pub(super) fn decimal(bytes: &[u8], text: &mut String) -> Option<()> {
    let words: Vec<i16> =
        bytes.chunks_exact(2).map(|it| i16::from_be_bytes([it[0], it[1]])).collect();
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else { return None };
    if usize::try_from(*count).ok()? != digits.len() {
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
        let index = i32::from(*weight) - position;
        usize::try_from(index).ok().and_then(|it| digits.get(it)).copied().unwrap_or(0)
    };
    whole(i32::from(*weight), group, text);
    fraction(usize::try_from(*scale).ok()?, group, text);
    Some(())
}

/// The digits before the point: groups from `weight` down to 0.
fn whole(weight: i32, group: impl Fn(i32) -> i16, text: &mut String) {
    use std::fmt::Write;

    if weight < 0 {
        text.push('0');
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", group(weight));
    for position in (0..weight).rev() {
        let _ = write!(text, "{:04}", group(position));
    }
}

/// The digits behind the point, as many as the scale says.
fn fraction(scale: usize, group: impl Fn(i32) -> i16, text: &mut String) {
    use std::fmt::Write;

    if scale == 0 {
        return;
    }
    text.push('.');
    let end = text.len() + scale;
    let mut position = -1;
    while text.len() < end {
        let _ = write!(text, "{:04}", group(position));
        position -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::decimal;

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
}
