//! What the driver says, in words for the person who uses the connector.

use linkspan_sdk::Failure;
use sqlx::{Error, mysql::MySqlDatabaseError};

use crate::server::refused;

/// What `error` means. `system` names the server, for a person.
///
/// Numbers are those of the MySQL error reference, which MariaDB shares below 1900.
pub(crate) fn failure(system: &str, error: Error) -> Failure {
    let said = error.as_database_error();
    let said = said.and_then(|it| it.try_downcast_ref::<MySqlDatabaseError>());
    match said.map(MySqlDatabaseError::number) {
        // Refused, not allowed without a password, expired.
        Some(1045 | 1698 | 1820 | 1862) => Failure::Unauthorized,
        // Unknown, or hidden from this login.
        Some(1044 | 1049) => Failure::NotFound("the database".to_owned()),
        Some(1051 | 1146) => Failure::NotFound("the table".to_owned()),
        Some(1054) => Failure::NotFound("a column".to_owned()),
        Some(1142 | 1143 | 1227) => {
            Failure::Refused("the credentials may not read that; grant SELECT on it".to_owned())
        }
        Some(1129 | 1130) => Failure::Refused(
            "the server lets nobody in from this address; allow it for the user, or unblock it"
                .to_owned(),
        ),
        Some(1356) => Failure::Refused(
            "a view refers to something that is gone, or that its owner may not read; mend the view"
                .to_owned(),
        ),
        Some(_) if said.is_some_and(is_outage) => Failure::unavailable(system, error),
        Some(_) => refused(system, &error),
        None => match error {
            Error::Tls(_) => Failure::Refused(
                "no encrypted connection could be agreed on; check `sslmode` and the server's certificate"
                    .to_owned(),
            ),
            // The driver has no way to send this kind of password in the open.
            Error::Configuration(_) => Failure::Refused(
                "this login needs an encrypted connection; set `sslmode` to `require`".to_owned(),
            ),
            other => Failure::unavailable(system, other),
        },
    }
}

/// Whether the same may succeed in a moment: the connection is lost, the server ends or lacks something, or others were
/// in the way. Most of these have no state of their own.
fn is_outage(said: &MySqlDatabaseError) -> bool {
    let by_state = said.code().is_some_and(|it| it.starts_with("08") || it.starts_with("40"));
    // The disk, memory or threads of the server; the connections or queries that a user may have.
    let lacks = matches!(said.number(), 1021 | 1037 | 1038 | 1041 | 1135 | 1203 | 1226);
    // A lock was waited for in vain; the connection was ended; the server is offline.
    let is_away = matches!(said.number(), 1205 | 1927 | 3032 | 3168 | 3169 | 4031);
    by_state || lacks || is_away
}
