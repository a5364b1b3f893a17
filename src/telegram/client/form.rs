//! A form with a file, as the Bot API takes uploads (`multipart/form-data`, RFC 7578). Pure.

/// A form: its content type and its body.
pub(super) struct Form {
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// A file of a form.
pub(super) struct Upload<'a> {
    /// Name of its field.
    pub(super) field: &'a str,
    /// Its own name.
    pub(super) name: &'a str,
    /// Media type.
    pub(super) mime: &'a str,
    /// Content.
    pub(super) bytes: &'a [u8],
}

/// Puts fields and a file together. The names of fields are words of the program.
pub(super) fn form(fields: &[(&str, String)], upload: &Upload<'_>) -> Form {
    let boundary = boundary(fields, upload);
    let mut body = Vec::with_capacity(upload.bytes.len() + 1024);
    let mut put = |head: String, content: &[u8]| {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    for (name, value) in fields {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"");
        put(head, value.as_bytes());
    }
    let head = format!(
        "Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}",
        upload.field,
        quoted(upload.name),
        upload.mime
    );
    put(head, upload.bytes);
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Form {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        body,
    }
}

/// A line that stands in none of the contents.
fn boundary(fields: &[(&str, String)], upload: &Upload<'_>) -> String {
    let mut number: u64 = 0;
    loop {
        let boundary = format!("telexd-{number:016x}");
        let within = |content: &[u8]| {
            content
                .windows(boundary.len())
                .any(|part| part == boundary.as_bytes())
        };
        if !within(upload.bytes) && !fields.iter().any(|(_, value)| within(value.as_bytes())) {
            return boundary;
        }
        number += 1;
    }
}

/// As browsers write a name between quotes.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload<'a>(name: &'a str, bytes: &'a [u8]) -> Upload<'a> {
        Upload {
            field: "document",
            name,
            mime: "text/plain",
            bytes,
        }
    }

    #[test]
    fn a_form_with_a_file() {
        let made = form(
            &[("chat_id", "-5".to_owned()), ("caption", "ä".to_owned())],
            &upload("main.rs", b"fn main() {}\n"),
        );
        assert_eq!(
            made.content_type,
            "multipart/form-data; boundary=telexd-0000000000000000"
        );
        assert_eq!(
            String::from_utf8(made.body).unwrap(),
            "--telexd-0000000000000000\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n-5\r\n\
             --telexd-0000000000000000\r\nContent-Disposition: form-data; name=\"caption\"\r\n\r\nä\r\n\
             --telexd-0000000000000000\r\nContent-Disposition: form-data; name=\"document\"; filename=\"main.rs\"\r\n\
             Content-Type: text/plain\r\n\r\nfn main() {}\n\r\n--telexd-0000000000000000--\r\n"
        );
    }

    #[test]
    fn nothing_in_it_ends_a_part() {
        let hostile = b"\r\n--telexd-0000000000000000--\r\n--telexd-0000000000000001";
        let made = form(&[], &upload("a\"\r\nX: y", hostile));
        let text = String::from_utf8(made.body).unwrap();
        assert!(made.content_type.ends_with("telexd-0000000000000002"));
        assert_eq!(text.matches("--telexd-0000000000000002").count(), 2);
        assert!(text.contains("filename=\"a%22%0D%0AX: y\""));
    }
}
