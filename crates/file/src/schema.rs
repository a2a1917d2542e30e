//! The JSON schema of the language, from the vocabulary.

use serde_json::{Map, Value, json};
use vnet_model::kind::{self, Form};

use crate::vocabulary::{FILE, FIREWALL, INTERFACE, Key, LINK, NAT, NODE, Object, SEGMENT, Shape};

/// Where the schema of a release is found; also its identity.
const ID: &str = "https://raw.githubusercontent.com/vnet-rs/vnet/main/crates/file/vnet.schema.json";

/// Returns the JSON schema (draft-07) of a topology file, so that editors complete and check it.
///
/// It accepts every file that [`parse`](crate::parse) accepts. What it can't say, such as that a
/// link ends at a node that exists, only `parse` checks. Keys of the language that this version
/// does not support yet are in it, with nothing allowed behind them.
#[must_use]
pub fn schema() -> Value {
    let mut schema = object(&FILE);
    let parts = [
        ("node", &NODE),
        ("interface", &INTERFACE),
        ("link", &LINK),
        ("segment", &SEGMENT),
        ("firewall", &FIREWALL),
        ("translation", &NAT),
    ];
    let mut definitions: Map<String, Value> =
        parts.into_iter().map(|(name, part)| (name.to_owned(), object(part))).collect();
    definitions.insert("text".into(), json!({ "type": ["string", "number", "boolean"] }));
    definitions.insert("texts".into(), one_or_many(&reference("text")));
    definitions.insert(
        "variable".into(),
        json!({
            "description": "A variable such as `$name`.",
            "type": "string",
            "pattern": "\\$"
        }),
    );
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["$id"] = json!(ID);
    schema["title"] = json!("vnet topology file");
    schema["definitions"] = Value::Object(definitions);
    schema
}

fn object(object: &'static Object) -> Value {
    let own = object.keys.iter().map(|key| (key.name.to_owned(), property(key)));
    let options = object.option_names().into_iter();
    let options = options.filter(|name| object.key(name).is_none());
    let options = options.map(|name| (name.to_owned(), options_called(name)));
    let properties: Map<String, Value> = own.chain(options).collect();
    let mut schema = json!({
        "description": object.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !object.required.is_empty() {
        schema["required"] = json!(object.required);
    }
    schema
}

/// The options of all kinds that have this key: which kind it is, only the reader compares.
fn options_called(name: &str) -> Value {
    let mut shapes = Vec::new();
    let mut docs: Vec<(Vec<&str>, &str)> = Vec::new();
    for (kind, option) in kind::options_called(name) {
        let shape = form(&option.form);
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
        match docs.iter_mut().find(|(_, doc)| *doc == option.doc) {
            Some((kinds, _)) => kinds.push(kind.name),
            None => docs.push((vec![kind.name], option.doc)),
        }
    }
    shapes.push(reference("variable"));
    let docs = docs.into_iter().map(|(kinds, doc)| format!("{}: {doc}", kinds.join(", ")));
    json!({ "anyOf": shapes, "description": docs.collect::<Vec<_>>().join(" ") })
}

fn form(form: &Form) -> Value {
    let quoted = json!({ "type": "string", "pattern": "^[0-9]+$|\\.\\.|\\$" });
    match form {
        form if form.is_switch() => {
            json!({ "enum": [true, false, "true", "false", "on", "off"] })
        }
        Form::Number { min, max, words, .. } => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let number = json!({ "type": "integer", "minimum": min, "maximum": max });
            match words.as_slice() {
                [] => any_of([number, quoted]),
                words => any_of([number, quoted, json!({ "enum": words })]),
            }
        }
        form if form.is_list() => reference("texts"),
        Form::Choice { .. } => json!({ "enum": form.words().collect::<Vec<_>>() }),
        _ => reference("text"),
    }
}

fn port_options() -> Value {
    let tables = [kind::BRIDGE.port, kind::BOND.port];
    let options = tables.into_iter().flatten().map(|option| {
        let shape = any_of([form(&option.form), reference("variable")]);
        let mut shape = shape;
        shape["description"] = json!(option.doc);
        (option.key.to_owned(), shape)
    });
    let properties: Map<String, Value> = options.collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(key: &'static Key) -> Value {
    let mut schema = shape(&key.shape);
    let not_yet = if matches!(key.shape, Shape::Later) { " Not supported yet." } else { "" };
    schema["description"] = json!(format!("{}{not_yet}", key.doc));
    schema
}

fn shape(shape: &'static Shape) -> Value {
    match shape {
        Shape::Later => json!({ "not": {} }),
        Shape::Text => any_of([reference("text")]),
        Shape::Bool => any_of([
            json!({ "type": "boolean" }),
            json!({ "enum": ["true", "false"] }),
            reference("variable"),
        ]),
        Shape::OnOff => {
            any_of([json!({ "enum": ["on", "off", true, false] }), reference("variable")])
        }
        Shape::Number { min, max } => any_of([
            json!({ "type": "integer", "minimum": min, "maximum": max }),
            // A number in quotes, a range beside another, or a variable.
            json!({ "type": "string", "pattern": "^[0-9]+$|\\.\\.|\\$" }),
        ]),
        Shape::Choice(words) => any_of([json!({ "enum": words }), reference("variable")]),
        Shape::Kind => {
            let names: Vec<&str> = kind::ALL.iter().map(|kind| kind.name).collect();
            any_of([json!({ "enum": names }), reference("variable")])
        }
        Shape::PortOptions => port_options(),
        Shape::OneOrMany => any_of([reference("texts")]),
        Shape::Texts => json!({
            "type": ["object", "null"],
            "additionalProperties": any_of([reference("text"), nothing()]),
        }),
        Shape::Names(object) => names(&any_of([nothing(), reference(definition(object))])),
        Shape::Interfaces(object) => {
            names(&any_of([reference("texts"), reference(definition(object))]))
        }
        Shape::Object(object) => any_of([nothing(), reference(definition(object))]),
        Shape::Objects(object) => one_or_many(&reference(definition(object))),
        Shape::Links(object) => json!({
            "type": ["array", "null"],
            "items": any_of([
                reference(definition(object)),
                list_of_names(&any_of([reference("texts"), reference("interface")])),
            ]),
        }),
    }
}

/// One name, a list of names and maps, or a map from names to what stands behind them.
fn names(behind: &Value) -> Value {
    let list = list_of_names(behind);
    any_of([nothing(), reference("text"), list, map_of_names(behind)])
}

fn list_of_names(behind: &Value) -> Value {
    let item = any_of([reference("text"), map_of_names(behind)]);
    json!({ "type": "array", "items": item })
}

fn map_of_names(behind: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": behind })
}

fn one_or_many(item: &Value) -> Value {
    any_of([nothing(), item.clone(), json!({ "type": "array", "items": item })])
}

fn nothing() -> Value {
    json!({ "type": "null" })
}

fn any_of<const N: usize>(shapes: [Value; N]) -> Value {
    json!({ "anyOf": shapes.to_vec() })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

/// Returns the name that an object is defined under: its own without the article.
fn definition(object: &'static Object) -> &'static str {
    object.name.split_once(' ').map_or(object.name, |(_, name)| name)
}
