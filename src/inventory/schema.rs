//! The JSON Schema of the inventory file, for editors. What the file means is `file`'s job; a test holds the
//! two to the same examples.

use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of the inventory file.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fab-rs inventory",
        "type": "object",
        "additionalProperties": false,
        "required": ["sources"],
        "properties": {
            "version": {"const": 1, "description": "schema version"},
            "sources": {
                "type": "array",
                "minItems": 1,
                "items": source(),
                "description": "where hosts come from; all are asked at the same time"
            },
            "aliases": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "tag spellings: as typed -> as hosts bear it"
            },
            "ssh": {"$ref": "#/$defs/ssh", "description": "for every host"},
            "rules": {
                "type": "array",
                "items": rule(),
                "description": "settings of the hosts that match; for each key the first rule that matches wins"
            }
        },
        "$defs": {
            "text": {"type": ["string", "number", "boolean"]},
            "texts": {
                "oneOf": [
                    {"$ref": "#/$defs/text"},
                    {"type": "array", "items": {"$ref": "#/$defs/text"}}
                ]
            },
            "terms": {
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "selector terms such as role=db"
            },
            "duration": {"type": "string", "pattern": "^[0-9]+ ?[a-z]", "examples": ["60s", "5m"]},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "ssh": ssh(),
            "host": host()
        }
    })
}

fn source() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "ec2": ec2(),
            "hosts": {"type": "array", "items": {"$ref": "#/$defs/host"}},
            "command": {
                "description": "prints a JSON list of hosts on stdout; no shell reads it",
                "oneOf": [
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/text"}},
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["argv"],
                        "properties": {
                            "argv": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/text"}},
                            "timeout": {"$ref": "#/$defs/duration"}
                        }
                    }
                ]
            }
        }
    })
}

fn ec2() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "dependentRequired": {"external_id": ["role_arn"]},
        "properties": {
            "regions": {"$ref": "#/$defs/texts", "description": "default: the ambient region; `all` asks for every one"},
            "profile": {"type": "string"},
            "role_arn": {"type": "string"},
            "external_id": {"type": "string"},
            "filters": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/texts"},
                "description": "filters of DescribeInstances; state `running` unless given"
            },
            "exclude": {"$ref": "#/$defs/terms"},
            "name": choices("id|private_dns|public_dns|private_ip"),
            "address": choices("private_ip|public_ip|private_dns|public_dns|ipv6"),
            "cache": {"$ref": "#/$defs/duration", "description": "never used for a change"},
            "page_size": {"type": "integer", "minimum": 5, "maximum": 1000}
        }
    })
}

fn choices(words: &str) -> Value {
    let one = json!({"type": "string", "pattern": format!("^({words}|tag:.+)$")});
    json!({"oneOf": [one, {"type": "array", "minItems": 1, "items": one}]})
}

fn rule() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["match"],
        "anyOf": [{"required": ["ssh"]}, {"required": ["vars"]}],
        "properties": {
            "match": {"$ref": "#/$defs/terms"},
            "ssh": {"$ref": "#/$defs/ssh"},
            "vars": {"type": "object"}
        }
    })
}

fn ssh() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "user": {"type": "string"},
            "port": {"$ref": "#/$defs/port"},
            "jump": {"type": "string", "description": "[user@]host[:port]; `none` undoes an inherited one"},
            "host_keys": {"enum": ["ssh", "strict", "accept-new"]},
            "kex": {"enum": ["default", "fast"]},
            "identity": {"type": "string", "description": "a path, from the inventory's folder or ~/"},
            "config": {"type": "string", "description": "an ssh_config file that replaces the user's"},
            "options": {"type": "object", "additionalProperties": {"$ref": "#/$defs/text"}}
        }
    })
}

fn host() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "anyOf": [{"required": ["name"]}, {"required": ["address"]}],
        "properties": {
            "name": {"type": "string"},
            "address": {"type": "string"},
            "id": {"type": "string"},
            "zone": {"type": "string"},
            "az_id": {"type": "string"},
            "region": {"type": "string"},
            "user": {"type": "string"},
            "port": {"$ref": "#/$defs/port"},
            "tags": {"type": "object", "additionalProperties": {"$ref": "#/$defs/text"}},
            "vars": {"type": "object"},
            "ssh": {"$ref": "#/$defs/ssh"},
            "private_ip": {"type": "string"},
            "type": {"type": "string"},
            "state": {"type": "string"},
            "vpc": {"type": "string"},
            "subnet": {"type": "string"},
            "launch_time": {"type": "string"},
            "label": {"type": "string"},
            "source": {"type": "string"}
        }
    })
}
