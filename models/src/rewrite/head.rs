//! The head in one node: its product with 4-bit weights, and the nodes that compute the likeliest logits anew from rows of the embedding
//! in 8 bits (`refine` of train/export.py), as our product does on the side.

use std::ops::Range;

use super::{DOMAIN, Fields, GRAPH, INPUT, KIND, NAMESPACE, NODE, OUTPUT, Value, messages};
use crate::product::{NAME, ROWS};

/// What follows the product, in this order, at the end of the graph.
const KINDS: [&str; 9] =
    ["TopK", "Gather", "Cast", "Unsqueeze", "MatMul", "Gather", "Mul", "Squeeze", "ScatterElements"];

/// A field as it stands in the file, and its value if that is bytes.
struct Field {
    number: u64,
    whole: Range<usize>,
    value: Option<Range<usize>>,
}

fn fields(file: &[u8], message: Range<usize>) -> Vec<Field> {
    let mut fields = Fields::of(file, message);
    let mut found = Vec::new();
    loop {
        let start = fields.rest.start;
        let Some((number, value)) = fields.next() else { return found };
        let value = if let Value::Bytes(bytes) = value { Some(bytes) } else { None };
        found.push(Field { number, whole: start..fields.rest.start, value });
    }
}

/// Texts of a node's fields of one number.
fn texts(file: &[u8], node: &Range<usize>, number: u64) -> Vec<Vec<u8>> {
    messages(file, node.clone(), number).map(|text| file[text].to_vec()).collect()
}

/// Whether `[product, ..]` are a product of ours and the nodes that compute its likeliest columns anew, each reading what it should.
fn is_refined(file: &[u8], nodes: &[Range<usize>]) -> bool {
    let [product, after @ ..] = nodes else { return false };
    let of = |node: &Range<usize>, number| texts(file, node, number);
    let kind = |node: &Range<usize>, wanted: &str| of(node, KIND) == [wanted.as_bytes()];
    let ours = kind(product, NAME) && of(product, NAMESPACE) == [DOMAIN.as_bytes()];
    if !ours
        || after.len() != KINDS.len()
        || !after.iter().zip(KINDS).all(|(node, wanted)| kind(node, wanted))
    {
        return false;
    }
    let [from, out] =
        [INPUT, OUTPUT].map(|number| after.iter().map(|node| of(node, number)).collect::<Vec<_>>());
    let counts = [2, 2, 1, 2, 2, 2, 2, 2, 3];
    if from.iter().zip(counts).any(|(from, count)| from.len() != count)
        || out.iter().any(Vec::is_empty)
        || out[0].len() != 2
    {
        return false;
    }
    let (rows, rough) = (of(product, INPUT), of(product, OUTPUT));
    let reads = |node: usize, at: usize, what: &[u8]| from[node][at] == what;
    // Rows, codes and scales: no bias.
    rows.len() == 3
        && rough.len() == 1
        && reads(0, 0, &rough[0])
        && [1, 5, 8].into_iter().all(|node| reads(node, 1, &out[0][1]))
        && reads(2, 0, &out[1][0])
        && reads(3, 0, &rows[0])
        && from[4] == [&*out[2][0], &*out[3][0]]
        && from[6] == [&*out[4][0], &*out[5][0]]
        && reads(7, 0, &out[6][0])
        && reads(8, 0, &rough[0])
        && reads(8, 2, &out[7][0])
}

/// Has our product compute those logits too, if the graph ends with nodes that do; whether it does.
pub(super) fn merge(file: &mut Vec<u8>) -> bool {
    let model = fields(file, 0..file.len());
    let Some(Field { whole, value: Some(graph), .. }) = model.into_iter().find(|field| field.number == GRAPH)
    else {
        return false;
    };
    let parts = fields(file, graph);
    let nodes: Vec<&Field> = parts.iter().filter(|field| field.number == NODE).collect();
    let Some(last) = nodes.last_chunk::<{ 1 + KINDS.len() }>() else { return false };
    let messages: Vec<Range<usize>> = last.iter().filter_map(|node| node.value.clone()).collect();
    if messages.len() != last.len() || !is_refined(file, &messages) {
        return false;
    }
    let node = merged(file, &messages);
    let mut inside = Vec::with_capacity(whole.len());
    for part in &parts {
        if part.whole == last[0].whole {
            put(&mut inside, NODE, &node);
        } else if !last.iter().any(|node| node.whole == part.whole) {
            inside.extend(&file[part.whole.clone()]);
        }
    }
    let mut rest = file.split_off(whole.end);
    file.truncate(whole.start);
    put(file, GRAPH, &inside);
    file.append(&mut rest);
    true
}

/// The product's node with the embedding's rows and their scales as further inputs, and the last node's output.
fn merged(file: &[u8], nodes: &[Range<usize>]) -> Vec<u8> {
    let (product, steps, scales, last) = (&nodes[0], &nodes[2], &nodes[6], &nodes[KINDS.len()]);
    let mut node = Vec::new();
    for field in fields(file, product.clone()).iter().filter(|field| field.number != OUTPUT) {
        node.extend(&file[field.whole.clone()]);
    }
    for _ in texts(file, product, INPUT).len()..ROWS {
        put(&mut node, INPUT, b"");
    }
    for table in [steps, scales] {
        put(&mut node, INPUT, &texts(file, table, INPUT)[0]);
    }
    put(&mut node, OUTPUT, &texts(file, last, OUTPUT)[0]);
    node
}

/// Appends a field of bytes.
fn put(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    message.push((number << 3 | 2) as u8);
    let mut length = bytes.len();
    while length > 127 {
        message.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(bytes);
}
