//! Where signals come from: the operating system; and what is put back before one ends a process that asks a
//! question. What they mean is `run::cancel`'s business, but for the third,
//! which ends the process whatever is stuck.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Handle;
use signal_hook::low_level::emulate_default_handler;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::run::cancel::Signal;

/// Signals that wait to be looked at: a person types no faster than the engine looks.
const WAITING: usize = 8;

/// Set while signals do what they do to a process that does not listen. A handler stays once there is one, so that
/// after a question they would do nothing until the run listens.
static DEFAULTS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The same for SIGQUIT, for which a run does not listen.
static QUITS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Puts something back before a signal ends the process, as long as it lives.
#[derive(Debug)]
pub(crate) struct Undo {
    handle: Handle,
    waiting: Option<JoinHandle<()>>,
}

impl Undo {
    /// Calls `undo` where SIGINT, SIGTERM, SIGHUP or SIGQUIT comes, and lets the signal end the process.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub(crate) fn at_signal(undo: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let numbers = [SIGINT, SIGTERM, SIGHUP];
        Self::leave(false);
        let mut signals = signal_hook::iterator::Signals::new(numbers.iter().chain(&[SIGQUIT]))?;
        for number in numbers {
            signal_hook::flag::register_conditional_default(number, Arc::clone(&DEFAULTS))?;
        }
        signal_hook::flag::register_conditional_default(SIGQUIT, Arc::clone(&QUITS))?;
        let handle = signals.handle();
        let waiting = std::thread::spawn(move || {
            if let Some(number) = signals.forever().next() {
                undo();
                // It ends the process, by the same signal; an error would leave it to the next one.
                let _ = emulate_default_handler(number);
            }
        });
        Ok(Self {
            handle,
            waiting: Some(waiting),
        })
    }

    /// Leaves signals to do what they do by default, or not.
    fn leave(to_default: bool) {
        DEFAULTS.store(to_default, Ordering::SeqCst);
        QUITS.store(to_default, Ordering::SeqCst);
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(waiting) = self.waiting.take() {
            // A panic in there has been told already.
            let _ = waiting.join();
        }
        Self::leave(true);
    }
}

/// Listens for SIGINT, SIGTERM and SIGHUP as long as it lives.
#[derive(Debug)]
pub(crate) struct Signals {
    _listener: JoinSet<()>,
    third: Handle,
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.third.close();
    }
}

/// Ends the process at the third signal, from a thread of its own, since everything else may be stuck.
fn third_signal(
    armed: Arc<AtomicBool>,
    leave: impl FnOnce() + Send + 'static,
) -> io::Result<Handle> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    std::thread::Builder::new()
        .name("third signal".into())
        .spawn(move || {
            if let Some(number) = signals.forever().nth(2) {
                armed.store(true, Ordering::SeqCst);
                leave();
                signal_hook::low_level::exit(128 + number);
            }
        })?;
    Ok(handle)
}

impl Signals {
    /// Starts to listen; `closed_pipe` is cancelled once nobody reads stdout any more, `told` is called at each
    /// signal of the system. The third signal calls `leave` and ends the process with 128 + its number, whatever
    /// is stuck; one more does so at once.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub(crate) fn listen(
        closed_pipe: CancellationToken,
        told: impl Fn() + Send + 'static,
        leave: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Self, mpsc::Receiver<Signal>)> {
        DEFAULTS.store(false, Ordering::SeqCst);
        let (sender, receiver) = mpsc::channel(WAITING);
        let armed = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_conditional_shutdown(
                number,
                128 + number,
                Arc::clone(&armed),
            )?;
        }
        let third = third_signal(armed, leave)?;
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
        listener.spawn(streams.forward(sender, told));
        Ok((
            Self {
                _listener: listener,
                third,
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
    async fn forward(mut self, sender: mpsc::Sender<Signal>, told: impl Fn()) {
        loop {
            let signal = tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
                _ = self.hangup.recv() => Signal::Hangup,
            };
            told();
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    }
}
