//! Who computes products with 4-bit weights, and attention, and which of them is quicker on this machine.

use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Error, Gpt2, KvCache, Options, Prompt, Role};

/// Passes that are timed: a neighbour on the core may disturb some of them.
const ROUNDS: u32 = 12;
/// Tokens of the passes that are timed: a lone one, and as many as most passes over trees have.
const WIDTHS: [usize; 2] = [1, 4];
/// What they go on from.
const TEXT: &str =
    "Thanks for calling, I can help you with that. Could you please tell me the last four digits of";

/// Who computes products with 4-bit weights, and the attention to what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// Whichever is quicker on this machine, measured once a process when the first model is loaded (half a second).
    #[default]
    Fastest,
    /// Ours, where the processor has AVX2; else ONNX Runtime's.
    Own,
    /// ONNX Runtime's.
    Runtime,
}

impl Kernel {
    const ALL: [Self; 3] = [Self::Fastest, Self::Own, Self::Runtime];

    /// The name in options and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fastest => "fastest",
            Self::Own => "own",
            Self::Runtime => "onnxruntime",
        }
    }
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Loads a model with the kernel that is quicker.
pub(crate) fn fastest(dir: &Path, options: Options) -> Result<Gpt2, Error> {
    static OWN: OnceLock<bool> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Gpt2::load_with(dir, options, *own);
    }
    let mut runtime = Gpt2::load_with(dir, options, false)?;
    let own = Gpt2::load_with(dir, options, true);
    let Some(mut own) = own.ok().filter(|model| model.kernel() == Kernel::Own) else { return Ok(runtime) };
    let is_quicker = *OWN.get_or_init(|| is_quicker(&mut own, &mut runtime));
    Ok(if is_quicker { own } else { runtime })
}

/// Whether the first of two models is, pass by pass in turn so that what disturbs one disturbs the other.
fn is_quicker(a: &mut Gpt2, b: &mut Gpt2) -> bool {
    let mut models = [(a, KvCache::default()), (b, KvCache::default())];
    let mut least = [[Duration::MAX; WIDTHS.len()]; 2];
    for round in 0..ROUNDS {
        for (width, at) in WIDTHS.into_iter().zip(0..) {
            for ((model, cache), least) in models.iter_mut().zip(&mut least) {
                let taken = time(model, cache, width as u32, round);
                least[at] = least[at].min(taken);
            }
        }
    }
    let [a, b] = least.map(|widths| widths.iter().sum::<Duration>());
    a < b
}

/// What a pass takes over `width` tokens behind [`TEXT`] said four times, which is as long as conversations are; other ones in every round.
fn time(model: &mut Gpt2, cache: &mut KvCache, width: u32, round: u32) -> Duration {
    let before = [TEXT; 4].join(". ");
    let prompt = Prompt { turns: &[], role: Role::Agent, before: &before, prefix: "" };
    model.prefill(cache, &prompt, &|_| false);
    let context = model.tokens(cache, &prompt);
    let first = 300 + round * 16 + width * 1_000;
    let paths: Vec<_> = (first..first + width).map(|token| [context.as_slice(), &[token]].concat()).collect();
    let started = Instant::now();
    model.pass(cache, &paths);
    started.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(kernel: Kernel) -> Gpt2 {
        crate::load_runtime(None).unwrap_or_else(|error| panic!("{error}"));
        let bundle = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle"));
        Gpt2::load(bundle, Options { kernel, ..Options::default() }).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn kernels_have_names() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.name().parse(), Ok(kernel));
        }
        let error = Kernel::from_str("quick").expect_err("no kernel");
        assert_eq!(error, "must be one of fastest, own, onnxruntime");
    }

    #[test]
    fn both_kernels_foresee_the_same() {
        let (mut own, mut runtime) = (load(Kernel::Own), load(Kernel::Runtime));
        assert_eq!(runtime.kernel(), Kernel::Runtime);
        assert_eq!(own.kernel() == Kernel::Own, crate::product::Processor::detect().is_some());
        let ids = own.tokens(
            &mut KvCache::default(),
            &Prompt { turns: &[], role: Role::Agent, before: TEXT, prefix: "" },
        );
        for length in 1..=ids.len() {
            let [a, b] = [&mut own, &mut runtime]
                .map(|model| model.distribution(&mut KvCache::default(), &ids[..length]));
            let divergence = crate::parity::kl(&a, &b);
            // Ours attends to what is rounded already: 5.8e-3 at most.
            assert!(divergence < 1e-2, "{length}: {divergence}");
        }
    }

    #[test]
    fn the_fastest_is_one_of_them() {
        assert!([Kernel::Own, Kernel::Runtime].contains(&load(Kernel::Fastest).kernel()));
    }
}
