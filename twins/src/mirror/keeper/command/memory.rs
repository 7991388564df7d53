//! What a store keeps of a twin beside its documents, so that a restart neither forgets a command nor gives one twice: how its
//! last command stands, and whether its device was there.

use super::{Command, Standing};
use serde_json::{Value, json};

/// Name of it among a twin's documents: no shadow's, for theirs hold no line break.
pub(in crate::mirror::keeper) const MEMORY: &str = "\nmemory";

/// What is kept of a twin.
#[derive(Debug, Default, PartialEq)]
pub(in crate::mirror::keeper) struct Memory {
    /// Whether its device said that it is there; none if it never said.
    pub online: Option<bool>,
    /// Its last command.
    pub last: Option<Command>,
}

/// As the store keeps it.
pub(in crate::mirror::keeper) fn to_bytes(online: Option<bool>, last: Option<&Command>) -> Vec<u8> {
    let command = last.map(|c| {
        json!({
            "version": c.version, "standing": c.standing.word(), "asked_ms": c.asked_ms, "asked": c.asked,
            "before": c.before, "supersedes": c.supersedes, "sent": c.sent, "sent_ms": c.sent_ms, "tried": c.tried,
            "done_ms": c.done_ms, "overdue": c.overdue, "reason": c.reason,
        })
    });
    json!({ "online": online, "command": command }).to_string().into_bytes()
}

/// As the store kept it; of what cannot be read, nothing.
pub(in crate::mirror::keeper) fn from_bytes(bytes: &[u8]) -> Memory {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    Memory { online: value["online"].as_bool(), last: command(&value["command"]) }
}

fn command(value: &Value) -> Option<Command> {
    let count = |key: &str| value[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    let tree = |key: &str| value.get(key).filter(|v| v.is_object()).cloned().unwrap_or_else(|| json!({}));
    let asked_ms = value["asked_ms"].as_i64()?;
    Some(Command {
        version: value["version"].as_u64()?,
        standing: Standing::of(value["standing"].as_str()?)?,
        asked_ms,
        sent_ms: value["sent_ms"][0].as_i64().zip(value["sent_ms"][1].as_i64()),
        sent: count("sent"),
        done_ms: value["done_ms"].as_i64(),
        overdue: value["overdue"].as_bool().unwrap_or_default(),
        reason: value["reason"].as_str().unwrap_or_default().to_owned(),
        asked: tree("asked"),
        before: tree("before"),
        supersedes: value["supersedes"].as_bool().unwrap_or_default(),
        tried: count("tried"),
        since_ms: asked_ms,
        due_ms: asked_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_kept_as_it_stands() {
        let waiting = Command::new(7, 1_000, json!({"fan": 1, "deep": {"er": "on"}}));
        let sent = Command {
            standing: Standing::Refused,
            sent_ms: Some((1_000, 3_000)),
            sent: 2,
            overdue: true,
            reason: "too warm".to_owned(),
            before: json!({"fan": null}),
            supersedes: true,
            tried: 1,
            ..waiting.clone()
        };
        for (online, last) in [(None, None), (Some(false), Some(waiting)), (Some(true), Some(sent))] {
            let bytes = to_bytes(online, last.as_ref());
            assert_eq!(from_bytes(&bytes), Memory { online, last });
        }
        for nonsense in [&b"\xff"[..], b"[]", br#"{"command":{"version":1,"asked_ms":0,"standing":"lost"}}"#]
        {
            assert_eq!(from_bytes(nonsense), Memory::default());
        }
    }
}
