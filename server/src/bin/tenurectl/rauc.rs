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
    text.push_str(&bootloader(system, &mut said));
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
fn bootloader(system: &Group, said: &mut Said) -> String {
    match system.get("bootloader") {
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
        Some(other) => {
            said.refused.push(format!(
                "[system] bootloader={other} cannot be taken over by itself: write [bootloader] by hand"
            ));
            String::new()
        }
        None => {
            said.refused.push("[system] names no bootloader".into());
            String::new()
        }
    }
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
    text
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
    if slot.class.parse::<Name>().is_err() {
        said.refused.push(format!("[{place}]: a class is called with a-z, 0-9, '.', '_' and '-'"));
    }
    if !(1..=32).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        said.refused.push(format!("[{place}]: bootname={name} has other letters than A-Z, a-z, 0-9 and '_'"));
    }
    if !device.starts_with('/') {
        said.refused.push(format!("[{place}] device={device} is not a full path"));
    }
    match group.get("type").unwrap_or("raw") {
        "raw" => {}
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

fn remark_on_system(system: &Group, said: &mut Said) {
    for (key, value) in &system.entries {
        if key.starts_with("variant-") {
            said.refused.push(format!("[system] {key}: make each variant a model of its own"));
        } else if !["compatible", "bootloader", "grubenv"].contains(&key.as_str()) {
            let why = SYSTEM.iter().find(|(known, _)| known == key).map_or("not known", |(_, why)| *why);
            said.remarks.push(format!("[system] {key}={value}: {why}"));
        }
    }
}

fn remark_on(group: &Group, said: &mut Said) {
    let name = &group.name;
    let head = name.split('.').next().unwrap_or_default();
    if head == "handlers" {
        for (key, value) in &group.entries {
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
            ("bootloader=grub", "bootloader=noop", "bootloader=noop"),
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
    fn a_value_is_quoted_and_a_remark_stays_in_its_line() {
        let conf = GRUB.replace("/boot/efi/grubenv", "/boot/\"x\\nkind = 1").replace("/mnt/rauc", "a\\nmodel = \"b\"");
        let text = made(&conf).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["bootloader"]["grubenv"].as_str(), Some("/boot/\"x\nkind = 1"));
        assert!(text.contains("# [system] mountprefix=a model = \"b\": nothing"), "{text}");
    }
}
