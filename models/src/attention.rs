//! Attention as an operator of our own, on keys and values where the conversation keeps them.
//!
//! ONNX Runtime's `GroupQueryAttention` wants them in tensors of full precision: another conversation's have to be unpacked there
//! first, which is a tenth of a pass when many people type. Ours reads the rounded ones, and adds those of the new tokens to them.
//! A slot that no token of the pass sees is passed over, and scores are masked by lists made once a pass.

mod heads;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType;

use self::heads::Seen;
use crate::rounded;

pub(crate) use self::heads::WIDTH;

/// Added to the score of a token that is not seen: e to this power is zero, and yet nothing overflows.
pub(crate) const HIDDEN: f32 = -1e9;

/// Keys and values of all layers, each rounded, slot by slot: of the first layer its keys, then its values, and so on.
pub(crate) type Held = Vec<Vec<u8>>;

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
    /// The slots that any of them sees.
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

    /// Before a run of `count` tokens behind `past` slots, of which `held` has `layers` layers' keys and values; `seen` has a bit for
    /// each of them for every slot, the new ones included.
    pub(crate) fn begin(&self, mut held: Held, layers: usize, past: usize, count: usize, seen: &[u16]) {
        held.resize_with(2 * layers, Vec::new);
        let mut pass = self.pass();
        let Pass { slots, bias, .. } = &mut *pass;
        slots.clear();
        slots.extend((0..seen.len()).filter(|slot| seen[*slot] != 0));
        bias.clear();
        for row in 0..count {
            let sees = |slot: &usize| if seen[*slot] >> row & 1 == 1 { 0.0 } else { HIDDEN };
            bias.extend(slots.iter().map(sees));
        }
        (pass.held, pass.past, pass.count, pass.layer) = (held, past, count, 0);
    }

    /// After it: what is held by now.
    pub(crate) fn end(&self) -> Held {
        std::mem::take(&mut self.pass().held)
    }
}

impl Operator for Attention {
    type Kernel<'attr> = Node;

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

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Node> {
        let number = |name: &str| node.get::<i64>(name).unwrap_or(0);
        let heads = usize::try_from(number("num_heads")).unwrap_or(0);
        Ok(Node { attention: self.clone(), heads, nothing: number("smooth_softmax") == 1 })
    }
}

/// The operator it stands for.
pub(crate) const NAME: &str = "GroupQueryAttention";

/// Of one layer.
pub(crate) struct Node {
    attention: Attention,
    heads: usize,
    nothing: bool,
}

impl Kernel for Node {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("attention has rows and a result");
        let rows = context.input(0)?.ok_or_else(missing)?;
        let (shape, rows) = rows.try_extract_tensor::<f32>()?;
        let Self { attention, heads, nothing } = self;
        let mut pass = attention.pass();
        let Pass { held, past, count, slots, bias, layer, scores } = &mut *pass;
        let each = *heads * rounded::bytes(WIDTH);
        let parts = held.get_mut(2 * *layer..2 * *layer + 2);
        let Some([keys, values]) = parts.and_then(|parts| parts.first_chunk_mut::<2>()) else {
            return Err(ort::Error::new("more layers than keys and values are held of"));
        };
        let fits = rows.len() == *count * 3 * *heads * WIDTH && bias.len() == *count * slots.len();
        if !fits || slots.is_empty() || [keys.len(), values.len()] != [*past * each; 2] {
            return Err(ort::Error::new("keys and values of other sizes than the rows"));
        }
        let found = [1, *count as i64, (*heads * WIDTH) as i64];
        debug_assert_eq!(shape[1], found[1]);
        let mut out = context.output(0, found)?.ok_or_else(missing)?;
        heads::append(rows, *heads, keys, values);
        let seen = Seen { heads: *heads, rows, keys, values, slots, bias, nothing: *nothing };
        heads::attend(&seen, scores, out.try_extract_tensor_mut::<f32>()?.1);
        *layer += 1;
        for unused in 1..=2 {
            context.output(unused, [1, *heads as i64, 1, WIDTH as i64])?;
        }
        Ok(())
    }
}
