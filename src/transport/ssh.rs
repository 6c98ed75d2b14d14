//! The real transport: connects to hosts with the system's ssh, each through a master of ours. What runs
//! over a connection is `session`'s business.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::bastion::{Bastion, BastionKey, Bastions, Gate};
use super::master::{Master, Place};
use super::session::SshSession;
use super::ssh_args::{self, Hop, Shared, Way};
use super::ssh_config::SshConfig;
use super::tries::{Attempts, Failure, Tries, as_bastion, explain, local_trouble, unreadable_hop};
use super::trouble::Target;
use super::workplace::Workplace;
use super::{ConnectError, Transport, TransportSettings};
use crate::model::{Host, Kex, SshSettings};

/// How long ssh may take to say why after its own limit passed.
const SAYS_WHY: Duration = Duration::from_millis(1500);

/// The transport over the system's `ssh`.
#[derive(Debug)]
pub struct SshTransport {
    settings: Arc<TransportSettings>,
    /// Made with the first connection.
    workplace: OnceCell<Result<Workplace, String>>,
    bastions: Bastions,
    config: SshConfig,
}

impl SshTransport {
    /// A transport with these settings. Nothing is started or written before the first connection.
    pub fn new(settings: TransportSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            workplace: OnceCell::new(),
            bastions: Bastions::default(),
            config: SshConfig::default(),
        }
    }

    /// The argv, `ssh` first, of a shell on the host with the same connection settings: with a terminal and
    /// ssh's own prompts, and a master of its own.
    pub async fn interactive_args(&self, host: &Host) -> Vec<OsString> {
        let fast = self.fast_kex(host.ssh.kex).await;
        let mut argv = vec![OsString::from("ssh")];
        let jump = host.ssh.jump.as_deref();
        argv.extend(ssh_args::interactive(host, jump, &self.shared(fast)));
        argv
    }

    /// What ssh's configuration comes to for this host (`ssh -G`), for `doctor`.
    ///
    /// # Errors
    /// ssh's words, where it refuses its configuration.
    pub async fn resolve(&self, host: &Host) -> Result<super::Resolved, String> {
        let fast = self.fast_kex(host.ssh.kex).await;
        self.config.resolve(host, &self.shared(fast)).await
    }

    /// The limit that ssh itself gets for the TCP connection: no longer than the whole login may take.
    fn connect_limit(&self) -> Duration {
        self.settings.connect.min(self.settings.login)
    }

    /// How long a login is waited for. Where both limits are the same, ssh is let say first why nobody answers:
    /// that is a cause, "no login in time" is none.
    fn login_wait(&self) -> Duration {
        self.settings.login.max(self.connect_limit() + SAYS_WHY)
    }

    fn shared<'a>(&'a self, fast_kex: &'a [String]) -> Shared<'a> {
        Shared {
            connect: self.connect_limit(),
            known_hosts: &self.settings.known_hosts,
            fast_kex,
        }
    }

    async fn fast_kex(&self, kex: Kex) -> &[String] {
        match kex {
            Kex::Default => &[],
            Kex::Fast => self.config.fast_kex().await,
        }
    }

    async fn workplace(&self) -> Result<&Workplace, ConnectError> {
        let made = self
            .workplace
            .get_or_init(async || {
                let made = Workplace::make(&self.settings.socket_dir);
                if let Some(folder) = self.settings.known_hosts.parent() {
                    // ssh says so itself where it cannot write the file.
                    let _made = std::fs::create_dir_all(folder);
                }
                made.map_err(|error| error.to_string())
            })
            .await;
        made.as_ref().map_err(|error| local_trouble(error))
    }

    /// One try at the host.
    async fn attempt(
        &self,
        host: &Host,
        through: Option<&Gate>,
        cancel: &CancellationToken,
    ) -> Result<Master, Failure> {
        let workplace = self.workplace().await?;
        let place = make_place(workplace)?;
        let fast = self.fast_kex(host.ssh.kex).await;
        let socket = through.map(|gate| gate.master.place().socket());
        let way = match (&socket, host.ssh.jump.as_deref()) {
            (Some(socket), _) => Way::Through(socket),
            (None, Some("none")) => Way::NoJump,
            (None, _) => Way::Direct,
        };
        let args = ssh_args::master(host, way, &self.shared(fast), &place.socket());
        let (login, wait) = (self.settings.login, self.login_wait());
        match Master::launch(&args, place, workplace.guard(), wait, cancel).await {
            Ok(master) => Ok(master),
            Err(error) => {
                let target = Target {
                    address: &host.address,
                    port: host.ssh.port,
                    bastion: through.map(|gate| gate.name.as_str()),
                };
                Err(explain(error, target, login, through).await)
            }
        }
    }

    /// The master of the bastion at the end of `chain`, connected to once.
    fn gate<'a>(
        &'a self,
        chain: &'a str,
        ssh: &'a SshSettings,
        attempts: Attempts<'a>,
        cancel: &'a CancellationToken,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Gate, ConnectError>> + Send + 'a>> {
        Box::pin(async move {
            let (before, last) = match chain.rsplit_once(',') {
                Some((before, last)) => (Some(before), last.trim()),
                None => (None, chain.trim()),
            };
            let shared = self.bastions.get(&BastionKey::new(chain, ssh));
            let mut state = tokio::select! {
                state = shared.lock() => state,
                () = cancel.cancelled() => return Err(ConnectError::Cancelled),
            };
            match &*state {
                Bastion::Up(master) if master.runs() => {
                    return Ok(Gate::new(last, Arc::clone(master)));
                }
                Bastion::Failed(error) => return Err(error.clone()),
                Bastion::Up(_) | Bastion::New => {}
            }
            let opened = self.open_gate((before, last), ssh, attempts, cancel).await;
            match opened {
                Ok(master) => {
                    let master = Arc::new(master);
                    *state = Bastion::Up(Arc::clone(&master));
                    Ok(Gate::new(last, master))
                }
                Err(ConnectError::Cancelled) => Err(ConnectError::Cancelled),
                Err(error) => {
                    let error = as_bastion(error, last);
                    *state = Bastion::Failed(error.clone());
                    Err(error)
                }
            }
        })
    }

    async fn open_gate(
        &self,
        (before, last): (Option<&str>, &str),
        ssh: &SshSettings,
        attempts: Attempts<'_>,
        cancel: &CancellationToken,
    ) -> Result<Master, ConnectError> {
        let hop = Hop::parse(last).ok_or_else(|| unreadable_hop(last))?;
        let through = match before {
            None => None,
            Some(chain) => Some(self.gate(chain, ssh, attempts, cancel).await?),
        };
        let workplace = self.workplace().await?;
        let fast = self.fast_kex(ssh.kex).await;
        let target = Target {
            address: &hop.host,
            port: hop.port,
            bastion: through.as_ref().map(|gate| gate.name.as_str()),
        };
        let (login, wait) = (self.settings.login, self.login_wait());
        let mut tries = Tries::new(attempts);
        loop {
            let place = make_place(workplace)?;
            let socket = through.as_ref().map(|gate| gate.master.place().socket());
            let way = socket.as_deref().map_or(Way::Direct, Way::Through);
            let args = ssh_args::bastion(&hop, ssh, way, &self.shared(fast), &place.socket());
            match Master::launch(&args, place, workplace.guard(), wait, cancel).await {
                Ok(master) => return Ok(master),
                Err(error) => {
                    let failure = explain(error, target, login, through.as_ref()).await;
                    tries.again(failure, cancel).await?;
                }
            }
        }
    }
}

impl Transport for SshTransport {
    type Session = SshSession;

    async fn connect(
        &self,
        host: &Host,
        attempts: Attempts<'_>,
        cancel: &CancellationToken,
    ) -> Result<SshSession, ConnectError> {
        let jump = match &host.ssh.jump {
            Some(jump) if jump == "none" => None,
            Some(jump) => Some(jump.clone()),
            None => {
                let fast = self.fast_kex(host.ssh.kex).await;
                self.config.jump(host, &self.shared(fast)).await
            }
        };
        let mut tries = Tries::new(attempts);
        loop {
            // Asked for at each try: a bastion that died meanwhile is connected to again.
            let gate = match &jump {
                None => None,
                Some(chain) => Some(self.gate(chain, &host.ssh, attempts, cancel).await?),
            };
            match self.attempt(host, gate.as_ref(), cancel).await {
                Ok(master) => return Ok(SshSession::new(master, Arc::clone(&self.settings))),
                Err(failure) => tries.again(failure, cancel).await?,
            }
        }
    }

    async fn shutdown(&self) {
        for master in self.bastions.take_all().await {
            if let Ok(master) = Arc::try_unwrap(master) {
                master.end().await;
            }
        }
        if let Some(Ok(workplace)) = self.workplace.get() {
            workplace.guard().end().await;
        }
    }
}

fn make_place(workplace: &Workplace) -> Result<Place, ConnectError> {
    workplace
        .place()
        .map_err(|error| local_trouble(&error.to_string()))
}
