//! Those who serve one subject, and whose turn it is.

use std::collections::VecDeque;

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::port::Request;

/// Those who serve a subject, the next to be asked in front.
#[derive(Default)]
pub(super) struct Servers {
    queues: VecDeque<mpsc::Sender<Request>>,
}

/// What became of a request.
pub(super) enum Handed {
    /// One has it in its queue.
    Over,
    /// All have full queues.
    AllBusy {
        /// The one whose turn it is.
        first: mpsc::Sender<Request>,
        /// The request.
        request: Request,
    },
    /// There is nobody.
    Nobody,
}

impl Servers {
    /// Adds one who serves, and forgets those who are gone.
    pub(super) fn add(&mut self, queue: mpsc::Sender<Request>) {
        self.queues.retain(|queue| !queue.is_closed());
        self.queues.push_back(queue);
    }

    /// Gives the request to the next who has room. Those found gone are forgotten.
    pub(super) fn hand_over(&mut self, mut request: Request) -> Handed {
        for _ in 0..self.queues.len() {
            let Some(queue) = self.queues.pop_front() else { break };
            match queue.try_send(request) {
                Ok(()) => {
                    self.queues.push_back(queue);
                    return Handed::Over;
                }
                Err(TrySendError::Full(returned)) => {
                    self.queues.push_back(queue);
                    request = returned;
                }
                Err(TrySendError::Closed(returned)) => request = returned,
            }
        }
        match self.queues.front() {
            Some(first) => Handed::AllBusy { first: first.clone(), request },
            None => Handed::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::contract::heartbeat;

    fn request() -> Request {
        Request { message: heartbeat("hello"), reply: oneshot::channel().0 }
    }

    #[test]
    fn requests_are_given_in_turn() {
        let (mut servers, mut queues) = (Servers::default(), Vec::new());
        for _ in 0..3 {
            let (sender, queue) = mpsc::channel(10);
            servers.add(sender);
            queues.push(queue);
        }

        for n in 0..9 {
            assert!(matches!(servers.hand_over(request()), Handed::Over));
            assert_eq!(queues[n % 3].len(), n / 3 + 1);
        }
    }

    #[test]
    fn those_who_are_gone_are_not_held() {
        let mut servers = Servers::default();
        for _ in 0..3 {
            servers.add(mpsc::channel(1).0);
        }
        assert_eq!(servers.queues.len(), 1);

        assert!(matches!(servers.hand_over(request()), Handed::Nobody));
        assert_eq!(servers.queues.len(), 0);
    }
}
