//! The mixture of the predictors, its ranking, calibration and silence.

pub mod bucket;
pub mod calibrate;
pub mod expected;
pub mod gate;
pub mod mixture;
pub mod phrase;
pub mod rank;
pub mod silence;
pub mod slips;
pub mod weights;
pub mod worth;
