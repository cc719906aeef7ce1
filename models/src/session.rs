//! One ONNX Runtime session with everything bound in place.
//!
//! Inputs (`S` new tokens after `past` cached ones): `input_ids`, `position_ids` i64 `[1, S]`; `seqlens_k` i32 `[1]` =
//! past + S − 1; `total_len` i32 scalar = past + S; `past_k{l}`, `past_v{l}` f32 `[1, heads, positions, width]`, the same
//! buffers as `present_k{l}`, `present_v{l}`. Output: `logits` f32 `[1, 1, vocabulary]` of the last position.

use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session as Graph};
use ort::value::Tensor;

use crate::cache::{KeysValues, KvCache};
use crate::config::Config;
use crate::{Error, Options, runtime};

/// Tokens that go through the network at once. More would make a keystroke wait longer before it can be cancelled.
pub(crate) const CHUNK: usize = 16;

/// The graph and the tensors that steps change in place.
pub(crate) struct Session {
    graph: Graph,
    binding: IoBinding,
    /// Ids and positions for 1 to [`CHUNK`] tokens: a bound tensor keeps its shape.
    rows: Vec<(Tensor<i64>, Tensor<i64>)>,
    seqlens: Tensor<i32>,
    total: Tensor<i32>,
    logits: Tensor<f32>,
    /// The cache whose tensors are bound, by number; another one is bound anew (about 30 µs).
    bound: Option<u64>,
    /// The row of `rows` that is bound.
    width: usize,
}

impl Session {
    /// Loads the graph at `path`.
    pub(crate) fn load(path: &Path, config: &Config, options: &Options) -> Result<Self, Error> {
        let environment = runtime::environment()?;
        if !path.is_file() {
            return Err(Error::Bundle { path: path.to_path_buf(), reason: "no such file".to_owned() });
        }
        let graph = Graph::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(options.threads)?
            .with_inter_threads(1)?
            // Spinning threads would take the cores that the rest of the service runs on.
            .with_config_entry("session.intra_op.allow_spinning", "0")?
            .commit_from_file(path)
            .map_err(|error| Error::Bundle { path: path.to_path_buf(), reason: error.to_string() })?;
        for layer in 0..config.n_layer {
            if !graph.inputs().iter().any(|input| input.name() == format!("past_k{layer}")) {
                let reason = format!("no input past_k{layer}: not a graph of this configuration");
                return Err(Error::Bundle { path: path.to_path_buf(), reason });
            }
        }
        let mut binding = graph.create_binding()?;
        let memory = graph.allocator();
        let rows = (1..=CHUNK)
            .map(|width| Ok((Tensor::new(memory, [1, width])?, Tensor::new(memory, [1, width])?)))
            .collect::<Result<Vec<_>, ort::Error>>()?;
        let (seqlens, total) = (Tensor::new(memory, [1_usize])?, Tensor::new(memory, Vec::<i64>::new())?);
        let logits = Tensor::new(memory, [1, 1, config.vocab_size])?;
        binding.bind_input("seqlens_k", &seqlens)?;
        binding.bind_input("total_len", &total)?;
        let mut session = Self { graph, binding, rows, seqlens, total, logits, bound: None, width: 0 };
        session.binding.bind_output("logits", &mut session.logits)?;
        Ok(session)
    }

    /// Zeroed keys and values for one conversation, a pair a layer.
    pub(crate) fn new_keys_and_values(&self, config: &Config) -> Result<Vec<KeysValues>, ort::Error> {
        let zeroed = || -> Result<Tensor<f32>, ort::Error> {
            let mut tensor = Tensor::new(self.graph.allocator(), config.kv_shape())?;
            tensor.extract_tensor_mut().1.fill(0.0);
            Ok(tensor)
        };
        (0..config.n_layer).map(|_| Ok((zeroed()?, zeroed()?))).collect()
    }

    /// Runs 1 to [`CHUNK`] `tokens` after the first `past` of `cache` and writes their keys and values there; the
    /// logits of the last one, valid until the next run.
    pub(crate) fn run(
        &mut self,
        cache: &mut KvCache,
        past: usize,
        tokens: &[u32],
    ) -> Result<&[f32], ort::Error> {
        let width = tokens.len();
        let (ids, positions) = &mut self.rows[width - 1];
        for (slot, token) in ids.extract_tensor_mut().1.iter_mut().zip(tokens) {
            *slot = i64::from(*token);
        }
        for (slot, position) in positions.extract_tensor_mut().1.iter_mut().zip(past..) {
            *slot = position as i64;
        }
        if self.width != width {
            self.binding.bind_input("input_ids", &*ids)?;
            self.binding.bind_input("position_ids", &*positions)?;
            self.width = width;
        }
        self.seqlens.extract_tensor_mut().1.fill((past + width - 1) as i32);
        self.total.extract_tensor_mut().1.fill((past + width) as i32);
        if self.bound != Some(cache.number()) {
            // A failure half-way must not leave two conversations bound at once.
            self.bound = None;
            for (layer, (keys, values)) in cache.keys_and_values().iter_mut().enumerate() {
                self.binding.bind_input(format!("past_k{layer}"), &*keys)?;
                self.binding.bind_input(format!("past_v{layer}"), &*values)?;
                self.binding.bind_output(format!("present_k{layer}"), keys)?;
                self.binding.bind_output(format!("present_v{layer}"), values)?;
            }
            self.bound = Some(cache.number());
        }
        self.graph.run_binding(&self.binding)?;
        Ok(self.logits.extract_tensor().1)
    }
}
