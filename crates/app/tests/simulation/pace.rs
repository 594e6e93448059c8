//! Places to die: a task waits at each of them until it is let on, if it is.

use std::{
    cell::Cell,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

/// What happens where a task may die.
pub(crate) trait Pace: Send + Sync {
    /// The task that is polled came to `step`. It goes on when it is polled again, which `waker` asks for.
    fn arrive(&self, step: &'static str, waker: &Waker);

    /// Whether the server has spent a token for the task that is polled, and nothing is written down of that.
    fn at_risk(&self, _is_at_risk: bool) {}
}

/// A place where the task that is polled waits once, and may die.
pub(crate) async fn step(pace: &dyn Pace, name: &'static str) {
    let mut is_over = false;
    poll_fn(|context| {
        if is_over {
            return Poll::Ready(());
        }
        is_over = true;
        pace.arrive(name, context.waker());
        Poll::Pending
    })
    .await;
}

thread_local! {
    /// Which task is being polled.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Says which task is polled from now on.
pub(crate) fn enter(task: usize) {
    CURRENT.set(task);
}

/// Where a task is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whereabouts {
    /// The last step that it came to.
    pub(crate) step: &'static str,
    /// Whether the server has spent a token for it of which nothing is written down.
    pub(crate) is_at_risk: bool,
}

/// Where each of the tasks is that are polled by hand.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Vec<Whereabouts>>>);

impl Pace for Steps {
    fn arrive(&self, step: &'static str, _: &Waker) {
        self.change(|it| it.step = step);
    }

    fn at_risk(&self, is_at_risk: bool) {
        self.change(|it| it.is_at_risk = is_at_risk);
    }
}

impl Steps {
    fn change(&self, change: impl FnOnce(&mut Whereabouts)) {
        let mut all = self.0.lock().unwrap();
        let current = CURRENT.get();
        if all.len() <= current {
            all.resize(current + 1, Whereabouts::default());
        }
        change(&mut all[current]);
    }

    pub(crate) fn of(&self, task: usize) -> Whereabouts {
        self.0.lock().unwrap().get(task).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&self, task: usize) {
        if let Some(it) = self.0.lock().unwrap().get_mut(task) {
            *it = Whereabouts::default();
        }
    }
}
