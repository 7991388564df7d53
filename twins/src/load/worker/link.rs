//! Connections come and go, and what they have to say leaves.

use super::*;

impl<'a> Worker<'a> {
    pub(super) fn open(&mut self, i: usize) {
        let workers = self.ctx.job.workers as u64;
        let n = self.opened * workers + self.index as u64;
        self.opened += 1;
        let opened = self.ctx.job.dial.open(n).and_then(|(mut socket, begun)| {
            // Those that were in use are not tried again so soon.
            self.opened += (begun - n) / workers;
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(i), interest)?;
            let wrap = self.ctx.job.wraps.of(self.client_id(i)).map_err(io::Error::other)?;
            Stream::new(socket, &wrap)
        });
        match opened {
            Ok(stream) => {
                let conn = &mut self.conns[i];
                conn.stream = Some(stream);
                conn.state = State::Opening;
                conn.opened_ns = self.ctx.now_ns;
                conn.attempts += 1;
                self.wake_at(i, self.ctx.now_ns + CONNECT_NS);
            }
            Err(error) => {
                self.conns[i].attempts += 1;
                self.unreachable(i, &error);
            }
        }
    }

    pub(super) fn client_id(&self, i: usize) -> &'a str {
        let job = self.ctx.job;
        match &self.conns[i].role {
            Role::Device(d) => &job.devices[d.spec].id,
            Role::Subscriber(s) => &job.subscribers[s.spec].id,
            Role::Stranger(s) => {
                let first = || job.subscribers.iter().find(|s| job.owns(s.ordinal)).map(|s| &s.id);
                s.shows.map(|d| &job.devices[d].id).or_else(first).map_or("stranger", |id| &**id)
            }
        }
    }

    /// A socket could not be opened: ours to blame, or the broker's.
    pub(super) fn unreachable(&mut self, i: usize, error: &io::Error) {
        match Accusation::of_socket(error) {
            Some(accusation) => {
                self.ctx.tally.accuse(accusation);
                if matches!(self.conns[i].role, Role::Stranger(_)) {
                    self.close(i, Close::Broken(error.to_string()));
                } else {
                    self.fail(i);
                }
            }
            None => self.close(i, Close::Broken(error.to_string())),
        }
    }

    pub(super) fn fail(&mut self, i: usize) {
        if let Some(mut stream) = self.conns[i].stream.take() {
            let _ = self.poll.registry().deregister(stream.source());
        }
        self.conns[i].state = State::Failed;
        self.ctx.counts.failed += 1;
        self.ctx.tally.counts.refused += 1;
        self.settle(i);
    }

    /// The socket is open, or will not be.
    pub(super) fn opened(&mut self, i: usize) {
        let Some(stream) = &self.conns[i].stream else { return };
        if let Err(error) = stream.take_error() {
            // Not yet, if it was an event of something else.
            if error.kind() != ErrorKind::NotConnected {
                self.unreachable(i, &error);
            }
            return;
        }
        let mut will = (String::new(), Vec::new());
        let conn = &mut self.conns[i];
        let mut out = std::mem::take(&mut conn.out);
        match conn.hello(self.ctx.job, &mut will) {
            Some(hello) => {
                codec::put_connect(&mut out, hello);
                conn.state = State::Greeting;
            }
            None => {
                if let Role::Stranger(s) = &mut conn.role {
                    out.extend_from_slice(&s.says);
                    if s.purpose.is_awaited() {
                        s.until_ns = self.ctx.now_ns + CLOSE_NS;
                    }
                    let until = s.until_ns;
                    conn.state = State::Up;
                    self.wake_at(i, until);
                }
            }
        }
        let conn = &mut self.conns[i];
        conn.out = out;
        conn.writable = true;
        self.mark_dirty(i);
    }

    /// Ends a connection, and says when it comes back.
    pub(super) fn close(&mut self, i: usize, why: Close) {
        let ctx = &mut self.ctx;
        let conn = &mut self.conns[i];
        let was_up = conn.state == State::Up;
        let greeted = was_up || matches!(conn.state, State::Greeting | State::Subscribing);
        let taken = std::mem::take(&mut conn.taken);
        let open = was_up && conn.stream.as_ref().is_some_and(Stream::is_open);
        if was_up && !matches!(conn.role, Role::Stranger(_)) {
            ctx.counts.up -= 1;
        }
        if let Some(mut stream) = conn.stream.take() {
            if matches!(why, Close::Cleaned) {
                // Its session is gone, whether the broker hears this or not.
                let _ = stream.write(&codec::GOOD_BYE).and_then(|_| stream.flush());
            }
            let _ = self.poll.registry().deregister(stream.source());
        }
        conn.out.clear();
        conn.out_at = 0;
        conn.partial.clear();
        (conn.readable, conn.writable) = (false, false);
        conn.state = State::Down;
        if matches!(why, Close::Cleaned) {
            conn.attempts = 0;
            let again_ns = ctx.now_ns + CLEANED_NS;
            return self.wake_at(i, again_ns);
        }
        if matches!(conn.role, Role::Stranger(_)) {
            return self.stranger_left(i, open, &why);
        }
        let back_ns = match &why {
            Close::Cut(at) => {
                ctx.tally.counts.cut += 1;
                *at
            }
            _ => ctx.now_ns + pause_ns(ctx, i, conn.attempts),
        };
        if let Close::Broken(reason) = &why {
            if taken && was_up {
                ctx.tally.counts.taken_over += 1;
            } else if was_up {
                ctx.tally.counts.disconnected += 1;
                ctx.tally.reason(reason.clone());
            } else {
                ctx.tally.reason(format!("not connected: {reason}"));
            }
        }
        match &mut conn.role {
            Role::Stranger(_) => {}
            Role::Subscriber(s) => {
                s.withheld = s.withheld.take().map(|_| Vec::new());
                let spec = &ctx.job.subscribers[s.spec];
                if was_up {
                    s.left_ns = ctx.now_ns;
                    if spec.persistent {
                        s.resumed += 1;
                    } else {
                        s.away.push((ctx.now_ns, i64::MAX));
                        s.unreleased.clear();
                    }
                }
            }
            Role::Device(d) => {
                let spec = &ctx.job.devices[d.spec];
                let def = &ctx.job.load.devices[spec.group];
                if was_up {
                    d.left_ns = ctx.now_ns;
                }
                if let Some(wills) = d.wills.as_mut().filter(|_| greeted) {
                    wills.over.insert(wills.number);
                    // Whether a takeover sends the will, MQTT 3.1.1 leaves open.
                    if was_up && !taken && !matches!(why, Close::Done) {
                        wills.owed.push((wills.number, ctx.now_ns));
                        let topic = ctx.job.will_topic(spec).unwrap_or_default();
                        let owed = u64::from(ctx.job.fan_out(&topic));
                        ctx.tally.counts.wills_owed += owed;
                        ctx.counts.expected += owed;
                    }
                }
                if !def.persistent {
                    let before = d.in_flight.len();
                    d.in_flight.retain(|f| f.own.as_ref().map_or(d.qos, |o| o.qos) == 1);
                    ctx.tally.counts.abandoned += (before - d.in_flight.len()) as u64;
                }
                d.held = true;
            }
        }
        let waited_ns = ctx.now_ns - conn.opened_ns;
        let started = ctx.start_ns != i64::MAX;
        // Before the start, one that does not come up within its time is given up; later, it tries for as long as the run.
        if !started && (conn.attempts >= 8 || waited_ns >= CONNECT_NS) {
            return self.fail(i);
        }
        self.wake_at(i, back_ns);
        self.settle(i);
    }

    /// Writes what waits. Who fills up again meanwhile has its next turn after the others.
    pub(super) fn flush(&mut self) {
        for i in std::mem::take(&mut self.dirty) {
            self.conns[i as usize].in_dirty = false;
            self.write(i as usize);
        }
    }

    pub(super) fn write(&mut self, i: usize) {
        let conn = &mut self.conns[i];
        let Some(stream) = &mut conn.stream else { return };
        if conn.stalled || conn.state == State::Opening {
            return;
        }
        let mut wrote = 0;
        if conn.writable && stream.pending() {
            match stream.flush() {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => conn.writable = false,
                Err(e) => return self.close(i, Close::Broken(e.to_string())),
            }
        }
        while conn.out_at < conn.out.len() && conn.writable {
            match stream.write(&conn.out[conn.out_at..]) {
                Ok(0) => conn.writable = false,
                Ok(n) => {
                    conn.out_at += n;
                    wrote += n;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => conn.writable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    // The broker's last words may still wait to be read.
                    let reason = e.to_string();
                    if !conn.readable {
                        return self.close(i, Close::Broken(reason));
                    }
                    conn.writable = false;
                    break;
                }
            }
        }
        if wrote > 0 {
            conn.last_out_ns = self.ctx.now_ns;
            self.ctx.tally.counts.bytes_out += wrote as u64;
            if conn.out_at == conn.out.len() {
                conn.out_at = 0;
                conn.out.clear();
                // Thousands of connections keep no memory for a burst that one of them had.
                if conn.out.capacity() > 4 << 10 {
                    conn.out.shrink_to(1 << 10);
                }
                self.unblock(i);
                self.settle(i);
            } else if conn.out_at > OUT_LIMIT_BYTES {
                conn.out.drain(..conn.out_at);
                conn.out_at = 0;
            }
        }
    }
}

/// How long a connection that broke stays away. Jitter tells apart two loads that take each other's connections: without it
/// all of one would come back at a time, then all of the other, and neither would hear of the other.
fn pause_ns(ctx: &Context<'_>, i: usize, attempts: u32) -> i64 {
    let pause_ns = (BACKOFF_NS << attempts.min(6)).min(50 * BACKOFF_NS) / 2;
    let salt = (u64::from(ctx.job.run) << 32) ^ ctx.now_ns as u64;
    pause_ns / 2 + (load::jitter(salt, i, "again") * pause_ns as f64) as i64
}
