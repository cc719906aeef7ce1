//! The files of one model release, verified before anything reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretype_charlm::Spelling;
use foretype_markov::StaticModel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ensemble::calibrate::Calibration;
use crate::ensemble::gate::Gate;
use crate::ensemble::mixture::Prior;

/// The manifest's format this version reads.
pub const FORMAT: u32 = 1;

/// The n-grams of the domain.
pub const DOMAIN: &str = "domain.ngram";
/// The lexicon.
pub const LEXICON: &str = "lexicon.fst";
/// The character model.
pub const CHARS: &str = "chars.bin";
/// Mixture weights, calibration, threshold.
pub const ENSEMBLE: &str = "ensemble.json";
/// The GPT-2: what the `models` crate loads.
pub const NEURAL: [&str; 3] = ["gpt2.onnx", "gpt2.json", "tokenizer.json"];
/// Reference logits of the GPT-2, for the parity test; a bundle need not list them.
pub const REFERENCE: &str = "reference.json";
/// The manifest.
pub const MANIFEST: &str = "bundle.toml";

/// Why a bundle cannot be served, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file is not there.
    #[error(
        "{path} cannot be read ({cause}). Restore it with `git checkout models/bundle`, or name a complete bundle with --bundle DIR."
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file is not what the manifest says.
    #[error(
        "{path} is not the file that bundle.toml describes (SHA-256 {found}, expected {expected}): it is damaged or was changed. Restore it with `git checkout models/bundle`, or rebuild the bundle with `foretype build`."
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The digest it has.
        found: String,
        /// The digest it should have.
        expected: String,
    },
    /// A file cannot be understood.
    #[error(
        "{path} cannot be used: {cause}. Rebuild the bundle with `foretype build`, or use the foretype version that made it."
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The manifest lists no such file, but it is needed.
    #[error("{path} lists no {file}: the bundle is incomplete. Rebuild it with `foretype build`.")]
    Unlisted {
        /// The manifest.
        path: PathBuf,
        /// What is missing in it.
        file: &'static str,
    },
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A text the bundle learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The corpus.
    pub name: String,
    /// Its licence.
    pub licence: String,
    /// Messages learned.
    pub messages: u64,
}

/// bundle.toml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The manifest's format.
    pub format: u32,
    /// The release.
    pub version: String,
    /// The licence of the bundle's own files.
    pub licence: String,
    /// What was measured when it was built, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// The files, by name.
    pub files: BTreeMap<String, File>,
    /// What it learned from.
    #[serde(default)]
    pub sources: Vec<TextSource>,
}

/// ensemble.json: what `foretype build` fits on held-out text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Mixture weights.
    pub prior: Prior,
    /// Confidence curves.
    pub calibration: Calibration,
    /// The least confidence that is shown by default.
    pub threshold: f32,
    /// Where the GPT-2 is worth asking; absent in older bundles: everywhere.
    #[serde(default)]
    pub gate: Gate,
}

impl Default for Fitted {
    fn default() -> Self {
        Self {
            prior: Prior::default(),
            calibration: Calibration::default(),
            threshold: 0.0,
            gate: Gate::default(),
        }
    }
}

/// A verified bundle with its fast models loaded; the GPT-2 is loaded by its inference thread.
#[derive(Debug)]
pub struct Bundle {
    /// The release.
    pub version: String,
    /// The n-grams of the domain.
    pub domain: Option<StaticModel>,
    /// Lexicon and character model.
    pub spelling: Option<Arc<Spelling>>,
    /// What was fitted.
    pub ensemble: Fitted,
}

impl Bundle {
    /// No models at all: for tests with fixed predictors.
    pub fn empty() -> Self {
        Self { version: "none".to_owned(), domain: None, spelling: None, ensemble: Fitted::default() }
    }

    /// Verifies every listed file and loads the fast models.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let manifest = Manifest::read(dir)?;
        for (name, file) in &manifest.files {
            file.verify(&dir.join(name))?;
        }
        for needed in [DOMAIN, LEXICON, CHARS, ENSEMBLE].into_iter().chain(NEURAL) {
            if !manifest.files.contains_key(needed) {
                return Err(BundleError::Unlisted { path: dir.join(MANIFEST), file: needed });
            }
        }
        Self::load(dir, manifest.version)
    }

    /// Loads the fast models without a manifest: `foretype build` does, before there is one.
    pub fn load(dir: &Path, version: String) -> Result<Self, BundleError> {
        let unreadable = |file: &str, cause: String| BundleError::Unreadable { path: dir.join(file), cause };
        let domain = StaticModel::open(&dir.join(DOMAIN)).map_err(|e| unreadable(DOMAIN, e.to_string()))?;
        let spelling = Spelling::open(dir.join(LEXICON), dir.join(CHARS))
            .map_err(|e| unreadable(LEXICON, e.to_string()))?;
        let ensemble =
            if dir.join(ENSEMBLE).exists() { Fitted::read(&dir.join(ENSEMBLE))? } else { Fitted::default() };
        Ok(Self { version, domain: Some(domain), spelling: Some(Arc::new(spelling)), ensemble })
    }
}

impl Fitted {
    /// Reads and checks ensemble.json.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let unreadable = |cause: String| BundleError::Unreadable { path: path.to_owned(), cause };
        let bytes = fs::read(path).map_err(|cause| BundleError::Missing { path: path.to_owned(), cause })?;
        let fitted: Self = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
        let fitted = Self { prior: fitted.prior.of_both_kinds(), ..fitted };
        if fitted.prior.is_valid()
            && fitted.calibration.is_valid()
            && fitted.gate.is_valid()
            && (0.0..=1.0).contains(&fitted.threshold)
        {
            Ok(fitted)
        } else {
            Err(unreadable("its tables have the wrong shape or values".to_owned()))
        }
    }
}

impl Manifest {
    /// Reads bundle.toml.
    pub fn read(dir: &Path) -> Result<Self, BundleError> {
        let path = dir.join(MANIFEST);
        let text =
            fs::read_to_string(&path).map_err(|cause| BundleError::Missing { path: path.clone(), cause })?;
        let manifest: Self = toml::from_str(&text)
            .map_err(|e| BundleError::Unreadable { path: path.clone(), cause: e.message().to_owned() })?;
        if manifest.format == FORMAT {
            Ok(manifest)
        } else {
            let cause = format!("it has format {}, this version reads {FORMAT}", manifest.format);
            Err(BundleError::Unreadable { path, cause })
        }
    }
}

impl File {
    /// Describes a file as it is.
    pub fn describe(path: &Path) -> Result<Self, BundleError> {
        let missing = |cause| BundleError::Missing { path: path.to_owned(), cause };
        let mut file = fs::File::open(path).map_err(missing)?;
        let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut chunk).map_err(missing)?;
            if read == 0 {
                break;
            }
            digest.update(&chunk[..read]);
            bytes += read as u64;
        }
        let sha256 = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { sha256, bytes })
    }

    /// Whether a file is the one described.
    pub fn verify(&self, path: &Path) -> Result<(), BundleError> {
        let found = Self::describe(path)?;
        if found == *self {
            Ok(())
        } else {
            let (found, expected) = (found.sha256, self.sha256.clone());
            Err(BundleError::Corrupt { path: path.to_owned(), found, expected })
        }
    }
}
