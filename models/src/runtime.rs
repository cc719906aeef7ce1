//! Finding and loading ONNX Runtime's shared library, once for the process.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::environment::Environment;

use crate::Error;

/// The release `fetch_runtime.py` pins: faster on this graph than later ones.
pub(crate) const WANTED: &str = "1.24.4";

#[cfg(target_os = "macos")]
const NAME: &str = "libonnxruntime.dylib";
#[cfg(not(any(target_os = "macos", windows)))]
const NAME: &str = "libonnxruntime.so";
#[cfg(windows)]
const NAME: &str = "onnxruntime.dll";

/// The library in use.
#[derive(Clone, Debug)]
pub struct RuntimeVersion {
    /// Where it was found.
    pub path: PathBuf,
    /// What it says of itself: release, commit, compiler flags.
    pub build: String,
}

// ort allows one environment per process, and it must outlive every session.
static LOADED: Mutex<Option<(Environment, RuntimeVersion)>> = Mutex::new(None);

/// Loads ONNX Runtime. Later calls return the library already loaded, whatever they name.
///
/// Looked for in this order: `explicit`; `ORT_DYLIB_PATH`; beside the running binary; `.runtime/` of the folders above
/// the binary and above the working directory (where `make build` puts it).
///
/// # Errors
/// [`Error::RuntimeMissing`] if there is none, [`Error::RuntimeUnusable`] if the file named or found is not a library
/// or is older than this crate's bindings need. A file that was named is never replaced by one that was found.
pub fn load_runtime(explicit: Option<&Path>) -> Result<RuntimeVersion, Error> {
    let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, version)) = loaded.as_ref() {
        return Ok(version.clone());
    }
    let path = find(explicit)?;
    let unusable = |reason: String| Error::RuntimeUnusable { path: path.clone(), reason, wanted: WANTED };
    // The loader answers an old library with an error, but a foreign one may still trip an assertion inside it.
    let environment = std::panic::catch_unwind(|| {
        ort::init_from(&path).map_err(|error| error.to_string()).and_then(|builder| {
            builder.with_name("foretype").with_telemetry(false).build().map_err(|error| error.to_string())
        })
    })
    .unwrap_or_else(|_| Err("it does not answer as ONNX Runtime does".to_owned()))
    .map_err(unusable)?;
    let version = RuntimeVersion { path: path.clone(), build: ort::info().to_owned() };
    *loaded = Some((environment, version.clone()));
    Ok(version)
}

/// The environment sessions are made in, once [`load_runtime`] has succeeded.
pub(crate) fn environment() -> Result<Environment, Error> {
    let loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loaded.as_ref().map(|(environment, _)| environment.clone()).ok_or(Error::RuntimeNotLoaded)
}

fn find(explicit: Option<&Path>) -> Result<PathBuf, Error> {
    let named = explicit.map(Path::to_path_buf).or_else(|| {
        let path = std::env::var_os("ORT_DYLIB_PATH")?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    });
    if let Some(path) = named {
        if path.is_file() {
            // An absolute path: the loader would resolve a relative one beside the binary first.
            return Ok(std::path::absolute(&path).unwrap_or(path));
        }
        return Err(Error::RuntimeUnusable { path, reason: "no such file".to_owned(), wanted: WANTED });
    }
    let folders = folders(std::env::current_exe().ok().as_deref(), std::env::current_dir().ok().as_deref());
    let found = folders.iter().map(|folder| folder.join(NAME)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Error::RuntimeMissing { name: NAME, searched: searched.join(", ") }
    })
}

/// The folders searched, nearest first.
fn folders(binary: Option<&Path>, working: Option<&Path>) -> Vec<PathBuf> {
    let beside = binary.and_then(Path::parent);
    let mut folders: Vec<PathBuf> = beside.map(Path::to_path_buf).into_iter().collect();
    for start in [beside, working].into_iter().flatten() {
        for above in start.ancestors().filter(|above| above.parent().is_some()) {
            let folder = above.join(".runtime");
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn looks_beside_the_binary_then_in_the_checkouts_above() {
        let found = folders(Some(Path::new("/c/target/release/foretype")), Some(Path::new("/w")));
        let expected = [
            "/c/target/release",
            "/c/target/release/.runtime",
            "/c/target/.runtime",
            "/c/.runtime",
            "/w/.runtime",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_that_names_it() {
        let error = find(Some(Path::new("/nowhere/libonnxruntime.so"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/libonnxruntime.so") && error.contains("make build"), "{error}");
    }
}
