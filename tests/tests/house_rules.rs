//! The rules of the house, as tests: who imports whom, how long a thing may be, what exists.
//!
//! Each failure names the place and the way out.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::Value;

    const FILE_LINES_MAX: usize = 500;
    const FN_LINES_MAX: usize = 70;
    const STAGES: [&str; 8] = ["poll", "verify", "fetch", "install", "reboot", "confirm", "report", "notice"];

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
    }

    fn read(path: impl AsRef<Path>) -> String {
        let path = root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every Rust source of `folder`, as paths from the root.
    fn sources(folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = VecDeque::from([root().join(folder)]);
        while let Some(folder) = folders.pop_front() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                    folders.push_back(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path.strip_prefix(root()).unwrap().to_path_buf());
                }
            }
        }
        found.sort();
        found
    }

    fn all_sources() -> Vec<PathBuf> {
        ["proto", "agent", "server", "tests", "fuzz"].into_iter().flat_map(sources).collect()
    }

    /// The part of a source above its unit tests.
    fn without_tests(text: &str) -> &str {
        text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
    }

    fn metadata() -> Value {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]).current_dir(root());
        let output = command.output().expect("cargo metadata runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// For each package: the names of what it depends on in what is shipped (no build, no tests).
    fn shipped_dependencies() -> BTreeMap<String, BTreeSet<String>> {
        let metadata = metadata();
        let packages = metadata["packages"].as_array().unwrap();
        let names: BTreeMap<_, _> =
            packages.iter().map(|package| (package["id"].as_str(), package["name"].as_str())).collect();
        let name = |id: &Value| names[&id.as_str()].unwrap().to_owned();
        let shipped =
            |dependency: &&Value| dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
        nodes
            .map(|node| {
                let dependencies = node["deps"].as_array().unwrap().iter().filter(shipped);
                (name(&node["id"]), dependencies.map(|dependency| name(&dependency["pkg"])).collect())
            })
            .collect()
    }

    fn closure(of: &str, graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![of.to_owned()];
        while let Some(name) = waiting.pop() {
            waiting.extend(graph[&name].iter().filter(|name| seen.insert((*name).clone())).cloned());
        }
        seen
    }

    #[test]
    fn our_crates_import_only_downward() {
        let graph = shipped_dependencies();
        for (package, allowed) in
            [("tenure-proto", vec![]), ("tenure-agent", vec!["tenure-proto"]), ("tenure-server", vec!["tenure-proto"])]
        {
            let ours: Vec<_> = graph[package].iter().filter(|name| name.starts_with("tenure-")).collect();
            assert_eq!(ours, allowed, "{package} imports what it may not");
        }
    }

    #[test]
    fn the_agent_has_no_async_runtime_and_no_openssl() {
        let tree = closure("tenure-agent", &shipped_dependencies());
        for banned in ["tokio", "async-std", "smol", "futures-executor", "openssl", "openssl-sys", "native-tls"] {
            assert!(!tree.contains(banned), "{banned} is in the agent's dependency tree");
        }
    }

    #[test]
    fn the_agents_minimum_rust_version_is_one_that_its_dependencies_can_hold() {
        let metadata = metadata();
        let tree = closure("tenure-agent", &shipped_dependencies());
        let version = |package: &Value| -> (u32, u32) {
            let text = package["rust_version"].as_str().unwrap_or("1.0");
            let mut parts = text.split('.').map(|part| part.parse().unwrap());
            (parts.next().unwrap(), parts.next().unwrap_or(0))
        };
        let packages = metadata["packages"].as_array().unwrap();
        let agent = packages.iter().find(|package| package["name"] == "tenure-agent").unwrap();
        let dependencies = packages.iter().filter(|package| tree.contains(package["name"].as_str().unwrap()));
        let newest = dependencies.max_by_key(|package| version(package)).unwrap();
        assert_eq!(version(agent), version(newest), "the newest is needed by {}", newest["name"]);
    }

    #[test]
    fn proto_is_no_std_and_without_unsafe_code() {
        let text = read("proto/src/lib.rs");
        assert!(text.contains("#![no_std]") && text.contains("#![forbid(unsafe_code)]"));
        for file in sources("proto/src") {
            let text = read(&file);
            let code = without_tests(&text);
            for banned in ["std::fs", "std::net", "std::time", "extern crate std"] {
                let named = code.lines().any(|line| line.contains(banned) && !line.trim_start().starts_with("//"));
                assert!(!named, "{}: proto may not name {banned}", file.display());
            }
        }
    }

    #[test]
    fn no_stage_of_the_agent_imports_another_stage() {
        for stage in STAGES {
            let files = sources("agent/src");
            let own = |file: &&PathBuf| {
                let path = file.strip_prefix("agent/src").unwrap().to_string_lossy().into_owned();
                path == format!("{stage}.rs") || path.starts_with(&format!("{stage}/"))
            };
            for file in files.iter().filter(own) {
                let text = read(file);
                for other in STAGES.iter().filter(|other| **other != stage) {
                    let imports = without_tests(&text).contains(&format!("crate::{other}::"))
                        || without_tests(&text).contains(&format!("use crate::{other};"));
                    assert!(!imports, "{}: a stage may not import stage {other}", file.display());
                }
            }
        }
    }

    #[test]
    fn sql_stands_in_the_store_only() {
        for file in sources("server/src") {
            let in_store = file.starts_with("server/src/store") || file.ends_with("store.rs");
            let text = read(&file);
            let sql = ["sqlx::query", "SELECT ", "INSERT INTO", "UPDATE "].iter().find(|sql| text.contains(**sql));
            assert!(in_store || sql.is_none(), "{}: {sql:?} belongs in store/", file.display());
        }
    }

    #[test]
    fn only_trust_makes_a_verified_value() {
        for file in all_sources() {
            let in_trust = file.starts_with("proto/src/trust") || file == Path::new("proto/src/trust.rs");
            let makes = read(&file).contains(concat!("Verified", "("));
            assert!(in_trust || !makes, "{}: only proto/src/trust.rs makes a Verified", file.display());
        }
    }

    #[test]
    fn no_file_is_a_ground_for_odds_and_ends() {
        for file in all_sources() {
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            let banned = ["util", "utils", "common", "helpers", "helper", "misc", "types"].contains(&stem.as_str());
            assert!(!banned, "{}: name the file for what it holds", file.display());
        }
    }

    #[test]
    fn files_and_functions_stay_short() {
        for file in all_sources() {
            let text = read(&file);
            let lines = without_tests(&text).lines().count();
            assert!(lines <= FILE_LINES_MAX, "{}: {lines} lines; split it by what it holds", file.display());
            for (name, at, length) in functions(&text) {
                assert!(length <= FN_LINES_MAX, "{}:{at}: fn {name} has {length} lines", file.display());
            }
        }
    }

    /// Name, line and length of each function. The sources are formatted, so a function ends at
    /// the first closing brace in the column where it starts.
    fn functions(text: &str) -> Vec<(String, usize, usize)> {
        let lines: Vec<_> = text.lines().collect();
        let starts = lines.iter().enumerate().filter_map(|(at, line)| {
            let words: Vec<_> = line.split_whitespace().collect();
            let position = words.iter().position(|word| *word == "fn")?;
            let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
            let all = words[..position].iter().all(|word| modifiers.contains(word));
            let name = words.get(position + 1)?.split(['(', '<']).next()?;
            all.then(|| (at, name.to_owned(), line.len() - line.trim_start().len()))
        });
        let length = |(at, name, indent): (usize, String, usize)| {
            let close = format!("{}}}", " ".repeat(indent));
            let body = lines[at..].iter().position(|line| line.trim_end() == close)?;
            let declared =
                lines[at..at + body].iter().position(|line| line.trim_end().ends_with(';') && !line.contains('{'));
            let opened = lines[at..at + body].iter().position(|line| line.contains('{'))?;
            declared.is_none_or(|end| opened <= end).then_some((name, at + 1, body + 1))
        };
        starts.filter_map(length).collect()
    }

    #[test]
    fn every_crate_takes_the_lints_and_none_waves_them_off() {
        for package in ["proto", "agent", "server", "tests"] {
            let manifest: toml::Table = read(format!("{package}/Cargo.toml")).parse().unwrap();
            assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{package}");
            let features = manifest.contains_key("features");
            assert!(!features, "{package}: choice is configuration, not a cargo feature");
        }
        for file in all_sources() {
            let text = read(&file);
            let bare = text.lines().position(|line| line.trim_start().starts_with(concat!("#[", "allow(")));
            assert!(bare.is_none(), "{}:{bare:?}: use #[expect(…, reason = …)]", file.display());
        }
    }

    #[test]
    fn row_28_no_secret_stands_in_the_repository() {
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
        let files = String::from_utf8(listed.stdout).unwrap();
        // What follows the first line of a key in PEM is base64 of DER, which begins with M.
        let starts = ["PRIVATE ", "KEY-----"].concat();
        let has_key = |text: &str| {
            let mut rests = text.split(starts.as_str()).skip(1);
            rests.any(|rest| rest.trim_start_matches(['\\', 'n', 'r', '\n', '\r']).starts_with('M'))
        };
        let mut looked = 0;
        for file in files.split('\0').filter(|file| !file.is_empty()) {
            let Ok(bytes) = fs::read(root().join(file)) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            // The examples of standards, which tests read, are nobody's.
            let text =
                if Path::new(file).extension().is_some_and(|end| end == "rs") { without_tests(&text) } else { &text };
            assert!(!has_key(text), "{file} has a private key in it");
            looked += 1;
        }
        assert!(looked > 300, "only {looked} files were looked at");
    }

    #[test]
    fn nothing_unfinished_is_marked_in_the_code() {
        for file in all_sources() {
            for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("#[ig", "nore")] {
                assert!(!read(&file).contains(mark), "{}: {mark}", file.display());
            }
        }
    }

    /// `tests/run` runs no examples of rustdoc: to build none took two minutes. An example is a test of its own.
    #[test]
    fn no_documentation_has_an_example_that_nobody_runs() {
        for file in all_sources() {
            let text = read(&file);
            let comments = text.lines().filter_map(|line| line.trim().strip_prefix("//")?.strip_prefix(['/', '!']));
            let fences: Vec<_> = comments.filter_map(|line| line.trim().strip_prefix("```")).collect();
            let opening = fences.iter().step_by(2);
            assert!(opening.clone().all(|kind| *kind == "text"), "{}: {fences:?}", file.display());
        }
    }

    #[test]
    fn every_bound_of_the_agent_stands_in_limits() {
        for file in sources("agent/src") {
            let text = read(&file);
            let bound = |line: &&str| {
                let name = line.split("const ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
                ["_MAX", "_MIN"].iter().any(|end| name.ends_with(end))
            };
            let found = without_tests(&text).lines().find(bound);
            assert!(found.is_none(), "{}: {found:?} belongs in proto/src/limits.rs", file.display());
        }
    }

    /// The lines of shell blocks in a page that start one of our programs.
    fn documented_commands(page: &str) -> Vec<Vec<String>> {
        let text = read(page).replace("\\\n", " ");
        let blocks = text.split("```").skip(1).step_by(2);
        let shell = blocks.filter(|block| block.starts_with("sh") || block.starts_with("console"));
        let lines = shell.flat_map(|block| block.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
        let ours = lines.filter_map(|line| {
            let line = line.trim_start_matches(['$', '#', ' ']).trim_start_matches("sudo ").to_owned();
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let program = words.first()?;
            ["tenure", "tenurectl", "tenure-server"].contains(&program.as_str()).then_some(words)
        });
        ours.collect()
    }

    #[test]
    fn every_documented_command_exists() {
        let pages: Vec<_> =
            ["README.md".to_owned()].into_iter().chain(markdown("docs")).chain(markdown("docs/operate")).collect();
        let mut checked = 0;
        for (page, words) in
            pages.iter().flat_map(|page| documented_commands(page).into_iter().map(move |words| (page, words)))
        {
            let program = program(&words[0]);
            let subcommands: Vec<_> = words[1..]
                .iter()
                .take_while(|word| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'))
                .take_while(|word| !word.starts_with('-'))
                .collect();
            let help = help(&program, &subcommands);
            for flag in words.iter().filter_map(|word| word.strip_prefix("--")) {
                let flag = format!("--{}", flag.split('=').next().unwrap());
                assert!(help.contains(&flag), "{page}: `{}`: {flag} is not in the help", words.join(" "));
            }
            checked += 1;
        }
        assert!(checked > 10, "only {checked} commands are documented");
    }

    fn program(name: &str) -> PathBuf {
        let binaries = tenure_tests::binaries::Binaries::find().unwrap();
        match name {
            "tenure" => binaries.tenure,
            "tenure-server" => binaries.tenure_server,
            _ => binaries.tenurectl,
        }
    }

    fn markdown(folder: &str) -> Vec<String> {
        let entries = fs::read_dir(root().join(folder)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut pages: Vec<_> = names
            .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        pages.sort();
        pages
    }

    /// The help of the deepest subcommand that `words` name.
    fn help(program: &Path, words: &[&String]) -> String {
        for depth in (0..=words.len()).rev() {
            let output = Command::new(program).args(&words[..depth]).arg("--help").output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // A word too many would be taken as a value, or refused: then the parent must list it.
            if output.status.success() {
                let next = words.get(depth).filter(|_| text.contains("Commands:"));
                assert!(next.is_none_or(|word| text.contains(word.as_str())), "no command {words:?}");
                return text;
            }
        }
        panic!("{} has no help", program.display());
    }

    #[test]
    fn the_error_codes_of_the_server_are_documented() {
        let wire = read("docs/wire.md");
        let documented = wire.split("<!-- codes -->").nth(1).unwrap();
        let mut codes = BTreeSet::new();
        for file in sources("server/src") {
            // Written `StatusCode::CONFLICT, "support_shortened", …`, perhaps over several lines.
            for after in read(&file).split("StatusCode::").skip(1) {
                let status_ends = after.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
                let rest = after[status_ends.unwrap_or(0)..].strip_prefix(',').unwrap_or_default().trim_start();
                let code = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
                codes.extend(code.map(str::to_owned));
            }
        }
        assert!(codes.len() > 5, "the server's codes are written otherwise now: {codes:?}");
        for code in codes {
            assert!(documented.contains(&format!("`{code}`")), "docs/wire.md does not list the code {code}");
        }
    }

    /// The names of all functions below a `#[test]` or `#[tokio::test]`.
    fn tests() -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for file in all_sources() {
            let text = read(&file);
            for after in text.split("test]\n").chain(text.split("test(flavor")).skip(1) {
                let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                names.extend(name.map(str::to_owned));
            }
        }
        names
    }

    #[test]
    fn every_test_that_threats_names_exists() {
        let (page, tests) = (read("docs/threats.md"), tests());
        let rows = page.lines().filter(|line| line.starts_with("| **"));
        let mut named = 0;
        for row in rows {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
            let [what, _, places, proofs] = cells[..] else { panic!("docs/threats.md: not four cells: {row}") };
            let [places, proofs] = [places, proofs].map(|cell| cell.split('`').skip(1).step_by(2).collect::<Vec<_>>());
            let said = !proofs.is_empty() || cells[3].contains("no test yet");
            assert!(said, "docs/threats.md:{what}: name a test, or say that there is no test yet");
            for place in places.iter().chain(&proofs).filter(|name| name.contains('/')) {
                assert!(root().join(place).exists(), "docs/threats.md:{what}: there is no file {place}");
            }
            for test in proofs.iter().filter(|name| !name.contains('/')) {
                assert!(tests.contains(*test), "docs/threats.md:{what}: there is no test {test}");
                named += 1;
            }
        }
        assert!(named > 50, "only {named} tests are named");
    }
}
