//! The ways to a port: through the host's connection, and to its SSH port from here.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::run::shared::World;
use crate::run::work::Work;
use crate::transport::Session as _;

use super::command::of_connection;
use super::end::End;
use super::probe::{ANSWER, Answer, unanswered};

/// How long a forwarded connection to a silent peer must stay open to count as open: ssh takes it before
/// it knows whether anybody listens.
const SETTLE: Duration = Duration::from_secs(1);

/// What came of a connection from the host's side.
pub(super) enum Dialled {
    Stream(UnixStream),
    Refused(String),
    /// The connection lives and forwards nothing.
    Forbidden,
}

impl<W: World> Work<W> {
    /// Whether the host's SSH port answers with a banner, asked from here.
    pub(super) async fn ssh_banner(&self) -> Answer {
        let Some(host) = self.host() else {
            return unanswered("there is no host");
        };
        let at = (host.address.as_str(), host.ssh.port.unwrap_or(22));
        let banner = async {
            let mut stream = TcpStream::connect(at).await?;
            let mut start = [0; 4];
            stream.read_exact(&mut start).await?;
            std::io::Result::Ok(start == *b"SSH-")
        };
        match timeout(ANSWER, banner).await {
            Ok(Ok(good)) => Answer {
                good,
                text: if good {
                    "a banner"
                } else {
                    "something else than SSH"
                }
                .to_owned(),
                rc: None,
                body: Vec::new(),
            },
            Ok(Err(error)) => unanswered(error.to_string()),
            Err(_) => unanswered("no answer"),
        }
    }

    /// A connection from the host's side.
    pub(super) async fn dialled(&mut self, host: &str, port: u16) -> Result<Dialled, End> {
        self.connected().await?;
        let Some(session) = &self.session else {
            return Ok(Dialled::Refused("no connection".to_owned()));
        };
        self.touched = true;
        let dialled = timeout(ANSWER, session.dial(host, port)).await;
        let cause = match dialled {
            Ok(Ok(stream)) => return Ok(Dialled::Stream(stream)),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                return Ok(Dialled::Forbidden);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if session.alive().await {
            return Ok(Dialled::Forbidden);
        }
        self.reconnect().await.map_err(of_connection)?;
        Ok(Dialled::Refused(cause))
    }
}

/// Whether somebody listens behind a forwarded connection.
pub(super) async fn stays_open(mut stream: UnixStream) -> Result<(), String> {
    let mut first = [0; 1];
    match timeout(SETTLE, stream.read(&mut first)).await {
        Ok(Ok(0)) => Err("nobody listens".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
