//! Where the running kernel's structures have their fields, by its own description (the kernel's
//! `Documentation/bpf/btf.rst`).

use std::{fs, io};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// A type is three numbers, and what its kind needs.
const TYPE_LEN: usize = 12;
/// A member is three numbers: name, type, offset in bits.
const MEMBER_LEN: usize = 12;
/// Structures without a name inside of others.
const DEPTH_MAX: usize = 8;

/// `BTF_KIND_*`.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const ENUM64: u32 = 19;
}

/// A description of types.
pub(crate) struct Btf {
    bytes: Vec<u8>,
    /// Where the strings begin in `bytes`.
    strings: usize,
    /// Where each type begins; type 1 is the first.
    types: Vec<usize>,
}

impl Btf {
    /// The running kernel's.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn of_kernel() -> io::Result<Self> {
        let bytes = fs::read(KERNEL).map_err(|error| {
            io::Error::new(error.kind(), format!("the kernel does not describe itself: {error}"))
        })?;
        Self::decode(bytes).ok_or_else(|| io::Error::other(format!("{KERNEL} cannot be read")))
    }

    /// `None`: it is none, or of another byte order.
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        let header = |place: usize| -> Option<usize> {
            usize::try_from(number(&bytes, place.checked_mul(4)?)?).ok()
        };
        let header_len = header(1)?;
        let begin = header_len.checked_add(header(2)?)?;
        let end = begin.checked_add(header(3)?)?;
        let strings = header_len.checked_add(header(4)?)?;
        if magic != MAGIC || strings > bytes.len() || end > strings {
            return None;
        }
        let mut types = Vec::new();
        let mut at = begin;
        while at < end {
            types.push(at);
            at = at.checked_add(TYPE_LEN)?.checked_add(extra_len(number(&bytes, at + 4)?))?;
        }
        Some(Self { bytes, strings, types })
    }

    /// Bytes from the begin of a structure to one of its fields.
    ///
    /// # Errors
    /// This kernel has no such field, or it is one of bits.
    pub(crate) fn offset(&self, structure: &str, field: &str) -> io::Result<u32> {
        let is_it = |at: &&usize| {
            let info = number(&self.bytes, **at + 4).unwrap_or(0);
            kind_of(info) == kind::STRUCT && self.is_called(**at, structure)
        };
        let bits = self.types.iter().find(is_it).and_then(|at| self.find(*at, field, 0));
        bits.filter(|bits| bits % 8 == 0).map(|bits| bits / 8).ok_or_else(|| {
            io::Error::other(format!("this kernel has no field {field} in its {structure}"))
        })
    }

    fn find(&self, at: usize, field: &str, depth: usize) -> Option<u32> {
        let info = number(&self.bytes, at + 4)?;
        if depth == DEPTH_MAX || !matches!(kind_of(info), kind::STRUCT | kind::UNION) {
            return None;
        }
        let has_bit_fields = info >> 31 == 1;
        (0..count_of(info)).find_map(|index| {
            let member = at + TYPE_LEN + index * MEMBER_LEN;
            let raw = number(&self.bytes, member + 8)?;
            let bits = if has_bit_fields { raw & 0x00ff_ffff } else { raw };
            if self.is_called(member, field) {
                return Some(bits);
            }
            let is_nameless = number(&self.bytes, member)? == 0;
            let id = usize::try_from(number(&self.bytes, member + 4)?).ok()?;
            let inner = *self.types.get(id.checked_sub(1)?)?;
            let inner = self.find(inner, field, depth + 1).filter(|_| is_nameless)?;
            bits.checked_add(inner)
        })
    }

    /// Whether the type or member there has this name.
    fn is_called(&self, at: usize, name: &str) -> bool {
        let text = number(&self.bytes, at).and_then(|offset| {
            self.bytes.get(self.strings.checked_add(usize::try_from(offset).ok()?)?..)
        });
        let rest = text.and_then(|text| text.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

const fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn count_of(info: u32) -> usize {
    usize::try_from(info & 0xffff).unwrap_or(0)
}

/// Bytes that a type has behind its three numbers.
fn extra_len(info: u32) -> usize {
    let count = count_of(info);
    match kind_of(info) {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => count * 12,
        kind::ENUM | kind::FUNC_PROTO => count * 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An int, `struct outer { int a; struct { int b; int c; }; int d:3; }` and strings.
    fn description() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0c\0d\0";
        let types: [&[u32]; 3] = [
            &[0, kind::INT << 24, 4, 32],
            &[0, kind::STRUCT << 24 | 2, 8, 9, 1, 0, 11, 1, 32],
            &[1, 1 << 31 | kind::STRUCT << 24 | 3, 16, 7, 1, 0, 0, 2, 32, 13, 1, 3 << 24 | 0x63],
        ];
        let body: Vec<u8> = types.concat().iter().flat_map(|one| one.to_ne_bytes()).collect();
        let len = u32::try_from(body.len()).unwrap();
        let strings_len = u32::try_from(strings.len()).unwrap();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend([24, 0, len, len, strings_len].into_iter().flat_map(u32::to_ne_bytes));
        bytes.extend(body);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_in_nameless_structures_too() {
        let btf = Btf::decode(description()).unwrap();
        assert_eq!(btf.offset("outer", "a").unwrap(), 0);
        assert_eq!(btf.offset("outer", "b").unwrap(), 4);
        assert_eq!(btf.offset("outer", "c").unwrap(), 8);
        assert!(btf.offset("outer", "d").is_err(), "it is one of bits");
        let error = btf.offset("outer", "e").unwrap_err().to_string();
        assert_eq!(error, "this kernel has no field e in its outer");
        assert!(btf.offset("out", "a").is_err());
    }

    #[test]
    fn what_is_cut_off_is_no_description() {
        let whole = description();
        for len in 0..whole.len() - b"\0outer\0a\0b\0c\0d\0".len() {
            assert!(Btf::decode(whole[..len].to_vec()).is_none(), "{len}");
        }
        assert!(Btf::decode(vec![0; 64]).is_none());
    }
}
