//! Release manifests and declarations are refused, or read back as they were written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::advisory::Advisories;
use tenure_proto::release::Release;
use tenure_proto::support::Declaration;
use tenure_proto::trust::TargetFile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(release) = Release::parse(bytes) {
        let written = serde_json::to_vec(&release).expect("what was read can be written");
        assert_eq!(Release::parse(&written).expect("what was written can be read"), release);
    }
    if let Ok(list) = Advisories::parse(bytes) {
        let written = serde_json::to_vec(&list).expect("what was read can be written");
        assert_eq!(Advisories::parse(&written).expect("what was written can be read"), list);
    }
    if let Ok(declaration) = Declaration::parse(bytes) {
        let written = serde_json::to_vec(&declaration).expect("what was read can be written");
        assert_eq!(Declaration::parse(&written).expect("what was written can be read"), declaration);
    }
});
