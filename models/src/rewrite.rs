//! Gives nodes of a graph to operators of our own: in the bytes of the file, where a name of equal length changes, and the nodes of the
//! head become one.
//!
//! A file of ONNX is a message of protocol buffers: fields, each a number and a value, some of which are messages again. Numbers
//! of fields are those of onnx.proto.

mod head;

use std::ops::Range;

use crate::{attention, product};

/// The domain of our operators. As long as the name it takes the place of.
pub(crate) const DOMAIN: &str = "foretype.core";
/// The domain of those that they stand for.
const REPLACED: &str = "com.microsoft";

/// `ModelProto.graph`, `ModelProto.opset_import`, `GraphProto.node`.
const GRAPH: u64 = 7;
const OPSET: u8 = 8;
const NODE: u64 = 1;
/// Of `NodeProto`.
const INPUT: u64 = 1;
const OUTPUT: u64 = 2;
const KIND: u64 = 4;
const ATTRIBUTE: u64 = 5;
const NAMESPACE: u64 = 7;
/// Of `AttributeProto`.
const NAME: u64 = 1;
const INTEGER: u64 = 3;

/// A field's value.
enum Value {
    Integer(u64),
    /// Where its bytes are.
    Bytes(Range<usize>),
    /// A number of fixed length.
    Fixed,
}

/// The fields of a message; ends early where it is none.
struct Fields<'a> {
    file: &'a [u8],
    rest: Range<usize>,
}

impl<'a> Fields<'a> {
    fn of(file: &'a [u8], message: Range<usize>) -> Self {
        Self { file, rest: message }
    }

    fn integer(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.file.get(self.rest.next()?)?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, count: u64) -> Option<Range<usize>> {
        let end = self.rest.start.checked_add(usize::try_from(count).ok()?)?;
        (end <= self.rest.end).then(|| std::mem::replace(&mut self.rest.start, end)..end)
    }
}

impl Iterator for Fields<'_> {
    type Item = (u64, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.integer()?;
        let value = match key & 7 {
            0 => Value::Integer(self.integer()?),
            1 => self.skip(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.integer()?;
                Value::Bytes(self.skip(length)?)
            }
            5 => self.skip(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

/// The messages among a message's fields of one number.
fn messages(file: &[u8], message: Range<usize>, wanted: u64) -> impl Iterator<Item = Range<usize>> {
    Fields::of(file, message).filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// A node of the domain that ours takes the place of.
struct Node<'a> {
    file: &'a [u8],
    message: Range<usize>,
    /// Where its domain is.
    namespace: Range<usize>,
}

impl<'a> Node<'a> {
    fn new(file: &'a [u8], message: Range<usize>) -> Option<Self> {
        let namespace = messages(file, message.clone(), NAMESPACE).last()?;
        (file[namespace.clone()] == *REPLACED.as_bytes()).then_some(Self { file, message, namespace })
    }

    fn is(&self, kind: &str) -> bool {
        messages(self.file, self.message.clone(), KIND)
            .last()
            .is_some_and(|name| self.file[name] == *kind.as_bytes())
    }

    /// A whole number; `None`: there is no such attribute.
    fn attribute(&self, wanted: &str) -> Option<u64> {
        messages(self.file, self.message.clone(), ATTRIBUTE)
            .filter(|message| {
                messages(self.file, message.clone(), NAME).any(|name| self.file[name] == *wanted.as_bytes())
            })
            .flat_map(|message| Fields::of(self.file, message))
            .find_map(|(number, value)| match value {
                Value::Integer(value) if number == INTEGER => Some(value),
                _ => None,
            })
    }

    /// Whether each of its inputs is given.
    fn inputs(&self) -> Vec<bool> {
        messages(self.file, self.message.clone(), INPUT).map(|name| !name.is_empty()).collect()
    }

    /// Whether it is a product with 4-bit weights that ours computes.
    fn is_product(&self) -> bool {
        let (Some(4), Some(inputs), Some(block)) =
            (self.attribute("bits"), self.attribute("K"), self.attribute("block_size"))
        else {
            return false;
        };
        let fits = block > 0 && inputs.is_multiple_of(block) && block.is_multiple_of(product::STEP as u64);
        // Zero points other than 8, or inputs in another order.
        let special = self.inputs().into_iter().skip(3).take(2).any(|given| given);
        self.is(product::NAME) && fits && !special
    }

    /// Whether it is attention as ours computes it: queries, keys and values of so many heads in one, a bias, and nothing else.
    fn is_attention(&self, heads: usize) -> bool {
        let known = ["num_heads", "kv_num_heads", "do_rotary", "smooth_softmax"];
        let attributes = messages(self.file, self.message.clone(), ATTRIBUTE);
        let mut names = attributes.flat_map(|message| messages(self.file, message, NAME));
        let given = [true, false, false, true, true, true, true, false, false, false, true];
        self.is(attention::NAME)
            && names.all(|name| known.iter().any(|known| self.file[name.clone()] == *known.as_bytes()))
            && [known[0], known[1]].iter().all(|name| self.attribute(name) == Some(heads as u64))
            && self.attribute("do_rotary").is_none_or(|rotary| rotary == 0)
            && self.inputs() == given
            && messages(self.file, self.message.clone(), OUTPUT).count() == 3
    }
}

/// What operators of ours compute in a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Products with 4-bit weights.
    pub(crate) products: bool,
    /// And the attention of every layer.
    pub(crate) attention: bool,
}

/// Has our operators compute a graph's products with 4-bit weights, and with them the attention of its `layers` layers of `heads` heads
/// if it is such as they can. What is no graph stays as it is.
pub(crate) fn rewrite(file: &mut Vec<u8>, layers: usize, heads: usize) -> Ours {
    let nodes = messages(file, 0..file.len(), GRAPH).flat_map(|graph| messages(file, graph, NODE));
    let nodes: Vec<Node<'_>> = nodes.filter_map(|node| Node::new(file, node)).collect();
    let places =
        |ours: Vec<&Node<'_>>| ours.into_iter().map(|node| node.namespace.clone()).collect::<Vec<_>>();
    let products = places(nodes.iter().filter(|node| node.is_product()).collect());
    let attentions = places(nodes.iter().filter(|node| node.is_attention(heads)).collect());
    let found = Ours {
        products: !products.is_empty(),
        attention: !products.is_empty() && layers > 0 && attentions.len() == layers,
    };
    let mut ours = products;
    ours.extend(attentions.into_iter().filter(|_| found.attention));
    for namespace in &ours {
        file[namespace.clone()].copy_from_slice(DOMAIN.as_bytes());
    }
    if !ours.is_empty() {
        // Fields of a message may stand anywhere in it, so one more opset at the end is one of the model's.
        let length = DOMAIN.len() as u8;
        file.extend([OPSET << 3 | 2, length + 4, 1 << 3 | 2, length]);
        file.extend(DOMAIN.as_bytes());
        file.extend([2 << 3, 1]);
    }
    head::merge(file);
    found
}

#[cfg(test)]
mod tests;
