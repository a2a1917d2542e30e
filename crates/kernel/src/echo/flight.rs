//! Probes under way: what is sent when, and what its answer or its silence means.

mod pace;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::field::{Field, from_event_data};
use super::icmp::{Message, Reason};
use super::order::Block;
use super::socket::{Family, PACKET_BYTES, Way};
use super::{Options, Outcome, Probe};
use crate::error::Error;
use pace::Pace;
use wire::Wire;

/// The first request of a probe is waited for at least this long before the next.
const PATIENCE_MIN: Duration = Duration::from_millis(250);

/// How often a probe is sent again because a neighbour entry was refused to somebody meanwhile.
const SUSPICIONS_MAX: u32 = 8;

/// How many requests are sent before answers are read.
const STEP: usize = 16;

/// The slowest rate of the second round: that of `icmp_msgs_per_sec`.
const CALM_INTERVAL_MAX: Duration = Duration::from_millis(1);

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    probe: usize,
    sent: Instant,
    /// The same since 1970, to compare with the kernel's time of receipt.
    sent_wall: Duration,
    /// How often a neighbour entry had been refused.
    refusals: u64,
}

#[derive(Debug, Clone, Default)]
struct State {
    place: usize,
    tries_left: u32,
    suspicions: u32,
    /// The latest request, while it is waited for.
    current: Option<u32>,
    outcome: Option<Outcome>,
}

/// All probes of a run, on their way through the states of [`State`].
pub(super) struct Flight<'a, 'r, P> {
    probes: &'a [Probe],
    options: &'a Options,
    field: &'a mut Field<'r>,
    progress: P,
    wire: Wire,
    pace: Pace,
    states: Vec<State>,
    attempts: Vec<Attempt>,
    undecided: usize,
    fresh: VecDeque<usize>,
    /// Those for the second, calmer round.
    calm: VecDeque<usize>,
    calm_total: u32,
    calm_next: Instant,
    /// Requests by the time when they are given up: those that have another try, and the last.
    early: VecDeque<(Instant, u32)>,
    last: VecDeque<(Instant, u32)>,
    /// How many requests are waited for, by namespace and destination, and by the two namespaces.
    waiting: HashMap<(usize, IpAddr), u32>,
    waiting_between: HashMap<(usize, usize), u32>,
    longest_rtt: Duration,
    buffer: Vec<u8>,
}

impl<'a, 'r, P: FnMut(usize, &Outcome)> Flight<'a, 'r, P> {
    pub(super) fn new(
        probes: &'a [Probe],
        options: &'a Options,
        field: &'a mut Field<'r>,
        progress: P,
    ) -> Result<Self, Error> {
        let state = |probe: &Probe| State {
            place: field.place(&probe.ns),
            tries_left: options.retries,
            ..State::default()
        };
        let states = probes.iter().map(state).collect();
        let now = Instant::now();
        Ok(Self {
            probes,
            options,
            progress,
            wire: Wire::new(options.payload_bytes, options.cookie)?,
            pace: Pace::new(options, probes, field.tables()?),
            field,
            states,
            attempts: Vec::with_capacity(probes.len()),
            undecided: 0,
            fresh: VecDeque::new(),
            calm: VecDeque::new(),
            calm_total: 0,
            calm_next: now,
            early: VecDeque::new(),
            last: VecDeque::new(),
            waiting: HashMap::new(),
            waiting_between: HashMap::new(),
            longest_rtt: Duration::ZERO,
            buffer: vec![0; PACKET_BYTES],
        })
    }

    /// Sends all and returns the outcomes in the order of the probes.
    pub(super) fn fly(mut self, blocks: &[Block]) -> Result<Vec<Outcome>, Error> {
        for block in blocks {
            self.field.open(block.places.iter().copied())?;
            self.fresh.extend(&block.probes);
            self.undecided = block.probes.len();
            self.calm_total = 0;
            while self.undecided > 0 {
                self.receive()?;
                self.expire()?;
                if !self.send_step()? {
                    self.wait()?;
                }
            }
            self.sweep()?;
        }
        Ok(self.states.iter().map(|state| state.outcome.unwrap_or(Outcome::NoAnswer)).collect())
    }

    /// Sends a few requests. Returns whether there may be more to send at once.
    fn send_step(&mut self) -> Result<bool, Error> {
        for _ in 0..STEP {
            let now = Instant::now();
            if self.undecided == 0 || !self.has_turn(now) || self.pace.is_held(now) {
                return Ok(false);
            }
            if self.pace.wants_reading() {
                self.look_at_tables(now)?;
            }
            let states = &self.states;
            let attempts = &self.attempts;
            let is_open = |token: u32| {
                let probe = attempts[token as usize].probe;
                states[probe].outcome.is_none() && states[probe].current == Some(token)
            };
            if !self.pace.may_send(now, is_open) {
                return Ok(false);
            }
            let Some(probe) = self.next(now) else { return Ok(false) };
            self.send(probe)?;
        }
        Ok(true)
    }

    fn has_turn(&self, now: Instant) -> bool {
        !self.fresh.is_empty() || !self.calm.is_empty() && self.calm_next <= now
    }

    fn next(&mut self, now: Instant) -> Option<usize> {
        if let Some(probe) = self.fresh.pop_front() {
            return Some(probe);
        }
        let probe = self.calm.pop_front()?;
        let interval = self.options.timeout / self.calm_total.max(1);
        // What was missed while answers were read is made up for, but not more.
        let earliest = now.checked_sub(CALM_INTERVAL_MAX).unwrap_or(now);
        self.calm_next = self.calm_next.max(earliest) + interval.min(CALM_INTERVAL_MAX);
        Some(probe)
    }

    fn send(&mut self, index: usize) -> Result<(), Error> {
        if self.states[index].outcome.is_some() {
            // A late answer came while it was in the queue.
            return Ok(());
        }
        let probe = &self.probes[index];
        let family = Family::of(probe.dst);
        let refused = |errno| Outcome::CannotSend { errno };
        let place = self.states[index].place;
        let Some(dev) = self.field.device(probe)? else {
            self.decide(index, refused(Errno::NODEV));
            return Ok(());
        };
        if probe.src.is_some_and(|src| Family::of(src) != family) {
            self.decide(index, refused(Errno::AFNOSUPPORT));
            return Ok(());
        }
        let token = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let message = self.wire.request(family, token);
        let way = Way { src: probe.src, dst: probe.dst, dev };
        let refusals = self.pace.tables().of(family).refusals;
        let sent_wall = wall();
        let sent = Instant::now();
        let result = match self.field.echo(place, family) {
            Some(socket) => socket.send(way, message),
            None => Err(Errno::BADF),
        };
        self.pace.note_sent(sent, token);
        // Also when it was not sent, so that each has its token.
        self.attempts.push(Attempt { probe: index, sent, sent_wall, refusals });
        self.field.touch(place, probe.dst);
        match result {
            Ok(()) => {
                self.start_waiting(index, token, sent);
                Ok(())
            }
            Err(errno) => self.take_send_error(index, errno, refusals, family),
        }
    }

    fn start_waiting(&mut self, index: usize, token: u32, sent: Instant) {
        let state = &mut self.states[index];
        state.current = Some(token);
        if state.tries_left > 0 {
            let patience = PATIENCE_MIN.max(self.longest_rtt * 4).min(self.options.timeout);
            self.early.push_back((sent + patience, token));
        } else {
            self.last.push_back((sent + self.options.timeout, token));
        }
        let (to, between) = self.waiting_keys(index);
        *self.waiting.entry(to).or_default() += 1;
        if let Some(between) = between {
            *self.waiting_between.entry(between).or_default() += 1;
        }
    }

    fn stop_waiting(&mut self, index: usize) {
        if self.states[index].current.take().is_none() {
            return;
        }
        let (to, between) = self.waiting_keys(index);
        decrement(&mut self.waiting, to);
        if let Some(between) = between {
            decrement(&mut self.waiting_between, between);
        }
    }

    fn waiting_keys(&self, index: usize) -> ((usize, IpAddr), Option<(usize, usize)>) {
        let (place, dst) = (self.states[index].place, self.probes[index].dst);
        let between = self.field.owner(dst).map(|owner| (place.min(owner), place.max(owner)));
        ((place, dst), between)
    }

    /// The kernel did not send: for good, or for want of memory or of a neighbour entry. For IPv6
    /// the latter shows as EINVAL (`ip6_finish_output2`, net/ipv6/ip6_output.c).
    fn take_send_error(
        &mut self,
        index: usize,
        errno: Errno,
        refusals: u64,
        family: Family,
    ) -> Result<(), Error> {
        let is_shortage = matches!(errno, Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM);
        if is_shortage {
            self.pace.hold(Instant::now());
        }
        if is_shortage || self.was_refused(refusals, family)? {
            self.suspect(index);
        } else {
            self.decide(index, Outcome::CannotSend { errno });
        }
        Ok(())
    }

    /// Tells whether a neighbour entry was refused, to anybody, since there were so many refusals.
    fn was_refused(&mut self, refusals: u64, family: Family) -> Result<bool, Error> {
        let tables = self.field.tables()?;
        self.pace.note_tables(tables);
        Ok(tables.of(family).refusals != refusals)
    }

    /// Sends it again later without counting: what happened to it says nothing.
    fn suspect(&mut self, index: usize) {
        self.stop_waiting(index);
        self.states[index].suspicions += 1;
        if self.states[index].suspicions > SUSPICIONS_MAX {
            self.decide(index, Outcome::CannotSend { errno: Errno::NOBUFS });
        } else {
            self.queue_calm(index);
        }
    }

    fn queue_calm(&mut self, index: usize) {
        self.calm.push_back(index);
        self.calm_total = self.calm_total.saturating_add(1);
    }

    fn decide(&mut self, index: usize, outcome: Outcome) {
        self.stop_waiting(index);
        self.states[index].outcome = Some(outcome);
        self.undecided -= 1;
        (self.progress)(index, &outcome);
    }

    /// Gives up requests whose time is over.
    fn expire(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let mut over = Vec::new();
        for queue in [&mut self.early, &mut self.last] {
            while let Some((deadline, token)) = queue.front().copied() {
                let is_open =
                    self.states[self.attempts[token as usize].probe].current == Some(token);
                if is_open && deadline > now {
                    break;
                }
                queue.pop_front();
                over.extend(is_open.then_some(token));
            }
        }
        if over.is_empty() {
            return Ok(());
        }
        let tables = self.field.tables()?;
        self.pace.note_tables(tables);
        for token in over {
            let Attempt { probe, refusals, .. } = self.attempts[token as usize];
            let family = Family::of(self.probes[probe].dst);
            if tables.of(family).refusals != refusals {
                self.suspect(probe);
            } else if self.states[probe].tries_left > 0 {
                self.stop_waiting(probe);
                self.states[probe].tries_left -= 1;
                self.queue_calm(probe);
            } else {
                self.decide(probe, Outcome::NoAnswer);
            }
        }
        Ok(())
    }

    /// Reads all that came in.
    fn receive(&mut self) -> Result<(), Error> {
        self.poll(Duration::ZERO)
    }

    /// Waits until something comes in or something is due.
    fn wait(&mut self) -> Result<(), Error> {
        if self.undecided == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let due = [&self.early, &self.last].into_iter().filter_map(|queue| Some(queue.front()?.0));
        let calm = (self.fresh.is_empty() && !self.calm.is_empty()).then_some(self.calm_next);
        let has_turn = self.has_turn(now);
        let pace = has_turn.then(|| self.pace.next_turn(now));
        let next = due.chain(calm.filter(|_| !has_turn)).chain(pace).min();
        let next = next.unwrap_or(now + self.options.timeout);
        self.poll(next.saturating_duration_since(now))
    }

    fn poll(&mut self, limit: Duration) -> Result<(), Error> {
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 64];
        let mut timeout = limit;
        loop {
            let limit = Timespec {
                tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            };
            let ready = match epoll::wait(self.field.epoll(), &mut events, Some(&limit)) {
                Ok((ready, _)) => ready,
                Err(Errno::INTR) => return Ok(()),
                Err(errno) => return Err(Error::system("wait for", "ICMP answers")(errno)),
            };
            let count = ready.len();
            let sources: Vec<_> =
                ready.iter().map(|event| from_event_data(event.data.u64())).collect();
            for (place, family) in sources {
                self.drain(place, family);
            }
            if count < 64 {
                return Ok(());
            }
            timeout = Duration::ZERO;
        }
    }

    fn drain(&mut self, place: usize, family: Family) {
        let mut buffer = std::mem::take(&mut self.buffer);
        // An error of the socket is no answer; EAGAIN is the end.
        while let Some(Ok(received)) =
            self.field.echo(place, family).map(|socket| socket.receive(&mut buffer))
        {
            let packet = &buffer[..received.bytes.min(buffer.len())];
            let message = match family {
                Family::V4 => super::icmp::parse_ipv4(packet).map(|(_, message)| message),
                Family::V6 => super::icmp::parse_icmpv6(packet),
            };
            match message {
                Some(Message::Reply(reply)) => {
                    if let Some(token) = self.wire.recognise(&reply) {
                        self.take_reply(place, token, received.at);
                    }
                }
                Some(Message::Error { reason, dst, request }) => {
                    if let Some(token) = self.wire.recognise_part(&request) {
                        self.take_error(place, token, dst, received.from, reason);
                    }
                }
                None => {}
            }
        }
        self.buffer = buffer;
    }

    fn take_reply(&mut self, place: usize, token: u32, received: Option<Duration>) {
        let Some(attempt) = self.attempts.get(token as usize).copied() else { return };
        let state = &self.states[attempt.probe];
        if state.place != place || state.outcome.is_some() {
            return;
        }
        let elapsed = attempt.sent.elapsed();
        let by_kernel = received.and_then(|at| at.checked_sub(attempt.sent_wall));
        // The wall clock may have been set meanwhile.
        let rtt = by_kernel.filter(|rtt| *rtt <= elapsed).unwrap_or(elapsed);
        self.longest_rtt = self.longest_rtt.max(rtt);
        self.decide(attempt.probe, Outcome::Reply { rtt });
    }

    /// An error counts only for the request that is waited for: removing an unresolved neighbour
    /// makes the kernel send errors for what waits in it, to whom it had been given up.
    fn take_error(&mut self, place: usize, token: u32, dst: IpAddr, from: IpAddr, reason: Reason) {
        let Some(attempt) = self.attempts.get(token as usize).copied() else { return };
        let state = &self.states[attempt.probe];
        if state.place != place
            || state.current != Some(token)
            || state.outcome.is_some()
            || self.probes[attempt.probe].dst != dst
        {
            return;
        }
        // Who was refused an entry does not answer for his address. Where that can't be asked it
        // counts as if.
        let is_suspect = reason == Reason::HostUnreachable
            && self.was_refused(attempt.refusals, Family::of(dst)).unwrap_or(true);
        if is_suspect {
            self.suspect(attempt.probe);
        } else {
            self.decide(attempt.probe, Outcome::Unreachable { from, reason });
        }
    }

    /// Reads how full the tables are; makes room where it is scarce.
    fn look_at_tables(&mut self, now: Instant) -> Result<(), Error> {
        let tables = self.field.tables()?;
        if self.pace.note_tables(tables) && self.pace.may_sweep(now) {
            let unresolved = self.sweep()?;
            let tables = self.field.tables()?;
            self.pace.note_swept(tables, unresolved, now);
        }
        self.pace.plan(now);
        Ok(())
    }

    /// Returns how many entries were left because they are not resolved yet.
    fn sweep(&mut self) -> Result<usize, Error> {
        let (to, between) = (&self.waiting, &self.waiting_between);
        self.field.sweep(|place, addr, owner| {
            to.contains_key(&(place, addr))
                || owner.is_some_and(|owner| {
                    between.contains_key(&(place.min(owner), place.max(owner)))
                })
        })
    }
}

fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The time since 1970.
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
