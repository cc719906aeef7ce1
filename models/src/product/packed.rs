//! Weights and inputs as the kernel reads them.

/// Columns of a tile: as many as there are sums in a register of AVX-512, or in two of AVX2.
pub(super) const LANES: usize = 16;
/// Inputs of a line: two groups of four, which one instruction multiplies and adds.
pub(super) const LINE: usize = 8;
/// Inputs that are rounded together. Blocks are made of such steps.
pub(crate) const STEP: usize = 4 * LINE;

/// The weights of one tile's columns for [`LINE`] inputs: for each column four in the lower halves of four bytes, the next
/// four in the upper ones, each plus 8.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 4 * LANES]);

/// A matrix of 4-bit weights, `[inputs, columns]`.
pub(super) struct Packed {
    /// What a row must have.
    pub(super) inputs: usize,
    /// What comes out of it.
    pub(super) columns: usize,
    /// Inputs that share a scale, for each column.
    pub(super) block: usize,
    /// By tile, then input. Columns beyond the last are zero.
    pub(super) lines: Vec<Line>,
    /// By tile, then block, then column.
    pub(super) scales: Vec<f32>,
    /// By column, of whole tiles.
    pub(super) bias: Vec<f32>,
}

impl Packed {
    /// Of what `MatMulNBits` is given: `codes` `[columns, inputs / 2]`, the first of two in the lower half of a byte, each plus 8;
    /// `scales` `[columns, inputs / block]`; `bias` `[columns]` or empty. `None` if they are not of these shapes.
    pub(super) fn new(
        codes: &[u8],
        scales: &[f32],
        bias: &[f32],
        inputs: usize,
        block: usize,
    ) -> Option<Self> {
        if block == 0 || inputs == 0 || !inputs.is_multiple_of(block) || !block.is_multiple_of(STEP) {
            return None;
        }
        let (columns, blocks) = (codes.len() / (inputs / 2), inputs / block);
        let fits = codes.len() == columns * inputs / 2 && scales.len() == columns * blocks;
        if columns == 0 || !fits || !(bias.is_empty() || bias.len() == columns) {
            return None;
        }
        let tiles = columns.div_ceil(LANES);
        let code = |column: usize, input: usize| match codes.get(column * inputs / 2 + input / 2) {
            Some(two) if column < columns => (two >> (4 * (input % 2))) & 15,
            _ => 8,
        };
        let line = |tile: usize, from: usize| {
            let byte = |at: usize| {
                let (column, input) = (tile * LANES + at / 4, from + at % 4);
                code(column, input) | code(column, input + 4) << 4
            };
            Line(std::array::from_fn(byte))
        };
        let scale = |tile: usize, block: usize, lane: usize| {
            let column = tile * LANES + lane;
            if column < columns { scales[column * blocks + block] } else { 0.0 }
        };
        let mut padded = bias.to_vec();
        padded.resize(tiles * LANES, 0.0);
        // As long as they get, from the start: growing would leave a third of the memory unused.
        let mut lines = Vec::with_capacity(tiles * inputs / LINE);
        let mut each = Vec::with_capacity(tiles * blocks * LANES);
        for tile in 0..tiles {
            lines.extend((0..inputs).step_by(LINE).map(|from| line(tile, from)));
            for block in 0..blocks {
                each.extend((0..LANES).map(|lane| scale(tile, block, lane)));
            }
        }
        Some(Self { inputs, columns, block, lines, scales: each, bias: padded })
    }

    /// Tiles of columns.
    pub(super) fn tiles(&self) -> usize {
        self.columns.div_ceil(LANES)
    }
}

/// Rows of inputs, rounded to 8 bits.
#[derive(Default)]
pub(super) struct Rows {
    /// How many rows.
    pub(super) count: usize,
    /// Four inputs each, the first in the lowest byte: by four inputs, then row.
    pub(super) fours: Vec<i32>,
    /// By block, then row: the scale, and eight times the sum of the rounded inputs, by which weights plus 8 are too much.
    pub(super) blocks: Vec<(f32, i32)>,
}
