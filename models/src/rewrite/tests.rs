use super::*;
use proptest::prelude::*;

fn shipped() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle/gpt2.onnx"))
        .expect("the bundle is in the checkout")
}

const BOTH: Ours = Ours { products: true, attention: true };

#[test]
fn products_and_attention_of_the_shipped_graph_are_ours() {
    let mut file = shipped();
    let before = file.len();
    assert_eq!(rewrite(&mut file, 6, 6), BOTH);
    assert_eq!(file.len(), before + 6 + DOMAIN.len());
    let count = file.windows(DOMAIN.len()).filter(|bytes| *bytes == DOMAIN.as_bytes()).count();
    // Four products and one attention a layer, the head, and the domain itself.
    assert_eq!(count, 6 * 5 + 1 + 1);
    assert_eq!(rewrite(&mut file, 6, 6), Ours::default(), "once");
    assert_eq!(DOMAIN.len(), REPLACED.len());
}

#[test]
fn attention_of_other_layers_or_heads_than_there_are_stays_onnx_runtimes() {
    for (layers, heads) in [(0, 6), (5, 6), (7, 6), (6, 12)] {
        let found = rewrite(&mut shipped(), layers, heads);
        assert_eq!(found, Ours { attention: false, ..BOTH }, "{layers} {heads}");
    }
}

/// Nodes of a graph.
fn count(file: &[u8]) -> usize {
    messages(file, 0..file.len(), GRAPH).flat_map(|graph| messages(file, graph, NODE)).count()
}

/// A field of bytes, fewer than 16 KB.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    [&[(number << 3 | 2) as u8, (length & 127 | 128) as u8, (length >> 7) as u8], bytes].concat()
}

fn node(kind: &str, inputs: &[&str], outputs: usize, attributes: &[(&str, u8)]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|name| field(INPUT, name.as_bytes())).collect();
    node.extend((0..outputs).flat_map(|_| field(OUTPUT, b"y")));
    node.extend(field(KIND, kind.as_bytes()));
    for (name, value) in attributes {
        let attribute = [field(NAME, name.as_bytes()), vec![(INTEGER << 3) as u8, *value]].concat();
        node.extend(field(ATTRIBUTE, &attribute));
    }
    node.extend(field(NAMESPACE, REPLACED.as_bytes()));
    field(NODE, &node)
}

#[test]
fn what_ours_would_compute_otherwise_is_not_given_to_them() {
    let product = |attributes: &[(&str, u8)], inputs: &[&str]| node("MatMulNBits", inputs, 1, attributes);
    let (usual, few) = ([("K", 96), ("bits", 4), ("block_size", 32)], ["x", "w", "s"]);
    let right = product(&usual, &few);
    let inputs = ["x", "", "", "k", "v", "past", "total", "", "", "", "bias"];
    let heads = [("num_heads", 6), ("kv_num_heads", 6), ("do_rotary", 0), ("smooth_softmax", 1)];
    let attention = |attributes: &[(&str, u8)], inputs: &[&str], outputs| {
        node("GroupQueryAttention", inputs, outputs, attributes)
    };
    let of = |nodes: &[Vec<u8>]| rewrite(&mut field(GRAPH, &nodes.concat()), 1, 6);
    assert_eq!(of(&[right.clone(), attention(&heads, &inputs, 3)]), BOTH);
    assert_eq!(of(&[right.clone(), attention(&heads[..3], &inputs, 3)]), BOTH, "plain softmax");
    let others = [
        attention(&[heads[0], ("kv_num_heads", 2)], &inputs, 3),
        attention(&[heads[0], heads[1], ("do_rotary", 1)], &inputs, 3),
        attention(&[heads[0], heads[1], ("local_window_size", 64)], &inputs, 3),
        attention(&[heads[0], heads[1], ("scale", 1)], &inputs, 3),
        attention(&heads, &["q", "k", "v", "k", "v", "past", "total", "", "", "", "bias"], 3),
        attention(&heads, &inputs[..7], 3),
        attention(&heads, &inputs, 1),
    ];
    for other in others {
        assert_eq!(of(&[right.clone(), other]), Ours { attention: false, ..BOTH });
    }
    let others = [
        product(&[("K", 96), ("bits", 8), ("block_size", 32)], &few),
        product(&[("K", 96), ("bits", 4), ("block_size", 16)], &few),
        product(&usual, &["x", "w", "s", "zero"]),
    ];
    for other in others {
        let fits = attention(&heads, &inputs, 3);
        assert_eq!(of(&[other, fits]), Ours::default(), "attention alone is not ours either");
    }
}

#[test]
fn a_file_cut_short_is_no_graph_but_no_panic() {
    let file = shipped();
    for length in [0, 1, 10, 1_000, file.len() / 2, file.len() - 1] {
        rewrite(&mut file[..length].to_vec(), 6, 6);
    }
}

proptest! {
    #[test]
    fn strange_bytes_stay_as_they_are(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = bytes.clone();
        prop_assert_eq!(rewrite(&mut file, 6, 6), Ours::default());
        prop_assert_eq!(file, bytes);
    }
}

/// A node of another domain.
fn plain(kind: &str, inputs: &[&str], outputs: &[&str]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(INPUT, name.as_bytes()));
    let outputs = outputs.iter().flat_map(|name| field(OUTPUT, name.as_bytes()));
    field(NODE, &[inputs.collect(), outputs.collect(), field(KIND, kind.as_bytes())].concat())
}

/// A product whose likeliest columns are computed anew, with a node before it and something behind the nodes.
fn head() -> Vec<Vec<u8>> {
    let product = node("MatMulNBits", &["x", "w", "s"], 1, &[("K", 96), ("bits", 4), ("block_size", 32)]);
    vec![
        plain("Gather", &["before", "wanted"], &["x"]),
        product,
        plain("TopK", &["y", "k"], &["highest", "tokens"]),
        plain("Gather", &["steps", "tokens"], &["a"]),
        plain("Cast", &["a"], &["b"]),
        plain("Unsqueeze", &["x", "last"], &["c"]),
        plain("MatMul", &["b", "c"], &["d"]),
        plain("Gather", &["scales", "tokens"], &["e"]),
        plain("Mul", &["d", "e"], &["f"]),
        plain("Squeeze", &["f", "last"], &["g"]),
        plain("ScatterElements", &["y", "tokens", "g"], &["logits"]),
        field(2, b"gpt2"),
    ]
}

#[test]
fn the_head_becomes_one_node() {
    // Something behind the graph, which stays there.
    let mut file = [field(GRAPH, &head().concat()), field(2, b"behind")].concat();
    assert!(rewrite(&mut file, 0, 0).products);
    let graph = messages(&file, 0..file.len(), GRAPH).last().expect("a graph");
    let nodes: Vec<_> = messages(&file, graph.clone(), NODE).collect();
    let texts = |node: usize, number| {
        let texts = messages(&file, nodes[node].clone(), number).map(|text| file[text].to_vec());
        texts.map(|text| String::from_utf8(text).expect("a name")).collect::<Vec<_>>()
    };
    assert_eq!((nodes.len(), texts(0, OUTPUT)), (2, vec!["x".to_owned()]));
    assert_eq!(texts(1, INPUT), ["x", "w", "s", "", "", "", "steps", "scales"]);
    assert_eq!(
        (texts(1, OUTPUT), texts(1, KIND)),
        (vec!["logits".to_owned()], vec![product::NAME.to_owned()])
    );
    assert_eq!(texts(1, NAMESPACE), [DOMAIN]);
    let name = messages(&file, graph, 2).map(|name| &file[name]).collect::<Vec<_>>();
    assert_eq!(name, [b"gpt2"]);
    assert!(messages(&file, 0..file.len(), 2).any(|name| file[name] == *b"behind"));
}

#[test]
fn a_head_of_another_kind_stays_as_it_is() {
    let others = [
        (2, plain("TopK", &["z", "k"], &["highest", "tokens"])),
        (2, plain("TopK", &["y", "k"], &["highest"])),
        (3, plain("Gather", &["steps", "others"], &["a"])),
        (5, plain("Unsqueeze", &["z", "last"], &["c"])),
        (6, plain("MatMul", &["b", "b"], &["d"])),
        (8, plain("Add", &["d", "e"], &["f"])),
        (10, plain("ScatterElements", &["y", "tokens", "f"], &["logits"])),
        (11, plain("Identity", &["logits"], &["more"])),
    ];
    for (at, other) in others {
        let mut nodes = head();
        nodes[at] = other;
        let mut file = field(GRAPH, &nodes.concat());
        let before = count(&file);
        assert!(rewrite(&mut file, 0, 0).products);
        assert_eq!(count(&file), before, "{at}");
    }
}
