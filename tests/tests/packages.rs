//! The three descriptions of a package: Debian's, Yocto's and Buildroot's.
//!
//! Debian's is installed, run, upgraded, removed and purged in the Debian of `tests/images/build`, which
//! needs root, `cargo-deb` (`tests/run` installs it) and `TENURE_IMAGES`. No bitbake and no Buildroot is
//! here: their files are read as far as they can be without, and Buildroot's by the real `make`.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::world::World;

/// What the command says, if it went well.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context(format_args!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    Ok(said)
}

/// A Debian system below a folder.
struct Root(PathBuf);

impl Root {
    fn unpack(world: &World) -> Result<Self> {
        let images = std::env::var_os("TENURE_IMAGES").context("TENURE_IMAGES names no folder; tests/run sets it")?;
        let root = world.path("root");
        let image = Path::new(&images).join("updated.squashfs");
        run(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&root).arg(image))?;
        // A machine in pieces: nothing but what a maintainer's script redirects its output to.
        run(Command::new("mknod")
            .args(["-m", "666"])
            .arg(root.join("dev/null"))
            .args(["c", "1", "3"])
            .env("LC_ALL", "C"))
        .or_else(|error| if root.join("dev/null").exists() { Ok(String::new()) } else { Err(error) })?;
        // The image leaves out documentation, and so the examples.
        fs::remove_dir_all(root.join("etc/dpkg/dpkg.cfg.d"))?;
        Ok(Self(root))
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let environment = [("PATH", path), ("LC_ALL", "C"), ("DEBIAN_FRONTEND", "noninteractive")];
        run(Command::new("chroot").arg(&self.0).args(words).env_clear().envs(environment))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn install(&self, packages: &[PathBuf]) -> Result<()> {
        for package in packages {
            fs::copy(package, self.path("package.deb")).context("cannot copy the package")?;
            self.run(&["dpkg", "--install", "/package.deb"])?;
            fs::remove_file(self.path("package.deb"))?;
        }
        Ok(())
    }

    /// Every path that has our name, apart from dpkg's own records.
    fn traces(&self) -> Result<Vec<String>> {
        let found = self.run(&[
            "find",
            "/etc",
            "/usr",
            "/var",
            "/run",
            "-path",
            "/var/lib/dpkg",
            "-prune",
            "-o",
            "-path",
            "*tenure*",
            "-print",
        ])?;
        let mut found: Vec<_> =
            found.lines().filter(|line| !line.contains("tenure-debian")).map(str::to_owned).collect();
        found.sort();
        Ok(found)
    }
}

/// Both packages with the programs under test, as version `version`.
fn build(world: &World, version: &str) -> Result<Vec<PathBuf>> {
    let (target, programs) = (world.path("target"), world.binaries());
    let lie = [("device", &programs.tenure), ("release", &programs.tenure_server), ("release", &programs.tenurectl)];
    for (profile, program) in lie {
        let name = program.file_name().context("a program has no name")?;
        let place = target.join(profile).join(name);
        fs::create_dir_all(target.join(profile))?;
        run(Command::new("strip").arg("-o").arg(&place).arg(program))?;
    }
    let build = |package: &str| {
        let file = world.path(&format!("{package}_{version}.deb"));
        let mut cargo = Command::new("cargo");
        cargo.args([
            "deb",
            "--quiet",
            "--no-build",
            "--no-strip",
            "--fast",
            "--package",
            package,
            "--deb-version",
            version,
        ]);
        cargo.arg("--output").arg(&file).env("CARGO_TARGET_DIR", &target).current_dir(env!("CARGO_MANIFEST_DIR"));
        run(&mut cargo).map(|_said| file)
    };
    Ok(vec![build("tenure-agent")?, build("tenure-server")?])
}

/// Who may do what with the files: octal mode, owner, path.
const FILES: [(u32, &str, &str); 20] = [
    (0o755, "root", "/usr/bin/tenure"),
    (0o755, "root", "/usr/bin/tenure-server"),
    (0o755, "root", "/usr/bin/tenurectl"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-fetchd.service"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-installd.service"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-installd.socket"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-programs.socket"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-programs@.service"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-server.service"),
    (0o644, "root", "/usr/lib/systemd/system/tenure-tell.service"),
    (0o644, "root", "/usr/share/dbus-1/system.d/io.tenure.Agent1.conf"),
    (0o755, "root", "/usr/lib/systemd/system-generators/tenure-cage-generator"),
    (0o644, "root", "/usr/lib/systemd/system-preset/80-tenure.preset"),
    (0o644, "root", "/etc/tenure/server.toml"),
    // What sysusers and tmpfiles make of their files.
    (0o755, "root", "/var/lib/tenure"),
    (0o700, "root", "/var/lib/tenure/install"),
    (0o700, "tenure", "/var/lib/tenure/fetch"),
    (0o755, "tenure", "/run/tenure"),
    (0o755, "root", "/run/tenure-inhibit.d"),
    (0o755, "root", "/run/tenure-os"),
];

fn check_files(root: &Root) -> Result<()> {
    let users = fs::read_to_string(root.path("/etc/passwd"))?;
    let user = users.lines().find(|line| line.starts_with("tenure:")).context("there is no user tenure")?;
    let user_id = user.split(':').nth(2).context("the user has no number")?;
    ensure!(user.ends_with("/nologin"), "somebody can log in: {user}");
    for (mode, owner, path) in FILES {
        let found = fs::metadata(root.path(path)).context(path)?;
        let uid = if owner == "root" { "0" } else { user_id };
        let (is, wanted) = ((found.mode() & 0o7777, found.uid().to_string()), (mode, uid.to_owned()));
        ensure!(is == wanted, "{path} is {is:?}, not {wanted:?}");
    }
    for (target, unit) in [
        ("multi-user.target", "tenure-fetchd.service"),
        ("multi-user.target", "tenure-installd.service"),
        ("multi-user.target", "tenure-server.service"),
        ("multi-user.target", "tenure-tell.service"),
        ("sockets.target", "tenure-installd.socket"),
        ("sockets.target", "tenure-programs.socket"),
    ] {
        let link = root.path(&format!("/etc/systemd/system/{target}.wants/{unit}"));
        ensure!(fs::symlink_metadata(&link).is_ok(), "{unit} is not enabled");
    }
    Ok(())
}

#[test]
fn system_packages_are_installed_upgraded_removed_and_purged_cleanly() -> Result<()> {
    let world = World::new("packages")?;
    let root = Root::unpack(&world)?;
    ensure!(root.traces()? == [""; 0], "there was something before");

    root.install(&build(&world, "0.1.0-1")?)?;
    run(Command::new("systemd-tmpfiles").arg("--root").arg(&root.0).args(["--create", "tenure.conf"]))?;
    check_files(&root)?;
    for program in ["tenure", "tenure-server", "tenurectl"] {
        let said = root.run(&[program, "--version"])?;
        ensure!(said == format!("{program} {}\n", env!("CARGO_PKG_VERSION")), "{said}");
    }
    ensure!(root.run(&["dpkg", "--verify", "tenure", "tenure-server"])?.is_empty(), "a file is not as packaged");
    // The examples are what the programs read.
    fs::copy(root.path("/usr/share/doc/tenure/examples/agent.toml"), root.path("/etc/tenure/agent.toml"))?;
    ensure!(root.run(&["tenure", "cage"])?.contains("rootfs-b"), "the example is not read");

    let ours = "# ours\n";
    for name in ["agent.toml", "server.toml"] {
        let path = root.path(&format!("/etc/tenure/{name}"));
        fs::write(&path, fs::read_to_string(&path)? + ours)?;
    }
    fs::write(root.path("/var/lib/tenure/install/journal.json"), "kept")?;
    root.install(&build(&world, "0.2.0-1")?)?;
    let versions = root.run(&["dpkg-query", "--show", "--showformat", "${Version} ", "tenure", "tenure-server"])?;
    ensure!(versions == "0.2.0-1 0.2.0-1 ", "{versions}");
    for name in ["agent.toml", "server.toml"] {
        let text = fs::read_to_string(root.path(&format!("/etc/tenure/{name}")))?;
        ensure!(text.ends_with(ours), "the upgrade took {name}");
    }

    root.run(&["dpkg", "--remove", "tenure", "tenure-server"])?;
    ensure!(!root.path("/usr/bin/tenure").exists(), "the program is left");
    ensure!(root.path("/etc/tenure/server.toml").exists(), "removing took the configuration");
    ensure!(
        fs::read_to_string(root.path("/var/lib/tenure/install/journal.json"))? == "kept",
        "removing took the state"
    );

    root.run(&["dpkg", "--purge", "tenure", "tenure-server"])?;
    let left = root.traces()?;
    ensure!(left == ["/etc/tenure", "/etc/tenure/agent.toml"], "purging left {left:?}");
    Ok(())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(repository().join(path)).context(path)
}

/// What of `systemd/` belongs to the agent, as paths below it.
fn agents_files() -> Result<BTreeSet<String>> {
    let root = repository().join("systemd");
    let found = run(Command::new("find").arg(".").args(["-type", "f", "-printf", "%P\n"]).current_dir(root))?;
    let other = ["server.toml", "tenure-server.service", "agent.toml"];
    Ok(found.lines().filter(|name| !other.contains(name)).map(str::to_owned).collect())
}

#[test]
fn each_description_installs_every_file_of_the_agent() -> Result<()> {
    for description in [
        "agent/Cargo.toml",
        "docs/operate/yocto/meta-tenure/recipes-core/tenure/tenure_0.1.0.bb",
        "docs/operate/buildroot/package/tenure/tenure.mk",
    ] {
        let text = read(description)?;
        for file in agents_files()? {
            let named = text
                .split(|c: char| c.is_whitespace() || "/\";\\".contains(c))
                .any(|word| file.rsplit('/').next() == Some(word));
            ensure!(named, "{description} leaves out systemd/{file}");
        }
        for (at, _) in text.match_indices("systemd/") {
            let name: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || "./-_@".contains(*c)).collect();
            let ours = text[..at].ends_with("../") || text[..at].ends_with("${S}/") || text[..at].ends_with("$(@D)/");
            ensure!(!ours || repository().join(&name).exists(), "{description} names {name}, which is not there");
        }
    }
    Ok(())
}

/// Bitbake's grammar, as far as the layer uses it: what a logical line of a recipe may be.
fn is_bitbake(line: &str) -> bool {
    let name = |text: &str| {
        let body = text.split(['[', ':']).next().unwrap_or_default();
        !body.is_empty() && body.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    let value = |text: &str| {
        let text = text.trim();
        text.len() > 1 && text.starts_with('"') && text.ends_with('"') && !text[1..text.len() - 1].contains('"')
    };
    let assigned = line.split_once('=').is_some_and(|(left, right)| {
        let left = left.trim_end_matches(['?', ':', '+', '.']).trim();
        name(left) && value(right)
    });
    let words: Vec<_> = line.split_whitespace().collect();
    assigned || line.starts_with('#') || matches!(words.as_slice(), ["inherit", ..] | ["require" | "include", _])
}

#[test]
fn the_layer_is_what_bitbake_reads() -> Result<()> {
    let layer = repository().join("docs/operate/yocto/meta-tenure");
    let found =
        run(Command::new("find").arg(".").args(["-name", "*.bb*", "-o", "-name", "*.conf"]).current_dir(&layer))?;
    ensure!(found.lines().count() == 5, "{found}");
    for file in found.lines() {
        let text = fs::read_to_string(layer.join(file))?.replace("\\\n", " ");
        let mut function: Option<String> = None;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match &mut function {
                Some(body) if line == "}" => {
                    run(Command::new("sh").args(["-n", "-c", body.as_str()]))?;
                    function = None;
                }
                Some(body) => body.extend([line, "\n"]),
                None if line.ends_with("() {") => function = Some(String::new()),
                None => ensure!(is_bitbake(line), "{file}: {line}"),
            }
        }
        ensure!(function.is_none(), "{file}: a function has no end");
    }
    let recipe = read("docs/operate/yocto/meta-tenure/recipes-core/tenure/tenure_0.1.0.bb")?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let sum = run(Command::new("md5sum").arg(repository().join(licence)))?;
        let sum = sum.split(' ').next().unwrap_or_default();
        ensure!(recipe.contains(&format!("file://{licence};md5={sum} ")), "the recipe knows another {licence}");
    }
    ensure!(env!("CARGO_PKG_VERSION") == "0.1.0", "name the recipe after the version");
    Ok(())
}

/// What Buildroot's own files define, as far as ours use it.
const BUILDROOT: &str = r#"
qstrip = $(strip $(subst ",,$(1)))
comma := ,
define sep


endef
INSTALL = install
TARGET_DIR = $(OUT)
RUSTC_TARGET_NAME = aarch64-unknown-linux-gnu
TENURE_PKGDIR = $(BR2_EXTERNAL_TENURE_PATH)/package/tenure
BR2_PACKAGE_TENURE_CONFIG_DIR = "$(MAKER)"
KCONFIG_ENABLE_OPT = echo "$(1)=y" >>$(OUT)/kernel
KCONFIG_SET_OPT = echo '$(1)=$(2)' >>$(OUT)/kernel
cargo-package = $(info tenure is a cargo package)
include $(BR2_EXTERNAL_TENURE_PATH)/external.mk
all: $(BUILD)/.installed
$(BUILD)/.installed:
	$(TENURE_INSTALL_TARGET_CMDS)
	$(TENURE_INSTALL_INIT_SYSTEMD)
	$(TENURE_INSTALL_INIT_SYSV)
	$(TENURE_LINUX_CONFIG_FIXUPS)
"#;

#[test]
fn the_buildroot_package_installs_by_make_what_it_names() -> Result<()> {
    let world = World::new("buildroot")?;
    let (makefile, out, maker) = (world.path("Makefile"), world.path("out"), world.path("maker"));
    fs::write(&makefile, BUILDROOT)?;
    fs::create_dir_all(&out)?;
    fs::create_dir_all(&maker)?;
    for name in ["agent.toml", "root.json", "backstop.json"] {
        fs::write(maker.join(name), name)?;
    }
    // As after the build.
    let built = world.path("source");
    fs::create_dir_all(built.join("target/aarch64-unknown-linux-gnu/device"))?;
    fs::write(built.join("target/aarch64-unknown-linux-gnu/device/tenure"), "program")?;
    run(Command::new("cp").arg("-r").arg(repository().join("systemd")).arg(&built))?;
    let external = repository().join("docs/operate/buildroot");
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "all", "-f"]).arg(&makefile);
    for (name, path) in [("OUT", &out), ("MAKER", &maker), ("BUILD", &built), ("BR2_EXTERNAL_TENURE_PATH", &external)] {
        make.arg(format!("{name}={}", path.display()));
    }
    let said = run(&mut make)?;
    ensure!(said.contains("tenure is a cargo package"), "{said}");
    for file in agents_files()? {
        let name = Path::new(&file)
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .replace("tenure.preset", "80-tenure.preset");
        let found = run(Command::new("find").arg(&out).arg("-name").arg(&name))?;
        ensure!(!found.is_empty(), "{file} is installed nowhere");
    }
    for (path, mode) in [
        ("usr/bin/tenure", 0o755),
        ("etc/tenure/agent.toml", 0o644),
        ("usr/lib/tenure/root.json", 0o644),
        ("usr/lib/tenure/backstop.json", 0o644),
        ("etc/init.d/S90tenure", 0o755),
    ] {
        let is = fs::metadata(out.join(path)).context(path)?.mode() & 0o777;
        ensure!(is == mode, "{path} is {is:o}");
    }
    run(Command::new("sh").arg("-n").arg(out.join("etc/init.d/S90tenure")))?;
    // The layer's fragment and this package ask for the same kernel.
    let options = |text: String| -> BTreeSet<String> {
        text.lines().filter(|line| line.starts_with("CONFIG_")).map(str::to_owned).collect()
    };
    let fragment = options(read("docs/operate/yocto/meta-tenure/recipes-kernel/linux/files/tenure.cfg")?);
    ensure!(fragment == options(fs::read_to_string(out.join("kernel"))?), "the two ask for different kernels");
    let page = read("docs/operate/packages.md")?;
    for option in &fragment {
        let name = option.trim_start_matches("CONFIG_").split('=').next().unwrap_or_default();
        ensure!(page.contains(&format!("`{name}`")), "docs/operate/packages.md does not name {name}");
    }
    Ok(())
}
