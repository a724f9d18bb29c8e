//! JSON-RPC 2.0: a message body becomes a call or an answer, or a reason to refuse it; replies become frames.
//! It knows no method.
//!
//! Parameters stay JSON text until the handler of the method reads them into its type: unknown fields cost
//! no memory, and a message of many small values is never blown up into a tree.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as DeserializeDerive, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower_lsp_server::jsonrpc::{Error as RpcError, ErrorCode, Id, Response};

use crate::error::{Code, Error};

/// A message from the client.
#[derive(Debug)]
pub enum Incoming {
    /// A request, or a notification if it has no id.
    Call(Call),
    /// The answer to a request of ours: its result, or the message of its error.
    Answer(Id, Result<Box<RawValue>, String>),
    /// No message. If the client can be told which one, by its id.
    Bad(Id, RpcError),
}

/// A request or a notification.
#[derive(Debug)]
pub struct Call {
    /// The request's id; a notification has none.
    pub id: Option<Id>,
    /// The method.
    pub method: String,
    /// The parameters as JSON text; absent and `null` are the same.
    pub params: Option<Box<RawValue>>,
}

/// Reads a message. Fails never: what is no message is [`Incoming::Bad`].
#[must_use]
pub fn read(body: &[u8]) -> Incoming {
    if let Err(error) = serde_json::from_slice::<Sound>(body) {
        return Incoming::Bad(Id::Null, parse_error(&error.to_string()));
    }
    let bad = |id, why: &str| Incoming::Bad(id, invalid_request(why));
    match body.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(b'[') => return bad(Id::Null, "batches are not part of the protocol"),
        _ => return bad(Id::Null, "a message is a JSON object"),
    }
    let envelope: Envelope = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => return bad(Id::Null, &error.to_string()),
    };
    let id = match envelope.id.map(|id| serde_json::from_str::<Id>(id.get())) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return bad(Id::Null, "the id is neither a whole number nor a string"),
    };
    if envelope.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
        return bad(id.unwrap_or_default(), "jsonrpc must be \"2.0\"");
    }
    match (envelope.method, envelope.result, envelope.error, id) {
        (Some(_), _, _, Some(Id::Null)) => bad(Id::Null, "the id of a request must not be null"),
        (Some(method), _, _, id) => match serde_json::from_str(method.get()) {
            Ok(method) => Incoming::Call(Call { id, method, params: envelope.params.map(ToOwned::to_owned) }),
            Err(_) => bad(id.unwrap_or_default(), "the method is not a string"),
        },
        (None, _, Some(error), Some(id)) => Incoming::Answer(id, Err(error_message(error))),
        (None, Some(result), None, Some(id)) => Incoming::Answer(id, Ok(result.to_owned())),
        (None, None, None, id) => bad(id.unwrap_or_default(), "there is neither a method nor a result"),
        (None, _, _, None) => bad(Id::Null, "an answer needs the id of its request"),
    }
}

/// A parse error: the message is no JSON, or no frame.
#[must_use]
pub fn parse_error(why: &str) -> RpcError {
    rpc_error(ErrorCode::ParseError, &Error::bad_request("not a message").because(why))
}

fn invalid_request(why: &str) -> RpcError {
    rpc_error(ErrorCode::InvalidRequest, &Error::bad_request("not a JSON-RPC 2.0 message").because(why))
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        rpc_error(number(error.code), &error)
    }
}

/// The number of an error kind. The kind itself is in `data.code`; clients should read that.
fn number(code: Code) -> ErrorCode {
    match code {
        Code::BadRequest => ErrorCode::InvalidParams,
        Code::NotFound => ErrorCode::ServerError(-32_010),
        Code::Unauthorized => ErrorCode::ServerError(-32_011),
        Code::Conflict => ErrorCode::ServerError(-32_012),
        Code::Overloaded => ErrorCode::ServerError(-32_013),
        Code::ModelUnavailable => ErrorCode::ServerError(-32_014),
        Code::Internal => ErrorCode::InternalError,
    }
}

fn rpc_error(number: ErrorCode, error: &Error) -> RpcError {
    let message =
        if error.why.is_empty() { error.what.clone() } else { format!("{}: {}", error.what, error.why) };
    RpcError { code: number, message: message.into(), data: Some(data(error.code, &error.hint)) }
}

fn data(code: Code, hint: &str) -> Value {
    json!({"code": code, "hint": hint})
}

/// Gives the library's own errors the `data` that every error of this protocol has. A cancelled request keeps
/// none: nothing failed.
fn complete(error: &mut RpcError) {
    let (code, hint) = match error.code {
        _ if matches!(&error.data, Some(Value::Object(_))) => return,
        ErrorCode::RequestCancelled => return,
        ErrorCode::ServerError(-32_002) => (Code::BadRequest, "send initialize first"),
        ErrorCode::InvalidRequest => {
            (Code::BadRequest, "an id is used once at a time, initialize once, and nothing after shutdown")
        }
        ErrorCode::InternalError => (Code::Internal, "see the log of the server"),
        _ => (Code::BadRequest, ""),
    };
    error.data = Some(data(code, hint));
}

/// Appends the frame of `response` to `out`.
pub fn write_response(out: &mut Vec<u8>, response: Response) {
    let (id, mut result) = response.into_parts();
    if let Err(error) = &mut result {
        complete(error);
    }
    write(out, &Response::from_parts(id, result));
}

/// Appends the frame of a notification to `out`, or of a request if there is an `id`.
pub fn write_call(out: &mut Vec<u8>, id: Option<&str>, method: &str, params: &impl Serialize) {
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

fn write(out: &mut Vec<u8>, message: &impl Serialize) {
    match serde_json::to_vec(message) {
        Ok(body) => {
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            out.extend_from_slice(&body);
        }
        // Only a map with keys that are no strings, or a failing `Serialize`, could do this; we have neither.
        Err(error) => tracing::error!(%error, "a message could not be written"),
    }
}

fn error_message(error: &RawValue) -> String {
    #[derive(DeserializeDerive)]
    struct Message {
        message: String,
    }
    serde_json::from_str::<Message>(error.get())
        .map_or_else(|_| "the client answered with an error".to_owned(), |error| error.message)
}

/// The members of a message, each as JSON text: present or not, whatever they are.
#[derive(DeserializeDerive)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Tells `null` from nothing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// JSON that is sound all through: UTF-8, escapes, numbers, and not too deep. Keeps nothing.
///
/// [`RawValue`] alone would let ill-formed escapes and any depth pass.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: impl AsRef<[u8]>, expected: &str) {
        let shown = match read(body.as_ref()) {
            Incoming::Call(call) => format!(
                "{}({}) {}",
                call.method,
                call.params.as_deref().map_or("", RawValue::get),
                call.id.map_or_else(|| "-".to_owned(), |id| id.to_string())
            ),
            Incoming::Answer(id, Ok(result)) => format!("{id} = {result}"),
            Incoming::Answer(id, Err(message)) => format!("{id} ! {message}"),
            Incoming::Bad(id, error) => format!("{} {id}", error.code),
        };
        assert_eq!(
            shown,
            expected,
            "{}",
            String::from_utf8_lossy(body.as_ref()).chars().take(200).collect::<String>()
        );
    }

    #[test]
    fn messages() {
        check(r#"{"jsonrpc":"2.0","method":"a","id":1}"#, "a() 1");
        check(
            r#" {"id":"x","params":{"b":[1]},"method":"a","jsonrpc":"2.0","more":{}} "#,
            r#"a({"b":[1]}) "x""#,
        );
        check(r#"{"jsonrpc":"2.0","method":"a","params":null}"#, "a() -");
        check(r#"{"jsonrpc":"2.0","id":7,"result":null}"#, "7 = null");
        check(
            r#"{"jsonrpc":"2.0","id":"oa-1","result":{"accepted":true},"error":null}"#,
            r#""oa-1" = {"accepted":true}"#,
        );
        check(r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}"#, "7 ! no");
        check(r#"{"jsonrpc":"2.0","id":7,"result":null,"error":5}"#, "7 ! the client answered with an error");
        check(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"no"}}"#, "null ! no");
    }

    #[test]
    fn what_is_no_json() {
        for body in ["", "{", "{}{}", "nul", "{\"a\":1e999}", "{\"a\":\"\n\"}", "{\"a\":01}"] {
            check(body, "-32700 null");
        }
        check(b"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"x\":\"\xff\"}", "-32700 null");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\ud800"}}"#, "-32700 null");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\udc00\ud800"}}"#, "-32700 null");
        check("[".repeat(100_000), "-32700 null");
        check(
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{}{}}}"#,
                "[".repeat(200),
                "]".repeat(200)
            ),
            "-32700 null",
        );
    }

    #[test]
    fn what_is_no_message() {
        for body in
            ["[]", r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, "1", "null", "\"a\"", "{}", r#"{"id":{}}"#]
        {
            check(body, "-32600 null");
        }
        check(r#"{"id":1,"method":"a"}"#, "-32600 1");
        check(r#"{"jsonrpc":"1.0","id":"x","method":"a"}"#, "-32600 \"x\"");
        check(r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "-32600 1");
        check(r#"{"jsonrpc":"2.0","id":1}"#, "-32600 1");
        check(r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, "-32600 null");
        check(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, "-32600 null");
        check(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, "-32600 null");
        check(r#"{"jsonrpc":"2.0","result":1}"#, "-32600 null");
    }

    #[test]
    fn every_error_has_a_code_and_a_hint() {
        let encode = |error: RpcError| {
            let mut out = Vec::new();
            write_response(&mut out, Response::from_error(Id::Number(1), error));
            let text = String::from_utf8(out).unwrap();
            let (header, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(header, format!("Content-Length: {}", body.len()));
            serde_json::from_str::<Value>(body).unwrap()["error"].clone()
        };
        let error = encode(Error::not_found("no session x").because("gone").hint("list them").into());
        let expected = json!({"code": -32010, "message": "no session x: gone", "data": {"code": "not_found", "hint": "list them"}});
        assert_eq!(error, expected);
        for (error, code) in [
            (RpcError::invalid_request(), "bad_request"),
            (RpcError::method_not_found(), "bad_request"),
            (RpcError::internal_error(), "internal"),
            (RpcError::new(ErrorCode::ServerError(-32_002)), "bad_request"),
        ] {
            assert_eq!(encode(error)["data"]["code"], code);
        }
        assert_eq!(encode(RpcError::request_cancelled()).get("data"), None);
    }
}
