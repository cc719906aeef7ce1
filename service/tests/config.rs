//! The layers of the configuration. What needs an environment of its own runs in a child process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use foretype::cli::{Cli, Command as Verb, KeysCommand, Serve};
use foretype::config::{self, ConfigError};
use foretype::engine::Predictor;

fn serve(arguments: &[&str]) -> Result<Serve, ConfigError> {
    let arguments = ["foretype", "serve"].iter().chain(arguments);
    let Cli { command: Verb::Serve(serve), .. } = config::parse(arguments)? else { panic!("not serve") };
    Ok(serve)
}

fn refusal(arguments: &[&str]) -> String {
    serve(arguments).expect_err("it is wrong").to_string()
}

/// A configuration file, which lives as long as what is returned.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foretype.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn defaults() {
    let serve = serve(&[]).unwrap();
    assert_eq!(
        (serve.listen.to_string(), serve.admin_listen.to_string()),
        ("127.0.0.1:8080".into(), "127.0.0.1:8081".into())
    );
    // Recall is for those who ask for it.
    let five = [Predictor::Gpt2, Predictor::Personal, Predictor::Team, Predictor::Domain, Predictor::Charlm];
    assert_eq!((serve.budget_ms, serve.models.predictors.as_slice()), (20, &five[..]));
}

#[test]
fn the_file_wins_over_defaults_and_a_flag_over_the_file() {
    let (_folder, path) =
        file("budget-ms = 30\nlisten = '127.0.0.1:9000'\npredictors = ['personal', 'domain']\n");
    let from_file = serve(&["--config", &path]).unwrap();
    assert_eq!((from_file.budget_ms, from_file.listen.port()), (30, 9000));
    assert_eq!(from_file.models.predictors, [Predictor::Personal, Predictor::Domain]);
    let flagged = serve(&["--config", &path, "--budget-ms", "40", "--predictors", "gpt2,charlm"]).unwrap();
    assert_eq!((flagged.budget_ms, flagged.listen.port()), (40, 9000));
    assert_eq!(flagged.models.predictors, [Predictor::Gpt2, Predictor::Charlm]);
}

#[test]
fn keys_are_those_of_the_files_data_folder() {
    let (_folder, path) = file("data = '/var/lib/foretype'\nbudget-ms = 30\n");
    let data = |arguments: &[&str]| {
        let arguments = ["foretype", "keys", "--config", &path].into_iter().chain(arguments.iter().copied());
        let Cli { command: Verb::Keys(keys), .. } = config::parse(arguments).unwrap() else {
            panic!("not keys")
        };
        match keys.command {
            KeysCommand::Add(add) => add.data,
            KeysCommand::List { data } | KeysCommand::Revoke { data, .. } => data,
        }
    };
    for verb in [&["add"][..], &["list"], &["revoke", "4f1c0a9be2d7"]] {
        assert_eq!(data(verb).unwrap().to_str(), Some("/var/lib/foretype"), "{verb:?}");
    }
    assert_eq!(data(&["list", "--data", "here"]).unwrap().to_str(), Some("here"));
}

#[test]
fn a_wrong_file_says_where() {
    for (text, names) in [
        ("bugdet-ms = 30", "bugdet-ms"),
        ("config = 'x'", "config"),
        ("budget-ms = 0", "budget-ms"),
        ("budget-ms = 'soon'", "budget-ms"),
        ("predictors = ['gpt3']", "gpt3"),
        ("budget-ms = = 3", "TOML"),
    ] {
        let (_folder, path) = file(text);
        let message = refusal(&["--config", &path]);
        assert!(message.contains(names) && message.contains("foretype.toml"), "{text}: {message}");
    }
    assert!(refusal(&["--config", "/nowhere/at.toml"]).contains("/nowhere/at.toml"));
}

#[test]
fn wrong_flags_are_named() {
    for (flag, value) in
        [("--budget-ms", "1001"), ("--predictors", "gpt2,none"), ("--listen", "here"), ("--threads", "0")]
    {
        assert!(refusal(&[flag, value]).contains(flag), "{flag} {value}");
    }
}

/// What `the_environment_…` reads in its child.
#[test]
#[ignore = "run by the_environment_wins_over_the_file_and_a_flag_over_it"]
fn print_budget() {
    let flags = std::env::var("TEST_FLAGS").unwrap();
    let flags: Vec<_> = flags.split_whitespace().collect();
    assert_eq!(serve(&flags).unwrap().budget_ms.to_string(), std::env::var("TEST_EXPECTED").unwrap());
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_it() {
    let (_folder, path) = file("budget-ms = 30");
    for (flags, variable, expected) in
        [("", None, "30"), ("", Some("40"), "40"), ("--budget-ms 50", Some("40"), "50")]
    {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "print_budget", "--ignored"]);
        child.env("FORETYPE_CONFIG", &path).env("TEST_FLAGS", flags).env("TEST_EXPECTED", expected);
        if let Some(budget) = variable {
            child.env("FORETYPE_BUDGET_MS", budget);
        }
        let output = child.output().unwrap();
        assert!(output.status.success(), "{flags} {variable:?}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}

#[test]
fn every_option_explains_itself_and_has_a_variable() {
    let command = <Cli as clap::CommandFactory>::command();
    for name in ["serve", "complete", "lsp"] {
        let subcommand = command.find_subcommand(name).unwrap();
        for option in subcommand.get_opts() {
            let long = option.get_long().unwrap();
            assert!(option.get_help().is_some(), "{name} --{long} has no help");
            let variable = option.get_env().and_then(|variable| variable.to_str()).unwrap_or_default();
            assert!(variable.starts_with("FORETYPE_"), "{name} --{long} has no variable");
        }
    }
}

#[test]
fn operators_are_on_this_machine() {
    let open = serve(&["--admin-listen", "0.0.0.0:0"]).unwrap();
    let message = foretype::serve::run(&open).expect_err("refused").to_string();
    assert!(message.contains("0.0.0.0") && message.contains("127.0.0.1"), "{message}");
}
