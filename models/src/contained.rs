//! Panics of operators stay on our side: what unwinds into ONNX Runtime ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `compute` says; an error if it panics.
pub(crate) fn contained(compute: impl FnOnce() -> ort::Result<()>) -> ort::Result<()> {
    catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|_| Err(ort::Error::new("an operator of ours panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        // Errors are ONNX Runtime's own.
        crate::load_runtime(None).unwrap_or_else(|error| panic!("{error}"));
        assert!(contained(|| Ok(())).is_ok());
        assert!(contained(|| panic!("a bug")).is_err());
    }
}
