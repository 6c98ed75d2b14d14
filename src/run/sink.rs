//! Where events go. `report` implements it; the engine knows no printer.

use std::future::Future;

use super::event::RunEvent;

/// Takes every event of a run, in order.
pub trait Sink: Send {
    /// Takes one event. Awaiting is the backpressure: what a sink may drop, and what it must never make a
    /// run wait for, is the sink's own rule (see `report`).
    fn accept(&mut self, event: &RunEvent) -> impl Future<Output = ()> + Send;
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    async fn accept(&mut self, event: &RunEvent) {
        self.0.accept(event).await;
        self.1.accept(event).await;
    }
}
