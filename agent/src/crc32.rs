//! The checksum of boot environments, partition tables and our own history: CRC-32, as in IEEE 802.3.
//!
//! A table for half a byte is quick enough for what has some kilobytes, and takes 64 bytes.

/// The checksum of `bytes`.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| half(half(crc ^ u32::from(*byte))))
}

/// Moves on by four bits.
fn half(crc: u32) -> u32 {
    TABLE.get((crc & 15) as usize).map_or(0, |step| step ^ (crc >> 4))
}

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 {
        let mut crc = at;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the compiler runs this, and would say so")]
        {
            table[at as usize] = crc;
        }
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn it_is_what_others_reckon() {
        // The check value of the catalogues, and what zlib says of the others.
        assert_eq!(hash(b"123456789"), 0xcbf4_3926);
        assert_eq!((hash(b""), hash(&[0]), hash(&[255; 32])), (0, 0xd202_ef8d, 0xff6c_ab0b));
    }

    proptest::proptest! {
        #[test]
        fn it_is_what_the_fast_one_reckons(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            assert_eq!(hash(&bytes), crc32fast::hash(&bytes));
        }
    }
}
