//! What can be wrong with all that is around the agent.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::SystemTime;

use tenure_proto::metadata::{Root, Signed};
use tenure_proto::time::Timestamp;
use tenure_tests::attacker;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::maker::Maker;
use tenure_tests::rooted::Recipe::{Grub, Rpi, Script, SystemdBoot, UBoot};
use tenure_tests::rooted::Rooted;

use crate::{Fault, fault, warning};

/// Signs the factory root anew, so that it expires in so many days.
fn expire_root(board: &Rooted<'_>, maker: &Maker, days: i64) -> Result<()> {
    let path = board.at("usr/lib/tenure/root.json");
    let mut root = Signed::<Root>::parse(&fs::read(&path)?).context("no root")?.signed;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("no time")?;
    let now = Timestamp::from_unix_s(i64::try_from(now.as_secs()).context("no time")?).context("no time")?;
    root.head.expires = now.day().plus_days(days).midnight_utc();
    let folder = maker.folder().join("keys");
    let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let is_root = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("root") && path.extension().is_some_and(|end| end == "pem")
    };
    let roots = files.filter(is_root);
    let keys = roots.map(|path| attacker::key(&path)).collect::<Result<Vec<_>>>()?;
    fs::write(&path, attacker::sign(&root, &keys)?).context("cannot write the root")
}

fn set_mode(board: &Rooted<'_>, path: &str, mode: u32) -> Result<()> {
    fs::set_permissions(board.at(path), fs::Permissions::from_mode(mode)).context("cannot set a mode")
}

const SCRIPT: &str = "#!/bin/sh\nexit 0\n";
const HEALTH: &str = "usr/lib/tenure/health.d/required.d/10-gateway";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "nothing judges a new version",
        Script,
        |b, _| {
            fs::remove_file(b.at(HEALTH))?;
            b.edit("etc/tenure/agent.toml", "[health]\ncommand = [\"/usr/lib/acme/health\"]\n", "")
        },
        "health",
        "nothing decides whether a new version is healthy",
    ),
    fault(
        "a health script cannot be executed",
        UBoot,
        |b, _| set_mode(b, HEALTH, 0o644),
        "program",
        "it cannot be executed and is passed over",
    ),
    fault(
        "everybody can change a hook",
        Grub,
        |b, _| {
            b.program("usr/lib/tenure/hooks/post-boot.d/10-db", SCRIPT)?;
            set_mode(b, "usr/lib/tenure/hooks/post-boot.d/10-db", 0o777)
        },
        "program",
        "others than root can change it",
    ),
    fault(
        "a hook asks for an interpreter that the image lacks",
        Rpi,
        |b, _| b.program("usr/lib/tenure/hooks/post-boot.d/10-db", "#!/usr/bin/python3\n"),
        "program",
        "asks for /usr/bin/python3, which is not there",
    ),
    fault(
        "the restart command is not there",
        Script,
        |b, _| Ok(fs::remove_file(b.at("sbin/reboot"))?),
        "program",
        "cannot find /sbin/reboot",
    ),
    warning(fault(
        "there is no watchdog",
        UBoot,
        |b, _| b.edit("etc/tenure/agent.toml", "device = \"/dev/watchdog\"", ""),
        "watchdog",
        "hangs until somebody switches it off and on",
    )),
    fault(
        "the watchdog's driver is missing",
        Grub,
        |b, _| b.configure("watchdog.device = \"/dev/watchdog1\"\n"),
        "watchdog",
        "cannot find /dev/watchdog1",
    ),
    fault(
        "agent and systemd both want the watchdog",
        SystemdBoot,
        |b, _| b.configure("watchdog.device = \"/dev/watchdog\"\n"),
        "watchdog",
        "systemd holds it as well",
    ),
    fault(
        "the watchdog cannot count so far",
        Rpi,
        |b, _| b.write("sys/class/watchdog/watchdog0/max_timeout", "10\n"),
        "watchdog",
        "the hardware takes 0 to 10 s",
    ),
    fault(
        "the clock is simulated",
        UBoot,
        |b, _| b.configure("clock.file = \"/run/clock.json\"\n"),
        "clock",
        "a simulated one",
    ),
    fault(
        "the clock is behind the image",
        Grub,
        |b, _| {
            b.write(
                "usr/lib/tenure/backstop.json",
                r#"{"root": 1, "timestamp": 1, "snapshot": 1, "built_at": "2099-01-01T00:00:00Z"}"#,
            )
        },
        "clock",
        "the image was built later",
    ),
    warning(fault(
        "no time service runs",
        SystemdBoot,
        |b, _| Ok(fs::remove_file(b.at("run/systemd/timesync/synchronized"))?),
        "clock_source",
        "no time service has set it",
    )),
    warning(fault(
        "the hardware clock's battery is empty",
        UBoot,
        |b, _| b.write("sys/class/rtc/rtc0/since_epoch", "86400\n"),
        "clock_source",
        "more than a day away",
    )),
    fault(
        "the image has no root of trust",
        Grub,
        |b, _| Ok(fs::remove_file(b.at("usr/lib/tenure/root.json"))?),
        "root",
        "there is none",
    ),
    fault(
        "the root of trust is of another model",
        UBoot,
        |b, _| b.edit("etc/tenure/agent.toml", "acme-gw1", "acme-gw2"),
        "root",
        "root metadata is for model acme-gw1, and this is acme-gw2",
    ),
    fault(
        "the root of trust was changed",
        Rpi,
        |b, _| b.edit("usr/lib/tenure/root.json", "\"version\":1", "\"version\":7"),
        "root",
        "valid signatures",
    ),
    fault("the root has expired", SystemdBoot, |b, maker| expire_root(b, maker, -1), "root_expiry", "it expired at"),
    warning(fault(
        "the root expires soon",
        Script,
        |b, maker| expire_root(b, maker, 30),
        "root_expiry",
        "in less than 180 days",
    )),
    warning(fault(
        "the image has no backstop",
        Rpi,
        |b, _| Ok(fs::remove_file(b.at("usr/lib/tenure/backstop.json"))?),
        "backstop",
        "a device that loses its state",
    )),
    fault(
        "everybody can read the device's key",
        UBoot,
        |b, _| Ok(fs::set_permissions(b.state_at("fetch/device.key"), fs::Permissions::from_mode(0o644))?),
        "device_key",
        "others can read the key",
    ),
    fault(
        "everybody can read the token",
        Grub,
        |b, _| {
            b.write("etc/tenure/enrolment-token", "secret\n")?;
            b.configure("enrolment_token_file = \"/etc/tenure/enrolment-token\"\n")
        },
        "enrolment_token",
        "everybody on the device can read the token",
    ),
    warning(fault(
        "the server is asked without TLS",
        SystemdBoot,
        |b, _| b.edit("etc/tenure/agent.toml", "https://", "http://"),
        "server",
        "is asked without TLS",
    )),
    fault(
        "the maker's certificates are missing",
        UBoot,
        |b, _| {
            b.write(
                "etc/systemd/system/tenure-fetchd.service.d/ca.conf",
                "[Service]\nEnvironment=\"SSL_CERT_FILE=/etc/acme/ca.pem\"\n",
            )
        },
        "server",
        "there is no such file",
    ),
    warning(fault(
        "the device has never seen its promise",
        Rpi,
        |b, _| Ok(fs::remove_file(b.state_at("install/promise/1/declaration.json"))?),
        "support",
        "has not seen until when it is supported",
    )),
    fault(
        "the image does not say its version",
        Script,
        |b, _| b.write("etc/os-release", "ID=acme\n"),
        "version",
        "it has no IMAGE_VERSION=",
    ),
    fault(
        "the state is part of a slot",
        Grub,
        |b, _| {
            b.before = "umount $R/var/lib/tenure; cp -a $state/. $R/var/lib/tenure/".into();
            Ok(())
        },
        "state_folder",
        "it is part of slot A",
    ),
    fault(
        "the state is in memory",
        UBoot,
        |b, _| {
            b.before = "mount -t tmpfs -o mode=755 none $R/var/lib/tenure; cp -a $state/. $R/var/lib/tenure/".into();
            Ok(())
        },
        "state_folder",
        "a restart forgets what the device knows",
    ),
    fault(
        "everybody can read the installer's state",
        SystemdBoot,
        |b, _| Ok(fs::set_permissions(b.state_at("install"), fs::Permissions::from_mode(0o755))?),
        "permissions",
        "it is not the folder of root alone",
    ),
    fault(
        "the data partition is full",
        Rpi,
        |b, _| b.configure("conditions.free_bytes_min = 1000000000000000\n"),
        "space",
        "no update begins below",
    ),
    fault(
        "the user of fetchd was forgotten",
        UBoot,
        |b, _| b.write("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        "user",
        "there is no such user",
    ),
    fault(
        "a unit is not enabled",
        Grub,
        |b, _| Ok(fs::remove_file(b.at("etc/systemd/system/multi-user.target.wants/tenure-installd.service"))?),
        "units",
        "it is not started at boot",
    ),
    fault(
        "a unit is masked",
        SystemdBoot,
        |b, _| Ok(symlink("/dev/null", b.at("etc/systemd/system/tenure-fetchd.service"))?),
        "units",
        "it is masked",
    ),
    fault(
        "the generator was forgotten",
        UBoot,
        |b, _| Ok(fs::remove_file(b.at("usr/lib/systemd/system-generators/tenure-cage-generator"))?),
        "units",
        "the installer may not write what agent.toml names",
    ),
];
