//! systemd's own tools are the judges: `bootctl` of what the counters are, `systemd-bless-boot` of what
//! a boot that went well leaves. They are shown the board as if it were this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::*;

/// Makes a root in which the board's folder is the EFI system partition and its variables are the
/// firmware's; runs the tool there, and takes back what it changed.
const SHOW: &str = r#"set -eu
board=$1 tools=$2; shift 2
mkdir -p "$board/root"
mount -t tmpfs tenure-test "$board/root"
cd "$board/root"
for folder in usr lib lib64 bin etc proc dev tmp sys; do
    test ! -e /$folder || { mkdir $folder; mount --rbind /$folder $folder; }
done
mount -t tmpfs tenure-test sys/firmware
mkdir -p sys/firmware/efi/efivars efi tools
cp "$board"/vars/* sys/firmware/efi/efivars/
mount -t tmpfs tenure-test efi
cp -r "$board"/esp/. efi/
mount --bind "$tools" tools
status=0
SYSTEMD_RELAX_ESP_CHECKS=1 chroot . "$@" || status=$?
rm -r "$board"/esp/*
cp -r efi/. "$board/esp/"
exit $status
"#;

/// Runs one of the tools on a board; says what it printed.
fn show(board: &Board, words: &[&str]) -> String {
    // Where the package is unpacked (`tests/run`): installed, it puts itself into the machine's own boot.
    let tools = std::env::var("TENURE_SYSTEMD_BOOT").unwrap_or_else(|_| "/".into());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SHOW, "sh"]).arg(board.dir.path()).arg(tools).args(words);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What `bootctl` reads of each entry: tries left and done.
fn counters(board: &Board) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
    let listed = show(board, &["/tools/usr/bin/bootctl", "--esp-path=/efi", "list", "--json=short"]);
    // An object a line.
    let entries = serde_json::Deserializer::from_str(&listed).into_iter::<Value>();
    let entry = |entry: Value| {
        let id = entry["id"].as_str().unwrap().to_owned();
        (id, (entry["triesLeft"].as_u64(), entry["triesDone"].as_u64()))
    };
    entries.map(Result::unwrap).map(entry).collect()
}

fn bless(board: &Board, verb: &str) -> String {
    show(board, &["/tools/lib/systemd/systemd-bless-boot", "--path=/efi", verb])
}

/// The loader says what it booted, and under which name it counted.
fn say_what_was_booted(board: &Board) {
    let tell = |name: &str, text: &str| {
        let utf16 = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let bytes: Vec<u8> = [6, 0, 0, 0].into_iter().chain(utf16).collect();
        fs::write(board.dir.path().join(format!("vars/{name}-{LOADER}")), bytes).unwrap();
    };
    let counted = board.files().into_iter().find(|name| name.contains('+')).unwrap();
    let below_esp = board.boot.folder().strip_prefix(&board.boot.esp).unwrap().join(counted);
    tell("LoaderBootCountPath", &format!("\\{}", below_esp.to_string_lossy().replace('/', "\\")));
    tell("LoaderInfo", "systemd-boot 252");
    tell("LoaderDevicePartUUID", "01234567-89ab-cdef-0123-456789abcdef");
}

fn ending(board: &Board) -> String {
    board.boot.entry.extension().unwrap().to_string_lossy().into_owned()
}

#[test]
fn system_systemds_own_tools_read_what_we_write_and_leave_what_we_read() {
    for judged in ["ours", "good", "bad"] {
        for board in boards() {
            let of = |slot: &str| format!("tenure-{slot}.{}", ending(&board));
            fs::write(board.dir.path().join(format!("vars/LoaderInfo-{LOADER}")), [6, 0, 0, 0, 0, 0]).unwrap();
            board.boot.mark_bad("B").unwrap();
            let is_listed = |listed: &BTreeMap<String, _>, slot| listed.contains_key(&of(slot));
            let listed = counters(&board);
            assert!(is_listed(&listed, "A") && !is_listed(&listed, "B"), "{listed:?}");
            board.boot.try_once("B", "A").unwrap();
            let listed = counters(&board);
            assert_eq!((listed[&of("A")], listed[&of("B")].0), ((None, None), Some(1)), "{listed:?}");
            assert_eq!(board.boot(), "B");
            say_what_was_booted(&board);
            assert_eq!(counters(&board)[&of("B")], (Some(0), Some(1)));
            assert_eq!(bless(&board, "status"), "indeterminate");
            match judged {
                "ours" => {
                    board.boot.confirm("B").unwrap();
                    assert_eq!(bless(&board, "status"), "good");
                }
                verb => drop(bless(&board, verb)),
            }
            let kept = judged != "bad";
            let listed = counters(&board);
            assert_eq!(listed[&of("B")], if kept { (None, None) } else { (Some(0), Some(1)) }, "{judged}");
            assert_eq!(board.boot.is_kept("B").unwrap(), kept, "{judged}");
            // Either way the other slot is what the next update, or the fall-back, goes to.
            let spare = board.boot.spare("A", "B").unwrap();
            assert_eq!(spare == Spare::Spent, !kept, "{judged}: {spare:?}");
            assert_eq!(board.boot(), if kept { "B" } else { "A" }, "{judged}");
        }
    }
}

#[test]
fn system_what_we_turn_off_is_not_there_for_bootctl() {
    for board in boards() {
        fs::write(board.dir.path().join(format!("vars/LoaderInfo-{LOADER}")), [6, 0, 0, 0, 0, 0]).unwrap();
        board.boot.try_once("B", "A").unwrap();
        board.boot.fall_back("B", "A").unwrap();
        let listed: Vec<_> = counters(&board).into_keys().filter(|id| id.starts_with("tenure-")).collect();
        assert_eq!(listed, [format!("tenure-A.{}", ending(&board))]);
        assert!(Path::new(&board.boot.folder().join(format!("tenure-B.{}.off", ending(&board)))).exists());
    }
}
