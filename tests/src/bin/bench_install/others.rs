//! The named baselines: a pipeline of a shell, RAUC, `SWUpdate`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::images::Image;
use tenure_tests::process::Process;

use crate::meter::{Cost, Meter};
use crate::place::{Files, said};

/// How long an installation may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(20);

/// What each of them fetches: made once.
#[derive(Debug)]
pub(crate) struct Bundles {
    folder: PathBuf,
}

impl Bundles {
    /// Packs the image for each of them.
    pub(crate) fn make(folder: &Path, files: &Files, image: &Image, slot: &Path) -> Result<Self> {
        let made = Self { folder: folder.to_path_buf() };
        let image_file = image.file.as_path();
        said(Command::new("zstd").args(["-q", "-3", "-o"]).arg(files.root.join("rootfs.zst")).arg(image_file))?;
        made.pack_for_rauc(files, image_file)?;
        made.pack_for_swupdate(files, slot)?;
        Ok(made)
    }

    fn pack_for_rauc(&self, files: &Files, image: &Path) -> Result<()> {
        let content = self.folder.join("rauc");
        std::fs::create_dir_all(&content).context("cannot make a folder")?;
        std::fs::hard_link(image, content.join("rootfs.img")).context("cannot link the image")?;
        let manifest = "[update]\ncompatible=bench\nversion=2\n\n[image.rootfs]\nfilename=rootfs.img\n";
        std::fs::write(content.join("manifest.raucm"), manifest).context("cannot write a manifest")?;
        let mut command = Command::new("rauc");
        command
            .arg("--cert")
            .arg(&files.signer.certificate)
            .arg("--key")
            .arg(&files.signer.key)
            .arg("bundle")
            .arg(&content);
        said(command.arg(files.root.join("rootfs.raucb"))).map(drop)
    }

    fn pack_for_swupdate(&self, files: &Files, slot: &Path) -> Result<()> {
        let content = self.folder.join("swupdate");
        std::fs::create_dir_all(&content).context("cannot make a folder")?;
        std::fs::hard_link(files.root.join("rootfs.zst"), content.join("rootfs.zst")).context("cannot link")?;
        let (_, digest) = tenure_tests::digests::of_file(&content.join("rootfs.zst"))?;
        let description = format!(
            "software = {{ version = \"2\"; hardware-compatibility: [ \"1.0\" ]; images: ( {{ \
             filename = \"rootfs.zst\"; device = \"{}\"; type = \"raw\"; compressed = \"zstd\"; \
             installed-directly = true; sha256 = \"{digest}\"; }} ); }}\n",
            slot.display()
        );
        std::fs::write(content.join("sw-description"), description).context("cannot write sw-description")?;
        let script = r#"cd "$1" && openssl cms -sign -in sw-description -out sw-description.sig -signer "$2" -inkey "$3" \
            -outform DER -nosmimecap -binary &&
            printf 'sw-description\nsw-description.sig\nrootfs.zst\n' | cpio --quiet -o -H crc >"$4""#;
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash"]).arg(&content).arg(&files.signer.certificate).arg(&files.signer.key);
        said(command.arg(files.root.join("rootfs.swu"))).map(drop)
    }

    /// What a shell would do with the same care: fetch, decompress, hash, write, sync, read back, hash.
    pub(crate) fn pipeline(files: &Files, slot: &Path) -> Result<Cost> {
        let script = r#"set -euo pipefail
            curl --silent --fail --cacert "$3" "$1/rootfs.zst" | zstd --decompress --stdout --quiet |
                tee >(openssl dgst -sha256 >/dev/null) | dd of="$2" bs=1M conv=fsync iflag=fullblock status=none
            dd if="$2" bs=1M iflag=direct status=none | openssl dgst -sha256 >/dev/null"#;
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash", &files.url]).arg(slot).arg(&files.authority);
        measure("the pipeline", &mut command, Vec::new(), slot)
    }

    /// `SWUpdate` streams into the slot.
    pub(crate) fn swupdate(files: &Files, slot: &Path) -> Result<Cost> {
        let mut command = Command::new("swupdate");
        command.args(["-H", "bench:1.0", "-l", "1", "-k"]).arg(&files.signer.certificate);
        command.arg("--ca-path").arg(&files.signer.certificate).env("SSL_CERT_FILE", &files.authority);
        command.args(["-d", &format!("-u {}/rootfs.swu", files.url)]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        measure("swupdate", &mut command, Vec::new(), slot)
    }

    /// RAUC's service downloads a plain bundle and installs it. The bus that it needs is not counted.
    pub(crate) fn rauc(&self, files: &Files, slots: [&Path; 2]) -> Result<Cost> {
        let (config, bus) = (self.folder.join("rauc.conf"), self.folder.join("bus"));
        std::fs::write(&config, self.rauc_config(files, slots)).context("cannot write RAUC's configuration")?;
        let _bus = start_bus(&self.folder, &bus)?;
        let address = format!("unix:path={}", bus.display());
        let on_bus = |command: &mut Command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", &address).env("DBUS_STARTER_BUS_TYPE", "session");
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        };
        // Its curl knows the system's authorities only: in its own view of the files, ours is the one.
        let script = r#"mount --bind "$1" /etc/ssl/certs/ca-certificates.crt
            exec rauc --conf="$2" --override-boot-slot=A service"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "bash", "-euc", script, "bash"]).arg(&files.authority).arg(&config);
        on_bus(&mut command);
        let service = Process::start("rauc service", &mut command)?;
        std::thread::sleep(Duration::from_secs(1));
        let mut command = Command::new("rauc");
        command.args(["install", &format!("{}/rootfs.raucb", files.url)]);
        on_bus(&mut command);
        let pid = i32::try_from(service.pid()).context("a process has a number")?;
        measure("rauc", &mut command, vec![pid], slots[1])
    }

    fn rauc_config(&self, files: &Files, [first, second]: [&Path; 2]) -> String {
        format!(
            "[system]\ncompatible=bench\nbootloader=noop\nstatusfile={}/rauc.status\n\
             max-bundle-download-size=17179869184\n\n[keyring]\npath={}\n\n\
             [slot.rootfs.0]\ndevice={}\ntype=raw\nbootname=A\n\n\
             [slot.rootfs.1]\ndevice={}\ntype=raw\nbootname=B\n",
            self.folder.display(),
            files.signer.certificate.display(),
            first.display(),
            second.display()
        )
    }
}

fn start_bus(folder: &Path, socket: &Path) -> Result<Process> {
    let config = folder.join("bus.conf");
    let text = format!(
        "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
         <allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
        socket.display()
    );
    std::fs::write(&config, text).context("cannot write the bus's configuration")?;
    let mut command = Command::new("dbus-daemon");
    command.arg(format!("--config-file={}", config.display())).arg("--nofork").stderr(std::process::Stdio::null());
    let bus = Process::start("dbus-daemon", &mut command)?;
    for _ in 0..100 {
        if socket.exists() {
            return Ok(bus);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::new("the bus does not start"))
}

/// Runs a command to its end, and measures it together with `more` processes.
fn measure(name: &str, command: &mut Command, mut more: Vec<i32>, slot: &Path) -> Result<Cost> {
    let mut process = Process::start(name, command)?;
    more.push(i32::try_from(process.pid()).context("a process has a number")?);
    let (meter, start) = (Meter::start(more, slot)?, Instant::now());
    loop {
        tenure_tests::interrupt::check()?;
        match process.ended()? {
            Some(status) if status.success() => return meter.stop(slot),
            Some(status) => return Err(Failure::new(format_args!("{name} ended with {status}"))),
            None if start.elapsed() > LIMIT => return Err(Failure::new(format_args!("{name} does not end"))),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
