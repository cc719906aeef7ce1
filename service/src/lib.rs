//! Foretype: autocomplete for people who write all day, as one HTTP service.
