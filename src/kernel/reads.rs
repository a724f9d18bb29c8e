//! Questions about what is recorded, as the store answers them.

use serde_json::Value;

use crate::error::Result;
use crate::event::Query;
use crate::store::Store;

/// The answer to `query`, from what is durable.
pub(super) fn read(store: &Store, query: &Query) -> Result<Value> {
    match query {
        Query::Sessions { status, buffer, page } => {
            store.sessions(status.as_deref(), buffer.as_deref(), page.limit, page.cursor.as_deref())
        }
        Query::Session(id) => store.session(id),
        Query::Messages(id, page) => store.messages(id, page.limit, page.cursor.as_deref()),
        Query::Actions(id, page) => store.actions(id, page.limit, page.cursor.as_deref()),
        Query::WhyTurn(id) => store.why_turn(id),
        Query::WhyActuation(id) => store.why_actuation(id),
    }
}
