//! Where all of them install: two loop devices in memory, and one web server with TLS.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::process::{self, Process};

/// A loop device over a file in memory; both are gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The device.
    pub(crate) device: PathBuf,
    file: PathBuf,
}

impl Loop {
    /// Makes one of this length.
    pub(crate) fn make(name: &str, bytes: u64) -> Result<Self> {
        let file = Path::new("/dev/shm").join(format!("tenure-bench-{}-{name}", std::process::id()));
        std::fs::File::create(&file).and_then(|made| made.set_len(bytes)).context("cannot make a file in memory")?;
        let mut command = Command::new("losetup");
        command.args(["--find", "--show", "--direct-io=off"]).arg(&file);
        let device = said(&mut command).inspect_err(|_| std::fs::remove_file(&file).unwrap_or_default())?;
        Ok(Self { device: device.into(), file })
    }

    /// Fills it with an older image, as a spare slot is filled.
    pub(crate) fn hold(&self, image: &Path) -> Result<()> {
        let output = format!("of={}", self.device.display());
        let input = format!("if={}", image.display());
        said(Command::new("dd").args([&input, &output, "bs=4M", "conv=fsync", "status=none"])).map(drop)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("losetup").arg("--detach").arg(&self.device).status().map(drop).unwrap_or_default();
        std::fs::remove_file(&self.file).unwrap_or_default();
    }
}

/// nginx, which serves a folder over TLS.
#[derive(Debug)]
pub(crate) struct Files {
    _process: Process,
    /// Its address.
    pub(crate) url: String,
    /// The folder that it serves.
    pub(crate) root: PathBuf,
    /// Who vouches for the server.
    pub(crate) authority: PathBuf,
    /// Who signs the bundles of others.
    pub(crate) signer: Certified,
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Certified {
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

/// What makes a certificate a server's.
const LEAF: [&str; 4] = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost"];

fn certify(folder: &Path, name: &str, more: &[&OsStr]) -> Result<Certified> {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj"]).arg(format!("/CN={name}"));
    said(command.args(more).arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
    Ok(Certified { certificate, key })
}

impl Files {
    /// Makes the certificates, starts the server.
    pub(crate) fn serve(folder: &Path) -> Result<Self> {
        let root = folder.join("www");
        std::fs::create_dir_all(folder.join("nginx")).context("cannot make a folder")?;
        std::fs::create_dir_all(&root).context("cannot make a folder")?;
        let authority = certify(folder, "authority", &[])?;
        let by_it = ["-CA".as_ref(), authority.certificate.as_os_str(), "-CAkey".as_ref(), authority.key.as_os_str()];
        let _server = certify(folder, "server", &[&by_it[..], &LEAF.map(OsStr::new)].concat())?;
        let signer = certify(folder, "signer", &[])?;
        let port = free_port()?;
        let config = folder.join("nginx/nginx.conf");
        std::fs::write(&config, nginx_config(folder, port)).context("cannot write nginx.conf")?;
        let mut command = Command::new("nginx");
        command.args(["-e", "/dev/null", "-c"]).arg(&config).arg("-p").arg(folder.join("nginx"));
        let process = Process::start("nginx", &mut command)?;
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let url = format!("https://localhost:{port}");
                return Ok(Self { _process: process, url, root, authority: authority.certificate, signer });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new("nginx does not listen"))
    }
}

fn nginx_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/nginx/{name};"))
        .join(" ");
    format!(
        "worker_processes 1; daemon off; user root; pid {folder}/nginx/pid; events {{}}\n\
         http {{ access_log off; {temp}\n\
         server {{ listen 127.0.0.1:{port} ssl; root {folder}/www;\n\
         ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key; }} }}\n"
    )
}

fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("there is no free port")?;
    Ok(listener.local_addr().context("there is no free port")?.port())
}

/// Runs a command that must succeed; what it said.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = process::run(&name, command, b"", Duration::from_mins(10))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Failure::new(format_args!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}
