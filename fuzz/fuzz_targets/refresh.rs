//! Whatever files come in whatever order, what is believed at the end is what was signed.
//!
//! The input is files with a byte 0xFF between them; an empty one is absent. The repository that
//! they imitate is that of the samples in docs/wire.md, which are in corpus/metadata too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::metadata::{Root, Signed, Snapshot, Targets, Timestamp};
use tenure_proto::trust::{Held, Refresh};

const ROOT: &[u8] = include_bytes!("../corpus/metadata/root.json");
const TIMESTAMP: &[u8] = include_bytes!("../corpus/metadata/timestamp.json");
const SNAPSHOT: &[u8] = include_bytes!("../corpus/metadata/snapshot.json");
const TARGETS: &[u8] = include_bytes!("../corpus/metadata/targets.json");
const SUPPORT: &[u8] = include_bytes!("../corpus/metadata/support.json");
const HONEST: &[u8] = include_bytes!("../corpus/refresh/honest.files");

fuzz_target!(|bytes: &[u8]| {
    let held = Held { root: ROOT.to_vec(), files: Default::default() };
    let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
    let model = "acme-gw1".parse().expect("a name");
    let mut refresh = Refresh::start(held, now, &model).expect("the root is good");
    for file in bytes.split(|byte| *byte == 0xFF) {
        let before = refresh.want();
        // A refusal changes nothing.
        if refresh.supply((!file.is_empty()).then_some(file)).is_err() {
            assert_eq!(refresh.want(), before);
        }
    }
    let Ok(set) = refresh.finish() else {
        assert!(bytes != HONEST, "the honest repository is believed");
        return;
    };
    assert_eq!(*set.root(), Signed::<Root>::parse(ROOT).expect("a root").signed);
    assert_eq!(*set.timestamp(), Signed::<Timestamp>::parse(TIMESTAMP).expect("a timestamp").signed);
    assert_eq!(*set.snapshot(), Signed::<Snapshot>::parse(SNAPSHOT).expect("a snapshot").signed);
    assert_eq!(*set.targets(), Signed::<Targets>::parse(TARGETS).expect("targets").signed);
    let support = Signed::<Targets>::parse(SUPPORT).expect("support").signed;
    assert_eq!(set.delegated("support"), Some(&support));
});
