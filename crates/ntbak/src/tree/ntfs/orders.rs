//! What the threads that read a volume are to do next.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, PoisonError};

use super::ahead::Batch;
use super::large::Reading;
use crate::error::Result;

/// What is to be read, and where it is waited for.
pub(super) enum Order {
    /// Many files.
    Batch(Batch, SyncSender<Result<Batch>>),
    /// A large stream.
    Stream(Reading),
}

/// What is to be read, in this order. Who gives orders does not let it grow.
#[derive(Default)]
pub(super) struct Orders {
    queue: Mutex<Queue>,
    given: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    closed: bool,
}

impl Orders {
    pub(super) fn give(&self, order: Order) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match order {
            // Who waits for it sees that nobody is there.
            _ if queue.closed => return,
            Order::Batch(..) => queue.waiting.push_back(order),
            // It is waited for already.
            Order::Stream(_) => queue.waiting.push_front(order),
        }
        drop(queue);
        self.given.notify_one();
    }

    /// The next one, if there is any now.
    pub(super) fn next(&self) -> Option<Order> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    /// Waits for the next one; `None` when there are going to be no more.
    pub(super) fn take(&self) -> Option<Order> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |queue: &mut Queue| queue.waiting.is_empty() && !queue.closed;
        let mut queue = self.given.wait_while(queue, none).unwrap_or_else(PoisonError::into_inner);
        queue.waiting.pop_front()
    }
}

/// No more orders, however the work ends, of who gives them or of a thread.
pub(super) struct CloseOnDrop<'o>(pub(super) &'o Orders);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.queue.lock().unwrap_or_else(PoisonError::into_inner) =
            Queue { closed: true, ..Queue::default() };
        self.0.given.notify_all();
    }
}
