"""What scripts/gen-mixin writes the dashboards and rules from."""
