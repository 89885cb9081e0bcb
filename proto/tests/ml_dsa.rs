//! ML-DSA against `fips204`, which shares no line of code with what we verify and sign with.

#[cfg(test)]
mod tests {
    use fips204::traits::{KeyGen, SerDes, Signer, Verifier};
    use fips204::{ml_dsa_44, ml_dsa_65, ml_dsa_87};
    use serde_json::json;
    use sha2::{Digest, Sha512};
    use spki::der::EncodePem;
    use spki::der::asn1::BitStringRef;
    use spki::der::pem::LineEnding;
    use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
    use tenure_proto::key::{PublicKey, SigningKey};

    const MESSAGE: &[u8] = b"{\"_type\":\"timestamp\",\"version\":1}";

    /// What TAP 21, version 1, has a key sign of a message.
    fn tap21(message: &[u8]) -> Vec<u8> {
        [b"tuf\x01".as_slice(), &Sha512::digest(message)].concat()
    }

    /// A key as RFC 9881 and TAP 21 write it.
    fn written(scheme: &str, algorithm: &str, key: &[u8]) -> PublicKey {
        let algorithm = AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap(algorithm), parameters: None };
        let subject_public_key = BitStringRef::from_bytes(key).unwrap();
        let pem = SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_pem(LineEnding::LF).unwrap();
        serde_json::from_value(json!({"keytype": "ml-dsa", "scheme": scheme, "keyval": {"public": pem}})).unwrap()
    }

    /// Signs with the other implementation, and asks ours.
    macro_rules! verifies_what_another_signs {
        ($name:ident, $module:ident, $scheme:literal, $algorithm:literal) => {
            #[test]
            fn $name() {
                let (public, private) = $module::KG::keygen_from_seed(&[7; 32]);
                let key = written($scheme, $algorithm, &public.into_bytes());
                let sign = |message: &[u8], context: &[u8]| {
                    private.try_sign_with_seed(&[9; 32], message, context).unwrap().to_vec()
                };
                let good = sign(&tap21(MESSAGE), b"");
                assert!(key.verifies(MESSAGE, &good));
                assert!(!key.verifies(b"another", &good));
                for bad in [0, good.len() / 2, good.len() - 1] {
                    let mut flipped = good.clone();
                    flipped[bad] ^= 1;
                    assert!(!key.verifies(MESSAGE, &flipped), "byte {bad}");
                }
                // The bare message and a context are other things to sign.
                assert!(!key.verifies(MESSAGE, &sign(MESSAGE, b"")));
                assert!(!key.verifies(MESSAGE, &sign(&tap21(MESSAGE), b"tuf")));
            }
        };
    }

    verifies_what_another_signs!(ml_dsa_44_is_verified, ml_dsa_44, "ml-dsa-44/1", "2.16.840.1.101.3.4.3.17");
    verifies_what_another_signs!(ml_dsa_65_is_verified, ml_dsa_65, "ml-dsa-65/1", "2.16.840.1.101.3.4.3.18");
    verifies_what_another_signs!(ml_dsa_87_is_verified, ml_dsa_87, "ml-dsa-87/1", "2.16.840.1.101.3.4.3.19");

    #[test]
    fn another_implementation_verifies_what_we_sign() {
        for seed in [[0; 32], [7; 32], [255; 32]] {
            let ours = SigningKey::ml_dsa_65(&seed);
            let (public, private) = ml_dsa_65::KG::keygen_from_seed(&seed);
            // One seed, one key, whoever expands it.
            assert_eq!(ours.public(), written("ml-dsa-65/1", "2.16.840.1.101.3.4.3.18", &public.clone().into_bytes()));
            let signature: [u8; 3309] = ours.sign(MESSAGE).try_into().unwrap();
            assert!(public.verify(&tap21(MESSAGE), &signature, b""));
            assert!(!public.verify(&tap21(b"another"), &signature, b""));
            // Ours is FIPS 204's deterministic variant: 32 zeros in the place of randomness.
            assert_eq!(private.try_sign_with_seed(&[0; 32], &tap21(MESSAGE), b"").unwrap(), signature);
        }
    }
}
