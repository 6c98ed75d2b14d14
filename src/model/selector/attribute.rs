//! The built-in attributes of a host that selectors can ask for. Tags are not attributes.

use std::fmt;

use crate::model::Host;

/// A built-in attribute. Its name is matched exactly; a tag that bears the same name is `tag:NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// The availability zone's name or its id; `none` where the host has no zone.
    Az,
    /// The region.
    Region,
    /// The host's id.
    Id,
    /// The name.
    Name,
    /// The private address, or the one that is connected to.
    Ip,
    /// The instance type.
    Type,
    /// The auto-scaling group.
    Asg,
    /// The CloudFormation stack.
    Stack,
    /// The instance state. Asking for it lifts the default of running instances only.
    State,
    /// The VPC's id.
    Vpc,
    /// The subnet's id.
    Subnet,
    /// Whatever a person may call the host: name, label, id or address.
    Host,
}

impl Attribute {
    /// Every attribute, in the order in which help and hints list them.
    pub const ALL: [Self; 12] = [
        Self::Az,
        Self::Region,
        Self::Id,
        Self::Name,
        Self::Ip,
        Self::Type,
        Self::Asg,
        Self::Stack,
        Self::State,
        Self::Vpc,
        Self::Subnet,
        Self::Host,
    ];

    /// The attribute of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|attribute| attribute.name() == name)
    }

    /// The name that selectors use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Az => "az",
            Self::Region => "region",
            Self::Id => "id",
            Self::Name => "name",
            Self::Ip => "ip",
            Self::Type => "type",
            Self::Asg => "asg",
            Self::Stack => "stack",
            Self::State => "state",
            Self::Vpc => "vpc",
            Self::Subnet => "subnet",
            Self::Host => "host",
        }
    }

    /// The host's values of the attribute, the one that people use first; none where it has none.
    pub fn values(self, host: &Host) -> Vec<&str> {
        match self {
            Self::Az => {
                let zone = host.zone.as_ref().map_or("none", |zone| zone.as_str());
                std::iter::once(zone).chain(host.az_id.as_deref()).collect()
            }
            Self::Region => some(host.region.as_deref()),
            Self::Id => vec![host.id.as_str()],
            Self::Name => vec![&host.name],
            Self::Ip => some(host.private_ip.as_deref())
                .into_iter()
                .chain(some(Some(&host.address)))
                .collect(),
            Self::Type => some(host.instance_type.as_deref()),
            Self::Asg => some(host.asg()),
            Self::Stack => some(host.stack()),
            Self::State => some(host.state.as_deref()),
            Self::Vpc => some(host.vpc.as_deref()),
            Self::Subnet => some(host.subnet.as_deref()),
            Self::Host => vec![
                &host.name,
                host.label.as_str(),
                host.id.as_str(),
                &host.address,
            ],
        }
    }
}

fn some(value: Option<&str>) -> Vec<&str> {
    value.filter(|text| !text.is_empty()).into_iter().collect()
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Zone;

    #[test]
    fn every_attribute_is_found_by_its_name() {
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::named(attribute.name()), Some(attribute));
        }
        assert_eq!(Attribute::named("AZ"), None);
    }

    #[test]
    fn a_zone_is_known_by_name_and_by_id() {
        let mut host = Host::named("app-1", "10.0.0.1");
        assert_eq!(Attribute::Az.values(&host), ["none"]);
        host.zone = Some(Zone::new("us-west-2a"));
        host.az_id = Some("usw2-az1".to_owned());
        assert_eq!(Attribute::Az.values(&host), ["us-west-2a", "usw2-az1"]);
    }

    #[test]
    fn what_a_host_lacks_has_no_value() {
        let host = Host::named("app-1", "");
        for attribute in [Attribute::State, Attribute::Asg, Attribute::Ip] {
            assert!(attribute.values(&host).is_empty(), "{attribute}");
        }
    }
}
