//! Where signals come from: the operating system. What they mean is `run::cancel`'s business, but for the third,
//! which ends the process whatever is stuck.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::run::cancel::Signal;

/// Signals that wait to be looked at: a person types no faster than the engine looks.
const WAITING: usize = 8;

/// Listens for SIGINT, SIGTERM and SIGHUP as long as it lives.
#[derive(Debug)]
pub(crate) struct Signals {
    _listener: JoinSet<()>,
}

impl Signals {
    /// Starts to listen; `closed_pipe` is cancelled once nobody reads stdout any more, `told` is called at each
    /// signal of the system. From the second signal on, the next one ends the process with 128 + its number.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub(crate) fn listen(
        closed_pipe: CancellationToken,
        told: impl Fn() + Send + 'static,
    ) -> io::Result<(Self, mpsc::Receiver<Signal>)> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let armed = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_conditional_shutdown(
                number,
                128 + number,
                Arc::clone(&armed),
            )?;
        }
        let streams = Streams {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        };
        let mut listener = JoinSet::new();
        let pipe = sender.clone();
        listener.spawn(async move {
            closed_pipe.cancelled().await;
            // A full channel holds signals that end the run just as well.
            let _ = pipe.try_send(Signal::ClosedPipe);
        });
        listener.spawn(streams.forward(sender, armed, told));
        Ok((
            Self {
                _listener: listener,
            },
            receiver,
        ))
    }
}

struct Streams {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl Streams {
    async fn forward(
        mut self,
        sender: mpsc::Sender<Signal>,
        armed: Arc<AtomicBool>,
        told: impl Fn(),
    ) {
        let mut seen = 0_u8;
        loop {
            let signal = tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
                _ = self.hangup.recv() => Signal::Hangup,
            };
            told();
            seen = seen.saturating_add(1);
            if seen >= 2 {
                armed.store(true, Ordering::SeqCst);
            }
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    }
}
