//! A board's `system.conf` of RAUC, as an `agent.toml`.
//!
//! What has a counterpart becomes a key, what needs none a remark, and what would make another board
//! of it is refused by name: the bootloader, the two sides and what they hold must be the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tenure_proto::model::{Model, Name};
use toml::Value;

use crate::key_file::Group;

/// What the file does not say.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// The model, if it is not what `compatible` says.
    pub(crate) model: Option<&'a Model>,
    /// Where the device finds its server.
    pub(crate) server: &'a str,
}

/// A slot that becomes one of ours.
#[derive(Debug)]
struct Slot<'a> {
    group: &'a Group,
    class: &'a str,
    /// Its own `bootname`, or that of the slot which it belongs to.
    name: Option<&'a str>,
}

/// What is said of the file besides.
#[derive(Debug, Default)]
struct Said {
    remarks: Vec<String>,
    refused: Vec<String>,
}

/// The key of a program that knows the bootloader.
const CUSTOM_BACKEND: &str = "bootloader-custom-backend";

/// What Tenure does in the place of a key: no setting is needed.
const SYSTEM: [(&str, &str); 15] = [
    ("efi-use-bootnext", "a try is always by BootNext"),
    ("mountprefix", "nothing is mounted"),
    ("statusfile", "the agent's state is in state_dir"),
    ("data-directory", "the agent's state is in state_dir"),
    ("boot-attempts", "a slot that is kept has 3 tries"),
    ("boot-attempts-primary", "a new slot is tried once"),
    ("activate-installed", "a new slot is tried when the device restarts for it"),
    ("prevent-late-fallback", "the old slot stays bootable until the next update"),
    ("bundle-formats", "releases are no bundles"),
    ("max-bundle-download-size", "the length of each file is signed"),
    ("max-bundle-signing-time", "versions never fall"),
    ("perform-pre-check", "a file is checked while it is written, and read back"),
    ("ensure-signed", "everything is signed"),
    ("bundle-check-period", "see check_in_interval_s"),
    ("system-info-interval", "a device says of itself what is in its check-in"),
];

/// What becomes a key of ours.
const TAKEN: [&str; 5] = ["compatible", "bootloader", "grubenv", "barebox-statename", "barebox-dtbpath"];

/// The same, of groups.
const GROUPS: [(&str, &str); 7] = [
    ("keyring", "the device trusts root.json, which `tenurectl model image` writes for its image"),
    ("casync", "payloads come in frames of their own"),
    ("streaming", "everything is streamed"),
    ("encryption", "payloads are signed, and not encrypted"),
    ("autoinstall", "the agent asks its server, or is given a file by `tenure install`"),
    ("polling", "see check_in_interval_s"),
    ("log", "the agent logs to the journal, and reports to its server"),
];

/// Writes `agent.toml`; or says all that stands in the way, a line each.
pub(crate) fn agent_toml(groups: &[Group], given: &Given<'_>) -> Result<String, Vec<String>> {
    let mut said = Said::default();
    let none = Group::default();
    let system = groups.iter().find(|group| group.name == "system").unwrap_or(&none);
    let model = model(system, given, &mut said);
    if !["http://", "https://"].iter().any(|scheme| given.server.starts_with(scheme)) {
        said.refused.push(format!("--server {} does not start with https:// or http://", given.server));
    }
    let mut text = format!(
        "# Made from RAUC's system.conf. systemd/agent.toml of Tenure documents each key.\n\
         model = {}\nserver = {}\nfetch_user = \"tenure\"\n\n[bootloader]\n",
        quoted(&model),
        quoted(given.server)
    );
    text.push_str(&bootloader(groups, system, &mut said));
    text.push_str(&slots(groups, &mut said));
    remark_on_system(system, &mut said);
    for group in groups.iter().filter(|group| group.name != "system" && slot_class(group).is_none()) {
        remark_on(group, &mut said);
    }
    if !said.refused.is_empty() {
        return Err(said.refused);
    }
    if !said.remarks.is_empty() {
        text.push_str("\n# What has no counterpart, or needs a look:\n");
    }
    for remark in &said.remarks {
        let _infallible = writeln!(text, "# {}", remark.replace(['\n', '\r'], " "));
    }
    Ok(text)
}

fn quoted(text: &str) -> String {
    Value::String(text.into()).to_string()
}

fn model(system: &Group, given: &Given<'_>, said: &mut Said) -> String {
    let compatible = system.get("compatible").unwrap_or_default();
    match (given.model, compatible.parse::<Model>()) {
        (Some(model), _) => {
            if model.to_string() != compatible {
                said.remarks.push(format!("[system] compatible={compatible}: the model is called {model}"));
            }
            model.to_string()
        }
        (None, Ok(model)) => model.to_string(),
        (None, Err(_)) => {
            said.refused.push(format!("[system] compatible={compatible} is no model's name: give one with --model"));
            String::new()
        }
    }
}

/// The keys of `[bootloader]`.
fn bootloader(groups: &[Group], system: &Group, said: &mut Said) -> String {
    match system.get("bootloader") {
        Some("barebox") => barebox(system),
        Some("custom") => custom(groups, said),
        Some("uboot") => {
            said.remarks.push("[bootloader] fw_env_config is /etc/fw_env.config unless you set it".into());
            "kind = \"uboot\"\n".into()
        }
        Some("grub") => {
            let path = system.get("grubenv").unwrap_or("/boot/grub/grubenv");
            if !path.starts_with('/') {
                said.refused.push(format!("[system] grubenv={path} is not a full path"));
            }
            format!("kind = \"grub\"\ngrubenv = {}\n", quoted(path))
        }
        Some("efi") => "kind = \"efi\"\n".into(),
        Some("noop") => {
            said.refused.push("[system] bootloader=noop: an update needs a bootloader that can go back".into());
            String::new()
        }
        Some(other) => {
            said.refused.push(format!(
                "[system] bootloader={other} is not known: write [bootloader] by hand, as docs/operate/bootloaders.md says"
            ));
            String::new()
        }
        None => {
            said.refused.push("[system] names no bootloader".into());
            String::new()
        }
    }
}

fn barebox(system: &Group) -> String {
    let option = |option, key| system.get(key).map(|value| [quoted(option), quoted(value)]);
    let options = [option("-n", "barebox-statename"), option("-i", "barebox-dtbpath")];
    let words: Vec<_> = options.into_iter().flatten().flatten().collect();
    if words.is_empty() {
        return "kind = \"barebox\"\n".into();
    }
    format!("kind = \"barebox\"\ncommand = [\"barebox-state\", {}]\n", words.join(", "))
}

/// A program of the board's, by RAUC's own protocol.
fn custom(groups: &[Group], said: &mut Said) -> String {
    let handlers = groups.iter().find(|group| group.name == "handlers");
    let program = handlers.and_then(|handlers| handlers.get(CUSTOM_BACKEND)).unwrap_or_default();
    if !program.starts_with('/') {
        said.refused.push(format!("[handlers] {CUSTOM_BACKEND}={program} is not a full path"));
    }
    said.remarks.push(
        "[bootloader] after `set-primary B` the board must go back by itself at the second boot, unless B was set good"
            .into(),
    );
    format!("kind = \"script\"\ncommand = [{}]\n", quoted(program))
}

/// The class of a group `[slot.CLASS.INDEX]`.
fn slot_class(group: &Group) -> Option<&str> {
    let (class, _index) = group.name.strip_prefix("slot.")?.rsplit_once('.')?;
    Some(class)
}

/// Every `[[slots]]`.
fn slots(groups: &[Group], said: &mut Said) -> String {
    let all: Vec<_> = groups
        .iter()
        .filter_map(|group| Some(Slot { group, class: slot_class(group)?, name: boot_name(groups, group) }))
        .collect();
    let (singles, all): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|slot| slot.group.get("type").is_some_and(|kind| kind.starts_with("boot-")));
    let mut text = String::new();
    let mut sides = BTreeSet::new();
    for class in all.iter().map(|slot| slot.class).collect::<BTreeSet<_>>() {
        let (pair, alone): (Vec<_>, Vec<_>) =
            all.iter().filter(|slot| slot.class == class).partition(|slot| slot.name.is_some());
        let names: BTreeSet<_> = pair.iter().filter_map(|slot| slot.name).collect();
        if pair.len() == 2 && names.len() == 2 && alone.is_empty() {
            sides.extend(names);
            for slot in pair {
                text.push_str(&two_sided(slot, said));
            }
        } else if pair.len() + alone.len() == 1 {
            for slot in pair.iter().chain(&alone) {
                said.remarks
                    .push(format!("[{}]: it stands alone and has no way back; it is left out", slot.group.name));
            }
        } else {
            said.refused.push(format!("class {class} has not two slots, one for each of two sides that boot"));
        }
    }
    match sides.len() {
        2 => {}
        0 => said.refused.push("no class has two slots, one for each of two sides that boot".into()),
        _ => said.refused.push(format!("the classes have different sides: {}", Vec::from_iter(sides).join(", "))),
    }
    for slot in &singles {
        text.push_str(&single(slot, said));
    }
    text
}

/// A bootloader, which stands once and has a way back of its own.
fn single(slot: &Slot<'_>, said: &mut Said) -> String {
    let (group, place, class) = (slot.group, &slot.group.name, quoted(slot.class));
    let (kind, device) = (group.get("type").unwrap_or_default(), group.get("device").unwrap_or_default());
    check_class_and_device(slot, said);
    let number = |key| group.get(key).and_then(byte_count);
    match (kind, number("region-start"), number("region-size")) {
        ("boot-emmc", ..) => {
            format!("\n[[slots]]\nclass = {class}\nkind = \"boot_emmc\"\npath = {}\n", quoted(device))
        }
        ("boot-raw-fallback", Some(start), Some(size)) => {
            said.remarks.push(format!(
                "[{place}]: a copy counts for the ROM unless its first 512 bytes are zeros: see header_bytes"
            ));
            let (half, path) = (size / 2, quoted(device));
            let copies = format!("copies = [{start}, {}]\nsize_bytes = {half}", start.saturating_add(half));
            format!("\n[[slots]]\nclass = {class}\nkind = \"boot_raw\"\npath = {path}\n{copies}\n")
        }
        ("boot-raw-fallback", ..) => {
            said.refused.push(format!("[{place}]: region-start and region-size must be numbers of bytes"));
            String::new()
        }
        ("boot-mbr-switch" | "boot-gpt-switch", ..) => {
            said.refused.push(format!(
                "[{place}] type={kind}: Tenure does not move the entry of a partition; write a handler for it, or leave the slot out"
            ));
            String::new()
        }
        _ => {
            said.refused.push(format!("[{place}] type={kind} is not known"));
            String::new()
        }
    }
}

/// A number of bytes as RAUC writes it: decimal or hexadecimal, with K, M, G or T behind it.
fn byte_count(text: &str) -> Option<u64> {
    let (digits, shift) = match text.strip_suffix(['K', 'M', 'G', 'T']) {
        Some(digits) => (digits, 10 * (1 + "KMGT".find(text.get(digits.len()..)?)?)),
        None => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    number.checked_mul(1 << shift)
}

/// The `bootname` of a slot, or of the one that it belongs to.
fn boot_name<'a>(groups: &'a [Group], group: &'a Group) -> Option<&'a str> {
    let mut group = group;
    // There are no longer chains than groups, and a circle ends.
    for _ in 0..groups.len() {
        if let Some(name) = group.get("bootname") {
            return Some(name);
        }
        let parent = format!("slot.{}", group.get("parent")?);
        group = groups.iter().find(|group| group.name == parent)?;
    }
    None
}

fn two_sided(slot: &Slot<'_>, said: &mut Said) -> String {
    let (group, place) = (slot.group, &slot.group.name);
    let (device, name) = (group.get("device").unwrap_or_default(), slot.name.unwrap_or_default());
    check_class_and_device(slot, said);
    if !(1..=32).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        said.refused.push(format!("[{place}]: bootname={name} has other letters than A-Z, a-z, 0-9 and '_'"));
    }
    match group.get("type").unwrap_or("raw") {
        "raw" | "ubivol" => {}
        "ubifs" => said.remarks.push(format!("[{place}] type=ubifs: publish the image of the volume (mkfs.ubifs)")),
        kind @ ("nand" | "nor" | "jffs2") => said.refused.push(format!(
            "[{place}] type={kind}: raw flash is written by Tenure as UBI volumes only; put UBI on it, and name the volume"
        )),
        kind @ ("ext4" | "vfat") => {
            said.remarks
                .push(format!("[{place}] type={kind}: publish an image of the file system, which is written as it is"));
        }
        kind => said.refused.push(format!("[{place}] type={kind} is not written by Tenure as RAUC does it")),
    }
    for (key, value) in &group.entries {
        let why = match key.as_str() {
            "device" | "type" | "bootname" | "parent" => continue,
            "readonly" if value == "false" => continue,
            "readonly" => {
                said.refused
                    .push(format!("[{place}] readonly={value}: a slot that is never written is none of Tenure's"));
                continue;
            }
            "install-same" | "force-install-same" | "ignore-checksum" => {
                "what a slot holds already is not written again"
            }
            "extra-mount-opts" | "extra-mkfs-opts" | "allow-mounted" => "nothing is mounted or formatted",
            "resize" => "let the new system grow its file system when it starts",
            _ => "not known",
        };
        said.remarks.push(format!("[{place}] {key}={value}: {why}"));
    }
    format!("\n[[slots]]\nclass = {}\nname = {}\npath = {}\n", quoted(slot.class), quoted(name), quoted(device))
}

fn check_class_and_device(slot: &Slot<'_>, said: &mut Said) {
    let (place, device) = (&slot.group.name, slot.group.get("device").unwrap_or_default());
    if slot.class.parse::<Name>().is_err() {
        said.refused.push(format!("[{place}]: a class is called with a-z, 0-9, '.', '_' and '-'"));
    }
    if !device.starts_with('/') {
        said.refused.push(format!("[{place}] device={device} is not a full path"));
    }
}

fn remark_on_system(system: &Group, said: &mut Said) {
    for (key, value) in &system.entries {
        if key.starts_with("variant-") {
            said.refused.push(format!("[system] {key}: make each variant a model of its own"));
        } else if !TAKEN.contains(&key.as_str()) {
            let why = SYSTEM.iter().find(|(known, _)| known == key).map_or("not known", |(_, why)| *why);
            said.remarks.push(format!("[system] {key}={value}: {why}"));
        }
    }
}

fn remark_on(group: &Group, said: &mut Said) {
    let name = &group.name;
    let head = name.split('.').next().unwrap_or_default();
    if head == "handlers" {
        for (key, value) in group.entries.iter().filter(|(key, _)| key != CUSTOM_BACKEND) {
            said.remarks.push(format!("[handlers] {key}={value}: write it as a hook or a health check of Tenure's"));
        }
    } else if head == "artifacts" {
        said.refused
            .push(format!("[{name}]: repositories of artifacts have no counterpart; make each a class of slots"));
    } else {
        let why = GROUPS.iter().find(|(known, _)| *known == head).map_or("not known", |(_, why)| *why);
        said.remarks.push(format!("[{name}]: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_file::parse;

    fn made(conf: &str) -> Result<String, Vec<String>> {
        agent_toml(&parse(conf).unwrap(), &Given { model: None, server: "https://updates.example.com" })
    }

    const GRUB: &str = "
[system]
compatible=acme-gw1
bootloader=grub
grubenv=/boot/efi/grubenv
mountprefix=/mnt/rauc
[keyring]
path=/etc/rauc/ca.pem
[handlers]
post-install=/usr/lib/acme/post
[slot.rescue.0]
device=/dev/sda2
bootname=R
[slot.rootfs.0]
device=/dev/sda3
type=ext4
bootname=A
[slot.rootfs.1]
device=/dev/sda4
type=ext4
bootname=B
[slot.app.0]
device=/dev/sda5
parent=rootfs.0
[slot.app.1]
device=/dev/sda6
parent=rootfs.1
";

    #[test]
    fn bootloader_and_sides_are_taken_over_and_the_rest_is_said() {
        let wanted = r#"# Made from RAUC's system.conf. systemd/agent.toml of Tenure documents each key.
model = "acme-gw1"
server = "https://updates.example.com"
fetch_user = "tenure"

[bootloader]
kind = "grub"
grubenv = "/boot/efi/grubenv"

[[slots]]
class = "app"
name = "A"
path = "/dev/sda5"

[[slots]]
class = "app"
name = "B"
path = "/dev/sda6"

[[slots]]
class = "rootfs"
name = "A"
path = "/dev/sda3"

[[slots]]
class = "rootfs"
name = "B"
path = "/dev/sda4"

# What has no counterpart, or needs a look:
# [slot.rescue.0]: it stands alone and has no way back; it is left out
# [slot.rootfs.0] type=ext4: publish an image of the file system, which is written as it is
# [slot.rootfs.1] type=ext4: publish an image of the file system, which is written as it is
# [system] mountprefix=/mnt/rauc: nothing is mounted
# [keyring]: the device trusts root.json, which `tenurectl model image` writes for its image
# [handlers] post-install=/usr/lib/acme/post: write it as a hook or a health check of Tenure's
"#;
        assert_eq!(made(GRUB).unwrap(), wanted);
    }

    #[test]
    fn what_would_be_another_board_is_refused_by_name() {
        for (from, to, named) in [
            ("bootloader=grub", "bootloader=noop", "bootloader=noop: an update needs"),
            ("bootloader=grub", "bootloader=other", "bootloader=other is not known"),
            ("bootloader=grub", "bootloader=custom", "bootloader-custom-backend= is not a full path"),
            ("bootname=R", "type=boot-gpt-switch", "[slot.rescue.0] type=boot-gpt-switch: Tenure does not move"),
            ("bootname=R", "type=boot-mbr-switch", "[slot.rescue.0] type=boot-mbr-switch: Tenure does not move"),
            ("bootname=R", "type=boot-new", "type=boot-new is not known"),
            ("bootname=R", "type=boot-raw-fallback\nregion-start=x", "must be numbers of bytes"),
            ("type=ext4\nbootname=A", "type=nor\nbootname=A", "put UBI on it"),
            ("bootloader=grub", "", "names no bootloader"),
            ("=acme-gw1", "=ACME GW", "compatible=ACME GW is no model's name"),
            ("mountprefix=", "variant-name=x\nmountprefix=", "variant-name: make each variant a model"),
            ("type=ext4\nbootname=A", "type=nand\nbootname=A", "[slot.rootfs.0] type=nand"),
            ("bootname=A", "bootname=A-1", "bootname=A-1 has other letters"),
            ("device=/dev/sda3", "device=sda3", "device=sda3 is not a full path"),
            ("grubenv=/", "grubenv=", "is not a full path"),
            ("parent=rootfs.1", "parent=rescue.0", "the classes have different sides: A, B, R"),
            ("parent=rootfs.1", "parent=app.1", "class app has not two slots"),
            ("[slot.rescue.0]", "[slot.rootfs.2]", "class rootfs has not two slots"),
            ("[handlers]", "[artifacts.apps]", "[artifacts.apps]"),
            ("type=ext4\nbootname=B", "readonly=true\nbootname=B", "[slot.rootfs.1] readonly=true"),
            ("[slot.rootfs.", "[slot.RootFS.", "a class is called with a-z"),
        ] {
            assert!(GRUB.contains(from), "{from}");
            let refused = made(&GRUB.replace(from, to)).unwrap_err().join("\n");
            assert!(refused.contains(named), "{to}: {refused}");
        }
    }

    #[test]
    fn boot_entries_of_the_firmware_keep_their_labels() {
        let text = made(&GRUB.replace("bootloader=grub\ngrubenv=/boot/efi/grubenv", "bootloader=efi")).unwrap();
        assert!(text.contains("[bootloader]\nkind = \"efi\"\n\n[[slots]]"), "{text}");
    }

    #[test]
    fn barebox_and_a_program_of_the_boards_go_on_working() {
        let system = "bootloader=grub\ngrubenv=/boot/efi/grubenv";
        let barebox = "bootloader=barebox\nbarebox-statename=state2\nbarebox-dtbpath=/boot/a.dtb";
        let text = made(&GRUB.replace(system, barebox)).unwrap();
        let command = r#"command = ["barebox-state", "-n", "state2", "-i", "/boot/a.dtb"]"#;
        assert!(text.contains(&format!("[bootloader]\nkind = \"barebox\"\n{command}\n\n")), "{text}");
        let text = made(&GRUB.replace(system, "bootloader=barebox")).unwrap();
        assert!(text.contains("[bootloader]\nkind = \"barebox\"\n\n"), "{text}");
        let custom = GRUB.replace(system, "bootloader=custom");
        let text = made(&custom.replace("[handlers]\n", "[handlers]\nbootloader-custom-backend=/usr/lib/acme/boot\n"));
        let text = text.unwrap();
        assert!(text.contains("[bootloader]\nkind = \"script\"\ncommand = [\"/usr/lib/acme/boot\"]\n\n"), "{text}");
        assert!(text.contains("# [bootloader] after `set-primary B` the board must go back"), "{text}");
        assert!(!text.contains("bootloader-custom-backend"), "{text}");
    }

    #[test]
    fn volumes_and_bootloaders_keep_their_places() {
        let text = made(&GRUB.replace("bootname=R", "type=boot-emmc").replace("type=ext4", "type=ubivol")).unwrap();
        let emmc = "\n[[slots]]\nclass = \"rescue\"\nkind = \"boot_emmc\"\npath = \"/dev/sda2\"\n";
        assert!(text.contains(emmc) && !text.contains("ubivol"), "{text}");
        let raw = "type=boot-raw-fallback\nregion-start=32K\nregion-size=0x200000";
        let text = made(&GRUB.replace("bootname=R", raw)).unwrap();
        let raw = "kind = \"boot_raw\"\npath = \"/dev/sda2\"\ncopies = [32768, 1081344]\nsize_bytes = 1048576\n";
        assert!(text.contains(raw), "{text}");
        for (text, bytes) in [
            ("4M", Some(4 << 20)),
            ("17", Some(17)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("M", None),
            ("9999999999T", None),
        ] {
            assert_eq!(byte_count(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_value_is_quoted_and_a_remark_stays_in_its_line() {
        let conf = GRUB.replace("/boot/efi/grubenv", "/boot/\"x\\nkind = 1").replace("/mnt/rauc", "a\\nmodel = \"b\"");
        let text = made(&conf).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["bootloader"]["grubenv"].as_str(), Some("/boot/\"x\nkind = 1"));
        assert!(text.contains("# [system] mountprefix=a model = \"b\": nothing"), "{text}");
    }
}
