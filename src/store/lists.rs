//! Lists for clients, in the JSON shape of the wire protocol, page by page. A page ends early when it has
//! become large; only a page without `nextCursor` is the last.

use rusqlite::{Params, Row};
use serde_json::{Map, Value, json};

use super::Store;
use super::recall::parse;
use super::spending::Totals;
use super::why::camel_case;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::request::Sessions;

/// Items of a page, unless the client says how many.
const LIMIT: u32 = 50;

/// The most items of a page.
const MAX_LIMIT: u32 = 500;

/// Of more words for a title, so many count.
const TITLE_WORDS: usize = 8;

/// A page ends after the item with which its texts reach this many bytes.
const PAGE_BYTES: usize = 4 << 20;

const SESSION: &str =
    "SELECT position, id, title, status, buffer, created_at, updated_at, archived, label_group, tags,
         messages, unread, forked_from, imported, model, prompt_tokens, completion_tokens, cached_tokens,
         reasoning_tokens, estimated, cost, user FROM chat_sessions";

/// Where a session's last change stands among these.
const UPDATED: usize = 6;

const MESSAGES: &str =
    "SELECT position, id, role, content, metadata, created_at, delivered_at FROM chat_messages
     WHERE position > ?1 AND session = ?2 AND listed = 1 AND undone = 0 ORDER BY position LIMIT ?3";

const LAST_MESSAGES: &str =
    "SELECT position, id, role, content, metadata, created_at, delivered_at FROM chat_messages
     WHERE position < ?1 AND session = ?2 AND listed = 1 AND undone = 0 ORDER BY position DESC LIMIT ?3";

const CHECKPOINTS: &str = "SELECT position, name, event, created_at FROM checkpoints
     WHERE position > ?1 AND session = ?2 ORDER BY position LIMIT ?3";

const ACTIONS: &str = "SELECT position, id, message_id, module, action, input, output, status, executed_at,
         decision, rule, created_at
     FROM chat_actions WHERE position > ?1 AND session = ?2 AND undone = 0 ORDER BY position LIMIT ?3";

impl Store {
    /// Sessions, the last made first, or the one in which something happened last: `{items: [{id, title, status, archived, buffer, group, tags, messages, unread,
    /// forkedFrom, imported, model, tokens, cost, createdAt, updatedAt}], nextCursor}`. Times are Unix milliseconds. `tokens`
    /// and `cost`, in US dollars, are those of all calls of models, also for what the session was taken back from.
    ///
    /// # Errors
    /// `bad_request` for a cursor that no such list gave.
    pub fn sessions(&self, which: &Sessions, limit: Option<u32>, cursor: Option<&str>) -> Result<Value> {
        let (page, after, order) = if which.recent {
            let page = Page::recent(limit, cursor)?;
            // Where few titles fit, one walk through the table is five times as fast as one along the index.
            match which.title {
                Some(_) => (page, "(+updated_at, position) < (?2, ?1)", "+updated_at DESC, position DESC"),
                None => (page, "(updated_at, position) < (?2, ?1)", "updated_at DESC, position DESC"),
            }
        } else {
            (Page::new('s', limit, cursor, i64::MAX)?, "position < ?1", "position DESC")
        };
        let mut sql = format!("{SESSION} WHERE {after}");
        let mut params: Vec<rusqlite::types::Value> = vec![page.from.into()];
        params.extend(page.time.map(Into::into));
        let mut only = |condition: &str, value: rusqlite::types::Value| {
            params.push(value);
            sql.push_str(&format!(" AND {condition}").replace('?', &format!("?{}", params.len())));
        };
        // Being archived is a flag beside the status, and may be asked for like one.
        let archived = match which.status.as_deref() {
            Some("archived") => Some(true),
            Some(status) => {
                only("status = ?", status.to_owned().into());
                which.archived.or(Some(false))
            }
            None => which.archived,
        };
        if let Some(archived) = archived {
            only("archived = ?", archived.into());
        }
        for (condition, value) in [
            ("buffer = ?", &which.buffer),
            ("label_group = ?", &which.group),
            ("tags <> '[]' AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", &which.tag),
        ] {
            if let Some(value) = value {
                only(condition, value.clone().into());
            }
        }
        for word in which.title.iter().flat_map(|title| title.split_whitespace()).take(TITLE_WORDS) {
            only("instr(lower(title), lower(?)) > 0", word.to_owned().into());
        }
        for (condition, time) in [("updated_at >= ?", which.since), ("updated_at < ?", which.until)] {
            if let Some(time) = time {
                only(condition, i64::try_from(time).unwrap_or(i64::MAX).into());
            }
        }
        sql.push_str(&format!(" ORDER BY {order} LIMIT {}", page.limit + 1));
        self.page(&page, &sql, rusqlite::params_from_iter(params), |row| Ok((session(row)?, 0)))
    }

    /// One session, as in [`Store::sessions`], with `user` and `context`.
    ///
    /// # Errors
    /// `not_found` if there is none.
    pub fn session(&self, id: &SessionId) -> Result<Value> {
        let found = self.one(&format!("{SESSION} WHERE id = ?1"), [id.as_str()], |row| {
            Ok((session(row)?, row.get::<_, String>(21)?))
        })?;
        let (mut session, user) = found.ok_or_else(|| no_session(id))?;
        session["user"] = user.into();
        let context: Option<String> =
            self.one("SELECT context FROM session_contexts WHERE session = ?1", [id.as_str()], |row| {
                row.get(0)
            })?;
        // What has a shape of its own shows it, also if it is empty.
        session["context"] = match context {
            Some(context) => parse(&context)?,
            None => json!(Context::default()),
        };
        Ok(session)
    }

    /// The checkpoints of a session, oldest first: `{items: [{name, id, createdAt}], nextCursor}`.
    ///
    /// # Errors
    /// `not_found` if there is no such session, `bad_request` for a cursor that no such list gave.
    pub fn checkpoints(
        &self,
        session: &SessionId,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Value> {
        let page = Page::new('c', limit, cursor, 0)?;
        self.known(session)?;
        self.page(&page, CHECKPOINTS, (page.from, session.as_str(), page.limit + 1), |row| {
            let item = json!({
                "name": row.get::<_, String>(1)?,
                "id": row.get::<_, String>(2)?,
                "createdAt": row.get::<_, i64>(3)?,
            });
            Ok((item, 0))
        })
    }

    /// The messages of a session, oldest first: `{items: [{id, role, content, metadata, createdAt, deliveredAt}],
    /// nextCursor}`. `deliveredAt` is null for what is no text for a buffer, or was not received yet.
    ///
    /// # Errors
    /// `not_found` if there is no such session, `bad_request` for a cursor that no such list gave.
    pub fn messages(&self, session: &SessionId, limit: Option<u32>, cursor: Option<&str>) -> Result<Value> {
        let page = Page::new('m', limit, cursor, 0)?;
        self.known(session)?;
        self.page(&page, MESSAGES, (page.from, session.as_str(), page.limit + 1), message)
    }

    /// The last messages of a session, oldest first, as in [`Store::messages`]; `nextCursor` leads to those before
    /// them.
    ///
    /// # Errors
    /// As [`Store::messages`].
    pub fn last_messages(
        &self,
        session: &SessionId,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Value> {
        let page = Page::new('l', limit, cursor, i64::MAX)?;
        self.known(session)?;
        let params = (page.from, session.as_str(), page.limit + 1);
        let mut found = self.page(&page, LAST_MESSAGES, params, message)?;
        if let Some(items) = found["items"].as_array_mut() {
            items.reverse();
        }
        Ok(found)
    }

    /// The actions of a session, oldest first: `{items: [{id, messageId, module, action, input, output,
    /// status, executedAt, decision, rule, createdAt}], nextCursor}`. `output` and `executedAt` are null
    /// without an outcome.
    ///
    /// # Errors
    /// `not_found` if there is no such session, `bad_request` for a cursor that no such list gave.
    pub fn actions(&self, session: &SessionId, limit: Option<u32>, cursor: Option<&str>) -> Result<Value> {
        let page = Page::new('a', limit, cursor, 0)?;
        self.known(session)?;
        self.page(&page, ACTIONS, (page.from, session.as_str(), page.limit + 1), |row| {
            let (input, output): (String, Option<String>) = (row.get(5)?, row.get(6)?);
            let bytes = input.len() + output.as_ref().map_or(0, String::len);
            let item = json!({
                "id": row.get::<_, String>(1)?,
                "messageId": row.get::<_, String>(2)?,
                "module": row.get::<_, String>(3)?,
                "action": row.get::<_, String>(4)?,
                "input": parse::<Value>(&input)?,
                "output": output.as_deref().map(parse).transpose()?.map(camel_case),
                "status": row.get::<_, String>(7)?,
                "executedAt": row.get::<_, Option<i64>>(8)?,
                "decision": row.get::<_, Option<String>>(9)?,
                "rule": row.get::<_, Option<String>>(10)?,
                "createdAt": row.get::<_, i64>(11)?,
            });
            Ok((item, bytes))
        })
    }

    fn known(&self, session: &SessionId) -> Result<()> {
        let found = self.one("SELECT 1 FROM chat_sessions WHERE id = ?1", [session.as_str()], |_| Ok(()))?;
        found.ok_or_else(|| no_session(session))
    }

    /// Reads one page. `sql` selects the position first and one row more than the page may have; `read` makes
    /// an item of a row and says how many bytes are in it.
    fn page(
        &self,
        page: &Page,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Result<(Value, usize)>,
    ) -> Result<Value> {
        let mut query = self.reader.prepare_cached(sql)?;
        let mut rows = query.query(params)?;
        let mut items = Vec::new();
        let (mut bytes, mut last) = (0, None);
        let mut next = None;
        while let Some(row) = rows.next()? {
            if i64::try_from(items.len()).is_ok_and(|count| count == page.limit) || bytes >= PAGE_BYTES {
                next = last.map(|(position, time): (i64, Option<i64>)| match time {
                    Some(time) => format!("{}{time:x}.{position:x}", page.list),
                    None => format!("{}{position:x}", page.list),
                });
                break;
            }
            let (item, size) = read(row)?;
            items.push(item);
            bytes += size;
            let time = page.time.map(|_| row.get(UPDATED)).transpose()?;
            last = Some((row.get(0)?, time));
        }
        Ok(json!({"items": items, "nextCursor": next}))
    }
}

/// Which part of a list is asked for.
struct Page {
    /// The list's letter: the cursor of one list means nothing to another.
    list: char,
    limit: i64,
    /// The position after which the part begins.
    from: i64,
    /// In a list by time, the time after which it begins.
    time: Option<i64>,
}

impl Page {
    fn new(list: char, limit: Option<u32>, cursor: Option<&str>, start: i64) -> Result<Self> {
        let from = match cursor {
            None => start,
            Some(cursor) => cursor.strip_prefix(list).and_then(hex).ok_or_else(foreign)?,
        };
        Ok(Self { list, limit: within(limit), from, time: None })
    }

    /// A part of the sessions by the time of their last change.
    fn recent(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let (time, from) = match cursor {
            None => (i64::MAX, i64::MAX),
            Some(cursor) => cursor
                .strip_prefix('u')
                .and_then(|rest| rest.split_once('.'))
                .and_then(|(time, position)| Some((hex(time)?, hex(position)?)))
                .ok_or_else(foreign)?,
        };
        Ok(Self { list: 'u', limit: within(limit), from, time: Some(time) })
    }
}

fn within(limit: Option<u32>) -> i64 {
    limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT).into()
}

fn hex(digits: &str) -> Option<i64> {
    let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    i64::from_str_radix(digits, 16).ok().filter(|_| all)
}

fn foreign() -> Error {
    Error::bad_request("this cursor is not one of this list")
        .hint("send the nextCursor of the page before, unchanged, or none for the first page")
}

fn session(row: &Row<'_>) -> rusqlite::Result<Value> {
    let tags: String = row.get(9)?;
    let totals = Totals::read(row, 15)?;
    Ok(json!({
        "id": row.get::<_, String>(1)?,
        "title": row.get::<_, String>(2)?,
        "status": row.get::<_, String>(3)?,
        "archived": row.get::<_, bool>(7)?,
        "buffer": row.get::<_, String>(4)?,
        "group": row.get::<_, Option<String>>(8)?,
        "tags": serde_json::from_str::<Value>(&tags).unwrap_or_else(|_| json!([])),
        "messages": row.get::<_, i64>(10)?,
        "unread": row.get::<_, i64>(11)?,
        "forkedFrom": row.get::<_, Option<String>>(12)?,
        "imported": row.get::<_, Option<String>>(13)?,
        "model": row.get::<_, Option<String>>(14)?,
        "tokens": totals.tokens(),
        "cost": totals.cost(),
        "createdAt": row.get::<_, i64>(5)?,
        "updatedAt": row.get::<_, i64>(6)?,
    }))
}

fn message(row: &Row<'_>) -> Result<(Value, usize)> {
    let (content, metadata): (String, &str) = (row.get(3)?, text(row, 4)?);
    let bytes = content.len() + metadata.len();
    // A list of some hundred is opened with each session: what is not needed to make one is left out.
    let mut item = Map::with_capacity(6);
    item.insert("id".into(), row.get::<_, String>(1)?.into());
    item.insert("role".into(), row.get::<_, String>(2)?.into());
    item.insert("content".into(), content.into());
    item.insert("metadata".into(), parse(metadata)?);
    item.insert("createdAt".into(), row.get::<_, i64>(5)?.into());
    item.insert("deliveredAt".into(), row.get::<_, Option<i64>>(6)?.into());
    Ok((item.into(), bytes))
}

/// A text of a row, where it stands.
fn text<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r str> {
    let value = row.get_ref(at)?.as_str();
    value.map_err(|error| Error::internal("the database holds something unexpected").because(error))
}

fn no_session(id: &SessionId) -> Error {
    Error::not_found(format!("there is no session {id}")).hint("list the sessions to see which there are")
}
