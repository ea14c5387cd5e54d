"""The jobfleet operator: observe, decide, plan, apply."""
