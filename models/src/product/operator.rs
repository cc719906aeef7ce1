//! Our product as an operator of ONNX Runtime.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;

use super::packed::{Packed, Rows};
use super::{NAME, Processor};
use crate::contained::contained;
use crate::rewrite::DOMAIN;

/// The inputs of `MatMulNBits`: rows, codes, scales, and the bias after two that ours has no use for.
const CODES: usize = 1;
const SCALES: usize = 2;
const BIAS: usize = 5;

/// The operators that [`rewrite`](crate::rewrite) puts into a graph.
pub(crate) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?.add(Product)
}

struct Product;

/// A node: its weights, packed when the graph is loaded.
struct Node {
    processor: Processor,
    weights: Packed,
    /// Rounded rows, by group.
    scratch: Vec<Rows>,
}

impl Operator for Product {
    type Kernel<'attr> = Node;

    fn name(&self) -> &str {
        NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int32, Uint8};
        let given = [Float32, Uint8, Float32].map(OperatorInput::required);
        given.into_iter().chain([Uint8, Int32, Float32].map(OperatorInput::optional))
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
        Ok(Node { processor, weights, scratch: Vec::new() })
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
        contained(|| {
            self.processor.multiply(&self.weights, rows, &mut self.scratch, out);
            Ok(())
        })
    }
}
