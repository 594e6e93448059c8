//! Waiting, as a step between others.

use std::time::Duration;

use linkspan_domain::Category;
use linkspan_sdk::{CheckOutcome, Command, CommandEntry, ConnectorType, Cx, Failure, command};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

pub(crate) struct Delay;

impl ConnectorType for Delay {
    const KEY: &'static str = "delay";
    const TITLE: &'static str = "Delay";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Core;
    const TAGS: &'static [&'static str] = &["wait", "pause"];
    type Settings = Settings;
    type Shared = ();

    fn commands() -> Vec<CommandEntry<Self>> {
        vec![command::<Wait>()]
    }

    async fn check(_: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        Ok(CheckOutcome::ok("ready"))
    }
}

/// Waits between the steps of a workflow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

/// Waits for a while.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// How long, in milliseconds; five minutes at most.
    #[schemars(range(max = 300_000))]
    milliseconds: u64,
}

/// The time is over.
#[derive(Serialize, JsonSchema)]
struct Waited {
    /// How long it was, in milliseconds.
    milliseconds: u64,
}

impl Command for Wait {
    type Of = Delay;
    type Output = Waited;
    const NAME: &'static str = "wait";

    async fn run(self, _: &Cx<Delay>) -> Result<Waited, Failure> {
        tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
        Ok(Waited { milliseconds: self.milliseconds })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_sdk::{Definition, Environment, OpenHosts, conformance};
    use linkspan_testkit::{Answer, Answers};
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::{Delay, Failure};

    fn environment() -> Environment {
        Environment::new(Arc::new(Answers::always(Answer::Unreachable)), Arc::new(OpenHosts))
    }

    async fn wait(milliseconds: u64, environment: Environment) -> Result<Value, Failure> {
        let parameters = json!({ "milliseconds": milliseconds });
        Definition::of::<Delay>().run_command("wait", json!({}), parameters, environment).await
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_is_told() {
        let begin = Instant::now();
        let waited = wait(1500, environment()).await.unwrap();
        assert_eq!(waited, json!({ "milliseconds": 1500 }));
        assert_eq!(begin.elapsed().as_millis(), 1500);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_five_minutes_are_refused() {
        let failure = wait(300_001, environment()).await.unwrap_err();
        assert_eq!(failure.to_string(), "parameters: `milliseconds` must be at most 300000");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_can_be_cancelled() {
        let environment = environment();
        let cancel = environment.cancel.clone();
        let waiting = tokio::spawn(wait(300_000, environment));
        tokio::task::yield_now().await;
        cancel.cancel();
        assert!(matches!(waiting.await.unwrap(), Err(Failure::Cancelled)));
    }

    #[tokio::test]
    async fn settings_are_taken_as_they_should() {
        let subject = conformance::Subject {
            definition: Definition::of::<Delay>(),
            environment: environment(),
            settings: json!({}),
            refused: Vec::new(),
            cursors: Vec::new(),
        };
        assert_eq!(conformance::of_check(&subject).await, [""; 0]);
    }
}
