//! The mixture of the predictors, its ranking, calibration and silence.

pub mod weights;
