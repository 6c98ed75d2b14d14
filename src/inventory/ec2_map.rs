//! From what EC2 says of an instance to a host: name, address, zone, tags. Asks nobody; `ec2` does.

use serde::{Deserialize, Serialize};

use super::file::{AddressChoice, Ec2Source, NameChoice};
use super::problem::HostProblem;
use crate::model::check_address;
use crate::model::{Diagnostic, Host, HostId, Tags, Zone};

/// One instance as DescribeInstances describes it; what an answer is kept as in the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Instance id.
    pub id: String,
    /// State, such as `running`.
    pub state: Option<String>,
    /// The account that owns it.
    pub account: Option<String>,
    /// Private IPv4 address.
    pub private_ip: Option<String>,
    /// Public IPv4 address.
    pub public_ip: Option<String>,
    /// Private DNS name.
    pub private_dns: Option<String>,
    /// Public DNS name.
    pub public_dns: Option<String>,
    /// IPv6 address.
    pub ipv6: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// The zone's id.
    pub az_id: Option<String>,
    /// Type.
    pub instance_type: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// Launch time, RFC 3339.
    pub launch_time: Option<String>,
    /// Tags, in EC2's order.
    pub tags: Vec<(String, String)>,
}

impl Instance {
    fn tag(&self, key: &str) -> Option<&str> {
        let found = self.tags.iter().find(|(borne, _)| borne == key);
        found.map(|(_, value)| value.as_str())
    }

    fn name(&self, choices: &[NameChoice]) -> String {
        let name = choices.iter().find_map(|choice| {
            let value = match choice {
                NameChoice::Tag(key) => self.tag(key),
                NameChoice::Id => Some(self.id.as_str()),
                NameChoice::PrivateDns => self.private_dns.as_deref(),
                NameChoice::PublicDns => self.public_dns.as_deref(),
                NameChoice::PrivateIp => self.private_ip.as_deref(),
            };
            value.filter(|text| !text.trim().is_empty())
        });
        name.unwrap_or(&self.id).to_owned()
    }

    /// The first address there is.
    ///
    /// # Errors
    /// There is none, or the first is none that ssh can be given.
    fn address(&self, choices: &[AddressChoice]) -> Result<String, Diagnostic> {
        let value = |choice: &AddressChoice| match choice {
            AddressChoice::PrivateIp => self.private_ip.as_deref(),
            AddressChoice::PublicIp => self.public_ip.as_deref(),
            AddressChoice::PrivateDns => self.private_dns.as_deref(),
            AddressChoice::PublicDns => self.public_dns.as_deref(),
            AddressChoice::Ipv6 => self.ipv6.as_deref(),
            AddressChoice::Tag(key) => self.tag(key),
        };
        let what = format!("instance {}", self.id);
        let found = choices
            .iter()
            .find_map(|choice| value(choice).filter(|text| !text.is_empty()));
        let Some(found) = found else {
            let tried: Vec<String> = choices.iter().map(ToString::to_string).collect();
            let state = self.state.as_deref().unwrap_or("in no state");
            let error = Diagnostic::new(format!("{what} has no {}", tried.join(" and no ")));
            return Err(error.context(format!("it is {state}")));
        };
        match check_address(found) {
            Ok(()) => Ok(found.to_owned()),
            Err(error) => Err(error.diagnostic(&what)),
        }
    }
}

/// The host that an instance is; with a problem and an empty address where it has none that can be used.
/// Labels and connection settings are put on later, when every source is known.
pub fn host(instance: &Instance, source: &Ec2Source, region: &str) -> (Host, Option<HostProblem>) {
    let id = HostId::new(instance.id.as_str());
    let (address, problem) = match instance.address(&source.address) {
        Ok(address) => (address, None),
        Err(diagnostic) => (
            String::new(),
            Some(HostProblem {
                host: id.clone(),
                diagnostic,
            }),
        ),
    };
    let host = Host {
        id,
        zone: instance.zone.as_deref().map(Zone::new),
        az_id: instance.az_id.clone(),
        region: Some(region.to_owned()),
        private_ip: instance.private_ip.clone(),
        instance_type: instance.instance_type.clone(),
        state: instance.state.clone(),
        vpc: instance.vpc.clone(),
        subnet: instance.subnet.clone(),
        launch_time: instance.launch_time.clone(),
        tags: instance
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect::<Tags>(),
        source: format!("ec2:{region}"),
        ..Host::named(instance.name(&source.name), address)
    };
    (host, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Instance {
        Instance {
            id: "i-0abc1234".to_owned(),
            state: Some("running".to_owned()),
            private_ip: Some("10.0.1.11".to_owned()),
            public_dns: Some(String::new()),
            zone: Some("us-west-2a".to_owned()),
            tags: vec![
                ("Name".to_owned(), "app-1".to_owned()),
                ("ssh".to_owned(), "-oProxyCommand=x".to_owned()),
                ("fqdn".to_owned(), "app-1.example.com".to_owned()),
            ],
            ..Instance::default()
        }
    }

    fn source(name: &[NameChoice], address: &[AddressChoice]) -> Ec2Source {
        Ec2Source {
            name: name.to_vec(),
            address: address.to_vec(),
            ..Ec2Source::default()
        }
    }

    fn tag(key: &str) -> AddressChoice {
        AddressChoice::Tag(key.to_owned())
    }

    #[test]
    fn an_instance_becomes_a_host_of_its_zone() {
        let (host, problem) = host(&instance(), &Ec2Source::default(), "us-west-2");
        assert_eq!(problem, None);
        assert_eq!(
            (host.id.as_str(), host.name.as_str(), host.address.as_str()),
            ("i-0abc1234", "app-1", "10.0.1.11")
        );
        assert_eq!(host.zone().as_str(), "us-west-2a");
        assert_eq!(host.source, "ec2:us-west-2");
        assert_eq!(host.tags.get("fqdn"), Some("app-1.example.com"));
    }

    #[test]
    fn the_first_name_that_exists_is_taken_and_the_id_at_last() {
        let named = |choices: &[NameChoice]| instance().name(choices);
        let (owner, name) = (
            NameChoice::Tag("Owner".to_owned()),
            NameChoice::Tag("Name".to_owned()),
        );
        assert_eq!(named(&[owner.clone(), name]), "app-1");
        assert_eq!(named(&[owner.clone(), NameChoice::PublicDns]), "i-0abc1234");
        assert_eq!(named(&[owner, NameChoice::PrivateIp]), "10.0.1.11");
    }

    #[test]
    fn the_first_address_that_exists_is_taken() {
        for (choices, address) in [
            (
                vec![AddressChoice::PublicIp, AddressChoice::PrivateIp],
                "10.0.1.11",
            ),
            (
                vec![AddressChoice::PublicDns, tag("fqdn")],
                "app-1.example.com",
            ),
        ] {
            let (host, problem) = host(&instance(), &source(&[], &choices), "r");
            assert_eq!((host.address.as_str(), problem), (address, None));
        }
    }

    #[test]
    fn an_instance_without_a_usable_address_is_a_problem_and_stays() {
        for (choices, message) in [
            (
                vec![AddressChoice::PublicIp, AddressChoice::Ipv6],
                "instance i-0abc1234 has no public_ip and no ipv6",
            ),
            (
                vec![tag("ssh")],
                "address of instance i-0abc1234: `-oProxyCommand=x` is neither a host name nor an address",
            ),
        ] {
            let (host, problem) = host(&instance(), &source(&[], &choices), "r");
            assert_eq!(host.address, "");
            let problem = problem.unwrap();
            assert_eq!(problem.host, host.id);
            assert_eq!(problem.diagnostic.message, message);
        }
    }
}
