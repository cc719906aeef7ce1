//! Keys and values as conversations keep them: 8 bits each, with a scale for each 32 of a head.
//!
//! Half the memory of half precision, so that twice the conversations stay warm. Attention sees what was rounded, whether it was
//! rounded just now or long ago, so it makes no difference which of the two happened.

/// Keys and values of all layers, each rounded, slot by slot: of the first layer its keys, then its values, and so on.
pub(crate) type Held = Vec<Vec<u8>>;

/// Numbers that share a scale.
const BLOCK: usize = 32;
/// Bytes of a scale: the upper half of an f32.
const SCALE: usize = 2;
/// The largest code.
const MOST: f32 = 127.0;
/// Adding it leaves the nearest whole number in the low bits of the sum: 1.5 · 2²³.
const SHIFT: f32 = 12_582_912.0;

/// Bytes that `width` numbers take.
pub(crate) const fn bytes(width: usize) -> usize {
    width + SCALE * width.div_ceil(BLOCK)
}

/// Makes room for `more` bytes. Not twice as much as there was at once: many conversations are kept.
pub(crate) fn grow(held: &mut Vec<u8>, more: usize) {
    if held.capacity() - held.len() < more {
        held.reserve_exact(more.max(held.len() / 4));
    }
    held.resize(held.len() + more, 0);
}

/// Has a tensor `[1, heads, slots, width]` hold what is kept of as many slots as `held` has.
pub(crate) fn unpack(held: &[u8], cells: &mut [f32], heads: usize, width: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { unpack_avx2(held, cells, heads, width) };
    }
    unpack_any(held, cells, heads, width);
}

/// The reverse, from the slot `past` on; the tensor holds what is kept then.
pub(crate) fn pack(cells: &mut [f32], held: &mut [u8], past: usize, heads: usize, width: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the same holds.
        #[allow(unsafe_code)]
        return unsafe { pack_avx2(cells, held, past, heads, width) };
    }
    pack_any(cells, held, past, heads, width);
}

/// Eight numbers at a time: a conversation of 100 tokens has half a million of them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn unpack_avx2(held: &[u8], cells: &mut [f32], heads: usize, width: usize) {
    unpack_any(held, cells, heads, width);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pack_avx2(cells: &mut [f32], held: &mut [u8], past: usize, heads: usize, width: usize) {
    pack_any(cells, held, past, heads, width);
}

#[inline(always)]
fn unpack_any(held: &[u8], cells: &mut [f32], heads: usize, width: usize) {
    let slots = cells.len() / heads / width;
    for (at, held) in held.chunks_exact(bytes(width)).enumerate() {
        let (slot, head) = (at / heads, at % heads);
        load(held, &mut cells[(head * slots + slot) * width..][..width]);
    }
}

#[inline(always)]
fn pack_any(cells: &mut [f32], held: &mut [u8], past: usize, heads: usize, width: usize) {
    let slots = cells.len() / heads / width;
    for (at, held) in held.chunks_exact_mut(bytes(width)).enumerate().skip(past * heads) {
        let (slot, head) = (at / heads, at % heads);
        round(&mut cells[(head * slots + slot) * width..][..width], held);
    }
}

/// Rounds `cells` into as many bytes as [`bytes`] says, and to what those stand for.
#[inline(always)]
pub(crate) fn round(cells: &mut [f32], held: &mut [u8]) {
    let (scales, codes) = held.split_at_mut(held.len() - cells.len());
    let blocks = cells.chunks_mut(BLOCK).zip(codes.chunks_mut(BLOCK));
    for ((cells, codes), scale) in blocks.zip(scales.as_chunks_mut::<SCALE>().0) {
        // Loops of a length that is known are unrolled.
        let whole = (<&mut [f32; BLOCK]>::try_from(&mut *cells), <&mut [u8; BLOCK]>::try_from(&mut *codes));
        *scale = match whole {
            (Ok(cells), Ok(codes)) => round_block(cells, codes),
            _ => round_block(cells, codes),
        };
    }
}

/// Has `cells` be what `held` stands for.
#[inline(always)]
pub(crate) fn load(held: &[u8], cells: &mut [f32]) {
    let (scales, codes) = held.split_at(held.len() - cells.len());
    let blocks = cells.chunks_mut(BLOCK).zip(codes.chunks(BLOCK));
    for ((cells, codes), scale) in blocks.zip(scales.as_chunks::<SCALE>().0) {
        match (<&mut [f32; BLOCK]>::try_from(&mut *cells), <&[u8; BLOCK]>::try_from(codes)) {
            (Ok(cells), Ok(codes)) => load_block(*scale, codes, cells),
            _ => load_block(*scale, codes, cells),
        }
    }
}

/// Rounds `cells`; the scale of their `codes`.
#[inline(always)]
fn round_block(cells: &mut [f32], codes: &mut [u8]) -> [u8; SCALE] {
    // Positive floats are in the order of their bits, and whole numbers are compared many at a time.
    let most = cells.iter().fold(0, |most, cell| (cell.to_bits() & !(1 << 31)).max(most));
    // Upwards, so that no code is beyond the largest.
    let upper = (f32::from_bits(most) / MOST).to_bits().saturating_add(0xFFFF) >> 16;
    let scale = f32::from_bits(upper << 16);
    let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
    for (cell, code) in cells.iter_mut().zip(codes) {
        let whole = *cell * inverse + SHIFT;
        *code = whole.to_bits() as u8;
        *cell = (whole - SHIFT) * scale;
    }
    (upper as u16).to_le_bytes()
}

#[inline(always)]
fn load_block(scale: [u8; SCALE], codes: &[u8], cells: &mut [f32]) {
    let scale = f32::from_bits(u32::from(u16::from_le_bytes(scale)) << 16);
    for (cell, code) in cells.iter_mut().zip(codes) {
        *cell = f32::from(*code as i8) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_loaded_is_what_was_rounded_and_near_what_was_there(
            cells in prop::collection::vec(-40.0_f32..40.0, 1..130),
            shrink in prop::sample::select(vec![1.0_f32, 1e-3, 1e-37, 1e-42, 0.0]),
        ) {
            let before: Vec<f32> = cells.iter().map(|cell| cell * shrink).collect();
            let (mut rounded, mut held) = (before.clone(), vec![0; bytes(before.len())]);
            round(&mut rounded, &mut held);
            let mut loaded = vec![f32::NAN; before.len()];
            load(&held, &mut loaded);
            prop_assert_eq!(&loaded, &rounded);
            for (was, is) in before.chunks(BLOCK).zip(rounded.chunks(BLOCK)) {
                let most = was.iter().fold(0.0_f32, |most, cell| most.max(cell.abs()));
                for (found, cell) in is.iter().zip(was) {
                    // Half a step, which is up to one part in 128 longer for its few digits.
                    prop_assert!((found - cell).abs() <= most * (0.5 / 126.0) + 2e-36, "{found} {cell}");
                }
            }
        }
    }
}
