//! One ONNX Runtime session with everything bound in place.
//!
//! A run takes `S` new tokens behind `past` cached ones, so `T` = past + S in all. Inputs: `input_ids`, `position_ids` i64
//! `[1, S]`; `seqlens_k` i32 `[1]` = T − 1; `total_len` i32 scalar = T; `attention_bias` f32 `[1, 1, S, T]`, added to the
//! attention scores; `wanted` i64 `[N]`, the rows whose logits are computed; `past_k{l}`, `past_v{l}` f32 `[1, heads,
//! positions, width]`, the same buffers as `present_k{l}`, `present_v{l}`. Output: `logits` f32 `[1, N, vocabulary]`.
//! `train/export.py` makes such graphs.

use std::path::Path;
use std::slice::ChunksExact;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session as Graph};
use ort::value::Tensor;

use crate::cache::KvCache;
use crate::config::Config;
use crate::{Error, product, rounded, runtime};

/// Tokens that go through the network at once. More would make a keystroke wait longer before it can be cancelled.
pub(crate) const CHUNK: usize = 16;

/// Added to the score of a token that is no ancestor: e to this power is zero, and yet nothing overflows.
const HIDDEN: f32 = -1e9;

/// One layer's keys and values, f32 `[1, heads, slots, width of a head]` each.
type KeysValues = (Tensor<f32>, Tensor<f32>);

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
    /// The conversation at work.
    keys_and_values: Vec<KeysValues>,
    /// The stamp of the cache whose content these hold; another one is loaded (about 1 µs a slot).
    loaded: u64,
    /// The entries of `rows` and of `logits` that are bound.
    widths: (usize, usize),
}

impl Session {
    /// Loads the graph at `path`; with `own`, our kernel computes its products with 4-bit weights, where the processor can.
    pub(crate) fn load(path: &Path, config: &Config, threads: usize, own: bool) -> Result<Self, Error> {
        let environment = runtime::environment()?;
        let bundle = |reason: String| Error::Bundle { path: path.to_path_buf(), reason };
        if !path.is_file() {
            return Err(bundle("no such file".to_owned()));
        }
        let mut file = std::fs::read(path).map_err(|error| bundle(error.to_string()))?;
        let own = own && product::Processor::detect().is_some() && product::rewrite(&mut file) > 0;
        let mut builder = Graph::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            // A pattern is kept for every combination of shapes, and the bias has a new one at every length.
            .with_memory_pattern(false)?
            // Spinning threads would take the cores that the rest of the service runs on.
            .with_config_entry("session.intra_op.allow_spinning", "0")?;
        if own {
            builder = builder.with_operators(product::domain()?)?;
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
        let zeroed = || -> Result<Tensor<f32>, ort::Error> {
            let mut tensor = Tensor::new(memory, config.kv_shape())?;
            tensor.extract_tensor_mut().1.fill(0.0);
            Ok(tensor)
        };
        let mut keys_and_values = Vec::with_capacity(config.n_layer);
        for layer in 0..config.n_layer {
            let (mut keys, mut values) = (zeroed()?, zeroed()?);
            binding.bind_input(format!("past_k{layer}"), &keys)?;
            binding.bind_input(format!("past_v{layer}"), &values)?;
            binding.bind_output(format!("present_k{layer}"), &mut keys)?;
            binding.bind_output(format!("present_v{layer}"), &mut values)?;
            keys_and_values.push((keys, values));
        }
        let logits = (0..CHUNK).map(|_| None).collect();
        let (loaded, widths, vocabulary) = (0, (0, 0), config.vocab_size);
        Ok(Self {
            graph,
            own,
            binding,
            rows,
            logits,
            seqlens,
            total,
            vocabulary,
            keys_and_values,
            loaded,
            widths,
        })
    }

    /// Whether our kernel computes products with 4-bit weights.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// Bytes that a slot's keys and values take where they are kept.
    pub(crate) fn slot_width(&self) -> usize {
        let (heads, _, width) = self.kv_shape();
        2 * self.keys_and_values.len() * heads * rounded::bytes(width)
    }

    /// Heads, slots, and the width of a head.
    fn kv_shape(&self) -> (usize, usize, usize) {
        let shape = self.keys_and_values[0].0.extract_tensor().0;
        (shape[1] as usize, shape[2] as usize, shape[3] as usize)
    }

    /// Has the tensors hold what `cache` holds.
    fn restore(&mut self, cache: &mut KvCache) {
        if self.loaded == cache.stamp() {
            return;
        }
        let (all, (heads, slots, width)) = (self.slot_width(), self.kv_shape());
        let each = rounded::bytes(width);
        // A panic half-way must not leave a mixture that passes for one of them.
        self.loaded = 0;
        for (cells, part) in self.parts() {
            for (slot, held) in cache.held().chunks_exact(all).enumerate() {
                for (head, held) in held[part * heads * each..][..heads * each].chunks_exact(each).enumerate()
                {
                    rounded::load(held, &mut cells[(head * slots + slot) * width..][..width]);
                }
            }
        }
        self.loaded = cache.stamp();
    }

    /// Has `cache` hold the slots from `past` on, and the tensors what it holds of them.
    fn store(&mut self, cache: &mut KvCache, past: usize) {
        let (all, (heads, slots, width)) = (self.slot_width(), self.kv_shape());
        let (each, total) = (rounded::bytes(width), cache.len());
        cache.held().resize(total * all, 0);
        for (cells, part) in self.parts() {
            for (slot, held) in cache.held().chunks_exact_mut(all).enumerate().skip(past) {
                let held = &mut held[part * heads * each..][..heads * each];
                for (head, held) in held.chunks_exact_mut(each).enumerate() {
                    rounded::round(&mut cells[(head * slots + slot) * width..][..width], held);
                }
            }
        }
        self.loaded = cache.change();
    }

    /// The keys and the values of each layer, numbered.
    fn parts(&mut self) -> impl Iterator<Item = (&mut [f32], usize)> {
        let tensors = self.keys_and_values.iter_mut().flat_map(|(keys, values)| [keys, values]);
        tensors.map(|tensor| tensor.extract_tensor_mut().1).zip(0..)
    }

    /// Runs the slots of `cache` from `past` on, 1 to [`CHUNK`] of them, and writes their keys and values there; the
    /// logits of the slots `wanted`, at least one, one row after the other. Valid until the next run.
    pub(crate) fn run<'a>(
        &'a mut self,
        cache: &mut KvCache,
        past: usize,
        wanted: &[usize],
    ) -> Result<ChunksExact<'a, f32>, ort::Error> {
        self.restore(cache);
        let (width, count, total) = (cache.len() - past, wanted.len(), cache.len());
        let (ids, positions) = &mut self.rows[width - 1];
        let slots = cache.slots().iter().skip(past);
        let inputs = ids.extract_tensor_mut().1.iter_mut().zip(positions.extract_tensor_mut().1);
        for ((id, position), slot) in inputs.zip(slots) {
            (*id, *position) = (i64::from(slot.token), slot.position as i64);
        }
        let mut bias = Tensor::new(self.graph.allocator(), [1, 1, width, total])?;
        let cells = bias.extract_tensor_mut().1;
        cells.fill(HIDDEN);
        for (row, slot) in cells.chunks_exact_mut(total).zip(past..) {
            cache.ancestors(Some(slot)).for_each(|ancestor| row[ancestor] = 0.0);
        }
        self.binding.bind_input("attention_bias", &bias)?;
        if self.logits[count - 1].is_none() {
            let memory = self.graph.allocator();
            self.logits[count - 1] =
                Some((Tensor::new(memory, [count])?, Tensor::new(memory, [1, count, self.vocabulary])?));
        }
        let (rows, logits) = self.logits[count - 1].as_mut().expect("it was made just above");
        for (row, slot) in rows.extract_tensor_mut().1.iter_mut().zip(wanted) {
            *row = (slot - past) as i64;
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
        self.seqlens.extract_tensor_mut().1.fill((total - 1) as i32);
        self.total.extract_tensor_mut().1.fill(total as i32);
        self.graph.run_binding(&self.binding)?;
        self.store(cache, past);
        let (_, logits) = self.logits[count - 1].as_ref().expect("it was made above");
        Ok(logits.extract_tensor().1.chunks_exact(self.vocabulary))
    }
}
