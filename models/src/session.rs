//! One ONNX Runtime session with everything bound in place.
//!
//! A run takes `S` new tokens behind `past` cached ones, so `T` = past + S in all. Inputs: `input_ids`, `position_ids` i64
//! `[1, S]`; `seqlens_k` i32 `[1]` = T − 1; `total_len` i32 scalar = T; `attention_bias` f32 `[1, 1, S, T]`, added to the
//! attention scores; `wanted` i64 `[N]`, the rows whose logits are computed; `past_k{l}`, `past_v{l}` f32 `[1, heads,
//! positions, width]`, the same buffers as `present_k{l}`, `present_v{l}`. Output: `logits` f32 `[1, N, vocabulary]`. Where our
//! operator attends, the bias and these buffers are placeholders, and the `S` tokens may be of several conversations.
//! `train/export.py` makes such graphs.

use std::path::Path;
use std::slice::ChunksExact;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session as Graph};
use ort::value::Tensor;

use crate::attention::{Attention, HIDDEN, Rows, WIDTH};
use crate::cache::KvCache;
use crate::config::Config;
use crate::rewrite::{Ours, rewrite};
use crate::rounded::Held;
use crate::{Error, product, rounded, runtime};

/// Tokens that go through the network at once. More would make a keystroke wait longer before it can be cancelled.
pub(crate) const CHUNK: usize = 16;

const _: () = assert!(CHUNK <= Rows::BITS as usize, "each row of a pass has a bit");

/// What a run is to do for one conversation.
pub(crate) struct Sequence<'a> {
    /// Its keys and values, and the tokens that have none yet.
    pub(crate) cache: &'a mut KvCache,
    /// The first slot that is to be run; at least one is.
    pub(crate) past: usize,
    /// Slots of those whose logits are wanted, in any order; at least one.
    pub(crate) wanted: &'a [usize],
}

impl Sequence<'_> {
    fn width(&self) -> usize {
        self.cache.len() - self.past
    }
}

/// The graph and the tensors that runs change in place.
pub(crate) struct Session {
    graph: Graph,
    own: bool,
    binding: IoBinding,
    /// Ids and positions for 1 to [`CHUNK`] tokens: a bound tensor keeps its shape.
    rows: Vec<(Tensor<i64>, Tensor<i64>)>,
    /// Rows wanted and their logits, 1 to [`CHUNK`] of them; made when first needed, as all together are 9 MB.
    logits: Vec<Option<(Tensor<i64>, Tensor<f32>)>>,
    seqlens: Tensor<i32>,
    total: Tensor<i32>,
    vocabulary: usize,
    /// Of each layer its keys, then its values, `[1, heads, slots, width of a head]`: the conversation at work, where
    /// ONNX Runtime attends to it, and of one slot that nobody looks at where our operator does.
    tensors: Vec<Tensor<f32>>,
    /// Our attention.
    attention: Option<Attention>,
    /// Bytes that a slot's keys, or its values, of a layer take where they are kept.
    slot_width: usize,
    /// The stamp of the cache whose content the tensors hold; another one is loaded (about 1 µs a slot).
    loaded: u64,
    /// The entries of `rows` and of `logits` that are bound.
    widths: (usize, usize),
}

impl Session {
    /// Loads the graph at `path`; with `own`, our operators compute its products with 4-bit weights and its attention, where they can.
    pub(crate) fn load(path: &Path, config: &Config, threads: usize, own: bool) -> Result<Self, Error> {
        let environment = runtime::environment()?;
        let bundle = |reason: String| Error::Bundle { path: path.to_path_buf(), reason };
        if !path.is_file() {
            return Err(bundle("no such file".to_owned()));
        }
        let mut file = std::fs::read(path).map_err(|error| bundle(error.to_string()))?;
        let own = own && product::Processor::detect().is_some();
        let [_, heads, _, width] = config.kv_shape();
        let (layers, fits) = (config.n_layer, width == WIDTH);
        let ours =
            if own { rewrite(&mut file, if fits { layers } else { 0 }, heads) } else { Ours::default() };
        let attention = Attention::default();
        let mut builder = Graph::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            // A pattern is kept for every combination of shapes, and the bias has a new one at every length.
            .with_memory_pattern(false)?
            // Spinning threads would take the cores that the rest of the service runs on.
            .with_config_entry("session.intra_op.allow_spinning", "0")?;
        if ours.products {
            builder = builder.with_operators(product::domain()?.add(attention.clone())?)?;
        }
        let graph = builder.commit_from_memory(&file).map_err(|error| bundle(error.to_string()))?;
        drop(file);
        let has = |name: &str| graph.inputs().iter().any(|input| input.name() == name);
        for name in (0..config.n_layer).map(|layer| format!("past_k{layer}")) {
            if !has(&name) {
                return Err(bundle(format!("no input {name}: not a graph of this configuration")));
            }
        }
        if !has("attention_bias") || !has("wanted") {
            let reason = "no inputs attention_bias and wanted, which passes over several words need: export it with \
                          models/train/export.py";
            return Err(bundle(reason.to_owned()));
        }
        let mut binding = graph.create_binding()?;
        let memory = graph.allocator();
        let rows = (1..=CHUNK)
            .map(|width| Ok((Tensor::new(memory, [1, width])?, Tensor::new(memory, [1, width])?)))
            .collect::<Result<Vec<_>, ort::Error>>()?;
        let (seqlens, total) = (Tensor::new(memory, [1_usize])?, Tensor::new(memory, Vec::<i64>::new())?);
        binding.bind_input("seqlens_k", &seqlens)?;
        binding.bind_input("total_len", &total)?;
        let [_, _, slots, _] = config.kv_shape();
        let mut tensors = Vec::with_capacity(2 * config.n_layer);
        for part in 0..2 * config.n_layer {
            let mut tensor = Tensor::new(memory, [1, heads, if ours.attention { 1 } else { slots }, width])?;
            tensor.extract_tensor_mut().1.fill(0.0);
            let name = format!("{}{}", ["k", "v"][part % 2], part / 2);
            binding.bind_input(format!("past_{name}"), &tensor)?;
            binding.bind_output(format!("present_{name}"), &mut tensor)?;
            tensors.push(tensor);
        }
        if ours.attention {
            let unseen = Tensor::<f32>::new(memory, [1_usize; 4])?;
            binding.bind_input("attention_bias", &unseen)?;
        }
        let logits = (0..CHUNK).map(|_| None).collect();
        let (loaded, widths, vocabulary) = (0, (0, 0), config.vocab_size);
        Ok(Self {
            graph,
            own: ours.products,
            binding,
            rows,
            logits,
            seqlens,
            total,
            vocabulary,
            tensors,
            attention: ours.attention.then_some(attention),
            slot_width: heads * rounded::bytes(width),
            loaded,
            widths,
        })
    }

    /// Whether operators of ours are in it.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// See the field.
    pub(crate) fn slot_width(&self) -> usize {
        self.slot_width
    }

    /// Has the tensors hold what `cache` holds.
    fn restore(&mut self, cache: &mut KvCache) {
        if self.loaded == cache.stamp() {
            return;
        }
        // A panic half-way must not leave a mixture that passes for one of them.
        self.loaded = 0;
        for (tensor, held) in self.tensors.iter_mut().zip(cache.held()) {
            let (shape, cells) = tensor.extract_tensor_mut();
            rounded::unpack(held, cells, shape[1] as usize, shape[3] as usize);
        }
        self.loaded = cache.stamp();
    }

    /// Has `cache` hold the slots from `past` on, and the tensors what it holds of them.
    fn store(&mut self, cache: &mut KvCache, past: usize) {
        let (total, parts, width) = (cache.len(), self.tensors.len(), self.slot_width);
        cache.held().resize_with(parts, Vec::new);
        for (tensor, held) in self.tensors.iter_mut().zip(cache.held()) {
            let (shape, cells) = tensor.extract_tensor_mut();
            rounded::grow(held, total * width - held.len());
            rounded::pack(cells, held, past, shape[1] as usize, shape[3] as usize);
        }
        self.loaded = cache.change();
    }

    /// Whether one run can be for several conversations.
    pub(crate) fn attends_to_several(&self) -> bool {
        self.attention.is_some()
    }

    /// Runs the graph over the new slots of each sequence, with the keys and values of all its slots.
    fn attend(&mut self, sequences: &mut [Sequence<'_>]) -> Result<(), ort::Error> {
        if let Some(attention) = &self.attention {
            let mut held: Vec<Held> =
                sequences.iter_mut().map(|sequence| std::mem::take(sequence.cache.held())).collect();
            let mut lent = attention.run(self.tensors.len() / 2);
            for (held, sequence) in held.iter_mut().zip(&*sequences) {
                lent.lend(held, (sequence.past, sequence.width()), |slot| {
                    sequence.cache.ancestors(Some(slot))
                });
            }
            let ran = self.graph.run_binding(&self.binding);
            drop(lent);
            for (held, sequence) in held.into_iter().zip(sequences) {
                *sequence.cache.held() = held;
                sequence.cache.change();
            }
            return ran.map(drop);
        }
        let [Sequence { cache, past, .. }] = sequences else {
            return Err(ort::Error::new("ONNX Runtime attends to one conversation at a time"));
        };
        let (past, total) = (*past, cache.len());
        self.seqlens.extract_tensor_mut().1.fill((total - 1) as i32);
        self.total.extract_tensor_mut().1.fill(total as i32);
        self.restore(cache);
        let mut bias = Tensor::new(self.graph.allocator(), [1, 1, total - past, total])?;
        let cells = bias.extract_tensor_mut().1;
        cells.fill(HIDDEN);
        for (row, slot) in cells.chunks_exact_mut(total).zip(past..) {
            cache.ancestors(Some(slot)).for_each(|ancestor| row[ancestor] = 0.0);
        }
        self.binding.bind_input("attention_bias", &bias)?;
        self.graph.run_binding(&self.binding)?;
        self.store(cache, past);
        Ok(())
    }

    /// Runs 1 to [`CHUNK`] tokens of all sequences and writes their keys and values there; the logits of the slots wanted, sequence by sequence, one
    /// row after the other. Valid until the next run. Of several sequences only where it
    /// [attends to several](Self::attends_to_several).
    pub(crate) fn run<'a>(
        &'a mut self,
        sequences: &mut [Sequence<'_>],
    ) -> Result<ChunksExact<'a, f32>, ort::Error> {
        let width: usize = sequences.iter().map(Sequence::width).sum();
        let count: usize = sequences.iter().map(|sequence| sequence.wanted.len()).sum();
        let (ids, positions) = &mut self.rows[width - 1];
        let slots = sequences.iter().flat_map(|sequence| &sequence.cache.slots()[sequence.past..]);
        let inputs = ids.extract_tensor_mut().1.iter_mut().zip(positions.extract_tensor_mut().1);
        for ((id, position), slot) in inputs.zip(slots) {
            (*id, *position) = (i64::from(slot.token), slot.position as i64);
        }
        if self.logits[count - 1].is_none() {
            let memory = self.graph.allocator();
            self.logits[count - 1] =
                Some((Tensor::new(memory, [count])?, Tensor::new(memory, [1, count, self.vocabulary])?));
        }
        let (rows, logits) = self.logits[count - 1].as_mut().expect("it was made just above");
        let mut first = 0;
        let wanted = sequences.iter().flat_map(|sequence| {
            let before = first;
            first += sequence.width();
            sequence.wanted.iter().map(move |slot| before + slot - sequence.past)
        });
        for (row, wanted) in rows.extract_tensor_mut().1.iter_mut().zip(wanted) {
            *row = wanted as i64;
        }
        if self.widths != (width, count) {
            // A failure half-way must not leave a mixture of shapes that passes for bound.
            self.widths = (0, 0);
            self.binding.bind_input("input_ids", &*ids)?;
            self.binding.bind_input("position_ids", &*positions)?;
            self.binding.bind_input("wanted", &*rows)?;
            self.binding.bind_output("logits", &mut *logits)?;
            self.widths = (width, count);
        }
        self.attend(sequences)?;
        let (_, logits) = self.logits[count - 1].as_ref().expect("it was made above");
        Ok(logits.extract_tensor().1.chunks_exact(self.vocabulary))
    }
}
