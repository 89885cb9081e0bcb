//! `tenurectl model`: what goes into an image, and what is signed anew.

#[cfg(test)]
mod ctl;
#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    use super::ctl::{json_of, ok, refused};
    use super::serve::Server;

    /// A folder with a model, a promise and a release.
    fn maker() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        ok(dir.path(), &["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        ok(dir.path(), &["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        ok(dir.path(), &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
        let image = dir.path().join("rootfs.img");
        replace(&image, &[7; 10_000], PUBLIC).unwrap();
        let image = format!("rootfs={}", image.display());
        ok(dir.path(), &["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"]);
        dir
    }

    fn backstop(dir: &std::path::Path) -> Value {
        let mut value: Value = serde_json::from_slice(&std::fs::read(dir.join("out/backstop.json")).unwrap()).unwrap();
        assert!(value.as_object_mut().unwrap().remove("built_at").is_some());
        value
    }

    #[test]
    fn an_image_gets_the_newest_root_and_the_versions_that_are_live() {
        let dir = maker();
        let dir = dir.path();
        let out = dir.join("out");
        let image = ["model", "image", "acme-gw1", "--out", out.to_str().unwrap()];
        // Without a server, the folder is what devices see.
        assert_eq!(json_of(dir, &image)["live"], json!(false));
        assert_eq!(backstop(dir), json!({"root": 1, "timestamp": 3, "snapshot": 3}));
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        ok(dir, &["login", "--setup-link", &server.link, "--user", "ada"]);
        ok(dir, &["push", "acme-gw1"]);
        // A root that is not pushed yet, and renewals of the folder: no device can have seen them.
        let file = dir.join("gw1.ceremony");
        let file = file.to_str().unwrap();
        ok(dir, &["root", "propose", "acme-gw1", "--renew", "--out", file]);
        ok(dir, &["root", "sign", file]);
        ok(dir, &["root", "publish", "acme-gw1", file]);
        assert_eq!(json_of(dir, &image)["live"], json!(true));
        assert_eq!(backstop(dir), json!({"root": 1, "timestamp": 4, "snapshot": 4}));
        ok(dir, &["push", "acme-gw1"]);
        ok(dir, &image);
        assert_eq!(backstop(dir)["root"], json!(2));
        let newest = dir.join("models/acme-gw1/repo/metadata/2.root.json");
        assert_eq!(std::fs::read(out.join("root.json")).unwrap(), std::fs::read(newest).unwrap());
        // A server that is away is not passed over: the image would not know what devices know.
        let before = backstop(dir);
        let said = format!("cannot follow {}, whose versions the image has to know", server.url);
        drop(server);
        assert!(refused(dir, &image).contains(&said));
        assert_eq!(backstop(dir), before);
    }

    #[test]
    fn what_offline_keys_signed_is_signed_anew_with_the_same_content() {
        let dir = maker();
        let dir = dir.path();
        let clock = dir.join("clock.json");
        let renew = ["--clock-file", clock.to_str().unwrap(), "model", "renew", "acme-gw1", "--offline-roles"];
        let read = |role: &str, version: u32| -> Value {
            let path = dir.join(format!("models/acme-gw1/repo/metadata/{version}.{role}.json"));
            serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["signed"].clone()
        };
        replace(&clock, br#"{"offset_s": 31536000}"#, PUBLIC).unwrap();
        ok(dir, &renew);
        for (role, version) in [("targets", 2), ("archive", 2), ("support", 2)] {
            let (old, new) = (read(role, version), read(role, version + 1));
            assert!(old["expires"].as_str() < new["expires"].as_str(), "{role}");
            assert_eq!((&old["targets"], &old["delegations"]), (&new["targets"], &new["delegations"]), "{role}");
        }
        ok(dir, &["--clock-file", clock.to_str().unwrap(), "verify", "acme-gw1", "--payloads"]);
        // It takes the keys that may sign.
        std::fs::remove_dir_all(dir.join("keys")).unwrap();
        assert!(refused(dir, &renew).contains("signing targets needs"));
    }
}
