//! How fast to send: not faster than the kernel's queues and neighbour tables bear.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::echo::neighbours::{Table, Tables};
use crate::echo::socket::Family;
use crate::echo::{Options, Probe};

/// How long a request counts as one that is about to be answered.
const YOUNG: Duration = Duration::from_millis(10);

/// How many such requests there may be when the tables are nearly full.
const WAVE_SQUEEZED: usize = 16;

/// How many requests may be sent between two readings of the tables.
const READING_MIN: usize = 16;
const READING_MAX: usize = 128;

/// One request can take an entry in its own namespace and one at its end, and the group's that is
/// asked for an IPv6 address; routers between may take more.
const ENTRIES_EACH: usize = 4;

/// Looking through all namespaces again pays only after a while.
const SWEEP_INTERVAL: Duration = Duration::from_millis(20);

const HOLD_MIN: Duration = Duration::from_millis(20);
const HOLD_MAX: Duration = Duration::from_millis(320);

/// How much longer a run may take because of full tables, in timeouts.
const HOLD_TIMEOUTS: u32 = 8;

/// Says when the next request may be sent.
#[derive(Debug)]
pub(super) struct Pace {
    wave: usize,
    has_v4: bool,
    has_v6: bool,
    tables: Tables,
    /// Requests left until the tables must be looked at.
    until_reading: usize,
    is_squeezed: bool,
    was_refused: bool,
    hold_until: Option<Instant>,
    hold: Duration,
    hold_left: Duration,
    next_sweep: Option<Instant>,
    /// Entries that the last sweep left because they are still being resolved for a probe.
    unresolved: usize,
    /// The requests of the last moments.
    young: VecDeque<(Instant, u32)>,
}

impl Pace {
    pub(super) fn new(options: &Options, probes: &[Probe], tables: Tables) -> Self {
        Self {
            wave: options.wave.max(1),
            has_v4: probes.iter().any(|probe| probe.dst.is_ipv4()),
            has_v6: probes.iter().any(|probe| probe.dst.is_ipv6()),
            tables,
            until_reading: 0,
            is_squeezed: false,
            was_refused: false,
            hold_until: None,
            hold: HOLD_MIN,
            hold_left: options.timeout * HOLD_TIMEOUTS,
            next_sweep: None,
            unresolved: 0,
            young: VecDeque::new(),
        }
    }

    pub(super) fn tables(&self) -> Tables {
        self.tables
    }

    pub(super) fn wants_reading(&self) -> bool {
        self.until_reading == 0
    }

    /// Takes in what the tables are like. Returns whether room is scarce.
    pub(super) fn note_tables(&mut self, tables: Tables) -> bool {
        let moved = |family| tables.of(family).refusals != self.tables.of(family).refusals;
        self.was_refused |= self.has_v4 && moved(Family::V4) || self.has_v6 && moved(Family::V6);
        self.tables = tables;
        self.was_refused || self.is_scarce()
    }

    /// The smaller table of those in use.
    fn table(&self) -> Table {
        let used = [(self.has_v4, self.tables.v4), (self.has_v6, self.tables.v6)];
        let used = used.into_iter().filter_map(|(is_used, table)| is_used.then_some(table));
        used.min_by_key(Table::room).unwrap_or_default()
    }

    /// An eighth is left to others.
    fn is_scarce(&self) -> bool {
        self.table().room() < self.table().limit / 8
    }

    pub(super) fn may_sweep(&self, now: Instant) -> bool {
        self.next_sweep.is_none_or(|next| next <= now)
    }

    /// Takes in what sweeping brought, and how many entries it left for probes that wait.
    pub(super) fn note_swept(&mut self, tables: Tables, unresolved: usize, now: Instant) {
        self.unresolved = unresolved;
        let before = self.table().room();
        self.note_tables(tables);
        let gained = self.table().room().saturating_sub(before);
        let pays = usize::try_from(gained).is_ok_and(|gained| gained >= READING_MAX);
        self.next_sweep = (!pays).then_some(now + SWEEP_INTERVAL);
    }

    /// Decides how to go on after the tables were looked at.
    ///
    /// That there is no room alone is no reason to stop: the kernel makes room itself by removing
    /// entries that were not used for 5 s (`neigh_forced_gc`, net/core/neighbour.c), and those that
    /// others configured do not count.
    pub(super) fn plan(&mut self, now: Instant) {
        let room = usize::try_from(self.table().room()).unwrap_or(usize::MAX);
        self.is_squeezed = self.is_scarce();
        self.until_reading = (room / (2 * ENTRIES_EACH)).clamp(READING_MIN, READING_MAX);
        if room < READING_MIN * ENTRIES_EACH && self.unresolved >= READING_MIN {
            // Neighbours that do not answer: their probes' time will be over.
            self.hold_until = Some(now + SWEEP_INTERVAL);
            self.until_reading = 0;
        } else if std::mem::take(&mut self.was_refused) {
            self.hold(now);
        } else {
            self.hold = HOLD_MIN;
        }
    }

    /// Sends nothing for a while, longer each time in a row.
    pub(super) fn hold(&mut self, now: Instant) {
        let hold = self.hold.min(self.hold_left);
        self.hold_left -= hold;
        self.hold = (self.hold * 2).min(HOLD_MAX);
        self.hold_until = (!hold.is_zero()).then(|| now + hold);
    }

    pub(super) fn note_sent(&mut self, now: Instant, token: u32) {
        self.until_reading = self.until_reading.saturating_sub(1);
        self.young.push_back((now, token));
    }

    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.hold_until.is_some_and(|until| until > now)
    }

    /// Tells whether a request may be sent now. `is_open` tells whether one is still waited for.
    pub(super) fn may_send(&mut self, now: Instant, is_open: impl Fn(u32) -> bool) -> bool {
        if self.is_held(now) {
            return false;
        }
        let wave = if self.is_squeezed { WAVE_SQUEEZED.min(self.wave) } else { self.wave };
        if self.young.len() >= wave {
            self.young.retain(|(sent, token)| *sent + YOUNG > now && is_open(*token));
        }
        self.young.len() < wave
    }

    /// Returns when it is worth asking again.
    pub(super) fn next_turn(&self, now: Instant) -> Instant {
        let hold = self.hold_until.filter(|until| *until > now);
        let young = self.young.front().map(|(sent, _)| *sent + YOUNG);
        hold.or(young).unwrap_or(now)
    }
}
