//! Objects of a bucket, from outside: what of them does not fit, and what they have no more.

use std::time::Duration;

use linkspan_domain::ports::OutboundBody;
use linkspan_testkit::TestPostgres;
use serde_json::Value;

use crate::{
    program::Program,
    pushing::{bucket, put},
};

const HEAD: &str = "id,amount\n";

/// The bucket of a test.
struct Sales(Value);

impl Sales {
    async fn put(&self, object: &str, rows: &str) {
        let path = format!("{}/sales/{object}.csv", self.0["bucket"].as_str().unwrap());
        put(&path, OutboundBody::Bytes(format!("{HEAD}{rows}").into())).await;
    }

    /// The same, a second later: so exact are the times of objects.
    async fn put_again(&self, object: &str, rows: &str) {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        self.put(object, rows).await;
    }

    fn connect(&self, program: &Program) {
        let setting = |name: &str| format!("{name}={}", self.0[name].as_str().unwrap());
        let settings = ["bucket", "endpoint", "access_key_id"].map(setting);
        let fixed = ["path=sales/*.csv", "cursor_column=_object_modified"].map(str::to_owned);
        let mut arguments = vec!["connect", "s3_csv", "--name", "sales"];
        for it in settings.iter().chain(&fixed) {
            arguments.extend(["--set", it.as_str()]);
        }
        arguments.extend(["--set-env", "secret_access_key=SECRET"]);
        program.json(&arguments);
    }
}

/// The exit code of an incremental sync, and what it wrote, deleted and kept aside.
fn sync(program: &Program) -> (i32, [u64; 3]) {
    let ran = program.run(&["sync", "sales", "--incremental", "--json"]);
    let counts = ran.last_line();
    (ran.code, ["written", "deleted", "quarantined"].map(|it| counts[it].as_u64().unwrap()))
}

async fn a_bucket_is_followed(program: Program) {
    let sales = Sales(bucket().await);
    let program = program
        .with("SECRET", sales.0["secret_access_key"].as_str().unwrap())
        .with("LINKSPAN_EGRESS_ALLOW", "127.0.0.0/8");
    for number in 0..5 {
        sales.put(&format!("a{number}"), "1,1.5\n").await;
    }
    sales.put("m", "1,10\n2,ten\n3,30\n4,40\n").await;
    for number in 0..5 {
        sales.put(&format!("z{number}"), "1,1.5\n").await;
    }
    sales.connect(&program);
    assert_eq!(sync(&program), (4, [13, 0, 1]), "all but one");
    sales.put_again("m", "1,10\n2,20\n3,30\n4,40\n").await;
    let (code, [written, deleted, aside]) = sync(&program);
    assert_eq!((code, deleted, aside), (0, 0, 0), "it is mended");
    assert_eq!(written, 4, "each record says when its object was written");
    sales.put_again("m", "1,10\n").await;
    assert_eq!(sync(&program), (0, [1, 3, 0]), "what it has no more goes");
}

#[tokio::test]
async fn a_bucket_is_followed_into_sqlite_whatever_becomes_of_its_objects() {
    a_bucket_is_followed(Program::new()).await;
}

#[tokio::test]
async fn a_bucket_is_followed_into_postgresql_whatever_becomes_of_its_objects() {
    let store = TestPostgres::create().await;
    a_bucket_is_followed(Program::new().with("LINKSPAN_DATABASE_URL", &store.url())).await;
    store.remove().await;
}
