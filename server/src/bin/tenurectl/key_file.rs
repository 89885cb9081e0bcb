//! The key files of `GLib`, as RAUC's `system.conf` is one: `[group]`, then `key=value` lines.

/// A group and what stands in it, in the order of the file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Group {
    /// What stands between the brackets.
    pub(crate) name: String,
    /// Keys and values, later ones of one key last.
    pub(crate) entries: Vec<(String, String)>,
}

impl Group {
    /// The value of a key; of several the last, as `GLib` has it.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A line that is none of a key file.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct Error {
    /// Which, from 1.
    line: usize,
    /// What is wrong with it.
    reason: &'static str,
}

/// Reads a key file. A group that is named twice is one group.
pub(crate) fn parse(text: &str) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    let mut current = None;
    for (line, content) in (1..).zip(text.lines()) {
        let fail = |reason| Error { line, reason };
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.contains(|letter: char| letter.is_control() && letter != '\t') {
            return Err(fail("a control character"));
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name.strip_suffix(']').filter(|name| !name.is_empty() && !name.contains(['[', ']']));
            let name = name.ok_or_else(|| fail("a group is [name]"))?;
            let at = groups.iter().position(|group| group.name == name);
            current = Some(at.unwrap_or(groups.len()));
            if at.is_none() {
                groups.push(Group { name: name.into(), entries: Vec::new() });
            }
            continue;
        }
        let (key, value) = content.split_once('=').ok_or_else(|| fail("neither [group] nor key=value"))?;
        let group = current.and_then(|at| groups.get_mut(at)).ok_or_else(|| fail("a key before the first group"))?;
        let value =
            unescape(value.trim()).ok_or_else(|| fail("a backslash is followed by one of s, n, t, r and \\"))?;
        group.entries.push((key.trim().into(), value));
    }
    Ok(groups)
}

fn unescape(value: &str) -> Option<String> {
    let mut letters = value.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next()? {
                's' => ' ',
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_as_glib_reads_it() {
        let text =
            "# of the board\n[system]\ncompatible = ACME GW\nnote=a\\sb\\\\c\n\n[x.0]\n[system]\ncompatible=last\n";
        let groups = parse(text).unwrap();
        let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["system", "x.0"]);
        assert_eq!(groups[0].get("compatible"), Some("last"));
        assert_eq!(groups[0].get("note"), Some("a b\\c"));
        assert_eq!(groups[1].get("note"), None);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, line) in [
            ("a=b", 1),
            ("[x]\nnonsense", 2),
            ("[x\n", 1),
            ("[]", 1),
            ("[x]\na=\\q", 2),
            ("[x]\na=\\", 2),
            ("[x]\na\u{1}=b", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }
}
