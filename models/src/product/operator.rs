//! Our product as an operator of ONNX Runtime.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{DynValue, TensorElementType};

use super::packed::{Packed, Rows};
use super::refine::Exact;
use super::{NAME, Processor};
use crate::contained::contained;
use crate::rewrite::DOMAIN;

/// The inputs of `MatMulNBits`: rows, codes, scales, and the bias after two that ours has no use for. A head may have two more: the
/// columns in 8 bits, and their scales.
const CODES: usize = 1;
const SCALES: usize = 2;
const BIAS: usize = 5;
pub(crate) const ROWS: usize = 6;
const ROW_SCALES: usize = 7;

/// The operators that [`rewrite`](crate::rewrite) puts into a graph.
pub(crate) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?.add(Product)
}

struct Product;

/// A node: its weights, packed when the graph is loaded.
struct Node {
    processor: Processor,
    weights: Packed,
    /// Whether its highest columns are computed anew.
    refined: bool,
    /// Rounded rows, by group.
    scratch: Vec<Rows>,
}

impl Node {
    /// Its columns in 8 bits.
    fn exact<'a>(&self, steps: &'a DynValue, scales: &'a DynValue) -> ort::Result<Exact<'a>> {
        let (steps, scales) = (steps.try_extract_tensor::<i8>()?.1, scales.try_extract_tensor::<f32>()?.1);
        let exact = Exact::new(steps, scales, self.weights.columns, self.weights.inputs);
        exact.ok_or_else(|| {
            ort::Error::new("a head's columns in 8 bits are as many and as long as those in 4")
        })
    }
}

impl Operator for Product {
    type Kernel<'attr> = Node;

    fn name(&self) -> &str {
        NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int8, Int32, Uint8};
        let given = [Float32, Uint8, Float32].map(OperatorInput::required);
        given.into_iter().chain([Uint8, Int32, Float32, Int8, Float32].map(OperatorInput::optional))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Node> {
        let size =
            |name: &str| node.get::<i64>(name).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let constant = |at: usize| node.constant_input::<ort::value::DynTensorValueType>(at);
        let (codes, scales) = (constant(CODES)?, constant(SCALES)?);
        let bias = constant(BIAS).ok();
        let bias = bias.as_ref().map(|bias| bias.try_extract_tensor::<f32>()).transpose()?;
        let (codes, scales) = (codes.try_extract_tensor::<u8>()?.1, scales.try_extract_tensor::<f32>()?.1);
        let weights =
            Packed::new(codes, scales, bias.map_or(&[], |bias| bias.1), size("K"), size("block_size"));
        let weights =
            weights.ok_or_else(|| ort::Error::new("4-bit weights of other shapes than their node says"))?;
        let processor =
            Processor::detect().ok_or_else(|| ort::Error::new("there is no kernel for this processor"))?;
        let refined = constant(ROWS).is_ok() && constant(ROW_SCALES).is_ok();
        Ok(Node { processor, weights, refined, scratch: Vec::new() })
    }
}

impl Kernel for Node {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("a product has rows and a result");
        let rows = context.input(0)?.ok_or_else(missing)?;
        let (shape, rows) = rows.try_extract_tensor::<f32>()?;
        let mut shape = shape.to_vec();
        let Some(last) = shape.last_mut() else { return Err(missing()) };
        if usize::try_from(*last) != Ok(self.weights.inputs) {
            return Err(ort::Error::new("rows of another length than the weights"));
        }
        *last = self.weights.columns as i64;
        let mut out = context.output(0, shape)?.ok_or_else(missing)?;
        let out = out.try_extract_tensor_mut::<f32>()?.1;
        let columns = if self.refined { context.input(ROWS)?.zip(context.input(ROW_SCALES)?) } else { None };
        let columns = columns.as_ref();
        let exact = columns.map(|(steps, scales)| self.exact(steps, scales)).transpose()?;
        contained(|| {
            self.processor.multiply(&self.weights, rows, &mut self.scratch, out);
            if let Some(exact) = exact {
                self.processor.refine(exact, rows, out);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use ort::session::Session;
    use ort::value::Tensor;

    use super::*;
    use crate::chance::chance;
    use crate::rewrite::rewrite;
    use crate::runtime;

    const WIDTH: usize = 64;

    /// The logits of `tests/head.onnx`, by ONNX Runtime's operators or by ours.
    fn logits(rows: &[f32], own: bool) -> ort::Result<Vec<f32>> {
        let mut file = include_bytes!("../../tests/head.onnx").to_vec();
        let environment = runtime::environment().unwrap_or_else(|error| panic!("{error}"));
        let mut builder = Session::builder(&environment)?;
        if own {
            assert!(rewrite(&mut file, 0, 0).products);
            builder = builder.with_operators(domain()?)?;
        }
        let mut session = builder.commit_from_memory(&file)?;
        let rows = Tensor::from_array(([1, rows.len() / WIDTH, WIDTH], rows.to_vec()))?;
        let found = session.run(ort::inputs!["rows" => rows])?;
        Ok(found["logits"].try_extract_tensor::<f32>()?.1.to_vec())
    }

    #[test]
    fn a_head_as_one_node_says_what_its_nodes_did() -> ort::Result<()> {
        crate::load_runtime(None).unwrap_or_else(|error| panic!("{error}"));
        if Processor::detect().is_none() {
            return Ok(());
        }
        let mut chance = chance(11);
        for count in [1, 2, 7, 16] {
            let rows: Vec<f32> = (0..count * WIDTH).map(|_| chance()).collect();
            let (ours, theirs) = (logits(&rows, true)?, logits(&rows, false)?);
            assert_eq!(ours.len(), theirs.len());
            let columns = ours.len() / count;
            for (ours, theirs) in ours.chunks(columns).zip(theirs.chunks(columns)) {
                // Ours computes a few more anew than theirs, which differ by what 4 bits cost them.
                let others = ours.iter().zip(theirs).filter(|(ours, theirs)| (*ours - *theirs).abs() > 0.05);
                assert!(others.count() < 64);
                let highest = |logits: &[f32]| {
                    let mut order: Vec<usize> = (0..columns).collect();
                    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
                    order.truncate(20);
                    order
                };
                let (ours_first, theirs_first) = (highest(ours), highest(theirs));
                for (a, b) in ours_first.into_iter().zip(theirs_first) {
                    assert!((ours[a] - theirs[b]).abs() < 1e-3, "{} {}", ours[a], theirs[b]);
                }
            }
        }
        Ok(())
    }
}
