//! Every sample in `docs/wire.md` is what the code reads and writes.

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use tenure_proto::advisory::Advisories;
    use tenure_proto::bundle::{ABOUT_NAME, About, BLOCK_BYTES, Contents, Place};
    use tenure_proto::checkin::{CheckIn, CheckInAnswer, Enrolment, EnrolmentAnswer, Problem};
    use tenure_proto::digest::from_hex;
    use tenure_proto::dsse::Envelope;
    use tenure_proto::key::SigningKey;
    use tenure_proto::metadata::{Role, Root, Signed, Snapshot, Targets, Timestamp};
    use tenure_proto::notice::Ledger;
    use tenure_proto::payload::FrameIndex;
    use tenure_proto::release::Release;
    use tenure_proto::report::Report;
    use tenure_proto::silence::witness::{Testimony, TestimonyAnswer};
    use tenure_proto::statement::Statement;
    use tenure_proto::support::Declaration;
    use tenure_proto::trust::TargetFile;

    const WIRE: &str = include_str!("../../docs/wire.md");

    /// The sample of this name: the code block after `<!-- sample: NAME -->`.
    fn sample(name: &str) -> &'static str {
        let after = WIRE.split(&format!("<!-- sample: {name} -->\n")).nth(1);
        let block = after.unwrap_or_else(|| panic!("docs/wire.md has no sample {name}"));
        block.split("```").nth(1).and_then(|block| block.split_once('\n')).unwrap().1
    }

    fn reads_back<T: DeserializeOwned + Serialize>(name: &str) -> T {
        let value: Value = serde_json::from_str(sample(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), value, "{name}");
        read
    }

    fn metadata<T: Role>(name: &str) {
        let file = Signed::<T>::parse(sample(name).as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value: Value = serde_json::from_str(sample(name)).unwrap();
        assert_eq!(serde_json::to_value(&file.signed).unwrap(), value["signed"], "{name}");
    }

    #[test]
    fn metadata_samples_read_back() {
        metadata::<Root>("root");
        metadata::<Timestamp>("timestamp");
        metadata::<Snapshot>("snapshot");
        metadata::<Targets>("targets");
        metadata::<Targets>("support");
        metadata::<Targets>("archive");
    }

    #[test]
    fn signed_file_samples_read_back_and_are_valid() {
        reads_back::<Release>("release").check().unwrap();
        reads_back::<Declaration>("declaration").check().unwrap();
        reads_back::<Advisories>("advisories").check().unwrap();
        reads_back::<Statement>("statement").check().unwrap();
        Release::parse(sample("release").as_bytes()).unwrap();
        Declaration::parse(sample("declaration").as_bytes()).unwrap();
    }

    #[test]
    fn message_samples_read_back() {
        reads_back::<Enrolment>("enrolment");
        reads_back::<EnrolmentAnswer>("enrolment answer");
        reads_back::<CheckIn>("check-in");
        reads_back::<CheckInAnswer>("check-in answer");
        reads_back::<Testimony>("testimony");
        reads_back::<TestimonyAnswer>("testimony answer");
        reads_back::<Report>("report: update ended");
        reads_back::<Report>("report: trial broke off");
        reads_back::<Report>("report: rescue");
        reads_back::<Report>("report: retry");
        reads_back::<Report>("report: integrity failed");
        reads_back::<Report>("report: integrity restored");
        reads_back::<Report>("report: shortening refused");
        reads_back::<Report>("report: refused");
        reads_back::<Problem>("problem");
        reads_back::<Ledger>("notices");
    }

    #[test]
    fn the_bundle_sample_reads_back_and_begins_a_whole_tar() {
        let about: About = reads_back("bundle");
        assert_eq!(About::parse(sample("bundle").as_bytes()), Ok(about));
        // Made with GNU tar, as a person would.
        let tar = include_bytes!("../../fuzz/corpus/bundle/whole.tar");
        let mut contents = Contents::new(tar.len() as u64);
        while let Some(at) = contents.want().unwrap() {
            let at = usize::try_from(at).unwrap();
            contents.take(tar[at..at + BLOCK_BYTES].try_into().unwrap()).unwrap();
        }
        let Place { offset, bytes } = contents.find(ABOUT_NAME).unwrap();
        let text = tar.iter().skip(usize::try_from(offset).unwrap()).take(usize::try_from(bytes).unwrap());
        assert_eq!(text.copied().collect::<Vec<_>>(), sample("bundle").as_bytes());
        assert_eq!(contents.names().len(), 3);
    }

    #[test]
    fn the_envelope_sample_holds_the_check_in_sample() {
        let envelope: Envelope = reads_back("envelope");
        let key = SigningKey::from_seed(&[7; 32]).public();
        let opened: CheckIn = envelope.open(&key).unwrap();
        assert_eq!(opened, reads_back::<CheckIn>("check-in"));
    }

    #[test]
    fn the_frame_index_sample_reads_back() {
        let text: String = sample("frame index").split_whitespace().collect();
        let bytes = from_hex::<164>(&text).expect("164 bytes of hexadecimal digits");
        let index = FrameIndex::parse(&bytes).unwrap();
        assert_eq!((index.frames().len(), index.image_bytes()), (2, 6000));
        assert_eq!(index.encode(), bytes);
    }
}
