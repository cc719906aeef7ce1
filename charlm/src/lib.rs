//! Lexicon and character n-gram: words by their spelling, listed or not.
