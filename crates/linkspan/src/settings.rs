//! Settings: `linkspan.toml`, then `LINKSPAN_*` in the environment, then flags.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Value},
};
use linkspan_domain::Secret;
use linkspan_sdk::SourceLimits;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::{
    role::Roles,
    web_address::{InvalidAddress, WebAddress, WebAddresses},
};

/// What an operator can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the database is. Unset: a SQLite file in the data directory.
    pub(crate) database_url: Option<Secret<String>>,
    /// Where the embedded database, keys and uploads are.
    pub(crate) data_dir: PathBuf,
    /// Where the HTTP API listens.
    pub(crate) listen: SocketAddr,
    /// How the outside reaches the API. Unset: as it listens.
    pub(crate) public_url: Option<WebAddress>,
    /// Where people may be sent after they connected something: each with all below it.
    pub(crate) return_urls: WebAddresses,
    /// The key of the first admin. Unset: made at the first start.
    pub(crate) admin_key: Option<Secret<String>>,
    /// The key that seals secrets: 32 bytes, as 64 hexadecimal digits or base64.
    pub(crate) master_key: Option<Secret<String>>,
    /// A file that holds that key.
    pub(crate) master_key_file: Option<PathBuf>,
    /// A program that writes that key to its standard output, with its arguments.
    pub(crate) master_key_command: Option<CommandLine>,
    /// Keys that sealed secrets before, separated by commas.
    pub(crate) master_key_previous: Option<Secret<String>>,
    /// The secret that signs tokens, of at least 32 bytes. Unset: there are none of ours.
    pub(crate) jwt_secret: Option<Secret<String>>,
    /// Secrets that signed tokens before, separated by commas.
    pub(crate) jwt_secret_previous: Option<Secret<String>>,
    /// The identity provider whose tokens are taken, as it calls itself.
    pub(crate) oidc_issuer: Option<String>,
    /// The audience that its tokens for this installation have.
    pub(crate) oidc_audience: Option<String>,
    /// Where its keys are. Unset: where it says itself.
    pub(crate) oidc_jwks_url: Option<Url>,
    /// Proxies whose `X-Forwarded-For` counts, as addresses or networks separated by commas.
    pub(crate) trusted_proxies: String,
    /// Where the program runs.
    pub(crate) mode: Mode,
    /// Networks outside the egress policy, as CIDRs separated by commas.
    pub(crate) egress_allow: String,
    /// Whether hosts of databases are under the egress policy.
    pub(crate) egress_databases: EgressDatabases,
    /// Folders that file connectors may read, separated by colons. The uploads of the data directory are always among them.
    pub(crate) file_roots: String,
    /// Folders that connectors may write files to, separated by colons.
    pub(crate) file_targets: String,
    /// The most bytes of an uploaded file, and of a file that a connector of a server reads.
    pub(crate) upload_bytes: u64,
    /// The most bytes of a CSV file at a URL.
    pub(crate) csv_url_bytes: u64,
    /// What `serve` does.
    pub(crate) role: Roles,
    /// How many runs a worker works on at a time.
    pub(crate) worker_concurrency: usize,
    /// How many seconds a worker may be silent before another takes its runs over.
    pub(crate) lease_secs: NonZeroU32,
    /// How many seconds a shutdown waits for requests and checkpoints.
    pub(crate) shutdown_secs: u64,
    /// What is logged: a filter in the syntax of `tracing`.
    pub(crate) log: String,
    /// How it is logged.
    pub(crate) log_format: LogFormat,
    /// Where a running server is, for commands that need one.
    pub(crate) url: Option<Url>,
    /// The key to that server.
    pub(crate) api_key: Option<Secret<String>>,
    /// The workspace that commands act in, by identifier or slug. Unset: the first that the key works in.
    #[serde(deserialize_with = "word", default)]
    pub(crate) workspace: Option<String>,
}

/// A word. An empty one is none.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|it| !it.is_empty()))
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// On one machine: a missing master key is made and kept in the data directory.
    Development,
    /// For others: a missing master key is refused.
    Production,
}

/// Whether hosts of databases are under the egress policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EgressDatabases {
    /// Any host.
    Exempt,
    /// Only hosts that HTTP requests may go to.
    Guarded,
}

/// A program and its arguments: words with white space between them, or a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum CommandLine {
    /// No word has white space in it. There are no quotes.
    Text(String),
    /// One word each.
    Words(Vec<String>),
}

impl CommandLine {
    /// The program, then its arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Self::Words(words) => words.clone(),
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// What flags said. They win over the file and the environment.
#[derive(Clone, Debug, Default, Serialize, clap::Args)]
pub(crate) struct Flags {
    /// The folder of the embedded database, keys and uploads [default: ./linkspan-data]
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// What to log, such as `info` or `linkspan_engine=debug` [default: error, for `serve` and `worker` info]
    #[arg(long, global = true, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Where the API listens, for `serve` and `quickstart` [default: 127.0.0.1:8787]
    #[arg(long, global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// The workspace to act in, by identifier or slug [default: the first that the key works in]
    #[arg(long, global = true, value_name = "WORKSPACE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
}

#[derive(Serialize)]
struct Defaults {
    data_dir: &'static str,
    listen: &'static str,
    mode: Mode,
    return_urls: &'static str,
    egress_allow: &'static str,
    trusted_proxies: &'static str,
    egress_databases: EgressDatabases,
    file_roots: &'static str,
    file_targets: &'static str,
    upload_bytes: u64,
    csv_url_bytes: u64,
    role: Roles,
    worker_concurrency: usize,
    lease_secs: u32,
    shutdown_secs: u64,
    log: &'static str,
    log_format: LogFormat,
}

/// A setting that cannot be read. Names the setting, never its value.
#[derive(Debug, thiserror::Error)]
#[error(
    "the setting `{name}` cannot be read: {problem}; it comes from linkspan.toml, from {variable} or from a flag"
)]
pub(crate) struct InvalidSettings {
    name: String,
    variable: String,
    problem: &'static str,
}

impl Settings {
    /// Reads everything there is. `log` is what is logged unless somebody says otherwise.
    pub(crate) fn read(flags: &Flags, log: &'static str) -> Result<Self, InvalidSettings> {
        let limits = SourceLimits::default();
        let defaults = Defaults {
            data_dir: "./linkspan-data",
            listen: "127.0.0.1:8787",
            mode: Mode::Development,
            return_urls: "",
            egress_allow: "",
            trusted_proxies: "",
            egress_databases: EgressDatabases::Exempt,
            file_roots: "",
            file_targets: "",
            upload_bytes: limits.file_bytes,
            csv_url_bytes: limits.download_bytes,
            role: Roles::all(),
            worker_concurrency: 2,
            lease_secs: 60,
            shutdown_secs: 20,
            log,
            log_format: LogFormat::Text,
        };
        Figment::from(Serialized::defaults(defaults))
            .merge(Toml::file("linkspan.toml"))
            .merge(Serialized::defaults(variables()))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| InvalidSettings::of(&error))
    }

    /// Where the database is.
    pub(crate) fn database_url(&self) -> Secret<String> {
        self.database_url.clone().unwrap_or_else(|| {
            let file = self.data_dir.join("linkspan.db");
            Secret::new(format!("sqlite://{}", file.display()))
        })
    }

    /// How the outside reaches the API.
    pub(crate) fn public_url(&self) -> String {
        self.public_url.as_ref().map_or_else(
            || format!("http://{}", self.listen),
            |it| it.as_url().as_str().trim_end_matches('/').to_owned(),
        )
    }
}

/// Every setting, as files and the environment call it.
pub(crate) const NAMES: [&str; 32] = [
    "admin_key",
    "api_key",
    "csv_url_bytes",
    "data_dir",
    "database_url",
    "egress_allow",
    "egress_databases",
    "file_roots",
    "file_targets",
    "jwt_secret",
    "jwt_secret_previous",
    "lease_secs",
    "listen",
    "log",
    "log_format",
    "master_key",
    "master_key_command",
    "master_key_file",
    "master_key_previous",
    "mode",
    "oidc_audience",
    "oidc_issuer",
    "oidc_jwks_url",
    "public_url",
    "return_urls",
    "role",
    "shutdown_secs",
    "trusted_proxies",
    "upload_bytes",
    "url",
    "worker_concurrency",
    "workspace",
];

/// What every variable of ours begins with.
const PREFIX: &str = "LINKSPAN_";

/// What is no text: numbers, and a command, which may be a list.
const PARSED: [&str; 6] = [
    "csv_url_bytes",
    "lease_secs",
    "master_key_command",
    "shutdown_secs",
    "upload_bytes",
    "worker_concurrency",
];

/// `LINKSPAN_*`. Others are left alone: where a service is called `linkspan`, Kubernetes sets some of its own.
///
/// A text stays the text that it is, whatever else could be read into it: a workspace may be called `007`.
fn variables() -> Dict {
    let given = Env::prefixed(PREFIX).only(&NAMES);
    let read = given.iter().map(|(name, text)| {
        let value = match text.parse() {
            // A text between quotes is what is between them.
            Ok(value @ Value::String(..)) => value,
            Ok(value) if PARSED.contains(&name.as_str()) => value,
            _ => Value::from(text),
        };
        (name.to_string(), value)
    });
    read.collect()
}

/// A variable that stands for a flag of `quickstart` alone.
const FLAG: &str = "quickstart_postgres";

/// Variables that begin like ours, but are no settings: misspelled, maybe.
pub(crate) fn unknown_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = |name: &String| {
        let setting = name.strip_prefix(PREFIX).map(str::to_lowercase);
        setting.is_some_and(|it| !NAMES.contains(&it.as_str()) && it != FLAG)
    };
    names.filter(unknown).collect()
}

impl InvalidSettings {
    /// Keeps the name and the kind of the problem: the message of the library quotes the value.
    fn of(error: &figment::Error) -> Self {
        use figment::error::Kind;
        let name = match &error.kind {
            Kind::UnknownField(name, _) => name.clone(),
            _ if error.path.is_empty() => "linkspan.toml".to_owned(),
            _ => error.path.join("."),
        };
        let problem = match &error.kind {
            Kind::UnknownField(..) => "there is no such setting",
            Kind::UnknownVariant(..) => "it is none of the words it may be",
            Kind::InvalidType(..) | Kind::InvalidValue(..) => "it has the wrong shape",
            Kind::MissingField(_) => "it is missing",
            Kind::Message(says) if says == InvalidAddress::SAYS => InvalidAddress::SAYS,
            _ => "it does not parse",
        };
        Self { variable: format!("LINKSPAN_{}", name.to_uppercase()), name, problem }
    }
}

#[cfg(test)]
#[expect(clippy::result_large_err, reason = "figment's test jail answers its own error")]
mod tests {
    use figment::Jail;

    use super::*;

    fn read(flags: &Flags) -> Result<Settings, InvalidSettings> {
        Settings::read(flags, "warn")
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        Jail::expect_with(|jail| {
            jail.create_file(
                "linkspan.toml",
                "listen = \"127.0.0.1:1\"\ndata_dir = \"a\"\nlog = \"info\"",
            )?;
            jail.set_env("LINKSPAN_LISTEN", "127.0.0.1:2");
            jail.set_env("LINKSPAN_DATA_DIR", "b");
            let flags = Flags { data_dir: Some("c".into()), ..Flags::default() };
            let settings = read(&flags).unwrap();
            assert_eq!(settings.listen.port(), 2);
            assert_eq!(settings.data_dir, PathBuf::from("c"));
            assert_eq!(settings.log, "info");
            Ok(())
        });
    }

    #[test]
    fn a_misspelled_setting_of_the_file_is_named() {
        Jail::expect_with(|jail| {
            jail.create_file("linkspan.toml", "lissen = \"127.0.0.1:2\"")?;
            let refused = read(&Flags::default()).unwrap_err().to_string();
            assert!(refused.contains("`lissen`"), "{refused}");
            Ok(())
        });
    }

    #[test]
    fn variables_that_are_no_settings_are_left_alone_but_known() {
        Jail::expect_with(|jail| {
            jail.set_env("LINKSPAN_PORT_8787_TCP", "tcp://10.0.0.1:8787");
            assert!(read(&Flags::default()).is_ok());
            assert!(unknown_variables().contains(&"LINKSPAN_PORT_8787_TCP".to_owned()));
            Ok(())
        });
    }

    #[test]
    fn every_setting_can_be_read_and_is_documented() {
        let page = include_str!("../../../docs/settings.md");
        for name in NAMES {
            let variable = format!("{PREFIX}{}", name.to_uppercase());
            assert!(page.contains(&format!("| `{name}` | `{variable}` |")), "{name}");
            Jail::expect_with(|jail| {
                jail.set_env(&variable, "[]");
                // What is no text is refused; the rest may hold anything.
                let problem = read(&Flags::default()).err().map(|it| it.problem);
                assert_ne!(problem, Some("there is no such setting"), "{name}");
                Ok(())
            });
        }
    }

    #[test]
    fn a_workspace_may_be_called_like_a_number() {
        Jail::expect_with(|jail| {
            for name in ["2024", "007", "1e3", "1.50", "true", "acme"] {
                jail.set_env("LINKSPAN_WORKSPACE", name);
                assert_eq!(read(&Flags::default()).unwrap().workspace.as_deref(), Some(name));
            }
            let flags = Flags { workspace: Some("7".to_owned()), ..Flags::default() };
            assert_eq!(read(&flags).unwrap().workspace.as_deref(), Some("7"));
            Ok(())
        });
    }

    #[test]
    fn a_text_in_the_environment_is_not_taken_for_a_number() {
        Jail::expect_with(|jail| {
            for text in ["007", "1e3", "[a]"] {
                for name in ["API_KEY", "DATA_DIR", "FILE_ROOTS", "OIDC_AUDIENCE", "LOG"] {
                    jail.set_env(format!("LINKSPAN_{name}"), text);
                }
                let settings = read(&Flags::default()).unwrap();
                assert_eq!(settings.api_key.unwrap().expose(), text);
                assert_eq!(settings.data_dir, PathBuf::from(text));
                assert_eq!(settings.file_roots, text);
                assert_eq!(settings.oidc_audience.as_deref(), Some(text));
                assert_eq!(settings.log, text);
            }
            jail.set_env("LINKSPAN_WORKER_CONCURRENCY", "7");
            assert_eq!(read(&Flags::default()).unwrap().worker_concurrency, 7);
            Ok(())
        });
    }

    #[test]
    fn a_command_is_a_text_of_words_or_a_list() {
        Jail::expect_with(|jail| {
            let words = || read(&Flags::default()).unwrap().master_key_command.unwrap().words();
            jail.set_env("LINKSPAN_MASTER_KEY_COMMAND", "pass  show linkspan");
            assert_eq!(words(), ["pass", "show", "linkspan"]);
            jail.set_env("LINKSPAN_MASTER_KEY_COMMAND", r#"["pass", "show", "a b"]"#);
            assert_eq!(words(), ["pass", "show", "a b"]);
            Ok(())
        });
    }

    #[test]
    fn an_address_that_nobody_can_be_sent_to_is_refused_and_not_repeated() {
        Jail::expect_with(|jail| {
            for name in ["LINKSPAN_PUBLIC_URL", "LINKSPAN_RETURN_URLS"] {
                for bad in ["ftp://linkspan.test", "https://admin:hunter2@linkspan.test", "?"] {
                    jail.set_env(name, bad);
                    let refused = read(&Flags::default()).unwrap_err().to_string();
                    assert!(refused.contains(name), "{refused}");
                    assert!(refused.contains(InvalidAddress::SAYS), "{refused}");
                    assert!(!refused.contains("hunter2"), "{refused}");
                }
                jail.set_env(name, "https://linkspan.test/base/");
                assert!(read(&Flags::default()).is_ok());
            }
            assert_eq!(read(&Flags::default()).unwrap().public_url(), "https://linkspan.test/base");
            Ok(())
        });
    }

    #[test]
    fn a_key_of_digits_stays_a_key_and_no_error_repeats_it() {
        Jail::expect_with(|jail| {
            jail.set_env("LINKSPAN_MASTER_KEY", "1".repeat(64));
            assert_eq!(
                *read(&Flags::default()).unwrap().master_key.unwrap().expose(),
                "1".repeat(64)
            );
            jail.set_env("LINKSPAN_MODE", "hunter2");
            assert!(!read(&Flags::default()).unwrap_err().to_string().contains("hunter2"));
            Ok(())
        });
    }
}
