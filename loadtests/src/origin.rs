//! All that figures depend on: they are those of another run only if that was of the same.

use std::path::Path;

use anyhow::Result;
use foretype::bundle::{File, MANIFEST};
use foretype::serve::bundle_folder;
use serde::{Deserialize, Serialize};

use crate::desk::Setup;

/// What was measured. Digests are SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The digest of the program that measured: the engine is in it.
    program: String,
    /// The digest of the bundle's manifest, which has those of its files.
    bundle: String,
    /// The digest of the file of streams.
    streams: String,
    /// Who predicts, what requests say, and how the typist works.
    options: String,
}

impl Origin {
    /// What this program measures.
    ///
    /// # Errors
    /// When one of the files cannot be read.
    pub(crate) fn of(program: &str, setup: &Setup, streams: &Path) -> Result<Self> {
        let bundle = bundle_folder(setup.bundle.as_ref())?.join(MANIFEST);
        // The bundle is known by its digest, and how many type at once makes no difference.
        let options = Setup { bundle: None, jobs: None, ..setup.clone() };
        Ok(Self {
            program: program.to_owned(),
            bundle: digest(&bundle)?,
            streams: digest(streams)?,
            options: format!("{options:?}"),
        })
    }

    /// What is another in `other`, in words.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let differ = [
            ("program", self.program != other.program),
            ("bundle", self.bundle != other.bundle),
            ("file", self.streams != other.streams),
            ("options", self.options != other.options),
        ];
        let differ: Vec<_> = differ.into_iter().filter(|(_, differ)| *differ).map(|(name, _)| name).collect();
        differ.join(", ")
    }
}

/// The digest of this program.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn program() -> Result<String> {
    digest(&std::env::current_exe()?)
}

fn digest(path: &Path) -> Result<String> {
    Ok(File::describe(path)?.sha256)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whatever_figures_depend_on_is_told_apart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let streams = folder.path().join("x.jsonl");
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        for bundle in [&old, &new] {
            fs::create_dir(bundle).expect("made");
            fs::write(bundle.join(MANIFEST), bundle.to_string_lossy().as_bytes()).expect("written");
        }
        fs::write(&streams, "{}").expect("written");
        let setup = Setup { bundle: Some(old), ..Setup::default() };
        let of = |program: &str, setup: &Setup| Origin::of(program, setup, &streams).expect("read");
        let before = of("p", &setup);
        assert_eq!(before, of("p", &Setup { jobs: Some(7), ..setup.clone() }));
        assert_eq!(before.differences(&of("q", &setup)), "program");
        assert_eq!(before.differences(&of("p", &Setup { bundle: Some(new), ..setup.clone() })), "bundle");
        assert_eq!(before.differences(&of("p", &Setup { k: 3, ..setup.clone() })), "options");
        fs::write(&streams, "{ }").expect("written");
        assert_eq!(before.differences(&of("q", &setup)), "program, file");
    }
}
