//! Reading RLP, strictly: every value has one encoding, and nothing is left over. The refusals are geth's.

/// Why bytes are no canonical RLP of what is expected.
pub(super) type RlpError = &'static str;

/// The items of a list, or of a whole input, one after another.
#[derive(Debug, Clone)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

enum Item<'a> {
    Bytes(&'a [u8]),
    List(&'a [u8]),
}

impl<'a> Items<'a> {
    /// The items of an input that is one list and nothing else.
    pub(super) fn of_list(input: &'a [u8]) -> Result<Self, RlpError> {
        let mut whole = Self { rest: input };
        let list = whole.list()?;
        if !whole.rest.is_empty() {
            return Err("input contains more than one value");
        }
        Ok(list)
    }

    /// Whether there are no more.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left, as it was written.
    pub(super) const fn written(&self) -> &'a [u8] {
        self.rest
    }

    /// The next item, which must be a list.
    pub(super) fn list(&mut self) -> Result<Self, RlpError> {
        match self.next()? {
            Item::List(rest) => Ok(Self { rest }),
            Item::Bytes(_) => Err("expected List"),
        }
    }

    /// The next item, which must be bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], RlpError> {
        match self.next()? {
            Item::Bytes(bytes) => Ok(bytes),
            Item::List(_) => Err("expected String or Byte"),
        }
    }

    /// The next item, which must be a number of at most `N` bytes; big end first, filled with zeros.
    pub(super) fn number<const N: usize>(&mut self) -> Result<[u8; N], RlpError> {
        let bytes = self.bytes()?;
        if bytes.first() == Some(&0) {
            return Err("non-canonical integer (leading zero bytes)");
        }
        let empty = N.checked_sub(bytes.len()).ok_or("value too large")?;
        let mut number = [0; N];
        for (to, from) in number.iter_mut().skip(empty).zip(bytes) {
            *to = *from;
        }
        Ok(number)
    }

    fn next(&mut self) -> Result<Item<'a>, RlpError> {
        let (&head, rest) = self.rest.split_first().ok_or("too few elements")?;
        let short = usize::from(head & 0x3f);
        let item = match head {
            0..=0x7f => {
                let (byte, rest) = self.rest.split_at_checked(1).ok_or("too few elements")?;
                self.rest = rest;
                Item::Bytes(byte)
            }
            0x80..=0xb7 => {
                let bytes = self.take(rest, short)?;
                if matches!(bytes, [0..=0x7f]) {
                    return Err("non-canonical size information");
                }
                Item::Bytes(bytes)
            }
            0xb8..=0xbf => Item::Bytes(self.long(rest, usize::from(head - 0xb7))?),
            0xc0..=0xf7 => Item::List(self.take(rest, short)?),
            0xf8.. => Item::List(self.long(rest, usize::from(head - 0xf7))?),
        };
        Ok(item)
    }

    /// An item whose length is written in `size` bytes.
    fn long(&mut self, rest: &'a [u8], size: usize) -> Result<&'a [u8], RlpError> {
        let (digits, rest) =
            rest.split_at_checked(size).ok_or("value size exceeds available input length")?;
        if digits.first() == Some(&0) {
            return Err("non-canonical size information");
        }
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256).and_then(|length| length.checked_add(usize::from(*digit)))
        });
        match length.ok_or("value size exceeds available input length")? {
            0..=55 => Err("non-canonical size information"),
            length => self.take(rest, length),
        }
    }

    fn take(&mut self, rest: &'a [u8], length: usize) -> Result<&'a [u8], RlpError> {
        let (taken, rest) =
            rest.split_at_checked(length).ok_or("value size exceeds available input length")?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A list of items that are written already.
pub(super) fn list_of(written: &[u8]) -> Vec<u8> {
    let mut list = match u8::try_from(written.len()) {
        Ok(short @ 0..=55) => vec![0xc0 + short],
        _ => {
            let length = written.len().to_be_bytes();
            let digits: Vec<u8> = length.into_iter().skip_while(|digit| *digit == 0).collect();
            let size = u8::try_from(digits.len()).unwrap_or(u8::MAX);
            let mut head = vec![0xf7_u8.saturating_add(size)];
            head.extend(digits);
            head
        }
    };
    list.extend_from_slice(written);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_encoding_of_a_value_is_read() {
        let good: [&[u8]; 5] = [&[0x00], &[0x7f], &[0x80], &[0x81, 0x80], &[0x82, 0x00, 0x01]];
        for bytes in good {
            assert!(Items { rest: bytes }.bytes().is_ok(), "{bytes:?}");
        }
        let long = |length: u8| [vec![0xb8, length], vec![1; usize::from(length)]].concat();
        assert_eq!(Items { rest: &long(56) }.bytes().map(<[u8]>::len), Ok(56));
        let bad: [&[u8]; 10] = [
            &[],
            &[0x81],
            &[0x81, 0x7f],
            &[0x82, 0x01],
            &long(55),
            &[0xb9, 0x00, 0x38],
            &[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xc0],
            &[0xb8],
            &[0xb8, 0x38],
        ];
        for bytes in bad {
            assert!(Items { rest: bytes }.bytes().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_number_has_no_leading_zero_and_its_size() {
        assert_eq!(Items { rest: &[0x80] }.number(), Ok([0, 0]));
        assert_eq!(Items { rest: &[0x05] }.number(), Ok([0, 5]));
        assert_eq!(Items { rest: &[0x82, 0x12, 0x34] }.number(), Ok([0x12, 0x34]));
        for bad in [&[0x00][..], &[0x82, 0x00, 0x12], &[0x83, 1, 2, 3], &[0xc1, 0x01]] {
            assert!(Items { rest: bad }.number::<2>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_list_ends_where_it_says_and_the_input_with_it() {
        for length in [0, 1, 55, 56, 255, 256, 70_000] {
            let written = vec![0x01; length];
            let list = list_of(&written);
            assert_eq!(Items::of_list(&list).unwrap().written(), written);
            assert!(Items::of_list(&[list.clone(), vec![0]].concat()).is_err());
            assert!(Items::of_list(&list[..list.len() - 1]).is_err());
        }
        assert_eq!(list_of(&[]), [0xc0]);
        assert_eq!(list_of(&[0; 56])[..2], [0xf8, 56]);
        assert_eq!(list_of(&[0; 256])[..3], [0xf9, 1, 0]);
    }
}
