//! The exact bytes that are signed: OLPC canonical JSON.
//!
//! Object keys in code point order, no white space, strings escape only `"` and `\`, whole numbers
//! only. This is the form that TUF implementations sign; it is not RFC 8785.

use alloc::vec::Vec;

use serde_json::Value;

use crate::limits;

/// Why a value has no canonical form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number with a fraction or an exponent.
    #[error("canonical JSON has whole numbers only")]
    Float,
    /// Nested deeper than [`limits::JSON_DEPTH_MAX`].
    #[error("JSON nests deeper than {} levels", limits::JSON_DEPTH_MAX)]
    TooDeep,
}

/// Writes `value` in its canonical form.
pub fn encode(value: &Value) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(value, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if depth > limits::JSON_DEPTH_MAX {
        return Err(Error::TooDeep);
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => return Err(Error::Float),
        Value::Number(number) => out.extend_from_slice(alloc::format!("{number}").as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            write_list(b'[', items, b']', out, |item, out| write(item, depth + 1, out))?;
        }
        // `serde_json::Map` is a `BTreeMap` here: keys come in the order of their UTF-8 bytes,
        // which is the order of code points.
        Value::Object(fields) => write_list(b'{', fields, b'}', out, |(key, item), out| {
            write_string(key, out);
            out.push(b':');
            write(item, depth + 1, out)
        })?,
    }
    Ok(())
}

fn write_list<T>(
    open: u8,
    items: impl IntoIterator<Item = T>,
    close: u8,
    out: &mut Vec<u8>,
    mut each: impl FnMut(T, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(open);
    for (nth, item) in items.into_iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        each(item, out)?;
    }
    out.push(close);
    Ok(())
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use serde_json::json;

    fn text(value: &Value) -> String {
        String::from_utf8(encode(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_white_space_is_gone() {
        let value = json!({"b": [1, -2, true, null], "a": {"é": "x", "z": ""}, "B": 0});
        assert_eq!(text(&value), r#"{"B":0,"a":{"z":"","é":"x"},"b":[1,-2,true,null]}"#);
    }

    #[test]
    fn only_quote_and_backslash_are_escaped() {
        assert_eq!(text(&json!("a\"b\\c\nd\u{1}")), "\"a\\\"b\\\\c\nd\u{1}\"");
    }

    #[test]
    fn floats_are_refused() {
        assert_eq!(encode(&json!([1.0])), Err(Error::Float));
        assert_eq!(encode(&serde_json::from_str("1e3").unwrap()), Err(Error::Float));
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
        assert_eq!(encode(&deep), Err(Error::TooDeep));
    }
}
