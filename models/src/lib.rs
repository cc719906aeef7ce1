//! GPT-2 through ONNX Runtime: the only crate that sees ort and tokenizers.
