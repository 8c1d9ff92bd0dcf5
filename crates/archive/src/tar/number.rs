//! Numbers in fields of a header.

/// Reads a field: octal digits with spaces before and a space or NUL behind them, or base 256. A blank field is 0.
/// `None` for anything else, and for a number that 63 bits do not hold.
pub(crate) fn parse(field: &[u8]) -> Option<i64> {
    match field.split_first()? {
        (first @ (0x80 | 0xFF), rest) => {
            let negative = *first == 0xFF;
            let mut number: i64 = if negative { -1 } else { 0 };
            for byte in rest {
                number = number.checked_mul(256)?.checked_add(i64::from(*byte))?;
            }
            Some(number)
        }
        (0x81..=0xFE, _) => None,
        _ => parse_octal(field),
    }
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let mut number: i64 = 0;
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    for byte in digits.take_while(|byte| !matches!(byte, b' ' | 0)) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        number = number.checked_mul(8)?.checked_add(i64::from(digit))?;
    }
    Some(number)
}

/// Writes octal digits and a NUL; `false`, and zeros, when the number has too many digits.
pub(crate) fn write(field: &mut [u8], number: u64) -> bool {
    let Some((end, digits)) = field.split_last_mut() else { return false };
    *end = 0;
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 8).unwrap_or(0);
        rest /= 8;
    }
    if rest != 0 {
        digits.fill(b'0');
    }
    rest == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_base_256() {
        for (field, number) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"        ", Some(0)),
            (b"\0\0\0\0", Some(0)),
            (b"77777777777\0", Some((1 << 33) - 1)),
            (b"777777777777", Some((1 << 36) - 1)),
            (b"8", None),
            (b"-1", None),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(1 << 33)),
            (b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", Some(-2)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", None),
            (b"\x90\0\0\0", None),
            (b"", None),
        ] {
            assert_eq!(parse(field), number, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut field = [1; 12];
        for number in [0, 1, 0o644, (1 << 33) - 1] {
            assert!(write(&mut field, number));
            assert_eq!(parse(&field), i64::try_from(number).ok());
        }
        assert!(!write(&mut field, 1 << 33));
        assert_eq!(&field, b"00000000000\0");
    }
}
