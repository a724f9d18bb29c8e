//! `docs/protocol.schema.json`, made of the wire types and the tables of `docs/protocol.md`, and compared with the file.
//!
//! What has a Rust type is described by it. What the server sends without one, as the items of lists, is described by its
//! table in the document, which `tests/protocol_doc.rs` compares with what a server sends. Bounds are added here by
//! name; `tests/protocol_schema.rs` tries each against a server.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::*;

/// The variable that makes the test write the file.
const WRITE: &str = "ORG_AGENT_WRITE_SCHEMA";
const DOC: &str = include_str!("../../../docs/protocol.md");

/// The JSON form of an action.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is used")]
pub(super) struct Action {
    /// What it is.
    r#type: ActionType,
    /// Who carries it out; only requests have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<ActionTarget>,
    /// Why, in the model's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
    /// What is to be done.
    payload: Map<String, Value>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its shape is used")]
enum ActionType {
    Request,
    Response,
    Log,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its shape is used")]
enum ActionTarget {
    Emacs,
    Shell,
    Skill,
}

/// The definitions, and how each method refers to them.
struct Schema {
    /// Of what clients send: what may be absent is what the server does not need.
    read: SchemaGenerator,
    /// Of what the server sends: what may be absent is what it leaves out.
    sent: SchemaGenerator,
    methods: BTreeMap<&'static str, (Option<Value>, Option<Value>)>,
}

impl Schema {
    fn client<P: JsonSchema>(&mut self, method: &'static str) -> &mut Self {
        self.methods.entry(method).or_default().0 = Some(self.read.subschema_for::<P>().into());
        self
    }

    fn answer<R: JsonSchema>(&mut self, method: &'static str) -> &mut Self {
        self.methods.entry(method).or_default().1 = Some(self.sent.subschema_for::<R>().into());
        self
    }

    fn server<P: JsonSchema>(&mut self, method: &'static str) -> &mut Self {
        self.methods.entry(method).or_default().0 = Some(self.sent.subschema_for::<P>().into());
        self
    }
}

fn typed() -> Schema {
    let settings = SchemaSettings::draft2020_12();
    let read = settings.clone().for_deserialize().into_generator();
    let sent = settings.for_serialize().into_generator();
    let mut all = Schema { read, sent, methods: BTreeMap::new() };
    all.client::<Announcement>("initialize").answer::<Offer>("initialize");
    all.client::<EventParams>(EVENT).answer::<EventResult>(EVENT);
    all.client::<DryRunParams>(DRY_RUN);
    all.client::<CancelParams>(CANCEL).answer::<CancelResult>(CANCEL);
    all.client::<DecideParams>(DECIDE).answer::<DecideResult>(DECIDE);
    all.client::<OutputParams>(OUTPUT);
    all.client::<ActuatedParams>(ACTUATED).answer::<ActuatedResult>(ACTUATED);
    all.client::<WhyParams>(WHY).client::<ListParams>(LIST).client::<GetParams>(GET);
    all.client::<MessagesParams>(MESSAGES).client::<ItemsParams>(ACTIONS);
    all.client::<ResumeParams>(RESUME).answer::<ResumeResult>(RESUME);
    all.client::<CreateParams>(CREATE).client::<RenameParams>(RENAME).client::<ArchiveParams>(ARCHIVE);
    all.client::<LabelParams>(LABEL).client::<PauseParams>(PAUSE).client::<GetParams>(COMPLETE);
    all.client::<ContextParams>(CONTEXT).client::<CheckpointParams>(CHECKPOINT);
    all.client::<ItemsParams>(CHECKPOINTS).client::<CheckpointParams>(RESTORE);
    all.client::<AnswersParams>(REGENERATE).client::<AnswersParams>(VARIANTS).client::<ChooseParams>(CHOOSE);
    all.client::<ReadParams>(READ).client::<GetParams>(DELETE).client::<ForkParams>(FORK);
    all.client::<SearchParams>(SEARCH).client::<GetParams>(EXPORT).client::<ImportParams>(IMPORT);
    all.client::<SkillsParams>(SKILLS).client::<SkillParams>(SKILL);
    all.client::<ReloadParams>(RELOAD).answer::<ShelfParams>(RELOAD);
    all.client::<UntrustedParams>(UNTRUSTED).client::<TrustParams>(TRUST).answer::<ShelfParams>(TRUST);
    all.client::<CapabilitiesParams>(CAPABILITIES);
    all.client::<ModelsParams>(MODELS).client::<SelectParams>(SELECT);
    all.server::<TurnParams>(TURN).server::<DeltaParams>(DELTA).server::<ThoughtParams>(THOUGHT);
    all.server::<RetractParams>(RETRACT).server::<ActuateParams>(ACTUATE).server::<AbortParams>(ABORT);
    all.server::<StepParams>(STEP)
        .server::<ShelfParams>(SKILLS_CHANGED)
        .server::<SessionsChangedParams>(SESSIONS_CHANGED);
    all.methods.entry(ACTUATE).or_default().1 = Some(all.read.subschema_for::<ActuateResult>().into());
    all
}

/// A section of the document about one method.
struct Section {
    method: &'static str,
    text: &'static str,
}

impl Section {
    fn all() -> Vec<Self> {
        DOC.split("\n### `")
            .skip(1)
            .map(|section| {
                let (method, text) = section.split("\n## ").next().unwrap().split_once('`').unwrap();
                Self { method, text }
            })
            .collect()
    }

    /// Whether it is a request, and whether the client sends it.
    fn kind(&self) -> (&'static str, &'static str) {
        let head = self.text.trim_start().split(['.', '\n']).next().unwrap();
        let kind = if head.starts_with("request") { "request" } else { "notification" };
        assert!(head.starts_with(kind), "{}: {head}", self.method);
        let direction = if head.contains("client to server") { "clientToServer" } else { "serverToClient" };
        assert!(
            direction == "clientToServer" || head.contains("server to client"),
            "{}: {head}",
            self.method
        );
        (kind, direction)
    }

    /// The table `name` as a schema.
    fn table(&self, name: &str) -> Option<Value> {
        let at = self.text.find(&format!("\n{name}\n"))?;
        let rows =
            self.text[at + name.len() + 2..].trim_start().lines().take_while(|line| line.starts_with('|'));
        let mut properties = Map::new();
        let mut required = Vec::new();
        for row in rows.skip(2) {
            let row = row.trim_matches('|').replace("\\|", "\u{1}");
            let cells: Vec<&str> = row.splitn(3, '|').map(str::trim).collect();
            let field = cells[0].trim_matches('`');
            let mut schema = of_words(cells[1]).unwrap_or_else(|| panic!("{}: {row}", self.method));
            schema["description"] = cells[2].replace('\u{1}', "|").into();
            properties.insert(field.trim_end_matches('?').to_owned(), schema);
            if !field.ends_with('?') {
                required.push(field.to_owned());
            }
        }
        Some(json!({"type": "object", "properties": properties, "required": required}))
    }
}

/// The type that the words of a table mean.
fn of_words(words: &str) -> Option<Value> {
    if words == "array of strings" {
        return Some(json!({"type": "array", "items": {"type": "string"}}));
    }
    let types: Vec<&str> = words.split(" or ").collect();
    let known = ["string", "number", "boolean", "object", "array", "null"];
    let types = types.iter().all(|it| known.contains(it)).then_some(types)?;
    Some(match types.as_slice() {
        [one] => json!({ "type": one }),
        _ => json!({ "type": types }),
    })
}

/// The name of what a method's table describes: `orgAgent/sessions/list`, `Item` is `SessionsListItem`.
fn name_of(method: &str, part: &str) -> String {
    let words = method.trim_start_matches("orgAgent/").split('/');
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    words.map(capital).collect::<String>() + part
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// What a method answers, if no type says it.
fn answered(section: &Section, defs: &mut Map<String, Value>) -> Value {
    let mut define = |part: &str, table: Value| {
        let name = name_of(section.method, part);
        defs.insert(name.clone(), table);
        reference(&name)
    };
    if let Some(table) = section.table("Result") {
        return define("Result", table);
    }
    let session = reference(&name_of(GET, "Result"));
    let item = match section.table("Item") {
        Some(table) => define("Item", table),
        None if section.method == IMPORT => session,
        None => {
            let is_session = ["Result: the session", "Result: the copy"];
            assert!(
                is_session.iter().any(|it| section.text.contains(it)),
                "{} answers what?",
                section.method
            );
            return session;
        }
    };
    let mut list = json!({"type": "object", "properties": {"items": {"type": "array", "items": item}}});
    list["required"] = json!(["items"]);
    if ![IMPORT, VARIANTS].contains(&section.method) {
        list["properties"]["nextCursor"] = json!({"type": ["string", "null"]});
        list["required"] = json!(["items", "nextCursor"]);
    }
    list
}

/// The bounds that the server holds to, by the names of fields, in one definition or (`*`) in all that clients send.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let length = |least: u64, most: u64| json!({"minLength": least, "maxLength": most});
    let mut all = Vec::new();
    for id in ["sessionId", "turnId", "actuationId", "clientId", "steers", "token"] {
        all.push(("*", id, length(1, 256)));
    }
    for of in ["EventParams", "DryRunParams"] {
        let hash = json!({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"});
        all.push((of, "buffer", length(1, 1024)));
        all.push((of, "text", json!({"maxLength": 1 << 20})));
        all.push((of, "level", json!({"minimum": 1, "maximum": 64})));
        all.push((of, "context", json!({"maxItems": 32})));
        all.push((of, "directory", length(1, 1024)));
        all.push((of, "host", length(1, 1024)));
        all.push((of, "turnHashes", json!({"maxProperties": 10_000, "additionalProperties": hash})));
    }
    let ids = json!({"maxItems": 100_000, "items": {"type": "string", "minLength": 1, "maxLength": 256}});
    let edit = json!({"type": "string", "maxLength": 1 << 20});
    all.extend([
        ("EventParams", "sensor", json!({"enum": [CHAT_MESSAGE, REWRITE]})),
        ("Attachment", "name", json!({"maxLength": 1024})),
        ("Attachment", "text", json!({"maxLength": 1 << 20})),
        ("Attachment", "mode", length(1, 100)),
        ("DryRunParams", "format", json!({"enum": ["json", "org", null]})),
        ("WhyParams", "format", json!({"enum": ["json", "org", null]})),
        ("DecideParams", "command", length(1, 262_144)),
        ("DecideParams", "message", json!({"maxLength": 64 << 10})),
        ("ResumeParams", "applied", ids.clone()),
        ("ResumeParams", "turns", ids.clone()),
        ("ResumeParams", "drop", ids),
        (
            "ListParams",
            "status",
            json!({"enum": ["active", "running", "paused", "completed", "failed", "archived", null]}),
        ),
        ("CreateParams", "buffer", length(1, 1024)),
        ("ForkParams", "messageId", length(1, 256)),
        ("ForkParams", "buffer", length(1, 1024)),
        ("ForkParams", "edits", json!({"maxProperties": 1_000, "additionalProperties": edit})),
        ("AnswersParams", "messageId", length(1, 256)),
        ("SearchParams", "query", json!({"maxLength": 1024})),
        ("ImportParams", "org", length(1, 16 << 20)),
        ("ImportParams", "name", length(1, 1024)),
        ("ImportParams", "buffer", length(1, 1024)),
        ("SkillParams", "name", length(1, 256)),
        ("TurnParams", "seq", json!({"minimum": 1})),
        ("DeltaParams", "seq", json!({"minimum": 1})),
        ("RetractParams", "seq", json!({"minimum": 1})),
        ("DeltaParams", "attempt", json!({"minimum": 1})),
        ("RetractParams", "attempt", json!({"minimum": 1})),
        ("ThoughtParams", "attempt", json!({"minimum": 1})),
        ("DeltaParams", "text", json!({"minLength": 1})),
        ("ThoughtParams", "text", json!({"minLength": 1})),
    ]);
    all
}

fn bound(defs: &mut Map<String, Value>, clients: &[String]) {
    for (of, field, limits) in bounds() {
        let mut found = false;
        for (name, def) in defs.iter_mut() {
            if name != of && !(of == "*" && clients.contains(name)) {
                continue;
            }
            if let Some(property) = def.pointer_mut(&format!("/properties/{field}")) {
                found = true;
                let property = property.as_object_mut().unwrap();
                property.extend(limits.as_object().unwrap().clone());
            }
        }
        assert!(found, "{of} has no {field}");
    }
    // That kind is the server's own.
    let kinds = defs["AttachmentKind"]["oneOf"].as_array_mut().unwrap();
    kinds.retain(|kind| kind["const"] != "rewrite");
}

/// The names of the methods and the like, as descriptions refer to them, with their values.
fn constants() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sources = [
        include_str!("../wire.rs"),
        include_str!("models.rs"),
        include_str!("resume.rs"),
        include_str!("sessions.rs"),
        include_str!("skills.rs"),
        include_str!("steps.rs"),
        include_str!("turns.rs"),
    ];
    sources
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix("\";")?.split_once(": &str = \""))
}

/// Links to Rust items mean nothing in a schema. In what the server sends `null` is only where it is always there.
fn tidy(value: &mut Value, sent: bool) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text =
                    text.replace("[`super::", "`").replace("[`", "`").replace("`]", "`").replace('\n', " ");
                for (name, value) in constants() {
                    *text = text.replace(&format!("`{name}`"), &format!("`{value}`"));
                }
            }
            if sent && let Some(Value::Object(properties)) = object.get("properties").cloned() {
                let required = object.get("required").cloned().unwrap_or_default();
                for name in properties.keys() {
                    if required.as_array().is_some_and(|all| all.iter().any(|it| it == name)) {
                        continue;
                    }
                    if let Some(Value::Array(types)) =
                        object["properties"].get_mut(name).map(|it| it["type"].take())
                    {
                        let one: Vec<Value> = types.into_iter().filter(|it| it != "null").collect();
                        object["properties"][name]["type"] = one[0].clone();
                    } else {
                        object["properties"][name] = properties[name].clone();
                    }
                }
            }
            object.values_mut().for_each(|value| tidy(value, sent));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| tidy(value, sent)),
        _ => {}
    }
}

fn generate() -> Value {
    let mut typed = typed();
    let mut clients: Map<String, Value> = typed.read.take_definitions(true);
    clients.values_mut().for_each(|def| tidy(def, false));
    let mut defs: Map<String, Value> = typed.sent.take_definitions(true);
    defs.values_mut().for_each(|def| tidy(def, true));
    let names: Vec<String> = clients.keys().cloned().collect();
    for (name, def) in clients {
        assert!(!defs.contains_key(&name), "{name} is sent by both");
        defs.insert(name, def);
    }
    let mut methods = Map::new();
    for section in Section::all() {
        let (kind, direction) = section.kind();
        let (params, result) =
            typed.methods.remove(section.method).unwrap_or_else(|| panic!("{} has no type", section.method));
        let result = match (kind, result) {
            ("notification", None) => None,
            (_, Some(result)) => Some(result),
            // The answer does not matter.
            (_, None) if section.method == ABORT => Some(Value::Bool(true)),
            (_, None) => Some(answered(&section, &mut defs)),
        };
        let mut method = json!({"kind": kind, "direction": direction, "params": params});
        if let Some(result) = result {
            method["result"] = result;
        }
        methods.insert(section.method.to_owned(), method);
    }
    assert!(typed.methods.is_empty(), "not documented: {:?}", typed.methods.keys());
    bound(&mut defs, &names);
    let error = json!({
        "type": "object",
        "description": "`data` of an error",
        "properties": {
            "code": {"enum": ["bad_request", "not_found", "unauthorized", "conflict", "overloaded",
                              "model_unavailable", "internal"]},
            "hint": {"type": "string", "description": "what to do, for people; may be empty"},
        },
        "required": ["code", "hint"],
    });
    defs.insert("ErrorData".into(), error);
    defs.sort_keys();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The wire protocol of org-agent, version 1",
        "description": "`methods` says what each method takes and answers, and who sends it; of `initialize` it is what \
            stands in capabilities.experimental.orgAgent. Further fields are allowed everywhere. The server counts \
            lengths of texts in bytes of UTF-8, a schema in characters: what is longer than maxLength is refused, and \
            what is not may be. Made by `make schema`; docs/protocol.md says what it all means.",
        "version": VERSION,
        "methods": methods,
        "$defs": defs,
    })
}

#[test]
fn the_schema_is_in_step_with_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.schema.json");
    let text = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(text.lines()).position(|(kept, made)| kept != made);
    assert!(
        kept == text,
        "docs/protocol.schema.json is not what the types say, from line {} on: run `make schema`, which runs this test \
         with {WRITE}=1, and look at what changed",
        differs.unwrap_or_default() + 1
    );
}

#[test]
fn the_document_and_the_types_agree_about_json_types() {
    let schema = generate();
    for section in Section::all() {
        for part in ["Params", "Result"] {
            let (Some(table), Some(name)) = (
                section.table(part),
                schema["methods"][section.method][part.to_lowercase()]["$ref"].as_str(),
            ) else {
                continue;
            };
            let def = &schema["$defs"][name.trim_start_matches("#/$defs/")];
            for (field, said) in table["properties"].as_object().unwrap() {
                let place = format!("{}, {part}, {field}", section.method);
                let found = types_of(&def["properties"][field], &schema);
                assert!(!found.is_empty(), "{place}: {}", def["properties"][field]);
                let said = types_of(said, &schema);
                let missing: Vec<&String> =
                    found.iter().filter(|it| *it != "null" && !said.contains(it)).collect();
                assert!(missing.is_empty(), "{place} is {found:?}, and the document says {said:?}");
            }
        }
    }
}

fn types_of(schema: &Value, all: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return types_of(&all["$defs"][name.trim_start_matches("#/$defs/")], all);
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(parts) = schema[several].as_array() {
            return parts.iter().flat_map(|part| types_of(part, all)).collect();
        }
    }
    let names = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => Vec::new(),
    };
    names.into_iter().map(|name| if name == "integer" { "number" } else { name }.to_owned()).collect()
}
