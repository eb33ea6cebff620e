"""Every listing is one dynamic partition of every asset."""

from __future__ import annotations

import dagster as dg

listings = dg.DynamicPartitionsDefinition(name="listings")
