//! The hosts that the tests of this binary share. Each fleet starts when the first test wants it, and ends with the
//! process.

use std::sync::LazyLock;

use lab::{Fault, Fleet, HostSpec};

use crate::desk::Desk;

const ZONES: [&str; 3] = ["us-west-2a", "us-west-2b", "us-west-2c"];

/// Twenty hosts that work, in three zones: `app-00` to `app-19`; twelve bear `dozen=yes`, ten `ten=yes`.
static CALM: LazyLock<Option<Fleet>> = LazyLock::new(|| {
    let host = |n: usize| {
        let host = HostSpec::new(format!("app-{n:02}"))
            .zone(ZONES[n % 3])
            .role("app");
        let host = if n < 12 {
            host.tag("dozen", "yes")
        } else {
            host.tag("late", "yes")
        };
        if n < 10 { host.tag("ten", "yes") } else { host }
    };
    let web = HostSpec::new("web-1").zone(ZONES[0]).role("web");
    Fleet::builder("calm")
        .hosts((0..20).map(host))
        .host(web)
        .start_or_skip()
});

/// Sixteen hosts that work and four that do not, of role `app`; hosts with other faults, of role `bad`.
static BROKEN: LazyLock<Option<Fleet>> = LazyLock::new(|| {
    let good = |n: usize| {
        HostSpec::new(format!("app-{n:02}"))
            .zone(ZONES[n % 3])
            .role("app")
    };
    let four = [
        ("refuses", Fault::Refuses),
        ("hangs", Fault::HangsAfterAccept),
        ("changed", Fault::WrongHostKey),
        ("drops", Fault::Drops(3000)),
    ];
    let others = [
        ("unanswered", Fault::Unanswered),
        ("banner", Fault::HangsAfterBanner),
        ("closes", Fault::Closes),
        ("denied", Fault::RefusesKey),
        ("unknown", Fault::UnknownHostKey),
        ("no-sudo", Fault::NoSudo),
        ("sudo-password", Fault::SudoPassword),
        ("stuck", Fault::Hangs),
        ("small-disk", Fault::SmallDisk),
    ];
    let faulty = |role: &'static str| {
        move |(name, fault): (&str, Fault)| HostSpec::new(name).role(role).fault(fault)
    };
    Fleet::builder("broken")
        .hosts((0..16).map(good))
        .hosts(four.map(faulty("app")))
        .hosts(others.map(faulty("bad")))
        .start_or_skip()
});

/// How many hosts stand behind the bastion `gate`: more than its sshd takes sessions (10) or logins at once.
pub(crate) const INNER: usize = 40;

/// A bastion with the distribution's limits and hosts behind it; another that is down, with three behind it.
static GATED: LazyLock<Option<Fleet>> = LazyLock::new(|| {
    let inner = |n: usize| {
        HostSpec::new(format!("in-{n:02}"))
            .role("app")
            .behind("gate")
    };
    let lost = |n: usize| {
        HostSpec::new(format!("lost-{n}"))
            .role("lost")
            .behind("shut")
    };
    Fleet::builder("gated")
        .host(HostSpec::new("gate").bastion())
        .hosts((0..INNER).map(inner))
        .host(HostSpec::new("shut").bastion().fault(Fault::Refuses))
        .hosts((0..3).map(lost))
        .start_or_skip()
});

fn at_desk(fleet: &'static LazyLock<Option<Fleet>>) -> Option<(&'static Fleet, Desk)> {
    let fleet = fleet.as_ref()?;
    Some((fleet, Desk::new(&fleet.inventory())))
}

/// The hosts that work, and a desk in front of them.
pub(crate) fn calm() -> Option<(&'static Fleet, Desk)> {
    at_desk(&CALM)
}

/// The hosts with faults, and a desk.
pub(crate) fn broken() -> Option<(&'static Fleet, Desk)> {
    at_desk(&BROKEN)
}

/// The hosts behind bastions, and a desk.
pub(crate) fn gated() -> Option<(&'static Fleet, Desk)> {
    at_desk(&GATED)
}
