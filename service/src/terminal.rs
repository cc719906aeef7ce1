//! `foretype complete`: one answer for a person at a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::cli::Complete;
use crate::engine::{Completion, Deadline, Engine, Memory, Predictor, Request, Silence};
use crate::serve::{data_folder, open_engine};
use crate::store::{Sqlite, Store, WriterKey};
use crate::writer::{Settings, Team, Writers};

/// Bright black: what is suggested and not yet typed.
const GREY: &str = "\x1b[90m";
const PLAIN: &str = "\x1b[0m";

/// Completes and prints.
pub fn run(complete: &Complete) -> Result<()> {
    ensure!(
        (0.0..=1.0).contains(&complete.min_confidence),
        "--min-confidence must be between 0 and 1, and is {}",
        complete.min_confidence
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = Arc::new(open_engine(&complete.models)?);
        engine.warm_up().await;
        let (memory, team) = known(complete, &engine).await?.unzip();
        let started = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(complete.budget_ms));
        let request = Request {
            role: complete.role.into(),
            memory,
            team: team.flatten(),
            max_suggestions: usize::try_from(complete.max_suggestions)?,
            min_confidence: Some(complete.min_confidence),
            ..Request::new(&complete.text, deadline)
        };
        let completion = engine.complete(request).await;
        let took = started.elapsed();
        let mut out = io::stdout().lock();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&mut out, &complete.text, &completion, took, colour)
    })
}

/// What the writer taught, and what the team shares; read beside a service that may be running.
async fn known(
    complete: &Complete,
    engine: &Arc<Engine>,
) -> Result<Option<(Arc<RwLock<Memory>>, Option<Arc<Team>>)>> {
    let Some(writer) = &complete.writer else { return Ok(None) };
    let folder = data_folder(&complete.models)?;
    let store = Sqlite::open_to_read(&folder);
    let nobody =
        format!("nothing is known about {writer} in {}: teach through /v1/learn first", folder.display());
    let Some(store) = store else { anyhow::bail!(nobody) };
    let store: Arc<dyn Store> = Arc::new(store);
    let writers = Writers::new(store, Settings::default(), Arc::clone(engine));
    let key = WriterKey { tenant: complete.tenant.shared(), writer: writer.shared() };
    let writer = writers.get(&key).await?;
    ensure!(writer.seq() > 0, nobody);
    let team = writer.team().map(|team| writers.teams().get(&team));
    if let Some(team) = &team {
        writers.teams().follow(team).await?;
    }
    Ok(Some((writer.memory(), team)))
}

fn print(
    out: &mut impl Write,
    text: &str,
    completion: &Completion,
    took: Duration,
    colour: bool,
) -> Result<()> {
    let (grey, plain) = if colour { (GREY, PLAIN) } else { ("", "") };
    if let Some(best) = completion.suggestions.first() {
        writeln!(out, "{text}{grey}{}{plain}\n", best.text)?;
        writeln!(out, "  confidence  said by   kind      text")?;
    } else {
        writeln!(out, "{text}\n\n  silent: {}", completion.silence.map_or("no_candidate", Silence::name))?;
    }
    for suggestion in &completion.suggestions {
        let (who, kind) = (suggestion.predictor.name(), suggestion.kind.name());
        writeln!(
            out,
            "  {:>9.1}%  {who:<8}  {kind:<8}  {:?}",
            suggestion.confidence * 100.0,
            suggestion.text
        )?;
    }
    let predictors: Vec<_> = completion.predictors.iter().map(said).collect();
    writeln!(out, "\n  {:.1} ms; {}", took.as_secs_f64() * 1e3, predictors.join(", "))?;
    Ok(())
}

fn said((predictor, status): &(Predictor, crate::engine::Status)) -> String {
    format!("{} {}", predictor.name(), status.name())
}
