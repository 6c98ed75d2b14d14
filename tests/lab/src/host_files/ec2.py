"""Makes the hosts of a fleet instances of a moto server, through the real API: one run_instances each, as pages of
describe_instances count reservations. Reads {"endpoint", "region", "hosts": [{"name", "address", "zone", "tags",
"state"}]} from stdin and prints {"NAME": "INSTANCE ID"}."""

import json
import sys

import boto3

order = json.load(sys.stdin)
ec2 = boto3.client(
    "ec2",
    endpoint_url=order["endpoint"],
    region_name=order["region"],
    aws_access_key_id="lab",
    aws_secret_access_key="lab",
)
ids = {}
for host in order["hosts"]:
    tags = [{"Key": key, "Value": value} for key, value in host["tags"].items()]
    instance = ec2.run_instances(
        ImageId="ami-12c6146b",
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        PrivateIpAddress=host["address"],
        Placement={"AvailabilityZone": host["zone"]},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": host["name"]}, *tags]}],
    )["Instances"][0]["InstanceId"]
    if host["state"] == "stopped":
        ec2.stop_instances(InstanceIds=[instance])
    elif host["state"] == "terminated":
        ec2.terminate_instances(InstanceIds=[instance])
    ids[host["name"]] = instance
print(json.dumps(ids))
