//! Images of root file systems, made from real files of the machine, and read again by the board.

use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use backhand::compression::{CompressionOptions, Compressor, Zstd};
use backhand::{FilesystemCompressor, FilesystemReader, FilesystemWriter, InnerNode, NodeHeader};

use crate::digests;
use crate::failure::{Context as _, Failure, Result};
use tenure_proto::digest::Digest;

/// What the health check of an image says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// Exit 0 at once.
    Good,
    /// Exit 1, with a reason.
    Bad,
    /// It never ends.
    Hangs,
}

/// What to put into an image.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The value of `IMAGE_VERSION`.
    pub version: String,
    /// About how many bytes of real files.
    pub content_bytes: u64,
    /// Which generation of the files: the next one replaces about a tenth of them.
    pub generation: u64,
    /// What the health check says.
    pub health: Health,
}

/// An image file and what is known of it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file.
    pub file: PathBuf,
    /// The version that it is published as.
    pub version: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Digest,
}

impl Image {
    /// Takes an image file as it is.
    pub fn open(file: &Path, version: &str) -> Result<Self> {
        let (bytes, sha256) = digests::of_file(file)?;
        Ok(Self { file: file.into(), version: version.into(), bytes, sha256 })
    }
}

/// Makes a squashfs image.
pub fn make(recipe: &Recipe, file: &Path) -> Result<Image> {
    let unreadable = |error: backhand::BackhandError| Failure::new(format_args!("cannot make an image: {error}"));
    let mut writer = FilesystemWriter::default();
    let options = CompressionOptions::Zstd(Zstd { compression_level: 1 });
    writer.set_compressor(FilesystemCompressor::new(Compressor::Zstd, Some(options)).map_err(unreadable)?);
    writer.set_time(1_795_000_000);
    let mut folders = std::collections::BTreeSet::new();
    let mut push = |path: &Path, bytes: Vec<u8>, mode: u16| -> Result<()> {
        if let Some(folder) = path.parent().filter(|folder| folders.insert(folder.to_path_buf())) {
            writer.push_dir_all(folder, NodeHeader::new(0o755, 0, 0, 0)).map_err(unreadable)?;
        }
        writer.push_file(Cursor::new(bytes), path, NodeHeader::new(mode, 0, 0, 0)).map_err(unreadable)
    };
    push(Path::new("/etc/os-release"), os_release(&recipe.version).into_bytes(), 0o644)?;
    push(Path::new(HEALTH), health_script(recipe.health).as_bytes().to_vec(), 0o755)?;
    for source in real_files(recipe)? {
        let bytes = std::fs::read(&source).context(format_args!("cannot read {}", source.display()))?;
        push(&source, bytes, 0o755)?;
    }
    let target = File::create(file).context(format_args!("cannot make {}", file.display()))?;
    writer.write(BufWriter::new(target)).map_err(unreadable)?;
    Image::open(file, &recipe.version)
}

/// Makes an image of this length out of the bytes of the machine's programs, again and again, each
/// time with another tag in front, so that no two blocks are alike; the next generation begins with
/// another program, so that no block is where it was. It holds no file system.
pub fn of_programs(file: &Path, version: &str, mib: u64, generation: u64) -> Result<Image> {
    let mut out = BufWriter::new(File::create(file).context("cannot make an image")?);
    let mut programs: Vec<_> = std::fs::read_dir("/usr/bin")?.flatten().map(|entry| entry.path()).collect();
    programs.retain(|program| program.is_file());
    programs.sort();
    let start = usize::try_from(generation * 101).unwrap_or(0) % programs.len().max(1);
    programs.rotate_left(start);
    let mut left = mib << 20;
    for (place, program) in (0_u64..).zip(programs.iter().cycle()) {
        let Ok(source) = File::open(program) else { continue };
        let tag = (place + (generation << 32)).to_le_bytes();
        let copied = std::io::copy(&mut (&tag[..]).chain(source).take(left), &mut out);
        left -= copied.context("cannot write an image")?;
        if left == 0 {
            break;
        }
    }
    out.flush().context("cannot write an image")?;
    drop(out);
    Image::open(file, version)
}

/// The same, with a hole after its first 64 MiB.
pub fn with_holes(file: &Path, version: &str, mib: u64, generation: u64) -> Result<Image> {
    of_programs(file, version, mib.min(64), generation)?;
    let image = File::options().write(true).open(file).context("cannot open an image")?;
    image.set_len(mib << 20).context("cannot make a hole")?;
    Image::open(file, version)
}

/// The text of `os-release` of a version.
pub fn os_release(version: &str) -> String {
    format!("ID=tenure-board\nNAME=\"Tenure board\"\nIMAGE_ID=tenure-board\nIMAGE_VERSION={version}\n")
}

/// The text of a health check.
pub fn health_script(health: Health) -> &'static str {
    match health {
        Health::Good => "#!/bin/sh\nexit 0\n",
        Health::Bad => "#!/bin/sh\necho 'the gateway service does not answer' >&2\nexit 1\n",
        Health::Hangs => "#!/bin/sh\nsleep 600\n",
    }
}

/// Where the health check lies in an image.
const HEALTH: &str = "/usr/lib/tenure/health";

/// Where the version stands; the first may be a link to the second, and then the second is read.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// Programs of this machine in a fixed order, the same ones for the same recipe. Every tenth is
/// left out by turns, so that two generations differ as two releases of a distribution do.
fn real_files(recipe: &Recipe) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["/usr/bin", "/usr/sbin", "/bin"] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path()),
        );
    }
    files.sort();
    let mut chosen = Vec::new();
    let mut bytes = 0;
    for (place, file) in (0_u64..).zip(files) {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let readable = size > 0 && size < recipe.content_bytes / 4 && File::open(&file).is_ok();
        if place % 10 == recipe.generation % 10 || !readable {
            continue;
        }
        bytes += size;
        chosen.push(file);
        if bytes >= recipe.content_bytes {
            return Ok(chosen);
        }
    }
    crate::ensure!(bytes > 0, "this machine has no programs to make an image of");
    Ok(chosen)
}

/// What the board takes out of the image that it boots.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// `/etc/os-release`.
    pub os_release: Option<Vec<u8>>,
    /// The health check.
    pub health: Option<Vec<u8>>,
}

/// Reads what the board needs from the file system in `slot`; nothing of what is not there.
pub fn read_system(slot: &Path) -> Result<System> {
    let mut magic = [0; 4];
    let mut file = File::open(slot).context(format_args!("cannot open {}", slot.display()))?;
    file.read_exact(&mut magic).context("cannot read the slot")?;
    if &magic == b"hsqs" { Ok(read_squashfs(file).unwrap_or_default()) } else { Ok(read_with_debugfs(slot)) }
}

fn read_squashfs(file: File) -> Result<System> {
    let unreadable = |error: backhand::BackhandError| Failure::new(format_args!("cannot read a squashfs: {error}"));
    let mut file = file;
    std::io::Seek::rewind(&mut file)?;
    let system = FilesystemReader::from_reader(BufReader::new(file)).map_err(unreadable)?;
    let read = |path: &str| {
        let node = system.files().find(|node| node.fullpath == Path::new(path))?;
        let InnerNode::File(inner) = &node.inner else { return None };
        let mut bytes = Vec::new();
        system.file(inner).reader().read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    Ok(System { os_release: OS_RELEASE.iter().find_map(|path| read(path)), health: read(HEALTH) })
}

/// An ext4 image is read by `debugfs`, if the machine has it.
fn read_with_debugfs(slot: &Path) -> System {
    let read = |path: &str| {
        let mut command = Command::new("debugfs");
        command.env("PATH", search_path()).args(["-R", &format!("cat {path}")]).arg(slot);
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(output.stdout).filter(|bytes| !bytes.is_empty())
    };
    System { os_release: OS_RELEASE.iter().find_map(|path| read(path)), health: read(HEALTH) }
}

/// Where system programs are, for a person that is not root too.
pub fn search_path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_was_put_into_it_and_two_generations_differ() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = |version: &str, generation| Recipe {
            version: version.into(),
            content_bytes: 2 << 20,
            generation,
            health: Health::Bad,
        };
        let first = make(&recipe("1.0.0", 0), &dir.path().join("first")).unwrap();
        let again = make(&recipe("1.0.0", 0), &dir.path().join("again")).unwrap();
        let next = make(&recipe("1.1.0", 1), &dir.path().join("next")).unwrap();
        assert_eq!(first.sha256, again.sha256);
        assert_ne!(first.sha256, next.sha256);
        let system = read_system(&next.file).unwrap();
        assert_eq!(system.os_release, Some(os_release("1.1.0").into_bytes()));
        assert_eq!(system.health.as_deref(), Some(health_script(Health::Bad).as_bytes()));
    }
}
