"""What runs in the virtual machine: its start, and the tests."""
