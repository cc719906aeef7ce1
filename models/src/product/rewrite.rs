//! Gives a graph's 4-bit products to our operator: in the bytes of the file, as only a name of equal length changes.
//!
//! A file of ONNX is a message of protocol buffers: fields, each a number and a value, some of which are messages again. Numbers
//! of fields are those of onnx.proto.

use std::ops::Range;

use super::packed::STEP;
use super::{DOMAIN, REPLACED};

/// `ModelProto.graph`, `ModelProto.opset_import`, `GraphProto.node`.
const GRAPH: u64 = 7;
const OPSET: u8 = 8;
const NODE: u64 = 1;
/// Of `NodeProto`.
const INPUT: u64 = 1;
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

/// Where the domain of a node is that our operator can take; `None`: it is another one.
fn replaceable(file: &[u8], node: Range<usize>) -> Option<Range<usize>> {
    let text = |number| messages(file, node.clone(), number).last();
    let kind = text(KIND)?;
    let namespace = text(NAMESPACE)?;
    if (&file[kind], &file[namespace.clone()]) != (REPLACED.0.as_bytes(), REPLACED.1.as_bytes()) {
        return None;
    }
    let attribute = |wanted: &str| {
        messages(file, node.clone(), ATTRIBUTE)
            .filter(|message| {
                messages(file, message.clone(), NAME).any(|name| file[name] == *wanted.as_bytes())
            })
            .flat_map(|message| Fields::of(file, message))
            .find_map(|(number, value)| match value {
                Value::Integer(value) if number == INTEGER => Some(value),
                _ => None,
            })
    };
    let (inputs, block) = (attribute("K")?, attribute("block_size")?);
    let fits = block > 0 && inputs.is_multiple_of(block) && block.is_multiple_of(STEP as u64);
    // Zero points other than 8, or inputs in another order.
    let special = messages(file, node.clone(), INPUT).skip(3).take(2).any(|name| !name.is_empty());
    (attribute("bits")? == 4 && fits && !special).then_some(namespace)
}

/// Has our operator compute the products with 4-bit weights of a graph; says how many. What is no graph stays as it is.
pub(crate) fn rewrite(file: &mut Vec<u8>) -> usize {
    let nodes = messages(file, 0..file.len(), GRAPH).flat_map(|graph| messages(file, graph, NODE));
    let found: Vec<_> = nodes.filter_map(|node| replaceable(file, node)).collect();
    for namespace in &found {
        file[namespace.clone()].copy_from_slice(DOMAIN.as_bytes());
    }
    if !found.is_empty() {
        // Fields of a message may stand anywhere in it, so one more opset at the end is one of the model's.
        let length = DOMAIN.len() as u8;
        file.extend([OPSET << 3 | 2, length + 4, 1 << 3 | 2, length]);
        file.extend(DOMAIN.as_bytes());
        file.extend([2 << 3, 1]);
    }
    found.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shipped() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle/gpt2.onnx"))
            .expect("the bundle is in the checkout")
    }

    #[test]
    fn every_product_of_the_shipped_graph_is_ours() {
        let mut file = shipped();
        let before = file.len();
        // Four a layer, and the head.
        assert_eq!(rewrite(&mut file), 6 * 4 + 1);
        assert_eq!(file.len(), before + 6 + DOMAIN.len());
        assert_eq!(rewrite(&mut file), 0, "once");
        assert_eq!(DOMAIN.len(), REPLACED.1.len());
    }

    #[test]
    fn a_file_cut_short_is_no_graph_but_no_panic() {
        let file = shipped();
        for length in [0, 1, 10, 1_000, file.len() / 2, file.len() - 1] {
            rewrite(&mut file[..length].to_vec());
        }
    }

    proptest! {
        #[test]
        fn strange_bytes_stay_as_they_are(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut file = bytes.clone();
            prop_assert_eq!(rewrite(&mut file), 0);
            prop_assert_eq!(file, bytes);
        }
    }
}
