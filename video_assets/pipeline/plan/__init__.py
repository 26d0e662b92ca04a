"""Stage 3: the plan, which clip goes to which shard under which encoding."""
