//! Attention as an operator of our own, on keys and values where the conversation keeps them.
//!
//! ONNX Runtime's `GroupQueryAttention` wants them in tensors of full precision: another conversation's have to be unpacked there
//! first. Ours reads the rounded ones, and adds those of the new tokens to them. A slot that no token of the pass sees is passed over.
//! Rows of one pass may belong to several conversations, each of which sees its own.

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
    /// Conversations, in the order of their rows; those beyond `live` are of earlier passes, and kept for their memory.
    lent: Vec<Sequence>,
    live: usize,
    /// The layer whose turn it is: each needs what the one before it made.
    layer: usize,
    scores: Vec<f32>,
}

/// The rows of one conversation.
#[derive(Default)]
struct Sequence {
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
}

impl Sequence {
    /// Of `count` rows behind `past` slots, of which each sees those that `sees` says.
    fn see<Slots: Iterator<Item = usize>>(
        &mut self,
        (past, count): (usize, usize),
        sees: impl Fn(usize) -> Slots,
    ) {
        let Self { seen, slots, bias, .. } = self;
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
        (self.past, self.count) = (past, count);
    }
}

impl Attention {
    fn pass(&self) -> MutexGuard<'_, Pass> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of the graph, with `layers` layers, that attends to nothing yet.
    pub(crate) fn run(&self, layers: usize) -> Lent<'_> {
        let mut pass = self.pass();
        (pass.live, pass.layer) = (0, 0);
        Lent { attention: self, layers, held: Vec::new() }
    }
}

/// Keys and values that a run works on; they come back however it ends.
pub(crate) struct Lent<'a> {
    attention: &'a Attention,
    layers: usize,
    held: Vec<&'a mut Held>,
}

impl<'a> Lent<'a> {
    /// Lends `held` for so many rows behind so many slots, of which each row sees those that `sees` says. It has what was added to
    /// it when this goes.
    pub(crate) fn lend<Slots: Iterator<Item = usize>>(
        &mut self,
        held: &'a mut Held,
        (past, count): (usize, usize),
        sees: impl Fn(usize) -> Slots,
    ) {
        held.resize_with(2 * self.layers, Vec::new);
        let mut pass = self.attention.pass();
        let at = pass.live;
        if pass.lent.len() == at {
            pass.lent.push(Sequence::default());
        }
        pass.live += 1;
        let sequence = &mut pass.lent[at];
        sequence.see((past, count), sees);
        sequence.held = std::mem::take(held);
        self.held.push(held);
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pass = self.attention.pass();
        for (held, sequence) in self.held.iter_mut().zip(&mut pass.lent) {
            **held = std::mem::take(&mut sequence.held);
        }
        pass.live = 0;
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
        let Pass { lent, live, layer, scores } = &mut *pass;
        let sequences = &mut lent[..*live];
        let (across, each) = (heads * WIDTH, heads * rounded::bytes(WIDTH));
        let count: usize = sequences.iter().map(|sequence| sequence.count).sum();
        if rows.len() != count * 3 * across {
            return Err(ort::Error::new("other rows than those of the conversations"));
        }
        let mut out = context.output(0, [1, count as i64, across as i64])?.ok_or_else(missing)?;
        let (mut rows, mut out) = (rows, out.try_extract_tensor_mut::<f32>()?.1);
        for Sequence { held, past, count, slots, bias, .. } in sequences {
            let of_layer = held.get_mut(2 * *layer..2 * *layer + 2);
            let Some([keys, values]) = of_layer.and_then(|held| held.first_chunk_mut::<2>()) else {
                return Err(ort::Error::new("more layers than keys and values are held of"));
            };
            let of_slots = slots.last().is_some_and(|last| *last < *past + *count);
            if !of_slots
                || bias.len() != *count * slots.len()
                || [keys.len(), values.len()] != [*past * each; 2]
            {
                return Err(ort::Error::new("keys and values of other sizes than the rows"));
            }
            let (own, found);
            (own, rows) = rows.split_at(*count * 3 * across);
            (found, out) = out.split_at_mut(*count * across);
            heads::append(own, heads, keys, values);
            heads::attend(&Seen { heads, rows: own, keys, values, slots, bias, smooth }, scores, found);
        }
        *layer += 1;
        for unused in 1..=2 {
            context.output(unused, [1, heads as i64, 1, WIDTH as i64])?;
        }
        Ok(())
    }
}
