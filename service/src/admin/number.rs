//! Numbers as the dashboard gets them.

use serde_json::Value;

/// Null if nothing was measured; whole numbers without a fraction, others with four decimals, which is more than is drawn.
pub(super) fn number(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    let rounded = (value * 1e4).round() / 1e4;
    // Exact up to 2^53.
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let written = [f64::NAN, f64::INFINITY, 0.0, 12.0, 1.0 / 3.0, 1e15, -0.00001];
        let written: Vec<_> = written.into_iter().map(|value| number(value).to_string()).collect();
        assert_eq!(written, ["null", "null", "0", "12", "0.3333", "1000000000000000", "0"]);
    }
}
