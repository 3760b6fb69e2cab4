"""Running: connections, pools, transactions, and the bridge between threads and the event loop."""
