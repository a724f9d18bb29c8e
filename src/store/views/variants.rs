//! The fold's part about variants: a message that is answered again has several answers, and one of them counts.
//!
//! A variant is a turn with those that resumed it. Which one counts is what was said last, unless the session was taken
//! back from that; what belongs to the others is `undone` as 2, and the message itself never is.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Fold, parsed};
use crate::ids::{EventId, TurnId};

/// A variant: its turns in their order, and whether it counts.
#[derive(Debug)]
pub(in super::super) struct Variant {
    pub(in super::super) turns: Vec<String>,
    pub(in super::super) chosen: bool,
}

/// The variants of the answer to the message at `place` that the session was not taken back from, in their order.
pub(in super::super) fn variants(
    db: &Connection,
    session: &str,
    place: i64,
) -> rusqlite::Result<Vec<Variant>> {
    let line: Option<String> = db
        .prepare_cached("SELECT line FROM chat_sessions WHERE id = ?1")?
        .query_row([session], |row| row.get(0))
        .optional()?;
    let line: Vec<(i64, i64)> = parsed(&line.unwrap_or_default());
    let counts = |position: i64| {
        line.is_empty() || line.iter().any(|(first, last)| (*first..=*last).contains(&position))
    };
    let turns: Vec<(String, i64, Option<String>)> = db
        .prepare_cached(
            "SELECT id, position, resumes FROM turns WHERE session = ?1 AND place = ?2 ORDER BY position",
        )?
        .query_map(params![session, place], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut variants: Vec<Variant> = Vec::new();
    for (turn, position, resumes) in turns {
        let known =
            |variant: &&mut Variant| resumes.as_ref().is_some_and(|from| variant.turns.contains(from));
        match variants.iter_mut().find(known) {
            Some(variant) => variant.turns.push(turn),
            None if counts(position) => variants.push(Variant { turns: vec![turn], chosen: false }),
            None => {}
        }
    }
    let choices: Vec<(String, i64)> = db
        .prepare_cached(
            "SELECT turn, position FROM turn_choices WHERE session = ?1 AND place = ?2 ORDER BY position DESC",
        )?
        .query_map(params![session, place], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let chosen = choices
        .iter()
        .filter(|(_, position)| counts(*position))
        .find_map(|(turn, _)| variants.iter().position(|variant| variant.turns.contains(turn)));
    if let Some(variant) = variants.get_mut(chosen.unwrap_or_default()) {
        variant.chosen = true;
    }
    Ok(variants)
}

impl Fold<'_> {
    /// The message of `from` is answered again, by `turn`, which counts from now on.
    pub(super) fn regenerated(
        &self,
        turn: &TurnId,
        from: &TurnId,
        message: &EventId,
    ) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        self.run(
            "INSERT OR IGNORE INTO turns
             SELECT ?1, ?2, place, session, message, level, 'queued', NULL, NULL, skill, 0, ?3, ?3
             FROM turns WHERE id = ?4 AND session = ?5 AND message = ?6",
            params![turn.0, self.position, self.time(), from.0, self.id(), message.0],
        )?;
        self.choose(turn)
    }

    /// Of the answers to one message, that of `turn` counts from now on.
    pub(super) fn chosen(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        self.choose(turn)
    }

    fn choose(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.run(
            "INSERT OR IGNORE INTO turn_choices
             SELECT ?1, session, place, id FROM turns WHERE id = ?2 AND session = ?3",
            params![self.position, turn.0, self.id()],
        )?;
        let place: Option<i64> = self
            .db
            .prepare_cached("SELECT place FROM turns WHERE id = ?1 AND session = ?2")?
            .query_row([turn.as_str(), self.id()], |row| row.get(0))
            .optional()?;
        let Some(place) = place else { return Ok(()) };
        self.show(place)?;
        self.run(
            "UPDATE chat_sessions SET messages =
                 (SELECT count(*) FROM chat_messages WHERE session = ?1 AND listed = 1 AND undone = 0)
             WHERE id = ?1",
            [self.id()],
        )?;
        self.count_unread()?;
        self.status()
    }

    /// Lets what counts of all answers count, after the session was taken back.
    pub(super) fn choose_again(&self) -> rusqlite::Result<()> {
        let places: Vec<i64> = self
            .db
            .prepare_cached("SELECT DISTINCT place FROM turn_choices WHERE session = ?1 ORDER BY place")?
            .query_map([self.id()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        places.into_iter().try_for_each(|place| self.show(place))
    }

    /// Lets the variant at `place` count that does, and no other.
    fn show(&self, place: i64) -> rusqlite::Result<()> {
        for variant in variants(self.db, self.id(), place)? {
            for turn in &variant.turns {
                let (from, to) = if variant.chosen { (2, 0) } else { (0, 2) };
                if !variant.chosen {
                    self.unindex(
                        "m.session = ?1 AND m.turn = ?2 AND m.kind <> 'user' AND m.undone = 0",
                        [self.id(), turn],
                    )?;
                }
                for table in ["chat_actions WHERE 1", "chat_messages WHERE kind <> 'user'"] {
                    let (table, condition) = table.split_once(" WHERE ").unwrap_or((table, "1"));
                    self.run(
                        &format!(
                            "UPDATE {table} SET undone = ?1
                             WHERE session = ?2 AND turn = ?3 AND undone = ?4 AND {condition}"
                        ),
                        params![to, self.id(), turn, from],
                    )?;
                }
                if variant.chosen {
                    self.index("m.session = ?1 AND m.turn = ?2 AND m.kind <> 'user'", [self.id(), turn])?;
                    // The last turn that ended says how the session is.
                    self.run(
                        "UPDATE chat_sessions SET ended = coalesce((SELECT state FROM turns WHERE id = ?2
                             AND state NOT IN ('queued', 'started')), ended)
                         WHERE id = ?1 AND ?3 = (SELECT max(place) FROM turns WHERE session = ?1 AND undone = 0)",
                        params![self.id(), turn, place],
                    )?;
                }
            }
        }
        Ok(())
    }
}
