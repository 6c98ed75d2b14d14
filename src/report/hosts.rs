//! Hosts as tables: `hosts` and `hosts --fold`. Pure. `hosts --json` is data of the inventory.

use crate::model::{Host, Label, Zone};

use super::fold::fold;
use super::style::{Role, Styles};
use super::table::{Cell, table};

/// `hosts`: one line a host, behind a header.
pub fn hosts_table<'a>(hosts: impl IntoIterator<Item = &'a Host>, styles: Styles) -> String {
    let rows: Vec<Vec<Cell>> = hosts.into_iter().map(row).collect();
    let header = [
        "host", "zone", "address", "id", "role", "type", "state", "user", "source",
    ];
    table(&header, &rows, styles)
}

fn row(host: &Host) -> Vec<Cell> {
    let id = Some(host.id.as_str()).filter(|id| !id.contains(&host.address));
    let port = host.ssh.port.filter(|port| *port != 22);
    let address = port.map_or_else(
        || host.address.clone(),
        |port| format!("{}:{port}", host.address),
    );
    let state = match host.state.as_deref() {
        Some("running") | None => Cell::or_dash(host.state.as_deref()),
        Some(state) => Cell::of(Role::Warning, state),
    };
    vec![
        Cell::new(host.label.as_str()),
        Cell::or_dash(host.zone.as_ref().map(Zone::as_str)),
        Cell::new(&address),
        Cell::or_dash(id),
        Cell::or_dash(role_of(host)),
        Cell::or_dash(host.instance_type.as_deref()),
        state,
        Cell::or_dash(host.ssh.user.as_deref()),
        Cell::or_dash(Some(&host.source)),
    ]
}

/// The tag `role`, in whatever spelling.
fn role_of(host: &Host) -> Option<&str> {
    host.tags.get("role").or_else(|| {
        host.tags
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case("role"))
            .map(|(_, value)| value)
    })
}

/// Hosts of one role and one zone.
#[derive(Debug, Clone, Copy)]
pub struct FoldedHosts<'a> {
    /// The role; `None` where hosts bear none.
    pub role: Option<&'a str>,
    /// The zone.
    pub zone: &'a Zone,
    /// The hosts.
    pub hosts: &'a [Label],
}

/// `hosts --fold`: one line a role and zone.
pub fn folded_table<'a>(
    groups: impl IntoIterator<Item = FoldedHosts<'a>>,
    styles: Styles,
) -> String {
    let rows: Vec<Vec<Cell>> = groups
        .into_iter()
        .map(|group| {
            let names = fold(group.hosts.iter().map(Label::as_str));
            vec![
                Cell::or_dash(group.role),
                Cell::new(group.zone.as_str()),
                Cell::new(&group.hosts.len().to_string()),
                Cell::new(&names),
            ]
        })
        .collect();
    table(&["role", "zone", "hosts", "names"], &rows, styles)
}

#[cfg(test)]
mod tests {
    use crate::model::HostId;

    use super::*;

    #[test]
    fn columns_that_no_host_fills_are_left_out() {
        let named = [
            Host::named("app-1", "10.0.0.1"),
            Host::named("db", "10.0.0.22"),
        ];
        insta::assert_snapshot!(hosts_table(&named, Styles::plain()), @r"
        host   address
        app-1  10.0.0.1
        db     10.0.0.22
        ");
        let mut instance = Host::named("app-1", "10.0.0.1");
        instance.id = HostId::new("i-0123");
        instance.zone = Some(Zone::new("us-west-2a"));
        instance.tags.insert("Role", "app");
        instance.state = Some("stopped".into());
        instance.ssh.port = Some(2222);
        instance.source = "ec2:us-west-2".into();
        insta::assert_snapshot!(hosts_table([&instance, &named[1]], Styles::plain()), @r"
        host   zone        address        id      role  state    source
        app-1  us-west-2a  10.0.0.1:2222  i-0123  app   stopped  ec2:us-west-2
        db     -           10.0.0.22      -       -     -        -
        ");
    }

    #[test]
    fn folded_hosts_stand_by_role_and_zone() {
        let labels = ["app-1", "app-2", "app-3"].map(Label::new);
        let zone = Zone::new("us-west-2a");
        let group = |role| FoldedHosts {
            role,
            zone: &zone,
            hosts: &labels,
        };
        insta::assert_snapshot!(folded_table([group(Some("app")), group(None)], Styles::plain()), @r"
        role  zone        hosts  names
        app   us-west-2a  3      app-[1-3]
        -     us-west-2a  3      app-[1-3]
        ");
    }
}
