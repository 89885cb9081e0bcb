//! Each duty has a test, and `docs/compliance.md` says which.

#[cfg(test)]
mod compliance {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use tenure_tests::compliance::{ROWS, page};

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }

    /// The tests that are named for a row, by its number.
    fn tests() -> BTreeMap<usize, Vec<String>> {
        let mut files = Vec::new();
        ["agent/src", "proto/src", "proto/tests", "server/src", "server/tests", "tests/src", "tests/tests"]
            .iter()
            .map(|folder| root().join(folder))
            .filter(|folder| folder.exists())
            .for_each(|folder| sources(&folder, &mut files));
        let mut tests = BTreeMap::<_, Vec<_>>::new();
        for file in files {
            for line in std::fs::read_to_string(file).unwrap().lines() {
                let name = line.trim_start().trim_start_matches("async ").strip_prefix("fn ");
                let Some(name) = name.and_then(|rest| rest.split('(').next()) else { continue };
                if !name.starts_with("row_") && !name.starts_with("system_row_") {
                    continue;
                }
                for row in name.split("row_").skip(1) {
                    let number = row.split('_').next().and_then(|number| number.parse().ok());
                    let number: usize = number.unwrap_or_else(|| panic!("{name} names no row"));
                    assert!((1..=ROWS.len()).contains(&number), "{name} names a row that there is not");
                    tests.entry(number).or_default().push(name.to_owned());
                }
            }
        }
        for names in tests.values_mut() {
            names.sort_unstable();
        }
        tests
    }

    #[test]
    fn every_duty_has_a_test_that_is_named_for_it() {
        let tests = tests();
        let missing: Vec<_> = (1..=ROWS.len()).filter(|number| !tests.contains_key(number)).collect();
        assert!(missing.is_empty(), "rows that no test is named for: {missing:?}");
    }

    #[test]
    fn every_duty_leads_to_a_page() {
        for row in ROWS {
            assert!(root().join("docs").join(row.page).exists(), "{} does not exist", row.page);
        }
    }

    #[test]
    fn the_table_of_duties_is_the_one_that_the_tests_give() {
        let (file, page) = (root().join("docs/compliance.md"), page(&tests()));
        if std::env::var_os("TENURE_WRITE").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == page,
            "docs/compliance.md is of before; TENURE_WRITE=1 cargo nextest run -p tenure-tests --test compliance"
        );
    }
}
