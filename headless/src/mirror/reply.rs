//! What the status server asks of a mirror, answered between two turns.

use super::{
    Mirror,
    answers::{self, Question, What},
};
use serde_json::{Value, json};
use twinfleet_engine::mirror::follow::live;

/// Questions answered in one turn.
const ANSWERED: usize = 16;

impl Mirror {
    pub(super) fn answer(&mut self) {
        for _ in 0..ANSWERED {
            let Ok(Question { what, reply }) = self.asked.try_recv() else { return };
            let answer = self.answer_to(&what);
            // Who asked may have gone.
            let _ = reply.try_send(answer);
        }
    }

    fn answer_to(&mut self, what: &What) -> Value {
        match what {
            What::Twins(from) => {
                let to = self.book.len().min(from.saturating_add(answers::LIST));
                let twins: Vec<Value> = (*from..to).map(|at| self.book.brief(at, &self.keeper)).collect();
                json!({ "count": self.book.len(), "from": from, "twins": twins })
            }
            What::Twin(id) => {
                let Some(at) = self.book.place(id) else { return Value::Null };
                match live::status(self.run.world_mut(), at) {
                    Some(status) => self.book.whole(at, &self.keeper, &status, &self.wall),
                    None => Value::Null,
                }
            }
            What::Channels(id) => match self.book.place(id) {
                None => Value::Null,
                Some(at) => {
                    let channels: Vec<Value> = (0..u16::MAX)
                        .map_while(|c| self.book.channel(at, c))
                        .map(|(name, unit)| json!({ "name": name, "unit": unit }))
                        .collect();
                    json!({ "number": self.book.number(at), "channels": channels })
                }
            },
            What::Metrics => Value::String(self.metrics()),
        }
    }
}
