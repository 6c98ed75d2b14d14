#!/bin/sh
# Stands for a query of your own list of machines.
cat <<'JSON'
[
  {"name": "app-1", "address": "10.0.1.11", "zone": "us-west-2a", "tags": {"function": "app"}},
  {"name": "app-2", "address": "10.0.2.11", "zone": "us-west-2b", "tags": {"function": "app"}},
  {"name": "db-1", "address": "10.0.1.21", "zone": "us-west-2a", "tags": {"function": "db"}, "port": 2222}
]
JSON
