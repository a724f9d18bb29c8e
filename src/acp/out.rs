//! Lines out: a message is one line of JSON.

use serde::Serialize;
use serde_json::json;
use tower_lsp_server::jsonrpc::{Error as RpcError, ErrorCode, Id};

use crate::error::{Code, Error};

/// Appends a notification to `out`, or a request if there is an `id`.
pub(super) fn call(out: &mut Vec<u8>, id: Option<&str>, method: &str, params: &impl Serialize) {
    #[derive(Serialize)]
    struct Out<'a, P> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        method: &'a str,
        params: &'a P,
    }
    write(out, &Out { jsonrpc: "2.0", id, method, params });
}

/// Appends the answer to a request to `out`.
pub(super) fn answer(out: &mut Vec<u8>, id: &Id, result: &impl Serialize) {
    #[derive(Serialize)]
    struct Out<'a, R> {
        jsonrpc: &'static str,
        id: &'a Id,
        result: &'a R,
    }
    write(out, &Out { jsonrpc: "2.0", id, result });
}

/// Appends the refusal of a request to `out`.
pub(super) fn refuse(out: &mut Vec<u8>, id: &Id, error: &RpcError) {
    #[derive(Serialize)]
    struct Out<'a> {
        jsonrpc: &'static str,
        id: &'a Id,
        error: &'a RpcError,
    }
    write(out, &Out { jsonrpc: "2.0", id, error });
}

/// An error as clients show it: by its message, so all that helps is in that.
pub(super) fn shown(error: &Error) -> RpcError {
    let number = match error.code {
        Code::BadRequest => ErrorCode::InvalidParams,
        Code::NotFound => ErrorCode::ServerError(-32_002),
        Code::Unauthorized => ErrorCode::ServerError(-32_011),
        Code::Conflict => ErrorCode::ServerError(-32_012),
        Code::Overloaded => ErrorCode::ServerError(-32_013),
        Code::ModelUnavailable => ErrorCode::ServerError(-32_014),
        Code::Internal => ErrorCode::InternalError,
    };
    let data = json!({"code": error.code, "hint": error.hint});
    RpcError { code: number, message: error.one_line().into(), data: Some(data) }
}

/// The error of a method that is not served.
pub(super) fn unknown(method: &str) -> RpcError {
    let method: String = method.chars().take(100).collect();
    RpcError { code: ErrorCode::MethodNotFound, message: format!("no method {method}").into(), data: None }
}

fn write(out: &mut Vec<u8>, message: &impl Serialize) {
    let before = out.len();
    match serde_json::to_writer(&mut *out, message) {
        Ok(()) => out.push(b'\n'),
        // Only a map with keys that are no strings, or a failing `Serialize`, could do this.
        Err(error) => {
            out.truncate(before);
            tracing::error!(%error, "a message could not be written");
        }
    }
}
