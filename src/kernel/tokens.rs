//! The tokens that this server gave out: what each lets run is written down, and taken back once it is over.

use std::collections::HashMap;
use std::path::Path;

use crate::chosen::Limit;
use crate::error::{Error, Result};
use crate::ids::TurnId;
use crate::policy::Surroundings;
use crate::record::{Outcome, Status};
use crate::sandbox::UNCONFINED;
use crate::turn::Issue;
use crate::warrant::{Place, Warrant, Warrants};

/// The newest token of each turn. Dropped, all that nobody took is void.
#[derive(Debug)]
pub(super) struct Tokens {
    warrants: Warrants,
    given: HashMap<TurnId, Given>,
}

#[derive(Debug)]
struct Given {
    token: String,
    /// Why it was never worth anything.
    broken: Option<String>,
}

impl Tokens {
    /// Those under the data directory `data`: none yet.
    pub(super) fn new(data: &Path) -> Self {
        let warrants = Warrants::new(data);
        warrants.sweep();
        Self { warrants, given: HashMap::new() }
    }

    /// Writes down what a token of `turn` lets run. What the turn gave out before is worth nothing any more.
    pub(super) fn issue(&mut self, turn: &TurnId, issue: &Issue, around: &Surroundings) -> Result<()> {
        self.revoke(turn);
        let warrant = Warrant {
            text: issue.action.action().text("cmd").unwrap_or_default().to_owned(),
            steps: issue.steps.clone(),
            unasked: issue.unasked,
            directory: Place::of(&around.base)?,
            cwd: Place::of(&issue.place)?,
            // Whatever was said about it: not more than the session allows.
            network: issue.network && !around.limit.confines(),
            read_only: around.limit == Limit::ReadOnly,
            confined: issue.confined,
            environment: Warrant::environment(),
        };
        self.warrants.issue(&issue.token, &warrant)?;
        self.given.insert(turn.clone(), Given { token: issue.token.clone(), broken: None });
        Ok(())
    }

    /// Notes why a token that is on its way out all the same is worth nothing: so it is told when it was tried.
    pub(super) fn broken(&mut self, turn: &TurnId, token: &str, error: &Error) {
        let given = Given { token: token.to_owned(), broken: Some(error.one_line()) };
        self.given.insert(turn.clone(), given);
    }

    /// What came of a command as this server knows it. Whoever ran it saw a status and words, and any command can end
    /// with those; that it was not run stands where no confined command writes.
    pub(super) fn known(&self, turn: &TurnId, outcome: Outcome) -> Outcome {
        let Some(given) = self.given.get(turn).filter(|_| outcome.status == Status::Done) else {
            return outcome;
        };
        let untouched = || {
            (outcome.exit_code == Some(UNCONFINED.into()) && self.warrants.waits(&given.token)).then(|| {
                "nobody took what its token is good for; was it run with another ORG_AGENT_HOME?".to_owned()
            })
        };
        match given.broken.clone().or_else(|| self.warrants.refusal(&given.token)).or_else(untouched) {
            None => outcome,
            Some(why) => Outcome {
                status: Status::Failed,
                message: Some(format!("the command was not run: {why}")),
                ..Outcome::default()
            },
        }
    }

    /// Takes back what a turn's token is worth, if nobody took it.
    pub(super) fn revoke(&mut self, turn: &TurnId) {
        if let Some(Given { token, .. }) = self.given.remove(turn) {
            self.warrants.revoke(&token);
        }
    }

    /// The same because of `why`, which is told when the token is tried. One that was taken is at work already.
    pub(super) fn void(&mut self, turn: &TurnId, why: &str) {
        if let Some(given) = self.given.get_mut(turn)
            && self.warrants.waits(&given.token)
            && self.warrants.revoke(&given.token)
        {
            given.broken = Some(why.to_owned());
        }
    }

    /// The same for a token of an earlier server, by its logged hash.
    pub(super) fn revoke_hashed(&self, hash: &str) {
        self.warrants.revoke_hashed(hash);
    }

    /// Takes back everything.
    pub(super) fn revoke_all(&mut self) {
        for (_, Given { token, .. }) in self.given.drain() {
            self.warrants.revoke(&token);
        }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.revoke_all();
    }
}
