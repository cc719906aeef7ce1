//! The binary over the shipped models, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

pub fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle")
}

/// `foretype serve` without the GPT-2, which takes a second to load, on ports of the system's choice.
pub fn command(bundle: &Path, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foretype"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--predictors", "personal,domain,charlm", "--bundle"]).arg(bundle).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub struct Running {
    pub child: Child,
    /// Held, so that the service can go on writing.
    pub _out: BufReader<ChildStdout>,
    pub address: String,
}

pub fn start(data: &Path) -> Running {
    started(command(&bundle(), data))
}

pub fn started(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim_end().rsplit_once("http://").expect(&line).1.to_owned();
    Running { child, _out: out, address }
}
