//! A client that asks all the time, each request over a connection of its own, and counts what failed, when and why.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

/// Workers that ask at the same time.
const WORKERS: usize = 4;
/// Between two requests of a worker.
const PAUSE: Duration = Duration::from_millis(5);
/// A request that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(5);

/// A running client; dropping it stops it.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    address: Ipv4Addr,
    port: u16,
    path: String,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

/// What a client saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were answered well, by the first word of the answer: for `/work`, the machine's name.
    pub answered: BTreeMap<String, u64>,
    /// Requests that failed.
    pub failures: Vec<Failure>,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it failed.
    pub at: SystemTime,
    /// Why, for example `status 503` or `connection refused`.
    pub reason: String,
}

impl Tally {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.answered.values().sum::<u64>() + self.failures.len() as u64
    }

    /// How many requests this machine answered.
    pub fn answered_by(&self, machine: &str) -> u64 {
        self.answered.get(machine).copied().unwrap_or(0)
    }
}

impl Client {
    /// Starts asking for a path; returns once a request was answered.
    pub fn start(address: Ipv4Addr, port: u16, path: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            address,
            port,
            path: path.to_owned(),
            stop: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        shared
            .ask()
            .with_context(|| format!("http://{address}:{port}{path} does not answer"))?;
        let workers = (0..WORKERS).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work())
        });
        Ok(Self {
            workers: workers.collect(),
            shared,
        })
    }

    /// What it has seen until now.
    pub fn so_far(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Stops asking, waits for the requests that are under way, and says what was seen.
    pub fn finish(mut self) -> Tally {
        self.stop();
        self.so_far()
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let answer = self.ask();
            let mut tally = self.tally();
            match answer {
                Ok(name) => *tally.answered.entry(name).or_default() += 1,
                Err(error) => tally.failures.push(Failure {
                    at: SystemTime::now(),
                    reason: error.to_string(),
                }),
            }
            drop(tally);
            std::thread::sleep(PAUSE);
        }
    }

    /// One request; the first word of a good answer.
    fn ask(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&(self.address, self.port).into(), LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n",
            self.path
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or_else(|| io::Error::other("half an answer"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            return Err(io::Error::other(format!("status {status}")));
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        if length.is_some_and(|length| length != body.len()) {
            return Err(io::Error::other("half an answer"));
        }
        Ok(body
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }
}
