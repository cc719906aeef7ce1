//! Attention as an operator of our own, on keys and values where the conversation keeps them.
//!
//! ONNX Runtime's `GroupQueryAttention` wants them in tensors of full precision: another conversation's have to be unpacked there
//! first. Ours reads the rounded ones, and adds those of the new tokens to them. A slot that no token of the pass sees is passed over.

mod heads;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType;

use self::heads::Seen;
use crate::contained::contained;
use crate::rounded::{self, Held};

pub(crate) use self::heads::WIDTH;

/// The operator it stands for.
pub(crate) const NAME: &str = "GroupQueryAttention";

/// Added to the score of a token that is not seen: e to this power is zero, and yet nothing overflows.
pub(crate) const HIDDEN: f32 = -1e9;

/// The rows of a pass that see a slot, a bit each.
pub(crate) type Rows = u16;

/// What a run of the graph attends to. Its operators find it here, as it is none of the graph's tensors.
#[derive(Clone, Default)]
pub(crate) struct Attention(Arc<Mutex<Pass>>);

#[derive(Default)]
struct Pass {
    held: Held,
    /// Slots that are held already.
    past: usize,
    /// Tokens of this pass.
    count: usize,
    /// By slot, who sees it.
    seen: Vec<Rows>,
    /// The slots that anybody sees.
    slots: Vec<usize>,
    /// Added to their scores: `[count, slots]`.
    bias: Vec<f32>,
    /// The layer whose turn it is: each needs what the one before it made.
    layer: usize,
    scores: Vec<f32>,
}

impl Attention {
    fn pass(&self) -> MutexGuard<'_, Pass> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends `held`, with keys and values of `layers` layers, to a run of `count` tokens behind `past` slots, of which each row sees
    /// those that `sees` says. It has what was added to it when what is returned goes.
    pub(crate) fn lend<'a, Slots: Iterator<Item = usize>>(
        &'a self,
        held: &'a mut Held,
        layers: usize,
        (past, count): (usize, usize),
        sees: impl Fn(usize) -> Slots,
    ) -> Lent<'a> {
        held.resize_with(2 * layers, Vec::new);
        let mut pass = self.pass();
        let Pass { seen, slots, bias, .. } = &mut *pass;
        seen.clear();
        seen.resize(past + count, 0);
        for row in 0..count {
            sees(past + row).for_each(|slot| seen[slot] |= 1 << row);
        }
        slots.clear();
        slots.extend((0..seen.len()).filter(|slot| seen[*slot] != 0));
        bias.clear();
        for row in 0..count {
            let hidden = |slot: &usize| if seen[*slot] >> row & 1 == 1 { 0.0 } else { HIDDEN };
            bias.extend(slots.iter().map(hidden));
        }
        (pass.held, pass.past, pass.count, pass.layer) = (std::mem::take(held), past, count, 0);
        Lent { attention: self, held }
    }
}

/// Keys and values that a run works on; they come back however it ends.
pub(crate) struct Lent<'a> {
    attention: &'a Attention,
    held: &'a mut Held,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.held = std::mem::take(&mut self.attention.pass().held);
    }
}

impl Operator for Attention {
    type Kernel<'attr> = Layer;

    fn name(&self) -> &str {
        NAME
    }

    /// Those of the operator it stands for: the rows, and much that ours has no use for.
    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int32, Int64};
        let others = [Float32, Float32, Float32, Float32, Int32, Int32, Float32, Float32, Int64, Float32];
        std::iter::once(OperatorInput::required(Float32)).chain(others.map(OperatorInput::optional))
    }

    /// What is found, and the keys and values that ours does not give.
    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [TensorElementType::Float32; 3].map(OperatorOutput::required)
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Layer> {
        let number = |name: &str| node.get::<i64>(name).unwrap_or(0);
        let heads = usize::try_from(number("num_heads")).unwrap_or(0);
        Ok(Layer { attention: self.clone(), heads, smooth: number("smooth_softmax") == 1 })
    }
}

/// The attention of one layer.
pub(crate) struct Layer {
    attention: Attention,
    heads: usize,
    smooth: bool,
}

impl Kernel for Layer {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        contained(|| self.attend(context))
    }
}

impl Layer {
    fn attend(&self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("attention has rows and a result");
        let rows = context.input(0)?.ok_or_else(missing)?;
        let rows = rows.try_extract_tensor::<f32>()?.1;
        let (heads, smooth) = (self.heads, self.smooth);
        let mut pass = self.attention.pass();
        let Pass { held, past, count, slots, bias, layer, scores, .. } = &mut *pass;
        let each = heads * rounded::bytes(WIDTH);
        let parts = held.get_mut(2 * *layer..2 * *layer + 2);
        let Some([keys, values]) = parts.and_then(|parts| parts.first_chunk_mut::<2>()) else {
            return Err(ort::Error::new("more layers than keys and values are held of"));
        };
        let of_pass = rows.len() == *count * 3 * heads * WIDTH && bias.len() == *count * slots.len();
        let of_slots = slots.last().is_some_and(|last| *last < *past + *count);
        if !of_pass || !of_slots || [keys.len(), values.len()] != [*past * each; 2] {
            return Err(ort::Error::new("keys and values of other sizes than the rows"));
        }
        let mut out = context.output(0, [1, *count as i64, (heads * WIDTH) as i64])?.ok_or_else(missing)?;
        heads::append(rows, heads, keys, values);
        let seen = Seen { heads, rows, keys, values, slots, bias, smooth };
        heads::attend(&seen, scores, out.try_extract_tensor_mut::<f32>()?.1);
        *layer += 1;
        for unused in 1..=2 {
            context.output(unused, [1, heads as i64, 1, WIDTH as i64])?;
        }
        Ok(())
    }
}
