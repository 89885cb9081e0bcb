//! Any `system.conf` of RAUC is refused, or becomes a configuration that has no key but those we write.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The tool's own sources: a program has no other door for us.
#[path = "../../server/src/bin/tenurectl/key_file.rs"]
mod key_file;
#[path = "../../server/src/bin/tenurectl/rauc.rs"]
mod rauc;

const KEYS: [&str; 5] = ["bootloader", "fetch_user", "model", "server", "slots"];

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let Ok(groups) = key_file::parse(&text) else { return };
    let given = rauc::Given { model: None, server: "https://updates.example.com" };
    match rauc::agent_toml(&groups, &given) {
        Ok(made) => {
            let table: toml::Table = toml::from_str(&made).expect("it is TOML");
            assert!(table.keys().all(|key| KEYS.contains(&key.as_str())), "{made}");
            assert_eq!(table["server"].as_str(), Some(given.server));
            assert!(table["slots"].as_array().is_some_and(|slots| slots.len() >= 2), "{made}");
        }
        Err(refused) => assert!(!refused.is_empty()),
    }
});
