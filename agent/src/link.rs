//! Is there a network at all?

use std::path::Path;

use tenure_proto::limits;

use crate::disk;

/// Each network interface has a folder here, of the network that this process sees.
const INTERFACES: &str = "/sys/class/net";

/// Whether an interface is up that leads somewhere else.
pub(crate) fn is_up() -> bool {
    any_up(Path::new(INTERFACES))
}

fn any_up(interfaces: &Path) -> bool {
    let others = disk::list(interfaces).unwrap_or_default();
    others.iter().filter(|interface| !interface.ends_with("lo")).any(|interface| {
        let says = |name: &str| {
            let value = disk::read_bounded(&interface.join(name), limits::CONFIG_BYTES_MAX).ok().flatten();
            String::from_utf8_lossy(&value.unwrap_or_default()).trim().to_owned()
        };
        // A modem or a tunnel often does not say, and has a carrier when it is connected.
        matches!((says("operstate").as_str(), says("carrier").as_str()), ("up", _) | ("unknown", "1"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_up_is_a_network_and_the_loopback_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let interface = |name: &str, operstate: &str, carrier: &str| {
            let folder = dir.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("operstate"), format!("{operstate}\n")).unwrap();
            std::fs::write(folder.join("carrier"), format!("{carrier}\n")).unwrap();
            any_up(dir.path())
        };
        assert!(!any_up(&dir.path().join("nowhere")));
        assert!(!interface("lo", "unknown", "1"));
        assert!(!interface("eth0", "down", "0"));
        assert!(interface("wwan0", "unknown", "1"));
        assert!(!interface("wwan0", "unknown", ""));
        assert!(interface("eth0", "up", "1"));
    }
}
