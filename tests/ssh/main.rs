//! The transport against real sshds: connect, exec, stop, die, transfer, bastions, and every way a host can
//! be out of reach. One fleet for all of it.

mod bastions;
mod commands;
mod ends;
mod ground;
mod transfers;
mod troubles;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lab::{Fault, Fleet, HostSpec, Shell};
use tokio::task::JoinSet;

use crate::bastions::*;
use crate::commands::*;
use crate::ends::*;
use crate::ground::*;
use crate::transfers::*;
use crate::troubles::*;

/// How many hosts stand behind the bastion: more than the sessions that its sshd allows (10).
const INNER: usize = 14;

fn hosts() -> Vec<HostSpec> {
    let host = |name: &str| HostSpec::new(name);
    let mut hosts = vec![
        host("plain"),
        host("killed"),
        host("bash").shell(Shell::Bash).fault(Fault::BadShellRc),
        host("tiny").shell(Shell::Busybox).fault(Fault::NoSetsid),
        host("frozen"),
        host("forced").fault(Fault::Fails(3)),
        host("forced-ok").fault(Fault::Fails(0)),
        host("refuses").fault(Fault::Refuses),
        host("down").fault(Fault::Unanswered),
        host("silent").fault(Fault::HangsAfterAccept),
        host("banner").fault(Fault::HangsAfterBanner),
        host("closes").fault(Fault::Closes),
        host("denied").fault(Fault::RefusesKey),
        host("changed").fault(Fault::WrongHostKey),
        host("unknown").fault(Fault::UnknownHostKey),
        host("drops").fault(Fault::Drops(6000)),
        host("no-sudo").fault(Fault::NoSudo),
        host("sudo-password").fault(Fault::SudoPassword),
        host("gate").bastion(),
        host("side").bastion(),
        host("behind-side").behind("side"),
        host("shut").bastion().fault(Fault::Refuses),
        host("behind-shut").behind("shut"),
    ];
    hosts.extend((0..INNER).map(|index| host(&format!("inner-{index}")).behind("gate")));
    hosts
}

type Check = fn(Arc<Ground>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), (|ground| Box::pin($name(ground))) as Check)),*]
    };
}

#[test]
fn the_transport_against_real_hosts() {
    let Some(fleet) = Fleet::builder("transport").hosts(hosts()).start_or_skip() else {
        return;
    };
    // Short: control sockets live below it.
    let folder = tempfile::Builder::new()
        .prefix("t")
        .tempdir_in("/tmp")
        .unwrap();
    let ground = Arc::new(Ground { fleet, folder });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed = runtime.block_on(async {
        let mut running = JoinSet::new();
        let mut names = std::collections::HashMap::new();
        for (name, check) in checks![
            commands_come_through_unchanged,
            a_noisy_login_shell_does_not_show,
            a_bare_busybox_is_enough,
            every_trouble_has_its_cause,
            a_changed_key_of_an_instance_is_refused,
            transient_trouble_is_tried_again,
            cancelling_ends_the_attempt,
            a_lost_connection_is_not_an_exit,
            a_frozen_host_costs_its_own_limit,
            a_forced_command_is_not_ours,
            more_sessions_than_allowed_are_told,
            doctor_sees_keys_and_logins,
            a_shell_has_the_same_connection,
            stopping_ends_the_group,
            sudo_is_asked_rightly,
            a_daemon_survives_the_step,
            files_come_back_as_they_went,
            dialling_reaches_what_the_host_reaches,
            many_hosts_share_one_bastion_login,
            a_shut_bastion_is_the_named_cause,
            killing_the_client_leaves_nothing,
        ] {
            let id = running.spawn(check(Arc::clone(&ground))).id();
            names.insert(id, name);
        }
        let mut failed = Vec::new();
        while let Some(end) = running.join_next_with_id().await {
            if let Err(error) = end {
                failed.push(names[&error.id()]);
            }
        }
        failed
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
    let sockets = ground.folder.path().join("s").display().to_string();
    assert_eq!(processes_with(&sockets), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&sockets).unwrap().count(), 0);
}
