//! A session as the hub holds it, and the part of it that its connection shares.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::task::AtomicWaker;
use rollcall_domain::id::DeviceId;
use rollcall_proto::{close::CloseCode, gateway::v1::LastSet};
use rollcall_runtime::clock::Monotonic;

use super::{UserKey, index::UserSlot, marks::Marks, tokens::TokenEnd};
use crate::codec::Codec;

/// A session's place among the sessions.
pub(super) type SessionSlot = u32;

/// What a connection and the hub know of its session without the hub's lock.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    /// Who is logged in.
    pub(crate) key: UserKey,
    /// Which login of this boot.
    pub(crate) counter: u64,
    /// What presence stored of the login.
    pub(crate) login: LoginRecord,
    pub(super) slot: SessionSlot,
    /// Whether a logout is on its way.
    pub(super) leaving: AtomicBool,
    pub(super) token: TokenEnd,
    /// Whether the client was asked to move, and that was not withdrawn.
    asked_to_move: AtomicBool,
    /// In how many milliseconds the client is to move, and 1; 0 for no need to, or once it was told.
    draining: AtomicU32,
    /// Until when the client is expected to move, as [`Monotonic`]; 0 if it was not asked to.
    moves_until: AtomicU64,
    /// When the client was last heard, as [`Monotonic`].
    heard: AtomicU64,
    /// Whether [`Hub::take_output`](super::Hub::take_output) may have something.
    has_output: AtomicBool,
    /// The [`CloseCode`] to close with; 0 for none.
    close: AtomicU16,
    waker: AtomicWaker,
}

/// What presence stored of a login, to be told if it loses that.
#[derive(Debug, Clone)]
pub(crate) struct LoginRecord {
    pub(crate) platform: i32,
    pub(crate) device: DeviceId,
    /// The record version at which the login was stored.
    pub(crate) order: u64,
    /// The order of the login that the client continues.
    pub(crate) place: u64,
    /// Since which version of the record there was no custom status then; 0 if there was one, or that is not known.
    pub(crate) bare_since: u64,
}

/// What only the hub knows of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) handle: Arc<SessionHandle>,
    pub(super) user: UserSlot,
    pub(super) codec: Codec,
    /// Whose status this session is owed.
    pub(super) marks: Marks,
    /// Set once the end was queued for a report.
    pub(super) ended: bool,
    /// Set while presence is to hold the session again.
    pub(super) asserted: bool,
    /// Set while presence is to say whether it still holds the session.
    pub(super) doubted: bool,
    /// The last set that was acknowledged; `None` while there is none, or since it was overtaken.
    pub(super) last_set: Option<Box<LastSet>>,
    /// When the client was heard, as far as presence knows.
    pub(super) uploaded: Monotonic,
    /// When presence was told.
    pub(super) uploaded_at: Monotonic,
}

impl SessionHandle {
    /// Makes the handle of a session in a slot, whose token runs out at `token_end`.
    pub(super) fn new(
        key: UserKey,
        counter: u64,
        login: LoginRecord,
        slot: SessionSlot,
        heard: Monotonic,
        token_end: Monotonic,
    ) -> Self {
        Self {
            key,
            counter,
            login,
            slot,
            leaving: AtomicBool::new(false),
            token: TokenEnd::new(token_end),
            asked_to_move: AtomicBool::new(false),
            draining: AtomicU32::new(0),
            moves_until: AtomicU64::new(0),
            heard: AtomicU64::new(heard.0),
            has_output: AtomicBool::new(true),
            close: AtomicU16::new(0),
            waker: AtomicWaker::new(),
        }
    }

    /// Notes that a logout is on its way.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Notes that the client was heard.
    pub(crate) fn heard(&self, now: Monotonic) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// Asks to be woken when there may be output, and says whether there may be some now.
    pub(crate) fn poll_output(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.has_output.swap(false, Ordering::AcqRel)
    }

    /// Takes what the client is to be told: that it should move, and in how many milliseconds.
    pub(crate) fn take_draining(&self) -> Option<u32> {
        self.draining.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    /// Returns the code to close with, once the connection is to close.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        CloseCode::from_number(self.close.load(Ordering::Acquire))
    }

    /// Orders the connection to close; the first order counts.
    pub(super) fn order_close(&self, code: CloseCode) {
        let _ = self.close.compare_exchange(0, code.number(), Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }

    /// Has the client told to move after a time; it is expected to have done so at `until`.
    pub(super) fn order_move(&self, after: Duration, until: Monotonic) {
        let after_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        self.asked_to_move.store(true, Ordering::Relaxed);
        self.moves_until.store(until.0, Ordering::Release);
        self.draining.store(after_ms.saturating_add(1), Ordering::Release);
        self.wake();
    }

    /// Asks the client to move no more; one that was told does.
    pub(super) fn withdraw_move(&self) {
        self.asked_to_move.store(false, Ordering::Relaxed);
        if self.take_draining().is_some() {
            self.moves_until.store(0, Ordering::Release);
        }
    }

    /// Says whether the client was asked to move, and that was not withdrawn.
    pub(super) fn was_asked_to_move(&self) -> bool {
        self.asked_to_move.load(Ordering::Relaxed)
    }

    /// Says whether a client that leaves now does so because it was asked to move.
    pub(crate) fn is_moving(&self, now: Monotonic) -> bool {
        now.0 < self.moves_until.load(Ordering::Acquire)
    }

    pub(super) fn wake(&self) {
        self.has_output.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn last_heard(&self) -> Monotonic {
        Monotonic(self.heard.load(Ordering::Relaxed))
    }
}

impl Session {
    /// Makes a session whose client was heard as presence knows. It is owed nothing yet.
    pub(super) fn new(handle: Arc<SessionHandle>, user: UserSlot, codec: Codec) -> Self {
        let heard = handle.last_heard();
        Self {
            handle,
            user,
            codec,
            marks: Marks::default(),
            ended: false,
            asserted: false,
            doubted: false,
            last_set: None,
            uploaded: heard,
            uploaded_at: heard,
        }
    }

    /// Marks the session as owed the status of its own user.
    pub(super) fn mark_own(&mut self) {
        self.marks.own = true;
        self.handle.wake();
    }

    /// Marks the session as owed the status of its user's target at a place.
    pub(super) fn mark(&mut self, place: u32) {
        self.marks.set(place);
        self.handle.wake();
    }
}
