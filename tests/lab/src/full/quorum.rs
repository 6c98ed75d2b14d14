//! ZooKeeper on machines: the configuration of its members, and which role each has. A client that writes is `writer`'s.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;

/// The port on which members answer clients.
pub const ZOOKEEPER_PORT: u16 = 2181;

/// The folder of a member's data, on the machine.
pub(crate) const DATA: &str = "var/lib/zookeeper";

/// What `java` is told. Only ZooKeeper's own jar is named: `/usr/share/java/*` would pick the wrong logger.
pub(crate) const ARGUMENTS: &str = "-cp /etc/zookeeper:/usr/share/java/zookeeper.jar \
     org.apache.zookeeper.server.quorum.QuorumPeerMain /etc/zookeeper/zoo.cfg";

/// The lines of `zoo.cfg` that name the members, numbered from 1.
pub(crate) fn members(addresses: &[Ipv4Addr]) -> String {
    let mut text = String::new();
    for (index, address) in addresses.iter().enumerate() {
        let _ = writeln!(text, "server.{}={address}:2888:3888", index + 1);
    }
    text
}

/// Writes the configuration, by way of a function that takes a path on the machine and a text.
pub(crate) fn install(members: &str, file: impl FnOnce(&str, String) -> Result<()>) -> Result<()> {
    let text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir=/{DATA}\nclientPort={ZOOKEEPER_PORT}\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\nstandaloneEnabled=false\n{members}"
    );
    file("etc/zookeeper/zoo.cfg", text)
}

/// What a member answers to one of ZooKeeper's four-letter words; none when it does not.
pub(crate) fn word(address: Ipv4Addr, word: &str) -> Option<String> {
    let limit = Duration::from_secs(2);
    let target = (address, ZOOKEEPER_PORT).into();
    let mut stream = TcpStream::connect_timeout(&target, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// `leader`, `follower`, `observer`; none while the member does not serve.
pub(crate) fn mode(address: Ipv4Addr) -> Option<String> {
    described(address, "Mode: ")
}

/// The last transaction seen; none while the member does not serve.
pub(crate) fn transaction(address: Ipv4Addr) -> Option<String> {
    described(address, "Zxid: ")
}

fn described(address: Ipv4Addr, key: &str) -> Option<String> {
    let answer = word(address, "srvr")?;
    let value = answer.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.to_owned())
}
