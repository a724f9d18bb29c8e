//! The rules as a table: a name, what it says, who keeps it, and where `docs/protocol.md` says so.

use super::message::Side;

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// What comes is a message.
    Line,
    /// Fields are there and have their types and bounds.
    Shape,
    /// Every answer has its request.
    Answer,
    /// The life cycle of LSP.
    Life,
    /// Errors say what programs and people need.
    Error,
    /// What starts a turn is answered before its messages.
    First,
    /// A turn's messages are numbered.
    Seq,
    /// A turn ends once.
    End,
    /// A turn begins as `accepted`.
    Begin,
    /// Model calls are numbered.
    Attempt,
    /// What was shown is what the action says.
    Text,
    /// After a retraction nothing more comes of that attempt.
    Retract,
    /// Nothing is sent that the client does not want.
    Wanted,
    /// An action's identifier stands for one action.
    Action,
    /// A command that may run comes with its token.
    Token,
    /// Only methods that the server has.
    Method,
    /// The server's requests are answered at once.
    Ack,
    /// Every insert is reported.
    Report,
    /// Only actions that there are, and the same outcome each time.
    Outcome,
    /// No command before its decision.
    Decide,
    /// The outcome of a command comes with its token.
    Return,
    /// A message has a `clientId` of its own.
    ClientId,
    /// Pieces of output are numbered, and end with the outcome.
    Output,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Line,
        Self::Shape,
        Self::Answer,
        Self::Life,
        Self::Error,
        Self::First,
        Self::Seq,
        Self::End,
        Self::Begin,
        Self::Attempt,
        Self::Text,
        Self::Retract,
        Self::Wanted,
        Self::Action,
        Self::Token,
        Self::Method,
        Self::Ack,
        Self::Report,
        Self::Outcome,
        Self::Decide,
        Self::Return,
        Self::ClientId,
        Self::Output,
    ];

    /// Its name, what it says, and the heading of `docs/protocol.md` that says so.
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Line => {
                ("message", "each frame, and each line of a record, is a message of JSON-RPC", "frames")
            }
            Self::Shape => (
                "shape",
                "fields are there, have their types, and are within their bounds",
                "methods-of-the-server",
            ),
            Self::Answer => {
                ("answer", "an answer belongs to a request, and a request has one answer", "life-cycle")
            }
            Self::Life => (
                "life-cycle",
                "initialize comes first and is answered, after shutdown comes only exit",
                "life-cycle",
            ),
            Self::Error => ("error", "an error has its number, a code and a hint", "errors"),
            Self::First => {
                ("answer-first", "what starts a turn is answered before the turn's messages", "order")
            }
            Self::Seq => ("seq", "the messages of a turn are numbered from 1, one by one", "order"),
            Self::End => ("one-end", "a turn ends once, and then says no more", "turns"),
            Self::Begin => ("begin", "a turn begins as accepted, and is that once", "turns"),
            Self::Attempt => {
                ("attempt", "the model calls of a turn are numbered from 1 and rise", "orgagentdelta")
            }
            Self::Text => (
                "text",
                "the deltas of an attempt that was not retracted are the text of its action",
                "orgagentdelta",
            ),
            Self::Retract => {
                ("retract", "after a retraction no delta of that attempt comes", "orgagentretract")
            }
            Self::Wanted => (
                "wanted",
                "deltas, thoughts, steps and actions come only to a client that announced them",
                "initialize",
            ),
            Self::Action => (
                "action",
                "an actuationId stands for one action; a command or a new text for a region is sent at most once",
                "orgagentactuate",
            ),
            Self::Token => {
                ("token", "a command that may run comes with a token, another without", "orgagentdecide")
            }
            Self::Method => ("method", "a client uses only methods that the server announced", "initialize"),
            Self::Ack => {
                ("ack", "actions, and requests to stop them, are answered at once", "orgagentactuate")
            }
            Self::Report => ("report", "every accepted action is reported", "orgagentactuated"),
            Self::Outcome => (
                "outcome",
                "what is decided or reported was sent, and is reported the same way each time",
                "orgagentactuated",
            ),
            Self::Decide => ("decide-first", "no command runs before it may", "what-a-client-must-do"),
            Self::Return => {
                ("return-token", "the outcome of a command comes with its token", "orgagentactuated")
            }
            Self::ClientId => {
                ("client-id", "each message has a clientId of its own", "what-a-client-must-do")
            }
            Self::Output => (
                "output",
                "pieces of output are numbered from 1, one by one, and come before the outcome",
                "orgagentoutput",
            ),
        }
    }

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What it says.
    #[must_use]
    pub const fn says(self) -> &'static str {
        self.row().1
    }

    /// The section of `docs/protocol.md` that says so.
    #[must_use]
    pub const fn section(self) -> &'static str {
        self.row().2
    }

    /// Whether `side` can break it.
    #[must_use]
    pub const fn binds(self, side: Side) -> bool {
        match self {
            Self::Line | Self::Shape | Self::Answer | Self::Life => true,
            Self::Method
            | Self::Ack
            | Self::Report
            | Self::Outcome
            | Self::Decide
            | Self::Return
            | Self::ClientId
            | Self::Output => matches!(side, Side::Client),
            _ => matches!(side, Side::Server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_in_the_document() {
        let doc = include_str!("../../docs/protocol.md");
        let headings: Vec<String> = doc
            .lines()
            .filter_map(|line| line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")))
            .map(|heading| {
                let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
                heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
            })
            .collect();
        let rules: Vec<&str> = doc
            .split("\n### Rules\n")
            .nth(1)
            .unwrap_or_default()
            .lines()
            .take_while(|line| !line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        for rule in Rule::ALL {
            assert!(headings.iter().any(|it| it == rule.section()), "{rule:?}: {}", rule.section());
        }
        assert_eq!(rules, Rule::ALL.map(Rule::name), "the table of rules in docs/protocol.md");
    }
}
