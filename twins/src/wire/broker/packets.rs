//! What the broker does with each kind of packet.

use super::{
    core::{Close, Core},
    router::{SessionId, matches},
    session::{Delivery, Session},
};
use crate::wire::codec::{ack, put_ack, valid_filter, valid_topic};
use bytes::BytesMut;
use rumqttc::mqttbytes::{
    Error, QoS,
    v4::{
        ConnAck, Connect, ConnectReturnCode, Packet, Publish, SubAck, Subscribe, SubscribeReasonCode,
        UnsubAck,
    },
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

impl Core {
    /// Handles one packet. Gives it back if it has to wait until a subscriber has room.
    pub(super) fn handle(&mut self, i: usize, packet: Packet) -> Result<Option<Packet>, Close> {
        let Some(conn) = self.conn(i) else { return Ok(None) };
        let id = match (&packet, conn.session) {
            (Packet::Connect(_), None) => {
                let Packet::Connect(connect) = packet else { return Ok(None) };
                self.on_connect(i, connect)?;
                return Ok(None);
            }
            // The first packet is CONNECT, and there is one only.
            (Packet::Connect(_), Some(_)) | (_, None) => return Err(Close::Malformed),
            (_, Some(id)) => id,
        };
        match packet {
            Packet::Publish(publish) => return self.on_publish(i, id, publish),
            Packet::PubAck(a) => self.on_ack(id, |s, _| s.acknowledged(a.pkid)),
            Packet::PubRec(a) => self.on_ack(id, |s, out| {
                s.received(a.pkid);
                put_ack(out, ack::PUBREL, a.pkid);
            }),
            Packet::PubComp(a) => self.on_ack(id, |s, _| s.completed(a.pkid)),
            Packet::PubRel(a) => self.on_ack(id, |s, out| {
                s.received_qos2.remove(&a.pkid);
                put_ack(out, ack::PUBCOMP, a.pkid);
            }),
            Packet::Subscribe(subscribe) => self.on_subscribe(i, id, subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                for filter in &unsubscribe.topics {
                    if let Some(session) = self.session(id)
                        && session.subscriptions.remove(filter.as_str()).is_some()
                    {
                        self.router.remove(filter, id);
                    }
                }
                self.count_subscriptions();
                self.reply(i, &Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
            }
            Packet::PingReq => self.reply(i, &Packet::PingResp),
            Packet::Disconnect => return Err(Close::Asked),
            _ => return Err(Close::Malformed),
        }
        Ok(None)
    }

    /// What to do about bytes that are no packet.
    pub(super) fn refuse_packet(&mut self, i: usize, error: &Error) -> Close {
        let first = self.conn(i).is_some_and(|c| c.session.is_none());
        if first && matches!(error, Error::InvalidProtocolLevel(_) | Error::InvalidProtocol) {
            self.connack(i, ConnectReturnCode::RefusedProtocolVersion, false);
            self.shared.refused.fetch_add(1, Relaxed);
            return Close::Gone;
        }
        Close::Malformed
    }

    fn reply(&mut self, i: usize, packet: &Packet) {
        if let Some(conn) = self.conn(i) {
            // Our own replies have no field that could fail to be written.
            packet.write(&mut conn.out, usize::MAX).ok();
            self.mark_dirty(i);
        }
    }

    fn connack(&mut self, i: usize, code: ConnectReturnCode, session_present: bool) {
        self.reply(i, &Packet::ConnAck(ConnAck::new(code, session_present)));
    }

    fn on_connect(&mut self, i: usize, connect: Connect) -> Result<(), Close> {
        if connect.last_will.as_ref().is_some_and(|will| !valid_topic(&will.topic)) {
            return Err(Close::Malformed);
        }
        let refusal = if connect.client_id.is_empty() && !connect.clean_session {
            Some(ConnectReturnCode::BadClientId)
        } else {
            let login = self.config.login.as_ref();
            let welcome = login.is_none_or(|(user, password)| connect.auth.validate(user, password));
            (!welcome).then_some(ConnectReturnCode::BadUserNamePassword)
        };
        if let Some(code) = refusal {
            self.shared.refused.fetch_add(1, Relaxed);
            self.connack(i, code, false);
            return Err(Close::Gone);
        }
        let client_id: Arc<str> = if connect.client_id.is_empty() {
            self.named += 1;
            format!("unnamed-{}", self.named).into()
        } else {
            connect.client_id.into()
        };
        // A second connection with the same name takes the first one's place.
        if let Some(other) = self.session_of.get(&client_id).copied()
            && let Some(old) = self.session(other).and_then(|s| s.conn)
        {
            self.close(old, Close::Gone);
        }
        if let Some(old) = self.session_of.get(&client_id).copied()
            && connect.clean_session
        {
            self.forget(old);
        }
        let present = self.session_of.contains_key(&client_id);
        let id = self.session_for(client_id, connect.clean_session);
        if let Some(session) = self.session(id) {
            session.conn = Some(i);
        }
        if let Some(conn) = self.conn(i) {
            conn.session = Some(id);
            conn.will = connect.last_will;
            let limit = Duration::from_secs(u64::from(connect.keep_alive)) * 3 / 2;
            conn.silence_limit = (connect.keep_alive > 0).then_some(limit);
        }
        self.connack(i, ConnectReturnCode::Success, present);
        self.on_ack(id, Session::resend);
        Ok(())
    }

    fn session_for(&mut self, client_id: Arc<str>, clean: bool) -> SessionId {
        if let Some(id) = self.session_of.get(&client_id) {
            return *id;
        }
        let session = Some(Session::new(Arc::clone(&client_id), clean));
        let id = match self.free_sessions.pop() {
            Some(id) => {
                self.sessions[id as usize] = session;
                id
            }
            None => {
                self.sessions.push(session);
                self.sessions.len() as SessionId - 1
            }
        };
        self.session_of.insert(client_id, id);
        id
    }

    fn on_publish(&mut self, i: usize, id: SessionId, publish: Publish) -> Result<Option<Packet>, Close> {
        let qos = publish.qos as u8;
        let repeated = qos == 2 && self.session(id).is_some_and(|s| s.received_qos2.contains(&publish.pkid));
        if !repeated {
            let message = Delivery {
                topic: publish.topic.clone(),
                payload: publish.payload.clone(),
                qos,
                retain: publish.retain,
            };
            if !self.route(&message, true) {
                return Ok(Some(Packet::Publish(publish)));
            }
            self.shared.messages_in.fetch_add(1, Relaxed);
        }
        // It is acknowledged once every subscriber's session has it.
        if qos > 0 {
            if qos == 2
                && let Some(session) = self.session(id)
            {
                session.received_qos2.insert(publish.pkid);
            }
            if let Some(conn) = self.conn(i) {
                put_ack(&mut conn.out, if qos == 1 { ack::PUBACK } else { ack::PUBREC }, publish.pkid);
            }
            self.mark_dirty(i);
        }
        Ok(None)
    }

    /// Lets a session act on its connection's buffer, then sends what it has room for.
    fn on_ack(&mut self, id: SessionId, act: impl FnOnce(&mut Session, &mut BytesMut)) {
        let limits = self.limits();
        let Some(Some(session)) = self.sessions.get_mut(id as usize) else { return };
        let Some(i) = session.conn else { return };
        let Some(Some(conn)) = self.conns.get_mut(i) else { return };
        act(session, &mut conn.out);
        let sent = session.pump(&mut conn.out, limits);
        self.shared.messages_out.fetch_add(sent, Relaxed);
        self.mark_dirty(i);
    }

    fn on_subscribe(&mut self, i: usize, id: SessionId, subscribe: Subscribe) {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut retained = Vec::new();
        for filter in &subscribe.filters {
            if !valid_filter(&filter.path) {
                codes.push(SubscribeReasonCode::Failure);
                continue;
            }
            codes.push(SubscribeReasonCode::Success(filter.qos));
            self.router.insert(&filter.path, id, filter.qos as u8);
            if let Some(session) = self.session(id) {
                session.subscriptions.insert(filter.path.as_str().into(), filter.qos as u8);
            }
            self.collect_retained(&filter.path, filter.qos, &mut retained);
        }
        self.count_subscriptions();
        self.reply(i, &Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
        self.on_ack(id, |session, _| retained.into_iter().for_each(|delivery| session.push(delivery)));
    }

    fn collect_retained(&self, filter: &str, granted: QoS, into: &mut Vec<Delivery>) {
        let mut add = |delivery: &Delivery| {
            into.push(Delivery { qos: delivery.qos.min(granted as u8), retain: true, ..delivery.clone() });
        };
        if filter.contains(['+', '#']) {
            self.retained.iter().filter(|(topic, _)| matches(filter, topic)).for_each(|(_, d)| add(d));
        } else if let Some(delivery) = self.retained.get(filter) {
            add(delivery);
        }
    }
}
