//! Certificates for a server of a test's own, by `openssl`.

#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::{fs, path::Path, process::Command};

use crate::programs::run;

/// A certificate for a host, signed by an authority that nobody else knows.
pub struct Certificate {
    /// The authority's certificate: a path, as settings want it.
    pub authority: String,
    /// The server's certificate, in PEM.
    pub chain: Vec<u8>,
    /// Its key, in PEM.
    pub key: Vec<u8>,
}

impl Certificate {
    /// For the host `name`, made in `folder`.
    pub fn of(folder: &Path, name: &str) -> Self {
        let at = |file: &str| folder.join(format!("{name}.{file}")).display().to_string();
        let openssl = |arguments: &str, files: &[&str]| {
            let files: Vec<String> = files.iter().map(|file| at(file)).collect();
            let mut files = files.iter();
            // Each `@` stands for the next of the files.
            let arguments =
                arguments.split_whitespace().map(|word| if word == "@" { files.next().unwrap() } else { word });
            run(Command::new("openssl").args(arguments).current_dir(folder));
        };
        let new = "-newkey rsa:2048 -nodes";
        openssl(
            &format!(
                "req -x509 {new} -days 2 -subj /CN=authority -addext basicConstraints=critical,CA:TRUE -keyout @ -out @"
            ),
            &["ca.key", "ca.crt"],
        );
        openssl(&format!("req {new} -subj /CN=server -keyout @ -out @"), &["key", "csr"]);
        fs::write(at("ext"), format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")).unwrap();
        openssl(
            "x509 -req -days 2 -in @ -CA @ -CAkey @ -CAcreateserial -extfile @ -out @",
            &["csr", "ca.crt", "ca.key", "ext", "crt"],
        );
        Self { authority: at("ca.crt"), chain: fs::read(at("crt")).unwrap(), key: fs::read(at("key")).unwrap() }
    }
}
