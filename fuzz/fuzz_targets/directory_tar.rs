//! Any bytes are no tar, or members that stay in their folder; in whatever pieces they come.
//!
//! The first byte says in what pieces, and whether checksums are mended, so that the search gets past them.
#![no_main]
#![expect(dead_code, reason = "the agent uses all of it, this target a part")]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;

// The agent's own source: a program has no other door for us.
#[path = "../../agent/src/slot/tar.rs"]
mod tar;

/// What was read: members, bytes of content, and whether it ended well.
type Read = (Vec<tar::Member>, u64, Option<tar::Error>);

fn read(mut bytes: &[u8], piece: usize) -> Read {
    let (mut reader, mut members, mut content) = (tar::Reader::default(), Vec::new(), 0);
    while !bytes.is_empty() {
        let next = &bytes[..piece.min(bytes.len())];
        match reader.take(next) {
            Err(error) => return (members, content, Some(error)),
            Ok((taken, found)) => {
                assert!(taken > 0 && taken <= next.len());
                match found {
                    tar::Piece::Member(member) => members.push(member),
                    tar::Piece::Content => content += taken as u64,
                    tar::Piece::Frame => {}
                }
                bytes = &bytes[taken..];
            }
        }
    }
    (members, content, None)
}

/// Puts in the checksum that each block would have as a header.
fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block[156] != 0 && block[0] != 0) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
}

/// Where a link leads, by words alone.
fn leads_out(member: &tar::Member, target: &Path) -> bool {
    let mut depth = member.path.components().count() - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return true,
        }
    }
    false
}

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 1 {
        mend(&mut bytes);
    }
    let (members, content, error) = read(&bytes, usize::MAX);
    let in_pieces = read(&bytes, usize::from(*how >> 1) * 7 + 1);
    assert_eq!(in_pieces, (members.clone(), content, error));
    for member in &members {
        assert!(is_inside(&member.path) && member.mode <= 0o7777);
        match &member.kind {
            tar::Kind::File(_) => assert!(member.path.file_name().is_some()),
            tar::Kind::Folder => {}
            tar::Kind::Link(target) => assert!(!leads_out(member, target)),
            tar::Kind::Same(other) => assert!(is_inside(other) && other.file_name().is_some()),
        }
    }
});
