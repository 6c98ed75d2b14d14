//! One HTTP/1.1 request over a connection that is there already: what `http` checks speak.
//!
//! Not its job: connecting, TLS, redirects, judging the answer.

use std::pin::pin;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::output::KEPT;

/// Where a check's URL points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    path: String,
    /// The `Host` header.
    authority: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The start of the body, at most 64 KiB.
    pub(crate) body: Vec<u8>,
}

impl Target {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("`{url}` is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!("`{url}`: checks over https are not supported yet"));
            }
            _ => return Err(format!("`{url}` does not begin with `http://`")),
        }
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(format!("`{url}` names no host"));
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            authority: authority
                .as_str()
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

/// Asks once; the connection is used up.
pub(crate) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    target: &Target,
) -> Result<Answer, String> {
    let failed = |error: hyper::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let request = Request::get(target.path.as_str())
        .header("host", &target.authority)
        .header("user-agent", concat!("fab-rs/", env!("CARGO_PKG_VERSION")))
        .header("accept", "*/*")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let mut response = sender.send_request(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while body.len() < KEPT
            && let Some(frame) = response.frame().await
        {
            if let Ok(data) = frame.map_err(failed)?.into_data() {
                let room = KEPT - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok(Answer {
            status: response.status().as_u16(),
            body,
        })
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    let mut driven = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            // Its error reaches the exchange too; after its end the exchange still has the rest to read.
            _ended = &mut connection, if driven => driven = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("http://127.0.0.1:8080/health?x=1").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("127.0.0.1", 8080));
        assert_eq!(target.path, "/health?x=1");
        let v6 = Target::parse("http://[::1]/").unwrap();
        assert_eq!(
            (v6.host.as_str(), v6.port, v6.authority.as_str()),
            ("::1", 80, "[::1]")
        );
        for refused in ["https://x/", "ftp://x/", "/health", "http://"] {
            assert!(Target::parse(refused).is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_also_where_the_server_closes() {
        let (near, mut far) = tokio::io::duplex(4096);
        let target = Target::parse("http://app.local:8080/health").unwrap();
        let server = async {
            let mut request = vec![0; 4096];
            let count = far.read(&mut request).await.unwrap();
            far.write_all(
                b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\nwarming up",
            )
            .await
            .unwrap();
            drop(far);
            String::from_utf8_lossy(&request[..count]).into_owned()
        };
        let (answer, request) = tokio::join!(get(near, &target), server);
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body), (503, b"warming up".to_vec()));
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: app.local:8080\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_peer_that_closes_at_once_is_an_error() {
        let (near, far) = tokio::io::duplex(4096);
        drop(far);
        let target = Target::parse("http://app.local/").unwrap();
        assert!(get(near, &target).await.is_err());
    }
}
