"""An exchange to test gateways against: a process of its own, durable, faulty where it is told."""
