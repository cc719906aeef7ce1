//! `foretype build`: from a folder of JSON Lines to a verified bundle.

mod corpus;
mod fit;
mod licences;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use foretype_charlm::{CharBuilder, Lexicon, LexiconBuilder, Slips};
use foretype_markov::{BuildOptions, Builder, segment};
use hashbrown::HashMap;
use indicatif::{ProgressBar, ProgressStyle};

use crate::bundle::{self, File, Fitted, Manifest, TextSource};
use crate::engine::Turn;
use corpus::Source;

/// What `foretype build` is told.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Folder of .jsonl or .jsonl.gz files: dialogues {"turns":[{"role","text"}]} or documents {"author","time","text"}.
    #[arg(long, env = "FORETYPE_CORPUS", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Folder the bundle is written to; gpt2.onnx, gpt2.json and tokenizer.json must be there, in --gpt2 or in --base.
    #[arg(long, env = "FORETYPE_OUT", value_name = "DIR")]
    pub out: PathBuf,
    /// Folder to copy the GPT-2 from, when --out does not hold one yet.
    #[arg(long, env = "FORETYPE_GPT2", value_name = "DIR")]
    pub gpt2: Option<PathBuf>,
    /// Bundle whose n-grams and spelling are kept, for own text of a few megabytes: too little for n-grams of its own.
    /// Mixture weights and calibration are fitted anew if enough of the text is held out. May be --out itself.
    #[arg(long, env = "FORETYPE_BASE", value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Largest n-gram file, megabytes: more of them predict better and take more memory.
    #[arg(long, env = "FORETYPE_NGRAM_MB", default_value_t = 12, value_name = "MB")]
    pub ngram_mb: u64,
    /// ONNX Runtime's library, when it is not found by itself.
    #[arg(long, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

/// A surface must be seen this often to be listed.
const LISTED: u64 = 2;

/// Surfaces listed at most: the most frequent.
const LEXICON: usize = 150_000;

/// Builds, fits, and writes the manifest last, so that a broken build is never taken for a bundle.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    // First what can be wrong with what was given, then what changes --out.
    let sources = read_corpus(args)?;
    let base = args.base.as_ref().map(|base| Manifest::read(base)).transpose();
    let base = base.context("--base is the folder of a finished bundle")?;
    let manifest = args.out.join(bundle::MANIFEST);
    if let (Some(folder), Some(base)) = (&args.base, &base) {
        keep(folder, base, args)?;
    }
    if manifest.exists() {
        fs::remove_file(&manifest).context("cannot replace the old bundle.toml")?;
    }
    copy_neural(args)?;
    let mut figures = BTreeMap::new();
    if let Some(base) = &base {
        let kept = base.figures.iter().filter(|(name, _)| name.ends_with("bytes") || *name == "slips");
        figures.extend(kept.map(|(name, value)| (name.clone(), *value)));
    } else {
        let (counts, slips) = words(&sources);
        figures.insert("slips".to_owned(), slips.len() as f64);
        ngrams(args, &sources, &slips, &mut figures)?;
        spelling(args, &sources, &counts, &slips, &mut figures)?;
    }
    fit::run(args, &sources, &mut figures)?;
    write_manifest(args, &sources, base.map(|base| base.sources).unwrap_or_default(), figures)?;
    tracing::info!(seconds = started.elapsed().as_secs(), bundle = %args.out.display(), "bundle written");
    Ok(())
}

/// Copies the n-grams, the spelling and what was fitted of another bundle; all that is taken of it is verified.
fn keep(base: &Path, manifest: &Manifest, args: &Args) -> Result<()> {
    let kept = [bundle::DOMAIN, bundle::LEXICON, bundle::CHARS, bundle::ENSEMBLE];
    let neural = bundle::NEURAL.into_iter().filter(|_| args.gpt2.is_none() && base != args.out);
    for name in kept.into_iter().chain(neural) {
        let listed =
            manifest.files.get(name).with_context(|| format!("{} does not list {name}", base.display()))?;
        listed.verify(&base.join(name))?;
    }
    for name in kept {
        copy(&base.join(name), &args.out.join(name))?;
    }
    Ok(())
}

/// The GPT-2 of --gpt2, else the one that is there, else that of --base.
fn copy_neural(args: &Args) -> Result<()> {
    let there = bundle::NEURAL.iter().all(|name| args.out.join(name).exists());
    if let Some(from) = args.gpt2.as_ref().or(args.base.as_ref().filter(|_| !there)) {
        for name in bundle::NEURAL {
            copy(&from.join(name), &args.out.join(name))?;
        }
        // The logits of another GPT-2 would be worse than none.
        let (from, to) = (from.join(bundle::REFERENCE), args.out.join(bundle::REFERENCE));
        if from.exists() {
            copy(&from, &to)?;
        } else if to.exists() {
            fs::remove_file(&to).with_context(|| format!("cannot remove {}", to.display()))?;
        }
    } else if !there {
        bail!("{} holds no GPT-2: name the folder of one with --gpt2", args.out.display());
    }
    Ok(())
}

/// Copies a file, but not onto itself, which would empty it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.canonicalize().ok().is_none_or(|path| to.canonicalize().ok() != Some(path)) {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// A progress bar that names its stage; where there is no terminal to draw it, the log names the stage.
fn progress(stage: &'static str, length: u64) -> ProgressBar {
    tracing::info!(stage, length);
    let style = ProgressStyle::with_template("{msg:24} {wide_bar} {percent:>3} %  {elapsed} (left {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(stage)
}

fn read_corpus(args: &Args) -> Result<Vec<Source>> {
    let paths = corpus::files(&args.corpus)?;
    let bar = progress("reading", paths.len() as u64);
    let sources = paths.iter().map(|path| corpus::read(path).inspect(|_| bar.inc(1))).collect();
    bar.finish();
    sources
}

/// The surfaces of the corpus by how often they occur, most frequent first, without those that are slips of others.
fn words(sources: &[Source]) -> (Vec<(String, u64)>, Slips) {
    let bar = progress("counting words", sources.iter().map(Source::messages).sum());
    let mut counts = count(turns(sources).inspect(|_| bar.inc(1)));
    bar.finish();
    let slips = Slips::find(counts.iter().map(|(surface, count)| (surface.as_str(), *count)));
    tracing::info!(slips = slips.len(), "words that are slips of others are not listed");
    counts.retain(|(surface, _)| slips.meant(surface).is_none());
    (counts, slips)
}

fn ngrams(args: &Args, sources: &[Source], slips: &Slips, figures: &mut BTreeMap<String, f64>) -> Result<()> {
    let bar = progress("counting n-grams", sources.iter().map(Source::messages).sum());
    let mut builder =
        Builder::new(BuildOptions { max_bytes: args.ngram_mb << 20, ..BuildOptions::default() });
    for turn in turns(sources) {
        builder.add_message(&turn.text, turn.role);
        bar.inc(1);
    }
    builder.retain(|surface| slips.meant(surface).is_none());
    bar.finish();
    let bar = progress("smoothing, pruning", 1000);
    let mut tell = |done: f32| bar.set_position((done * 1000.0) as u64);
    let stats = builder.finish(&args.out.join(bundle::DOMAIN), &mut tell)?;
    bar.finish();
    tracing::info!(?stats, "n-grams");
    figures.insert("ngram_bytes".to_owned(), File::describe(&args.out.join(bundle::DOMAIN))?.bytes as f64);
    Ok(())
}

fn turns(sources: &[Source]) -> impl Iterator<Item = &Turn> {
    sources.iter().flat_map(|source| &source.train).flat_map(|piece| &piece.turns)
}

fn spelling(
    args: &Args,
    sources: &[Source],
    counts: &[(String, u64)],
    slips: &Slips,
    figures: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let (mut lexicon, mut chars) = (LexiconBuilder::default(), CharBuilder::default());
    for (surface, count) in counts {
        chars.add(surface, *count);
    }
    for (surface, count) in counts.iter().take(LEXICON).take_while(|(_, count)| *count >= LISTED) {
        lexicon.add(surface, *count);
    }
    let bar = progress("spelling", 2);
    lexicon.finish(args.out.join(bundle::LEXICON))?;
    bar.inc(1);
    let lexicon = Lexicon::open(args.out.join(bundle::LEXICON))?;
    chars.finish(args.out.join(bundle::CHARS), &lexicon, &different(sources, slips))?;
    bar.finish();
    for name in [bundle::LEXICON, bundle::CHARS] {
        figures.insert(format!("{name}_bytes"), File::describe(&args.out.join(name))?.bytes as f64);
    }
    Ok(())
}

/// Surfaces by how often they occur, most frequent first.
fn count<'a>(turns: impl Iterator<Item = &'a Turn>) -> Vec<(String, u64)> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for turn in turns {
        for surface in segment::surfaces(&segment::normalise(&turn.text)) {
            *counts.entry_ref(surface).or_insert(0) += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

/// Each different word of the held-out text once, slips aside. By how often they occur the common ones, which the n-grams
/// foresee, would leave the character model nothing; those alone that the n-grams do not have, the lexicon.
fn different(sources: &[Source], slips: &Slips) -> Vec<(String, u64)> {
    let held_out = sources.iter().flat_map(|s| s.held_out.iter().flatten()).flat_map(|piece| &piece.turns);
    let mut words = count(held_out);
    words.retain_mut(|(surface, count)| {
        *count = 1;
        slips.meant(surface).is_none()
    });
    words
}

/// `learned`: the texts that the kept models learned from.
fn write_manifest(
    args: &Args,
    sources: &[Source],
    learned: Vec<TextSource>,
    figures: BTreeMap<String, f64>,
) -> Result<()> {
    let names =
        [bundle::DOMAIN, bundle::LEXICON, bundle::CHARS, bundle::ENSEMBLE].into_iter().chain(bundle::NEURAL);
    let reference = args.out.join(bundle::REFERENCE).exists().then_some(bundle::REFERENCE);
    let names = names.chain(reference);
    let files = names.map(|name| Ok((name.to_owned(), File::describe(&args.out.join(name))?)));
    let manifest = Manifest {
        format: bundle::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        licence: "Apache-2.0".to_owned(),
        figures,
        files: files.collect::<Result<_>>()?,
        sources: learned
            .into_iter()
            .filter(|known| sources.iter().all(|s| s.name != known.name))
            .chain(sources.iter().map(|s| TextSource {
                name: s.name.clone(),
                licence: licences::of(&s.name).to_owned(),
                messages: s.messages(),
            }))
            .collect(),
    };
    write_whole(&args.out.join(bundle::MANIFEST), toml::to_string_pretty(&manifest)?.as_bytes())
}

/// Writes beside the file and renames: it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("partial");
    fs::write(&beside, bytes).with_context(|| format!("cannot write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes ensemble.json.
fn write_fitted(dir: &Path, fitted: &Fitted) -> Result<()> {
    write_whole(&dir.join(bundle::ENSEMBLE), &serde_json::to_vec_pretty(fitted)?)
}
