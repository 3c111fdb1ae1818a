"""What tests and benchmarks share: servers, agents, receivers and proxies as processes, and how they are judged."""
