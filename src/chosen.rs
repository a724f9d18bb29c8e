//! What is chosen for a session and the server itself obeys: two of the values that clients keep with it.
//!
//! They are values like any others: kept, copied and taken back with the session, and set by the same request. These two are
//! checked when they are set. One that is there all the same and says nothing (an older log, a newer program) counts
//! as the strictest.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The value that is the name of the skill as which the assistant speaks.
pub const PERSONA: &str = "orgAgent.persona";

/// The value that is a [`Limit`], by its name.
pub const SANDBOX: &str = "orgAgent.sandbox";

/// The longest name of a skill, in bytes.
const NAME: usize = 200;

/// What commands of a session may do at most: less than is configured, never more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// As everywhere.
    #[default]
    Configured,
    /// None gets the network or runs without the sandbox, whatever the user says about one.
    NoNetwork,
    /// The same, and none writes in the session's directory.
    ReadOnly,
}

impl Limit {
    /// All of them, the loosest first.
    pub const ALL: [Self; 3] = [Self::Configured, Self::NoNetwork, Self::ReadOnly];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::NoNetwork => "no-network",
            Self::ReadOnly => "read-only",
        }
    }

    /// That of a session with these values.
    #[must_use]
    pub fn of(values: &Map<String, Value>) -> Self {
        let Some(value) = values.get(SANDBOX) else { return Self::default() };
        Self::ALL.into_iter().find(|limit| value == limit.as_str()).unwrap_or(Self::ReadOnly)
    }

    /// Whether every command has to be confined, without the network.
    #[must_use]
    pub fn confines(self) -> bool {
        self > Self::Configured
    }
}

/// The skill as which the assistant speaks in a session with these values, if one was chosen.
#[must_use]
pub fn persona(values: &Map<String, Value>) -> Option<&str> {
    values.get(PERSONA).and_then(Value::as_str)
}

/// Checks the values that the server obeys.
///
/// # Errors
/// `bad_request`, naming the value.
pub fn check(values: &Map<String, Value>) -> Result<()> {
    if let Some(value) = values.get(SANDBOX)
        && !Limit::ALL.iter().any(|limit| value == limit.as_str())
    {
        let names: Vec<&str> = Limit::ALL.iter().map(|limit| limit.as_str()).collect();
        return Err(Error::bad_request(format!("values: {SANDBOX}: there is no such sandbox"))
            .hint(format!("there are {}", names.join(", "))));
    }
    if let Some(value) = values.get(PERSONA)
        && !value.as_str().is_some_and(|name| !name.is_empty() && name.len() <= NAME)
    {
        return Err(Error::bad_request(format!("values: {PERSONA}: not the name of a skill"))
            .hint("leave it out for the persona that is configured"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_limit_that_nobody_understands_is_the_strictest() {
        assert_eq!(Limit::of(&values(&json!({"sandbox": "read-only"}))), Limit::Configured);
        for limit in Limit::ALL {
            assert_eq!(Limit::of(&values(&json!({SANDBOX: limit.as_str()}))), limit);
        }
        for strange in [json!("none"), json!(""), json!(null), json!(false), json!({})] {
            assert_eq!(Limit::of(&values(&json!({SANDBOX: strange}))), Limit::ReadOnly);
        }
        assert!(Limit::Configured < Limit::NoNetwork && Limit::NoNetwork < Limit::ReadOnly);
    }

    #[test]
    fn what_the_server_obeys_is_checked() {
        for good in [
            json!({}),
            json!({"sandbox": 7, "persona": null, "acp.mode": "talk"}),
            json!({SANDBOX: "no-network", PERSONA: "pirate"}),
        ] {
            assert!(check(&values(&good)).is_ok(), "{good}");
        }
        for bad in [
            json!({SANDBOX: "off"}),
            json!({SANDBOX: null}),
            json!({PERSONA: ""}),
            json!({PERSONA: ["pirate"]}),
            json!({PERSONA: "x".repeat(NAME + 1)}),
        ] {
            assert!(check(&values(&bad)).is_err(), "{bad}");
        }
    }
}
