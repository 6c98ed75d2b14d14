//! From the SDK's types to [`Instance`], which the rest of the crate knows.

use aws_sdk_ec2::primitives::DateTimeFormat;
use aws_sdk_ec2::types::{Instance as SdkInstance, InstanceNetworkInterface, Reservation};

use crate::inventory::ec2_map::Instance;

/// The instances of one reservation, with its account.
pub(super) fn instances(reservation: &Reservation) -> impl Iterator<Item = Instance> + '_ {
    let account = reservation.owner_id().map(str::to_owned);
    reservation
        .instances()
        .iter()
        .map(move |instance| convert(instance, account.clone()))
}

fn convert(instance: &SdkInstance, account: Option<String>) -> Instance {
    let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let placement = instance.placement();
    let state = instance.state().and_then(|state| state.name());
    Instance {
        id: instance.instance_id().unwrap_or_default().to_owned(),
        state: state.map(|name| name.as_str().to_owned()),
        account,
        private_ip: owned(instance.private_ip_address()),
        public_ip: owned(instance.public_ip_address()),
        private_dns: owned(instance.private_dns_name()),
        public_dns: owned(instance.public_dns_name()),
        ipv6: owned(instance.ipv6_address()).or_else(|| ipv6(instance)),
        zone: owned(placement.and_then(|place| place.availability_zone())),
        az_id: owned(placement.and_then(|place| place.availability_zone_id())),
        instance_type: instance.instance_type().map(|of| of.as_str().to_owned()),
        vpc: owned(instance.vpc_id()),
        subnet: owned(instance.subnet_id()),
        launch_time: instance
            .launch_time()
            .and_then(|time| time.fmt(DateTimeFormat::DateTime).ok()),
        tags: instance
            .tags()
            .iter()
            .map(|tag| {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                (text(tag.key()), text(tag.value()))
            })
            .collect(),
    }
}

/// The first address of the first interface that has one: instances launched before `ipv6Address` existed
/// have it there alone.
fn ipv6(instance: &SdkInstance) -> Option<String> {
    let addresses = instance
        .network_interfaces()
        .iter()
        .flat_map(InstanceNetworkInterface::ipv6_addresses);
    addresses
        .filter_map(|address| address.ipv6_address())
        .map(str::to_owned)
        .next()
}
