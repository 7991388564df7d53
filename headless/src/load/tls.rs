//! Options of TLS that whoever opens a load's connections shares: `load`, and the cells of a `sweep`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Options of TLS.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsArgs {
    /// A PEM file of the certificates to trust in place of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the devices' certificate; `{device}` becomes the client id, so that each may have its own.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<String>,
    /// PEM file of the key that belongs to `--cert`.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<String>,
}

impl TlsArgs {
    /// Whether any was given.
    pub fn are_given(&self) -> bool {
        self.ca_file.is_some() || self.cert.is_some()
    }

    /// Certificate and key, as they were named.
    pub fn identity(&self) -> Option<(&String, &String)> {
        self.cert.as_ref().zip(self.key.as_ref())
    }

    /// Those that were given, as one writes them behind a command.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        let all = [
            ("--ca-file", self.ca_file.as_deref().map(Path::as_os_str)),
            ("--cert", self.cert.as_deref().map(OsStr::new)),
            ("--key", self.key.as_deref().map(OsStr::new)),
        ];
        all.into_iter().filter_map(|(option, value)| Some((option, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_written_as_it_is_read() {
        let given = TlsArgs {
            ca_file: Some("ca.pem".into()),
            cert: Some("{device}.pem".to_owned()),
            key: Some("{device}.key".to_owned()),
        };
        let words: Vec<String> =
            given.options().map(|(option, value)| format!("{option} {}", value.display())).collect();
        assert_eq!(words, ["--ca-file ca.pem", "--cert {device}.pem", "--key {device}.key"]);
        assert!(given.are_given() && !TlsArgs::default().are_given());
        assert_eq!(TlsArgs::default().options().count(), 0);
    }
}
