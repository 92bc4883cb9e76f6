//! Who may use a pool, in the order of coming.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who comes first is served first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tickets: Mutex<Tickets>,
    served: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    now: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn, if nobody has it or waits for it.
    pub(super) fn try_now(&self) -> Option<Turn<'_>> {
        let mut tickets = self.lock();
        (tickets.now == tickets.next).then(|| {
            tickets.next += 1;
            Turn(self)
        })
    }

    /// Blocks until all who came before are done.
    pub(super) fn wait(&self) -> Turn<'_> {
        let mut tickets = self.lock();
        let mine = tickets.next;
        tickets.next += 1;
        while tickets.now != mine {
            tickets = self.served.wait(tickets).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }
}

/// A place at the head of the queue, left on drop.
pub(super) struct Turn<'a>(&'a Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().now += 1;
        self.0.served.notify_all();
    }
}
