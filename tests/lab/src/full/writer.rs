//! A client of ZooKeeper that writes all the time and remembers what was acknowledged: so much of its protocol as that
//! takes. It says what a rollout cost the quorum's clients, and whether an acknowledged write was lost.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::quorum::ZOOKEEPER_PORT;

/// The node below which everything is written.
const PARENT: &str = "/lab";
const CREATE: i32 = 1;
const GET_CHILDREN: i32 = 8;
const SYNC: i32 = 9;
const NODE_EXISTS: i32 = -110;
/// How long a request or a connection may take.
const LIMIT: Duration = Duration::from_secs(3);
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(5);

/// A running writer; dropping it stops it.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Written>>,
}

/// What a writer did.
#[derive(Debug, Clone, Default)]
pub struct Written {
    members: Vec<Ipv4Addr>,
    /// The numbers whose creation was acknowledged, or found done when asked for again after a lost connection.
    pub acknowledged: Vec<u64>,
    /// The longest time between two acknowledged writes.
    pub longest_gap: Duration,
    /// What went wrong meanwhile, each of which made the writer connect again; a number in doubt was asked for again.
    pub interruptions: Vec<String>,
}

impl Writer {
    pub(crate) fn start(members: Vec<Ipv4Addr>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let (asked, done) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = Some(std::thread::spawn(move || write(members, &asked, &done)));
        Self {
            stop,
            count,
            thread,
        }
    }

    /// How many writes were acknowledged until now.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Stops it and says what it did.
    ///
    /// # Panics
    /// When the writer itself did.
    pub fn finish(mut self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_else(|| panic!("the writer panicked"))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Written {
    /// The acknowledged numbers that the quorum does not have: none, or writes were lost.
    pub fn lost(&self) -> Result<Vec<u64>> {
        let mut last = None;
        for member in &self.members {
            match stored(*member) {
                Ok(stored) => {
                    let missing = self
                        .acknowledged
                        .iter()
                        .filter(|number| !stored.contains(number));
                    return Ok(missing.copied().collect());
                }
                Err(error) => last = Some(error),
            }
        }
        Err(anyhow::Error::from(
            last.unwrap_or_else(|| io::Error::other("no members")),
        ))
        .context("no member of the quorum can be read")
    }
}

/// The numbers that a member has, after it caught up with the leader.
fn stored(member: Ipv4Addr) -> io::Result<BTreeSet<u64>> {
    let mut session = Session::open(member)?;
    session.call(SYNC, &Frame::default().text(PARENT))?;
    let (status, body) = session.call(GET_CHILDREN, &Frame::default().text(PARENT).flag(false))?;
    if status != 0 {
        return Err(io::Error::other(format!("ZooKeeper says {status}")));
    }
    let mut rest = body.as_slice();
    let count = take_i32(&mut rest)?;
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let length = usize::try_from(take_i32(&mut rest)?).map_err(io::Error::other)?;
        let (name, after) = rest
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        rest = after;
        found.extend(
            std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.parse::<u64>().ok()),
        );
    }
    Ok(found)
}

fn write(members: Vec<Ipv4Addr>, stop: &AtomicBool, count: &AtomicUsize) -> Written {
    let mut written = Written {
        members,
        ..Written::default()
    };
    let mut last = Instant::now();
    let mut session: Option<Session> = None;
    let mut next = 0;
    for number in 0.. {
        while !stop.load(Ordering::Relaxed) {
            match attempt(&mut session, &written.members, &mut next, number) {
                Ok(()) => {
                    written.acknowledged.push(number);
                    count.store(written.acknowledged.len(), Ordering::Relaxed);
                    written.longest_gap = written.longest_gap.max(last.elapsed());
                    last = Instant::now();
                    break;
                }
                Err(error) => {
                    session = None;
                    written.interruptions.push(error.to_string());
                }
            }
            std::thread::sleep(PAUSE * 4);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    written.longest_gap = written.longest_gap.max(last.elapsed());
    written
}

/// Creates one node, over the session that there is or over a new one to the next member.
fn attempt(
    session: &mut Option<Session>,
    members: &[Ipv4Addr],
    next: &mut usize,
    number: u64,
) -> io::Result<()> {
    let open = if let Some(open) = session {
        open
    } else {
        let member = members[*next % members.len()];
        *next += 1;
        session.insert(Session::open(member)?)
    };
    open.create(&format!("{PARENT}/{number}"))
}

/// A connection to one member, with a session of its own.
struct Session {
    stream: TcpStream,
    number: i32,
}

impl Session {
    fn open(member: Ipv4Addr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&(member, ZOOKEEPER_PORT).into(), LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        let mut session = Self { stream, number: 0 };
        // Protocol version, last transaction seen, session's timeout in ms, session, its password, read-only.
        let hello = Frame::default()
            .i32(0)
            .i64(0)
            .i32(8000)
            .i64(0)
            .bytes(&[0; 16])
            .flag(false);
        session.send(&hello)?;
        let answer = session.receive()?;
        let mut rest = answer.get(4..).unwrap_or_default();
        if take_i32(&mut rest)? <= 0 {
            return Err(io::Error::other("the session was refused"));
        }
        session.create(PARENT)?;
        Ok(session)
    }

    /// Creates a node that everybody may use; one that is there will do.
    fn create(&mut self, path: &str) -> io::Result<()> {
        let open = Frame::default()
            .text(path)
            .bytes(b"")
            .i32(1)
            .i32(31)
            .text("world")
            .text("anyone")
            .i32(0);
        match self.call(CREATE, &open)? {
            (0 | NODE_EXISTS, _) => Ok(()),
            (status, _) => Err(io::Error::other(format!("ZooKeeper says {status}"))),
        }
    }

    /// Sends a request; the answer's status and the rest of it.
    fn call(&mut self, operation: i32, body: &Frame) -> io::Result<(i32, Vec<u8>)> {
        self.number += 1;
        let mut frame = Frame::default().i32(self.number).i32(operation);
        frame.0.extend_from_slice(&body.0);
        self.send(&frame)?;
        let answer = self.receive()?;
        let mut rest = answer.as_slice();
        if take_i32(&mut rest)? != self.number {
            return Err(io::Error::other("an answer to something else"));
        }
        rest = rest.get(8..).unwrap_or_default();
        let status = take_i32(&mut rest)?;
        Ok((status, rest.to_vec()))
    }

    fn send(&mut self, frame: &Frame) -> io::Result<()> {
        let length = u32::try_from(frame.0.len()).map_err(io::Error::other)?;
        self.stream
            .write_all(&[&length.to_be_bytes(), frame.0.as_slice()].concat())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > 16 << 20 {
            return Err(io::Error::other("an answer of more than 16 MiB"));
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }
}

/// Bytes as ZooKeeper's protocol writes them.
#[derive(Default)]
struct Frame(Vec<u8>);

impl Frame {
    fn i32(mut self, number: i32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn i64(mut self, number: i64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn flag(mut self, flag: bool) -> Self {
        self.0.push(u8::from(flag));
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }
}

fn take_i32(rest: &mut &[u8]) -> io::Result<i32> {
    let (number, after) = rest
        .split_first_chunk()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(i32::from_be_bytes(*number))
}
