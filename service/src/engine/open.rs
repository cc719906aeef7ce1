//! Loading: the only place where the engine can fail.

use std::path::PathBuf;
use std::time::Duration;

use foretype_markov::{Limits, PersonalModel, Role};
use foretype_models::{Gpt2, Kernel, Options};

use super::{Deadline, Engine, Predictor, Request, Turn};
use crate::bundle::{Bundle, BundleError};
use crate::ensemble::gate::Gained;
use crate::inference::Inference;
use crate::session::Sessions;

/// What an engine is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the bundle.
    pub bundle: PathBuf,
    /// ONNX Runtime's library; `None`: it is looked for.
    pub runtime: Option<PathBuf>,
    /// Who is served.
    pub predictors: Vec<Predictor>,
    /// KV caches kept, bytes.
    pub kv_bytes: usize,
    /// Threads that run the GPT-2, each with a session of ONNX Runtime of its own; at least one.
    pub inference_threads: usize,
    /// Who computes the GPT-2's products with 4-bit weights, and its attention.
    pub kernel: Kernel,
    /// The GPT-2 is asked where that pays, as if at least so many questions were ahead. `None`: everywhere, whatever it takes.
    pub thrift: Option<u32>,
}

impl Settings {
    /// The models of a folder with one inference thread, no KV cache but the newest, and the GPT-2 asked everywhere.
    pub fn new(bundle: PathBuf, predictors: Vec<Predictor>) -> Self {
        let kernel = Kernel::default();
        Self { bundle, runtime: None, predictors, kv_bytes: 0, inference_threads: 1, kernel, thrift: None }
    }
}

/// Why an engine cannot be opened; the messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// ONNX Runtime or the GPT-2.
    #[error(transparent)]
    Models(#[from] foretype_models::Error),
    /// An inference thread.
    #[error("an inference thread cannot be started: {0}. The system is out of threads or memory.")]
    Thread(std::io::Error),
}

/// What a health check tells.
#[derive(Clone, Debug)]
pub struct Health {
    /// The bundle's version.
    pub bundle: String,
    /// Who is served.
    pub predictors: Vec<Predictor>,
}

impl Engine {
    /// Verifies and loads the bundle; with `gpt2`, loads ONNX Runtime and starts the inference threads.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let bundle = Bundle::open(&settings.bundle)?;
        Self::with_bundle(bundle, settings)
    }

    /// The same with a bundle that is already loaded.
    pub fn with_bundle(bundle: Bundle, settings: &Settings) -> Result<Self, OpenError> {
        let enabled = Predictor::ALL.map(|p| settings.predictors.contains(&p));
        let inference = if enabled[Predictor::Gpt2 as usize] {
            foretype_models::load_runtime(settings.runtime.as_deref())?;
            let mut options = Options::default();
            options.kernel = settings.kernel;
            let threads = 0..settings.inference_threads.max(1);
            let models: Vec<Gpt2> =
                threads.map(|_| Gpt2::load(&settings.bundle, options)).collect::<Result<_, _>>()?;
            tracing::info!(kernel = models[0].kernel().name(), "GPT-2 loaded");
            Some(Inference::start(models, settings.kv_bytes).map_err(OpenError::Thread)?)
        } else {
            None
        };
        let nobody = PersonalModel::new(Limits::default());
        let thrift = settings.thrift;
        let (gained, sessions) = (Gained::default(), Sessions::default());
        Ok(Self { bundle, inference, thrift, gained, enabled, sessions, nobody, fixed: None })
    }

    /// Answers once, so that the first writer does not pay for what is set up on first use (compiled expressions,
    /// pages of the models, the first KV cache).
    pub async fn warm_up(&self) {
        for text in ["", "Thanks for calling, I can he", "We will rev"] {
            let context = vec![Turn { role: Role::Customer, text: "Hello, I need some help.".to_owned() }];
            let deadline = Deadline::after(Duration::from_millis(200));
            let request = Request { context, role: Role::Agent, ..Request::new(text, deadline) };
            self.complete(request).await;
        }
    }

    /// What it serves.
    pub fn health(&self) -> Health {
        let predictors = Predictor::ALL.into_iter().filter(|p| self.is_enabled(*p)).collect();
        Health { bundle: self.bundle.version.clone(), predictors }
    }
}
